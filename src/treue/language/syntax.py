"""What libyaml says about text that is not YAML, as sentences for people who do not program."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from treue.language.problems import LINE_END

QUOTE_IT = "Put quotes around the text."
LONGEST_KEY = 1000
_NO_SPACE = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_][\w.-]*):(?=[^\s:/\\])")
_QUOTE = re.compile(r"""(?<!\\)\"""")
_CLOSED_QUOTE = re.compile(r"""["'] *$""")


@dataclass(frozen=True)
class SyntaxFault:
    """Where the text stops being YAML (both from 1), why, and what to do about it."""

    line: int
    column: int
    message: str
    hint: str | None = None
    too_deep: bool = False


def fault(error: yaml.YAMLError, text: str) -> SyntaxFault:
    """Explain why the YAML parser refused a text."""
    if isinstance(error, yaml.MarkedYAMLError) and "nesting depth" in (error.problem or ""):
        mark = error.problem_mark or error.context_mark
        return SyntaxFault(mark.line + 1 if mark else 1, 1, error.problem or "", too_deep=True)
    if isinstance(error, yaml.MarkedYAMLError):
        return _Reader(error, LINE_END.split(text)).fault()
    return _unreadable(error, text)


def _unreadable(error: yaml.YAMLError, text: str) -> SyntaxFault:
    character = getattr(error, "character", None)
    if not isinstance(character, int):
        return SyntaxFault(1, 1, f"This is not YAML: {str(error).splitlines()[0]}.")
    before = LINE_END.split(text[: max(text.find(chr(character)), 0)])
    return SyntaxFault(
        len(before),
        len(before[-1]) + 1,
        f"The character U+{character:04X} is not allowed in YAML.",
        "Delete it; it cannot be seen.",
    )


