"""The links of a page: where they lead, and the words on them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple


class Link(NamedTuple):
    """Where a link leads, which may be nowhere, and its words: text, and what its pictures are described as."""

    address: str
    words: str


def links_in(html: str) -> list[Link]:
    """Return the links of a page in order; takes whatever comes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Link] = []
        self._address: str | None = None
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("a", "area"):
            self._end()
            self._address = (given["href"] or "") if "href" in given else None
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
        if self._address is not None:
            self.found.append(Link(self._address, " ".join(" ".join(self._words).split())))
        self._address, self._words = None, []
