"""What a server says (RFC 5321 4.2), read from bytes that come in any pieces, and what its noes mean for a message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from treue.bounces.record import Cause
from treue.bounces.verdict import Said, judge
from treue.channel import Refused, Retry

LONGEST = 8192
"""Bytes one reply may have; RFC 5321 4.5.3.1.5 asks for 512 a line."""
SLOW = 300.0
"""Seconds to wait where trying again soon cannot help: a wrong password, a certificate, greylisting."""
CLOSING = 421
LOG_IN_FIRST = 530

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUED = re.compile(
    r"queued as <?([\w.@+=-]+)|\bid=<?([\w.@+=-]+)|^(?:2\.\d\.\d )?ok:? ([\w.@+-]*\d[\w.@+-]*)$",
    re.IGNORECASE,
)
# RFC 3463: bad mailbox, bad system, bad syntax, moved away, null MX (RFC 7505), disabled. Not 5.7.x: our fault.
_DEAD = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}

_SENDER = {"5.1.7", "5.1.8", "4.1.7", "4.1.8"}  # RFC 3463: the sender's address
_OURS = {
    Cause.sender_rejected, Cause.authentication_failed, Cause.blocked, Cause.relaying_denied, Cause.policy,
    Cause.rate_limited,
}  # fmt: skip
_UNVERIFIED = re.compile(
    r"not verified|verified sender|not allowed to send|not authorized to send", re.IGNORECASE
)
"""So Amazon SES, SendGrid and Mailgun say it of senders and sandboxes, without a code that would."""


class GarbledError(Exception):
    """It answered something that is no reply, or that nothing had asked for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, and the words of all its lines."""

    code: int
    words: bytes = b""

    @property
    def good(self) -> bool:
        """Whether the reply is positive."""
        return 200 <= self.code < 300

    @property
    def line(self) -> str:
        """The words as one printable line: a server may say anything."""
        return printable(self.words.decode(errors="replace"))


class Replies:
    """The replies in a stream of bytes."""

    def __init__(self) -> None:
        self._bytes = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._code = b""

    @property
    def empty(self) -> bool:
        """Say whether nothing has been fed that was not taken."""
        return not self._bytes and not self._lines

    def feed(self, data: bytes) -> None:
        """Append bytes from the server."""
        self._bytes = self._bytes + data if self._bytes else data

    def take(self) -> Reply | None:
        """Return the next reply, or None until the rest of it has come. Raises GarbledError."""
        while (end := self._bytes.find(b"\n")) >= 0:
            line, self._bytes = self._bytes[:end].rstrip(b"\r"), self._bytes[end + 1 :]
            if self._is_last(line):
                words, self._lines, self._size = b" ".join(self._lines), [], 0
                return Reply(int(self._code), words)
        if len(self._bytes) > LONGEST:
            raise GarbledError("its answer has no end")
        return None

    def _is_last(self, line: bytes) -> bool:
        code, glue = line[:3], line[3:4]
        fits = len(code) == 3 and code.isdigit() and b"200" <= code < b"600" and glue in (b"", b" ", b"-")
        if not fits or (self._lines and code != self._code):
            raise GarbledError(f"it answered {printable(line[:80].decode(errors='replace'))}")
        self._code = code
        self._lines.append(line[4:])
        self._size += len(line) + 2
        if self._size > LONGEST:
            raise GarbledError("its answer has no end")
        return glue != b"-"


def rejection(host: str, what: str, reply: Reply) -> Retry | Refused:
    """Return the receipt for a reply that is not a yes; `what` is the part it was about. Raises GarbledError.

    530 asks to log in first: the settings are wrong, not the message. So are they where the sender is refused, a policy
    or a proof of who we are is missing (x.7.x), or the words say so.
    """
    line = reply.line
    reason = f"{host} answered {reply.code} {line} to the {what}"
    found = _ENHANCED.match(line)
    enhanced = found[1] if found else ""
    if reply.code == LOG_IN_FIRST:
        return Retry(reason, SLOW, everyone=True, ours=True)
    if reply.code >= 400 and _is_about_us(what, enhanced, reply):
        return Retry(reason, SLOW, ours=True)
    if reply.code >= 500:
        return Refused(reason, suppress=what in ("recipient", "message") and enhanced in _DEAD)
    if reply.code >= 400:
        return Retry(reason)
    raise GarbledError(f"it answered {reply.code} {line}, which is no answer to the {what}")


def _is_about_us(what: str, enhanced: str, reply: Reply) -> bool:
    """Say whether a no is about our sender, our server or our account at the relay, by its place, its code, its words."""
    if what == "sender" or enhanced in _SENDER:
        return True
    if enhanced in _DEAD:
        return False
    cause = judge(Said(status=enhanced, diagnostic=f"{reply.code} {reply.line}")).cause
    return cause in _OURS or _UNVERIFIED.search(reply.line) is not None


def queue_id(reply: Reply) -> str:
    """Return the name under which a server queued a message, or "" where it names none."""
    found = _QUEUED.search(reply.line)
    return next((part for part in found.groups() if part), "") if found else ""


def printable(text: str) -> str:
    """Return a text as one printable line."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split())
