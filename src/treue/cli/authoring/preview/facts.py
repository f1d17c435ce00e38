"""What there is to say of a message beside itself: its size, its links, how long an SMS is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from treue.render.mail.sms import named, plainer, sms_length
from treue.render.templates.page_links import Link, links_in
from treue.render.templates.renderer import Rendered

CLIPPED = 102 * 1024
"""Bytes of HTML after which Gmail cuts a mail off behind a link."""

_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+")


@dataclass(frozen=True)
class SmsFacts:
    """How long an SMS is, what forces it out of the GSM alphabet, and its parts with plain quotes, dashes and blanks."""

    coding: str
    units: int
    parts: int
    unusual: tuple[str, ...]
    plain_parts: int

    @property
    def unit(self) -> str:
        """The unit it is counted in: septets, or UTF-16 units."""
        return "septets" if self.coding == "GSM-7" else "units"

    @property
    def forced(self) -> str:
        """The characters that force it out of the GSM alphabet, those that cannot be seen by their numbers."""
        return " ".join(map(named, self.unusual))


def size(found: Rendered) -> int:
    """Return the bytes of the HTML, or of the text where there is none."""
    return len((found.html or found.text).encode())


def length(found: Rendered) -> SmsFacts | None:
    """Return how long an SMS is; None for what is none."""
    if found.channel != "sms":
        return None
    one = sms_length(found.text)
    return SmsFacts(one.coding, one.units, one.parts, one.unusual, sms_length(plainer(found.text)).parts)


def links(found: Rendered) -> list[Link]:
    """Return the links of a message in order, each address once."""
    if not found.html:
        written = [one.rstrip(".,;:!?") for one in _ADDRESS.findall(found.text)]
        addresses = [*([found.link] if found.link else []), *written]
        return [Link(one, "") for one in dict.fromkeys(addresses)]
    first: dict[str, Link] = {}
    for link in links_in(found.html):
        first.setdefault(link.address, link)
    return [link for link in first.values() if link.address]
