"""How many parts an SMS takes: 160 septets in GSM 03.38, 70 units in UCS-2, fewer in each of several parts.

Alphabet and extension table: 3GPP TS 23.038, section 6.2.1. A part of several has 153 septets or 67 units, as
the header that joins them takes the rest (TS 23.040, section 9.2.3.24.1). What a reader sees as one character goes into
one part, as Twilio's calculator (npm `sms-segments-calculator`) has it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import regex

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""These take two septets: an escape and themselves."""

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("„“”‟«»″", '"'),
        **dict.fromkeys("‚‘’‛‹›′´`", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f", " "),
        **dict.fromkeys("\u200b\u2060\ufeff", ""),
        "…": "...",
    }
)

_CHARACTER = regex.compile(r"\X")


@dataclass(frozen=True)
class SmsLength:
    """The length of an SMS: its coding, its units (septets or UTF-16 units), its parts, what forces UCS-2."""

    coding: str
    units: int
    parts: int
    unusual: tuple[str, ...] = ()


def sms_length(text: str) -> SmsLength:
    """Return how long an SMS is. Characters are never torn apart at the end of a part."""
    characters = _characters(text)
    unusual = tuple(dict.fromkeys(one for one in characters if one not in GSM and one not in EXTENDED))
    if unusual:
        widths, whole, joined, coding = [_units(one) for one in characters], 70, 67, "UCS-2"
    else:
        widths, whole, joined, coding = [2 if one in EXTENDED else 1 for one in text], 160, 153, "GSM-7"
    units = sum(widths)
    return SmsLength(coding, units, 1 if units <= whole else _parts(widths, joined), unusual)


def plainer(text: str) -> str:
    """Return a text with the quotes, dashes and blanks of typesetting written as the GSM alphabet has them.

    Nobody does that to a message unasked: it is what the "smart encoding" of providers comes to, and for telling
    an author what these characters cost.
    """
    return text.translate(_PLAIN)


def named(character: str) -> str:
    """Return a character as it can be shown: itself, or its number where it is invisible."""
    visible = any(unicodedata.category(one)[0] in "LNPS" for one in character)
    return character if visible else " ".join(f"U+{ord(one):04X}" for one in character)


def _characters(text: str) -> list[str]:
    """Return what a reader sees as characters (UAX 29), a line's end in its two."""
    found = _CHARACTER.findall(text)
    return [one for whole in found for one in (whole if whole == "\r\n" else [whole])]


def _units(character: str) -> int:
    return len(character.encode("utf-16-le", "surrogatepass")) // 2


def _parts(widths: Iterable[int], room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts
