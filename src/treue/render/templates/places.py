"""Where in markup something stands, read as browsers read it, and where a value may not stand.

What data print into HTML is escaped, which is enough between elements and inside the quotes of most attributes. Elsewhere
it is not: among the attributes a value makes attributes of its own, in CSS and in some attributes it loads or runs things.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

RAW = ("style", "script", "title", "textarea", "xmp", "noframes", "mj-style", "mj-title", "mj-preview")
"""Elements in which there is text and no markup."""
_CSS = ("style", "mj-style")
_FOREIGN = ("svg", "math", "object")
_ACTIVE = ("script", "object", "embed", "applet", "iframe", "frame", "frameset", "base", "portal")
_SOURCES = ("srcset", "imagesrcset", "data-srcset", "srcdoc")
_ENTER = re.compile(
    r"<!--\[if[^\]>]{0,200}\]>|<!\[endif\]-->|<!-->|<!--|-->|<(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*)|<[!?]",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"[\s/]*(?P<name>[^\s/>=][^\s/>=]*)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s>\"'][^\s>]*))?)?"
)
_NAME = re.compile(r"[^\s/>=]+")
_SCRIPT = re.compile(r"(?:javascript|vbscript|livescript|data:text|data:application|data:image/svg)")
_BLANKS = re.compile(r"[\x00-\x20]+")


@dataclass
class Place:
    """Where the next sign of a page stands. Feed it the page piece by piece.

    `state` is text, tag (among the attributes), equals (before a value), bare (in a value without quotes), quoted,
    declaration, comment or raw. `hidden` says that it stands in a comment that Outlook reads.
    """

    state: str = "text"
    element: str = ""
    attribute: str = ""
    hidden: bool = False
    foreign: str = ""
    _quote: str = ""
    _depth: int = 0
    _last: str = ""

    def feed(self, text: str) -> None:
        """Go on over a piece of the page."""
        at = 0
        while at < len(text):
            at = getattr(self, f"_in_{self.state}")(text, at)
        self._last = text[-2:] or self._last

    def put(self) -> None:
        """Go on over a value that is printed here."""
        if self.state == "equals":
            self.state = "bare"
        self._last = ""

    @property
    def begins_tag(self) -> bool:
        """Whether the page so far ends with what begins an element."""
        return self.state == "text" and (self._last.endswith("<") or self._last == "</")

    def _in_text(self, text: str, at: int) -> int:
        found = _ENTER.search(text, at)
        if not found:
            return len(text)
        if found["name"]:
            self.element = found["name"].lower()
            self._follow(closing=bool(found["end"]))
            self.state, self.attribute = "tag", ""
            self.element = "" if found["end"] else self.element
        elif found[0] == "<!--":
            self.state = "comment"
        elif found[0] in ("<!", "<?"):
            self.state = "declaration"
        else:
            self.hidden = found[0][:7].lower() == "<!--[if"
        return found.end()

    def _follow(self, *, closing: bool) -> None:
        """Count how deep in graphics and the like this is."""
        if not self.foreign and self.element in _FOREIGN and not closing:
            self.foreign, self._depth = self.element, 1
        elif self.element == self.foreign:
            self._depth += -1 if closing else 1
            self.foreign = self.foreign if self._depth else ""

    def _in_tag(self, text: str, at: int) -> int:
        sign = text[at]
        if sign == ">":
            closed = text[at - 1 : at] == "/" or (self._last.endswith("/") and not at)
            if closed and self.element == self.foreign and self.element:
                self._follow(closing=True)
            self.state = "raw" if self.element in RAW and not closed else "text"
            return at + 1
        if sign == "=":
            self.state = "equals"
            return at + 1
        name = _NAME.match(text, at)
        if not name:
            return at + 1
        self.attribute = name[0].lower()
        return name.end()

    def _in_equals(self, text: str, at: int) -> int:
        sign = text[at]
        if sign in "\"'":
            self.state, self._quote = "quoted", sign
        elif sign == ">":
            self.state = "tag"
            return at
        elif not sign.isspace():
            self.state = "bare"
        return at + 1

    def _in_bare(self, text: str, at: int) -> int:
        found = re.compile(r"[\s>]").search(text, at)
        if not found:
            return len(text)
        self.state = "tag"
        return found.start()

    def _in_quoted(self, text: str, at: int) -> int:
        return self._until(self._quote, text, at, "tag")

    def _in_declaration(self, text: str, at: int) -> int:
        return self._until(">", text, at)

    def _in_comment(self, text: str, at: int) -> int:
        return self._until("-->", text, at)

    def _in_raw(self, text: str, at: int) -> int:
        found = re.compile(rf"</{re.escape(self.element)}", re.IGNORECASE).search(text, at)
        if not found:
            return len(text)
        self.state = "text"
        return found.start()

    def _until(self, end: str, text: str, at: int, then: str = "text") -> int:
        found = text.find(end, at)
        if found < 0:
            return len(text)
        self.state = then
        return found + len(end)


def refused(place: Place, *, prints: bool) -> tuple[str, str] | None:
    """Return where a tag stands that may not be there, and what to write instead; None where it may.

    `prints` says whether it prints a value; a block such as `{% if %}` chooses among what the author wrote.
    """
    bare = place.state in ("equals", "bare")  # the compiler puts quotes around a value that stands there
    if place.state in ("tag", "declaration") or place.begins_tag or (bare and not prints):
        return "among the attributes of an element, where the compiler cannot keep it", (
            'Put it around the whole element, or inside the quotes of one attribute: class="{% if … %}…{% endif %}".'
        )
    if not prints:
        return None
    if place.state == "raw" and place.element in (*_CSS, "script"):
        return f"in <{place.element}>, where a value could load or hide anything", _CHOOSE
    if place.foreign:
        return (
            f"in <{place.foreign}>, where a value could become more than a picture",
            'Write <img src="{{ … }}">.',
        )
    return _refused_attribute(place) if bare or place.state == "quoted" else None


_CHOOSE = 'Choose among styles of your own: style="{% if … %}color: #c00{% endif %}".'


def _refused_attribute(place: Place) -> tuple[str, str] | None:
    if place.attribute == "style":
        return "in a style, where a value could load or hide anything", _CHOOSE
    if place.attribute in _SOURCES:
        return f"in {place.attribute}, where several addresses stand", 'Give it one address: src="{{ … }}".'
    if place.attribute.startswith("on"):
        return f"in {place.attribute}, which is a script", "Take it out."
    if place.element == "meta":
        return "in <meta>, where a value could lead elsewhere", "Take it out."
    return None


def active(page: str) -> Iterator[tuple[int, str]]:
    """Yield where a page has what is no mail's: scripts, handlers, pages in pages, addresses that run; and what it is."""
    at = 0
    while found := _ENTER.search(page, at):
        at = found.end()
        if not found["name"] or found["end"]:
            continue
        element = found["name"].lower()
        if element in _ACTIVE:
            yield found.start(), f"<{element}"
        while attribute := _ATTRIBUTE.match(page, at):
            at = attribute.end()
            value = attribute["double"] or attribute["single"] or attribute["bare"] or ""
            if said := _active(element, attribute["name"].lower(), value):
                yield attribute.start("name"), said


def _active(element: str, name: str, value: str) -> str:
    if re.fullmatch(r"on[a-z]+", name):
        return f"{name}="
    if name == "srcdoc" or (
        element == "meta" and name == "http-equiv" and value.strip().lower() == "refresh"
    ):
        return f"{name}={value[:20]}"
    meant = _BLANKS.sub("", html.unescape(value)).lower()
    return f"{name}={meant[:20]}" if _SCRIPT.match(meant) else ""
