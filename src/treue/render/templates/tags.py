"""Jinja's tags as opaque tokens, so that MJML, CSS and HTML tools leave them alone.

A source is cut into literal text and tags. Each tag gets a token that no markup tool touches; after
compilation the tokens become tags again. Every tag is put back with a line break behind its opening braces,
so that no two tags share a line of the compiled source and an error's line number names exactly one tag.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from treue.render.problem import TemplateProblem
from treue.render.templates import elsewhere

_OPEN = re.compile(r"\{\{|\{%|\{#")
_INSIDE = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\}\}|%\}", re.DOTALL)
_SIGN = re.compile(r"(\{[{%])([-+]?)")
_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_LAST = re.compile(r"([-+]?%\})\Z")
_ALONE = re.compile(r"^([ \t]*(?:\{%(?:(?!%\}).)*%\}[ \t]*)+)\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Tag:
    """One `{{ … }}` or `{% … %}`, where it stands in which file; line and column count from 1."""

    text: str
    file: str
    line: int
    column: int

    @property
    def prints(self) -> bool:
        """Whether it is `{{ … }}`, not `{% … %}`."""
        return self.text.startswith("{{")

    @property
    def word(self) -> str:
        """The first word of a `{% … %}`, such as `for`; empty for `{{ … }}`."""
        found = _WORD.match(self.text)
        return found[1] if found else ""

    @property
    def expression(self) -> str:
        """What stands between the braces of a `{{ … }}`."""
        return self.text[2:-2].strip("-+ \t\r\n")

    def spread(self, wrap: str = "") -> str:
        """Return the tag with a line break behind its opening, its expression passed to the filter `wrap`."""
        if wrap:
            return "{{\n(" + self.expression + ")|" + wrap + " }}"
        return _SIGN.sub(lambda sign: sign[0] + "\n", self.text, count=1)

    def place_of(self, name: str) -> tuple[int, int]:
        """Return the line and column of the last part of `name` inside the tag, else the tag's own."""
        last = name.rsplit(".", 1)[-1]
        found = re.search(rf"(?<![\w]){re.escape(last)}(?![\w])", self.text) if last else None
        if not found:
            return self.line, self.column
        before = self.text[: found.start()]
        if "\n" in before:
            return self.line + before.count("\n"), len(before) - before.rfind("\n")
        return self.line, self.column + len(before)


Piece = str | Tag


def cut(source: str, file: str, line: int = 1, column: int = 1) -> tuple[list[Piece], list[TemplateProblem]]:
    """Cut a source into literal text and tags; `line` and `column` say where in `file` it begins.

    Jinja's comments vanish.
    """
    pieces: list[Piece] = []
    problems: list[TemplateProblem] = []
    starts = [0] + [match.end() for match in re.finditer("\n", source)]
    at = 0
    for begin, end in _spans(source):
        row = bisect_right(starts, begin) - 1
        place = line + row, begin - starts[row] + (column if row == 0 else 1)
        if begin > at:
            pieces.append(source[at:begin])
        if end < 0:
            problems.append(_unclosed(source[begin : begin + 2], file, place))
            return pieces, problems
        if not source.startswith("{#", begin):
            pieces.append(Tag(source[begin:end], file, *place))
        at = end
    if at < len(source):
        pieces.append(source[at:])
    return pieces, problems


def shadow(source: str) -> str:
    """Return the source with every tag blanked and every position kept.

    A `{{ … }}` becomes NUL characters, everything else of Jinja spaces; line breaks stay.
    """
    parts: list[str] = []
    at = 0
    for begin, end in _spans(source):
        stop = len(source) if end < 0 else end
        filler = "\0" if source.startswith("{{", begin) else " "
        parts += [source[at:begin], re.sub(r"[^\n]", filler, source[begin:stop])]
        at = stop
    return "".join([*parts, source[at:]])


def merge_tags(source: str, file: str, line: int = 1, column: int = 1) -> list[TemplateProblem]:
    """Return a problem for each merge tag of another tool; `line` and `column` say where in `file` the source begins."""
    text = shadow(source)
    found = []
    for at, tag, advice in elsewhere.merge_tags(text):
        row, begin = text.count("\n", 0, at), text.rfind("\n", 0, at) + 1
        place = line + row, at - begin + (1 if row else column)
        message = f"{tag} is a merge tag of another tool; here it would be sent as it stands."
        found.append(TemplateProblem(file, *place, "T401", message, advice))
    return found


