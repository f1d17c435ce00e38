"""How many parts an SMS takes: 160 septets in GSM 03.38, 70 units in UCS-2, fewer in each of several parts.

Alphabet and extension table: 3GPP TS 23.038, section 6.2.1. A part of several has 153 septets or 67 units, as
the header that joins them takes the rest (TS 23.040, section 9.2.3.24.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""These take two septets: an escape and themselves."""


@dataclass(frozen=True)
class SmsLength:
    """The length of an SMS: its coding, its units (septets or UTF-16 units), its parts, what forces UCS-2."""

    coding: str
    units: int
    parts: int
    unusual: tuple[str, ...] = ()


def sms_length(text: str) -> SmsLength:
    """Return how long an SMS is. Characters are never torn apart at the end of a part."""
    unusual = tuple(dict.fromkeys(one for one in text if one not in GSM and one not in EXTENDED))
    if unusual:
        widths, whole, joined, coding = [len(one.encode("utf-16-le")) // 2 for one in text], 70, 67, "UCS-2"
    else:
        widths, whole, joined, coding = [2 if one in EXTENDED else 1 for one in text], 160, 153, "GSM-7"
    units = sum(widths)
    return SmsLength(coding, units, 1 if units <= whole else _parts(widths, joined), unusual)


def _parts(widths: Iterable[int], room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts
