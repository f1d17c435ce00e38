"""What a cell says: blanks around it are nothing, and what spreadsheets and databases write for nothing is nothing."""

from __future__ import annotations

import re

_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
BLANKS = _SPACES + _INVISIBLE
"""What is trimmed: every space there is, also no-break ones, and what has no width at all."""

_PLACEHOLDERS = (
    *("null", "(null)", "[null]", "<null>", "nil", "nan", "undefined"),
    *("n/a", "n.a.", "n.a", "k.a.", "k. a.", "-", "--", "---", "–", "—"),
    *(
        "#n/a",
        "#na",
        "#nv",
        "#null!",
        "#value!",
        "#wert!",
        "#ref!",
        "#bezug!",
        "#div/0!",
        "#name?",
        "#num!",
        "#zahl!",
    ),
)
_ONLY_SO = ("NA", "NaN", "None", "\\N")
"""Placeholders in just this spelling: R's, Python's and MySQL's."""

PLACEHOLDERS = frozenset(
    [*_ONLY_SO, *(spelt for word in _PLACEHOLDERS for spelt in (word, word.upper(), word.capitalize()))]
)
"""What spreadsheets and databases write where there is no value; see `is_placeholder`."""

_COUNTRIES = re.compile(r"country|nation|land", re.IGNORECASE)


def trimmed(text: str) -> str:
    """Return the text without the blanks around it."""
    return text.strip() if text.isascii() else text.strip(BLANKS)


def is_placeholder(text: str, column: str) -> bool:
    """Say whether a trimmed cell says that there is no value. NA is R's word for that, and Namibia in a column of countries."""
    return text in PLACEHOLDERS and not (text == "NA" and _COUNTRIES.search(column))


def column_name(cell: str) -> str:
    """Return a column's name as its header has it, on one line and without blanks around it."""
    return " ".join(trimmed(cell).split())
