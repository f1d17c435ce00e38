"""Idempotency keys: the same on every attempt, and never the same for two messages of any two databases.

A provider remembers keys for hours; a database made anew counts from one again. So a key is the message's number and the
instant it was queued.
"""

from __future__ import annotations

import re
from datetime import datetime

from treue.clock import micros

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"([1-9][0-9]{0,18})(?:-[0-9a-z]{1,20})?")
_LARGEST = 2**63 - 1


def message_key(number: int, queued_at: datetime) -> str:
    """Return the key of a message: letters, digits and a dash, at most 32 characters."""
    left, digits = micros(queued_at), ""
    while left > 0:
        left, digit = divmod(left, 36)
        digits = _DIGITS[digit] + digits
    return f"{number}-{digits or '0'}"


def number_in(key: str) -> int | None:
    """Return the number of the message that a key, or its bare number, names; None where it is neither."""
    found = _KEY.fullmatch(key)
    number = int(found[1]) if found else 0
    return number if 0 < number <= _LARGEST else None
