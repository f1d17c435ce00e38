"""What there is to say of a message beside itself: its size, its links, how long an SMS is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from treue.render.renderer import Rendered
from treue.render.sms import named, plainer, sms_length

CLIPPED = 102 * 1024
"""Bytes of HTML after which Gmail cuts a mail off behind a link."""

_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+")


@dataclass(frozen=True)
class Link:
    """Where a link leads, and the words on it."""

    address: str
    words: str


@dataclass(frozen=True)
class Length:
    """How long an SMS is, what forces it out of the GSM alphabet, and its parts with plain quotes, dashes and blanks."""

    coding: str
    units: int
    parts: int
    unusual: tuple[str, ...]
    plain_parts: int

    @property
    def unit(self) -> str:
        """What its units are called."""
        return "septets" if self.coding == "GSM-7" else "units"

    @property
    def forced(self) -> str:
        """The characters that force it out of the GSM alphabet, those that cannot be seen by their numbers."""
        return " ".join(map(named, self.unusual))


def size(found: Rendered) -> int:
    """Return the bytes of the HTML, or of the text where there is none."""
    return len((found.html or found.text).encode())


def length(found: Rendered) -> Length | None:
    """Return how long an SMS is; None for what is none."""
    if found.channel != "sms":
        return None
    one = sms_length(found.text)
    return Length(one.coding, one.units, one.parts, one.unusual, sms_length(plainer(found.text)).parts)


def links(found: Rendered) -> list[Link]:
    """Return the links of a message in order, each address once."""
    if not found.html:
        written = [one.rstrip(".,;:!?") for one in _ADDRESS.findall(found.text)]
        addresses = [*([found.link] if found.link else []), *written]
        return [Link(one, "") for one in dict.fromkeys(addresses)]
    reader = _Links()
    reader.feed(found.html)
    reader.close()
    return list({link.address: link for link in reversed(reader.found)}.values())[::-1]


class _Links(HTMLParser):
    """Reads links with the text and the pictures' descriptions in them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Link] = []
        self._address = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("a", "area"):
            self._end()
            self._address = given.get("href") or ""
        if tag in ("img", "area"):
            self._words.append(given.get("alt") or "")

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._end()

    def close(self) -> None:
        super().close()
        self._end()

    def _end(self) -> None:
        if self._address:
            self.found.append(Link(self._address, " ".join(" ".join(self._words).split())))
        self._address, self._words = "", []
