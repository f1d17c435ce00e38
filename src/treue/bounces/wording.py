"""What a bounce's words mean, and what they tell of when in the session the refusal came."""

from __future__ import annotations

import re

from treue.bounces.phrases import STRONG, WEAK
from treue.bounces.record import Cause

_LINK = re.compile(r"\b(?:https?|mailto|ftp):[^\s>)\]]{1,2000}")
_ADDRESS = re.compile(r"[<\"']{0,2}[^\s<>()\[\]\"':;,@]{1,80}@[a-z0-9._-]{1,255}[>\"']{0,2}")
_LISTS = re.compile(r"spamhaus|spamcop|barracudacentral|surbl|uribl|sorbs|dnsbl")
_HOST = re.compile(r"\b(?=[a-z0-9-]{0,63}[a-z])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,10}\b")

SOON = re.compile(
    r"try again|temporar(?!.{0,40}over quota)|retry|will be (?:re)?tried|still being|warning message only|deferred|delayed|later|greylist|transient|too busy"
)
"""Wordings by which a failure is a passing one."""

BEFORE_RECIPIENT = re.compile(
    r"after (?:mail from|ehlo|helo|initial connection)|in reply to (?:mail from|ehlo|helo)|to talk to me|>>> ?(?:mail from|ehlo|helo)[^\n]{0,300}\n[>\s]{0,9}<<< [45]"
)
"""The refusal came before the recipient was named: it is about the sender or its server."""

ON_RECIPIENT = re.compile(
    r"(?<!need )(?:\b|_)rcpt(?:\b|_)|no valid recipients|unknown user: |recipient name is not recognized|does not like recipient|rejected address"
    r"|recipient (?:address )?(?:was )?rejected|550 requested action not taken|[45]\d\d .{0,60}doesn't have an? (?:\S{1,60} )?account|account .{0,60} does not exist|\b542\b.{0,80}rejected"
)
"""The refusal answered the recipient's address, or is so exact about it that it must be meant."""

AFTER_CONTENT = re.compile(
    r"end of data|after data|in reply to data|after pipelined end|smtp transmission failure|>>> ?(?:data|\.)\s{0,9}\n[>\s]{0,9}<<< [45]"
)
"""The recipient had been accepted; the refusal came once the content was seen."""

NAMES_RECIPIENT = re.compile(r"^[45]\d\d[ -](?:[45]\.\d\.\d{1,3} )?<[^\s<>]{1,300}>(?:\.\.\.|:)")
"""So Postfix and Sendmail answer a recipient's address."""

REJECTED = re.compile(r"was automatically rejected:\s{1,9}([^\n]{1,500})")
"""Where mailboxes are filled by Dovecot, its sentence tells more than the fields beside it."""

BARE = re.compile(
    r"(?:user|recipient|mailbox) (?:unknown|not exist)|unknown (?:user|recipient|mailbox)|no such (?:user|recipient|mailbox)|user doesn't have an? (?:\S{1,60} )?account"
)
"""What servers say in an SMTP session, of an address or instead of a filter; no mail system's own sentence."""


def _compiled(table: tuple[tuple[Cause, str], ...]) -> list[tuple[Cause, re.Pattern[str]]]:
    return [(cause, re.compile(re.sub(r"\n\s*", "", pattern))) for cause, pattern in table]


_STRONG, _WEAK = _compiled(STRONG), _compiled(WEAK)


def plain(text: str) -> str:
    """Return a text as the patterns want it, of at most 4,000 characters."""
    flat = " ".join(text[:6000].lower().replace("’", "'").replace("`", "'").split())[:4000]
    listed = _LISTS.search(flat)
    return _HOST.sub("<h>", _ADDRESS.sub("<a>", _LINK.sub("", flat))) + (" blocklist" if listed else "")


def strong(said: str) -> Cause | None:
    """Return what a `plain` text clearly says."""
    return next((cause for cause, pattern in _STRONG if pattern.search(said)), None)


def weak(said: str) -> Cause | None:
    """Return what a `plain` text may mean."""
    return next((cause for cause, pattern in _WEAK if pattern.search(said)), None)


def telling(text: str, status: str, reply: str) -> str:
    """Return the part of a text that says most: from the line with its code on, else with a clear wording, else all."""
    lines = text[:6000].split("\n")[:100]
    for number, line in enumerate(lines):
        if (status and status in line) or (reply and reply in line):
            return " ".join(lines[number : number + 6])
    for number, line in enumerate(lines):
        if strong(plain(line)) is not None:
            return " ".join(lines[number : number + 3])
    return text
