"""The files of mails as their authors wrote them: elements and CSS, each with its place.

Tags of Jinja are blanked first, so what data will print is a NUL, and every position stays true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

from treue.errors import UnreadableFile
from treue.language.problems import Place
from treue.render.templates import frontmatter
from treue.render.templates.markup import style_sheets, without_comments
from treue.render.templates.tags import shadow
from treue.render.templates.template import LARGEST
from treue.workspace.files import read_file

DATA = "\0"
"""What stands where data are printed."""
LINKS = ("a", "mj-button", "mj-navbar-link", "mj-social-element", "mj-image", "area")
_VOID = ("img", "mj-image", "area", "br", "hr", "input", "meta", "link", "base", "mj-divider", "mj-spacer")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ENHANCES = re.compile(r"@(?:media|supports|-moz-document)\b[^{]*\{", re.IGNORECASE)


@dataclass
class Element:
    """An element of a file: where it begins, its attributes, and for a link the words people see."""

    name: str
    at: int
    attributes: dict[str, str]
    tag: str
    words: str = ""

    def attribute(self, name: str) -> int:
        """Return where the value of an attribute begins; where the element does, if it has none."""
        found = re.search(rf"(?<![\w-]){name}\s*=\s*[\"']?", self.tag, re.IGNORECASE)
        return self.at + (found.end() if found else 0)


@dataclass(frozen=True)
class MailFile:
    """One file of a mail, or of a layout. `name` is the file's, `text` all of it, `body` where its markup begins."""

    name: str
    text: str
    body: int
    template: str = ""
    elements: list[Element] = field(default_factory=list, compare=False)

    @cached_property
    def shadow(self) -> str:
        """The file without front matter, comments and tags; every position as in the file."""
        front = re.sub(r"[^\n]", " ", self.text[: self.body])
        return front + shadow(without_comments(self.text[self.body :]))

    @cached_property
    def css(self) -> str:
        """The CSS of its style sheets alone, without what only adds where a client knows it, such as `@media`.

        Every position is as in the file; empty where there is none.
        """
        sheets, at = "", 0
        for begin, end in style_sheets(self.shadow):
            css = _COMMENT.sub(_blank, self.shadow[begin:end])
            sheets += " " * (begin - at) + _without_enhancements(css)
            at = end
        return sheets

    def place(self, at: int, length: int = 1) -> Place:
        """Return the place of an offset into the text."""
        line = self.text.count("\n", 0, at) + 1
        return Place(self.name, line, at - self.text.rfind("\n", 0, at), length)

    def links(self) -> Iterator[Element]:
        """Yield the elements with an `href`."""
        yield from (one for one in self.elements if one.name in LINKS and "href" in one.attributes)


def read_mail_file(path: Path, name: str, template: str = "") -> MailFile | None:
    """Return a file as its rules look at it, or None where it is no text."""
    try:
        text = read_file(path, 4 * LARGEST).decode("utf-8").replace("\r\n", "\n")
    except (UnreadableFile, UnicodeDecodeError):
        return None
    body = len(text) - len(frontmatter.read(text, name).body)
    file = MailFile(name, text, body, template)
    reader = _Reader(file)
    markup = without_comments(file.shadow, conditional=True)
    # What is open at the end is no element, and the parser would look at it again for each `<` in it.
    reader.feed(markup[: markup.rfind(">") + 1])
    reader.close()
    return file


class _Reader(HTMLParser):
    """Collects the elements; `words` of a link are its text and what its pictures are described as."""

    def __init__(self, file: MailFile) -> None:
        super().__init__(convert_charrefs=True)
        self._file = file
        self._lines = [0, *(found.end() for found in re.finditer("\n", file.text))]
        self._link: Element | None = None  # links do not nest

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, column = self.getpos()
        given = {name: value or "" for name, value in attrs}
        element = Element(tag, self._lines[line - 1] + column, given, self.get_starttag_text() or "")
        self._file.elements.append(element)
        if self._link:
            self._link.words += f" {given.get('alt', '')}"
        element.words = " ".join(given.get(name, "") for name in ("alt", "title", "aria-label")).strip()
        if tag in LINKS and tag not in _VOID:
            self._link = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._link is self._file.elements[-1]:
            self._link = None

    def handle_endtag(self, tag: str) -> None:
        if self._link and self._link.name == tag:
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._link:
            self._link.words += data


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _without_enhancements(css: str) -> str:
    """Blank `@media` and `@supports` with all that is in them."""
    at = 0
    while found := _ENHANCES.search(css, at):
        end, depth = found.end(), 1
        while end < len(css) and depth:
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        css = css[: found.start()] + re.sub(r"[^\n]", " ", css[found.start() : end]) + css[end:]
        at = end
    return css
