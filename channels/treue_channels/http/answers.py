"""What an answer by HTTP says about a message: certainly sent, certainly not, or perhaps.

A 429, and a 503 that names a time, were never processed (Twilio says of the first: "always safe to retry"); any
other 5xx may have been. A wrong key, an unpaid bill or a wrong address of the API is our fault and no message's. Another
4xx says by itself of nobody whose fault it is: an adapter knows its provider's codes about the recipient and about the
message, and whatever it does not know counts as ours, so that nobody is refused for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from treue.channel import Receipt, Refused, Retry, Unknown

LONGEST_PAUSE = 86_400.0
"""Seconds; a provider that asks for more is asked again after these."""

SHORTEST_PAUSE = 1.0
"""Seconds; a provider that asks for none, or names a time that has passed, is not asked again on the spot."""

PAUSE = 60.0
"""Seconds, where a provider asks for a pause and names no figure."""

SETTINGS_PAUSE = 300.0
"""Seconds, where only a person can help: a wrong key, an unpaid bill, a sender that is not verified."""

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_UNIX_TIMES, _MILLISECONDS = 1e9, 1e11
_SETTINGS = (401, 402, 403, 404, 405, 407)
_NOT_HEARD = (408, 425)
_TOO_LARGE = 413


@dataclass(frozen=True)
class HttpAnswer:
    """A provider's answer. `headers` have names in small letters; `body` is cut where it is absurdly long."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the document in the body, or None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def by_status(answer: HttpAnswer, reason: str, pause: float) -> Receipt:
    """Return what an answer that is no 2xx means by its status alone; `pause` is for those that ask for one."""
    status = answer.status
    if status in _NOT_HEARD:
        return Retry(reason)
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        return Retry(reason, pause, everyone=True)
    if status >= 500:
        return Unknown(reason)
    if status < 400 or status in _SETTINGS:
        return our_fault(reason)
    return Refused(reason) if status == _TOO_LARGE else about_us(reason)


def our_fault(reason: str) -> Retry:
    """Return the receipt for settings that are wrong, whatever is sent: a key, an account, an unpaid bill."""
    return Retry(reason, SETTINGS_PAUSE, everyone=True, ours=True)


def about_us(reason: str) -> Retry:
    """Return the receipt for what is ours and may hold for messages like this one alone: its sender, its country."""
    return Retry(reason, SETTINGS_PAUSE, ours=True)


def asked_pause(headers: Mapping[str, str], now: datetime, *resets: str) -> float:
    """Return for how many seconds a provider wants to be left alone.

    Read from Retry-After, seconds or a date (RFC 9110 section 10.2.3), else from the first of the headers `resets`
    that is there: seconds, or the Unix time of the moment; at least a second, at most a day.
    """
    found = seconds_until(headers.get("retry-after", ""), now)
    for name in resets:
        found = seconds_until(headers.get(name, ""), now) if found is None else found
    return PAUSE if found is None else found


def seconds_until(text: str, now: datetime) -> float | None:
    """Return the seconds that a text means, None where it means none.

    It may be a number of them, a Unix time in seconds or milliseconds, or an HTTP date.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        number = number / 1000 if number > _MILLISECONDS else number
        return _capped(number if number < _UNIX_TIMES else number - now.timestamp())
    try:
        return _capped((parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _capped(seconds: float) -> float:
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


def printable(text: str, longest: int = 300) -> str:
    """Return a text from outside as one printable line."""
    shown = "".join(c if c.isprintable() else " " for c in text[: longest * 4])
    return " ".join(shown.split())[:longest]
