"""From a mailbox that bounces come into to delivery events: what came back, whose it was, what happened to it.

Only mails to a return path of ours count, as anybody can write a bounce: a forged one suppresses nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from treue.bounces.files import ReturnedMail
from treue.bounces.mailboxes import Mailbox
from treue.bounces.reader import read
from treue.bounces.record import Cause, Reading, Verdict
from treue.channel import DeliveryEvent
from treue.delivery import receipts
from treue.model.states import DeliveryEventKind
from treue.render.mail.return_paths import ReturnPaths
from treue.store.store import Store

BATCH = 100
"""So many mails are read between two commits."""

_CLEARING = {
    Cause.message_too_big: "5.3.4",
    Cause.content_rejected: "5.6.0",
    **dict.fromkeys(
        (
            Cause.spam, Cause.policy, Cause.sender_rejected, Cause.authentication_failed, Cause.blocked,
            Cause.relaying_denied, Cause.rate_limited, Cause.greylisted,
        ),
        "5.7.0",
    ),
}  # fmt: skip
"""Causes that are not the address's, and the code (RFC 3463) that says so to whoever counts soft bounces."""

Record = Callable[[Sequence[DeliveryEvent]], None]
"""Keeps delivery events; has committed when it returns, and takes no notice of those it has seen before."""


@dataclass
class Collected:
    """How many mails were read, and how many of them told something of a message of ours."""

    read: int = 0
    ours: int = 0


def collect(mailbox: Mailbox, paths: ReturnPaths, record: Record, now: datetime) -> Collected:
    """Read the mails that are not done yet, have their events kept, and mark them as done; in this order.

    Raises MailboxError, and what `record` raises: what was not kept is then read again the next time.
    """
    collected, letters = Collected(), mailbox.letters()
    while batch := list(islice(letters, BATCH)):
        events = [event for letter in batch if (event := event_of(letter, paths, now)) is not None]
        if events:
            record(events)
        mailbox.done(batch)
        collected.read += len(batch)
        collected.ours += len(events)
    return collected


def kept_in(store: Store, now: datetime) -> Record:
    """Return what keeps the events of bounce mails in a store and draws their consequences, in one transaction."""

    def record(events: Sequence[DeliveryEvent]) -> None:
        with store.transaction() as connection:
            receipts.take(connection, "email", events, now)
        receipts.meter("email", events)

    return record


def event_of(letter: ReturnedMail, paths: ReturnPaths, now: datetime) -> DeliveryEvent | None:
    """Return what a mail tells of a message of ours, or None where it is about none or tells nothing."""
    reading = read(letter.raw)
    kind = _kind(reading)
    found = (paths.read(address) for address in reading.returned_to)
    message = next((number for number in found if number is not None), None)
    if kind is None or message is None:
        return None
    verdict = reading.verdict
    return DeliveryEvent(
        id=f"mail:{hashlib.sha256(letter.raw).hexdigest()[:40]}",
        kind=kind,
        at=now,
        key=str(message),
        hard=verdict.hard,
        status=_status(verdict),
        reason=verdict.cause.value,
        raw={"recipient": verdict.recipient, "said": verdict.line},
    )


def _status(verdict: Verdict) -> str:
    """Return the mail's own code, unless the fault is the message's or ours and the code does not say so."""
    clears = _CLEARING.get(verdict.cause, "")
    says_so = verdict.status[:1] == "4" or verdict.status[:4] == clears[:4]
    return clears if clears and not says_so else verdict.status or verdict.reply


def _kind(reading: Reading) -> DeliveryEventKind | None:
    if reading.kind == "bounce":
        return DeliveryEventKind.bounced if reading.verdict.given_up else DeliveryEventKind.deferred
    if reading.kind == "complaint":
        opted_out = reading.verdict.cause is Cause.opted_out
        return DeliveryEventKind.unsubscribed if opted_out else DeliveryEventKind.complained
    return DeliveryEventKind.delivered if reading.kind == "delivered" else None