class _Reader:
    def __init__(self, error: yaml.MarkedYAMLError, lines: list[str]) -> None:
        self.what, self.context = error.problem or "", error.context or ""
        mark = error.problem_mark or error.context_mark
        self.line, self.column = (mark.line, mark.column) if mark else (0, 0)
        began = error.context_mark or mark
        self.began = (began.line, began.column) if began else (0, 0)
        self.lines = lines
        self.text = lines[self.line] if self.line < len(lines) else ""
        self.before, self.rest = self.text[: self.column], self.text[self.column :]

    def fault(self) -> SyntaxFault:
        for known, explain in _KNOWN.items():
            if known in self.what:
                return self.stray_quote() or explain(self)
        return self.here(f"This is not YAML: {self.what or self.context}.")

    def here(self, message: str, hint: str | None = None) -> SyntaxFault:
        return SyntaxFault(self.line + 1, self.column + 1, message, hint)

    def where_it_began(self, message: str, hint: str | None = None) -> SyntaxFault:
        return SyntaxFault(self.began[0] + 1, self.began[1] + 1, message, hint)

    def token(self) -> SyntaxFault:
        sign = self.rest[:1]
        if sign == "\t":
            return self.tab()
        what = "a back quote" if sign == "`" else f"`{sign}`"
        return self.here(f"A text cannot begin with {what}, which means something in YAML.", QUOTE_IT)

    def tab(self) -> SyntaxFault:
        return self.here("A tab stands here.", "Indent with spaces, not with tabs.")

    def stray_quote(self) -> SyntaxFault | None:
        """Return the double quote that was meant to be closed in its own line, and is by a later one's."""
        text = "\n".join([*self.lines[: self.line], self.before])
        quotes = [match.start() for match in _QUOTE.finditer(text)]
        if len(quotes) % 2 or not quotes or "\n" not in text[quotes[-2] : quotes[-1]]:
            return None
        if "\n" in text[quotes[-1] :]:
            return None
        opened = text[: quotes[-2]].split("\n")
        return SyntaxFault(
            len(opened),
            len(opened[-1]) + 1,
            f"The quote that begins here is closed only in line {self.line + 1}.",
            "Put the same quote at the end of the text.",
        )

    def value(self) -> SyntaxFault:
        return self.here("After this colon a value is missing, or a space.")

    def end_of_stream(self) -> SyntaxFault:
        return self.where_it_began(
            "The quote that begins here is never closed.", "Put the same quote at the end of the text."
        )

    def flow(self) -> SyntaxFault:
        opening, closing = ("[", "]") if "sequence" in self.context else ("{", "}")
        if self.before.endswith("$"):
            return self.here("Inside braces and brackets `${…}` needs quotes.", 'Write `"${NAME}"`.')
        if self.line != self.began[0]:
            return self.where_it_began(
                f"The `{opening}` that begins here is not closed, or a comma is missing in it.",
                f"It ends with `{closing}`; between its entries there are commas.",
            )
        return self.here(f"A comma or a closing `{closing}` is missing here.")

    def colon(self) -> SyntaxFault:
        for number in (self.line, self.line - 1):
            match = _NO_SPACE.match(self.lines[number]) if 0 <= number < len(self.lines) else None
            if match:
                key = match["key"]
                return SyntaxFault(
                    number + 1,
                    match.start("key") + 1,
                    f"After `{key}:` a space is missing.",
                    f"Write `{key}: …`.",
                )
        if len(self.before) > LONGEST_KEY:
            return self.where_it_began(f"This key is longer than {LONGEST_KEY} characters.")
        if ": " in self.before:
            return self.here(
                "A second colon stands in this line.", f"{QUOTE_IT[:-1]} that has a colon in it."
            )
        return self.here(
            "This line is indented further than the one above it.", "Lines that belong together begin alike."
        )

    def no_colon(self) -> SyntaxFault:
        return self.where_it_began("In this line the colon after the key is missing.", "Write `key: value`.")

    def no_key(self) -> SyntaxFault:
        sign = self.rest[:1]
        if sign and sign in "]}":
            return self.here(f"This `{sign}` closes nothing.")
        if sign == ":":
            return self.here("A key is missing before this colon.")
        if _CLOSED_QUOTE.search(self.before):
            return self.here("Text stands after the closing quote.", "Put the quotes around the whole text.")
        if self.rest.startswith("- "):
            return self.here("An entry of a list stands here among keys.", "Check the indentation.")
        return self.indentation()

    def no_dash(self) -> SyntaxFault:
        if self.rest.startswith("when_over:"):
            return self.here(
                "`when_over` belongs to one limit, not beside them.",
                "Write it into each entry: `- {at_most: 3, per: 7d, when_over: drop}`.",
            )
        return self.here(
            "This line stands in a list, but does not begin like its other entries.",
            "Begin it with `- ` right below the others, or check the indentation.",
        )

    def indentation(self) -> SyntaxFault:
        return self.here(
            "This line is indented unlike the lines it belongs to.", "Lines that belong together begin alike."
        )

    def dash(self) -> SyntaxFault:
        return self.here("A list cannot begin in the line of its key.", "Put the `- ` into the next line.")

    def escape(self) -> SyntaxFault:
        return self.here(
            f"`{self.rest[:2]}` is nothing in double quotes.", "Use single quotes, or `\\\\` for a backslash."
        )

    def sign(self) -> SyntaxFault:
        sign = self.lines[self.began[0]][self.began[1] : self.began[1] + 1]
        return self.where_it_began(
            f"A text cannot begin with `{sign}`, which means something in YAML.", QUOTE_IT
        )

    def tag(self) -> SyntaxFault:
        return self.where_it_began("A text cannot begin with `!`, which means something in YAML.", QUOTE_IT)


_KNOWN = {
    "found character that cannot start any token": _Reader.token,
    "tab character": _Reader.tab,
    "found unexpected end of stream": _Reader.end_of_stream,
    "did not find expected ','": _Reader.flow,
    "mapping values are not allowed": _Reader.colon,
    "could not find expected ':'": _Reader.no_colon,
    "did not find expected key": _Reader.no_key,
    "did not find expected '-' indicator": _Reader.no_dash,
    "did not find expected <document start>": _Reader.indentation,
    "block sequence entries are not allowed": _Reader.dash,
    "found unknown escape character": _Reader.escape,
    "did not find expected alphabetic or numeric character": _Reader.sign,
    "found undefined tag handle": _Reader.tag,
    "found unexpected ':'": _Reader.value,
}
"""A part of what libyaml says, and who puts it into plain words."""