def _spans(source: str) -> Iterator[tuple[int, int]]:
    at = 0
    while opening := _OPEN.search(source, at):
        at = _end(source, opening.end(), opening[0])
        yield opening.start(), at
        if at < 0:
            return


def _end(source: str, at: int, opening: str) -> int:
    if opening == "{#":
        found = source.find("#}", at)
        return found + 2 if found >= 0 else -1
    closing = "}}" if opening == "{{" else "%}"
    for part in _INSIDE.finditer(source, at):
        if part[0] == closing:
            return part.end()
    return -1


def _unclosed(opening: str, file: str, place: tuple[int, int]) -> TemplateProblem:
    closing = {"{{": "}}", "{%": "%}", "{#": "#}"}[opening]
    return TemplateProblem(
        file, *place, "T401", f"{opening} is never closed.", f"Write {closing} where it ends."
    )


class Mask:
    """The tags of one message and the tokens that stand for them.

    Tokens are lower-case letters and digits, as attribute names are lowered by HTML parsers.
    """

    def __init__(self, *sources: str) -> None:
        self.tags: list[Tag] = []
        self._stem = "qtz"
        text = "".join(sources).lower()
        while self._stem in text:
            self._stem += "q"
        stem = self._stem
        self.token = re.compile(rf"{stem}(\d+)x")
        self._put_back = re.compile(rf'<!--{stem}(\d+)x-->|{stem}(\d+)([xu])(?:="")?')
        self.comment = re.compile(rf"<!--({stem}\d+x)-->")

    def add(self, tag: Tag) -> str:
        """Return a new token that stands for `tag`."""
        self.tags.append(tag)
        return f"{self._stem}{len(self.tags) - 1}x"

    def tag(self, token: str) -> Tag:
        """Return the tag a token stands for."""
        found = self.token.match(token)
        assert found is not None
        return self.tags[int(found[1])]

    def guarded(self, token: str) -> str:
        """Return the token that stands for the same tag at the start of a link."""
        return token[:-1] + "u"

    def shown(self, text: str) -> str:
        """Return the text with its tags as the author wrote them."""
        return self.token.sub(lambda found: self.tags[int(found[1])].text, text)

    def of(self, text: str) -> list[Tag]:
        """Return the tags whose tokens stand in `text`, in order."""
        return [self.tags[int(found[1])] for found in self.token.finditer(text)]

    def unmask(self, text: str) -> JinjaSource:
        """Put the tags back; a token that ends in u, not x, is a link's start, and guarded as one."""
        order: list[Tag] = []

        def back(found: re.Match[str]) -> str:
            tag = self.tags[int(found[1] or found[2])]
            order.append(tag)
            return tag.spread("treue_url" if found[3] == "u" else "")

        return JinjaSource(self._put_back.sub(back, text), tuple(order))


@dataclass(frozen=True)
class JinjaSource:
    """A Jinja source in which each tag has lines of its own, and its tags in order."""

    text: str
    tags: tuple[Tag, ...]

    @property
    def constant(self) -> bool:
        """Whether there is no tag in it."""
        return not self.tags

    def tag_at(self, line: int) -> Tag | None:
        """Return the tag that covers a line of the source, or the last one before it."""
        starts = self._lines
        index = bisect_right(starts, line) - 1
        return self.tags[index] if index >= 0 else (self.tags[0] if self.tags else None)

    @cached_property
    def _lines(self) -> list[int]:
        """Return the line on which each tag's content begins, for each in order."""
        lines: list[int] = []
        at = 0
        row = 1
        for found in re.finditer(r"\n|\{[{%][-+]?\n", self.text):
            row += 1
            if found[0] != "\n" and found.start() >= at:
                lines.append(row)
        return lines


def plain(pieces: Sequence[Piece], *, tidy: bool = False) -> JinjaSource:
    """Join the pieces of a text that no markup tool has to see.

    With `tidy`, a line of nothing but `{% … %}` leaves no empty line behind.
    """
    text = "".join(piece if isinstance(piece, str) else piece.spread() for piece in pieces)
    if tidy:
        text = tidy_lines(text)
    return JinjaSource(text, tuple(piece for piece in pieces if isinstance(piece, Tag)))


def tidy_lines(text: str) -> str:
    """Take the line break after lines of nothing but `{% … %}` into the last tag."""
    return _ALONE.sub(lambda line: _LAST.sub(r"\n\1", line[1].strip(" \t")), text)
