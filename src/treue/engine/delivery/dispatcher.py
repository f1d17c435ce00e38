"""From the outbox to the providers: claim, last look, write, send, record — each message by itself.

One failing template, one refused address costs one message; its batch goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from treue.channel import Accepted, Channel, Outgoing, Receipt, Refused, Retry, Unknown
from treue.engine.delivery import outbox
from treue.engine.delivery.acceptance import AcceptanceLog, worker_name
from treue.engine.delivery.outbox import Claimed, Settled
from treue.model.states import MessageState, Reason
from treue.store.store import Store

MESSAGES_A_BATCH = 500
MAX_ATTEMPTS = 8
RENEW_AFTER = outbox.LEASE.total_seconds() / 5
"""Seconds of sending after which a worker makes sure that its messages are still its own."""


@dataclass(frozen=True)
class Unwritable:
    """A message that cannot be written, and why."""

    reason: Reason
    detail: str


class Composer(Protocol):
    """Turns claimed messages into ready ones."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Outgoing | Unwritable]:
        """Return each message ready for the wire, or why it cannot be written. Never raises."""


@dataclass
class Delivered:
    """How many messages were sent, held for another attempt, refused by reason, failed, and left in doubt.

    `postponed` are those that limits and quiet hours hold once more.
    """

    sent: int = 0
    held: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    in_doubt: int = 0
    postponed: int = 0

    def add(self, other: Delivered) -> None:
        """Add another count to this one."""
        self.sent += other.sent
        self.held += other.held
        self.postponed += other.postponed
        self.failed += other.failed
        self.in_doubt += other.in_doubt
        for reason, n in other.refused.items():
            self.refused[reason] = self.refused.get(reason, 0) + n


class Delivery:
    """One worker's way from the outbox to the providers. Use from one thread; close it at the end."""

    def __init__(
        self, store: Store, channels: Mapping[str, Channel], composer: Composer, state: Path
    ) -> None:
        self.store, self.channels, self.composer = store, channels, composer
        self.log = AcceptanceLog(state, worker_name())

    def deliver(
        self,
        journey_id: int,
        now: datetime,
        progress: Callable[[int], None] | None = None,
        last_look: Callable[[], None] | None = None,
        *,
        reserved_only: bool = False,
    ) -> Delivered:
        """Send everything of one journey that is ready; return what became of it.

        `last_look` is called before each claim: what it finds to have ended is not claimed any more. With
        `reserved_only`, marketing messages that limits and quiet hours have not let go stay where they are.
        """
        total = Delivered()
        with self.store.reading() as connection:
            channels = sorted(
                channel for id_, channel in outbox.waiting(connection, now) if id_ == journey_id
            )
        for channel in channels:
            while claimed := self._claim(journey_id, channel, now, last_look, reserved_only):
                total.add(self._batch(channel, claimed, now))
                if progress:
                    progress(len(claimed))
                if len(claimed) < MESSAGES_A_BATCH:
                    break  # that was all; what is ready again by now can wait for the next pass
        return total

    def _claim(
        self,
        journey_id: int,
        channel: str,
        now: datetime,
        last_look: Callable[[], None] | None,
        reserved_only: bool,
    ) -> list[Claimed]:
        if last_look:
            last_look()
        worker = self.log.worker
        return outbox.claim(self.store, journey_id, channel, now, worker, MESSAGES_A_BATCH, reserved_only)

    def close(self) -> None:
        """Let go of the log. Channels belong to whoever made them."""
        self.log.close()

    def _batch(self, channel: str, claimed: Sequence[Claimed], now: datetime) -> Delivered:
        settled: list[Settled] = []
        wanted = []
        for message in claimed:
            if message.against is not None:
                settled.append(Settled(message, MessageState.refused, Reason(message.against)))
            elif channel not in self.channels:
                settled.append(Settled(message, MessageState.refused, Reason.channel_off))
            else:
                wanted.append(message)
        ready: list[tuple[Claimed, Outgoing]] = []
        for message, written in zip(wanted, self.composer.compose(wanted, now), strict=True):
            if isinstance(written, Unwritable):
                settled.append(Settled(message, MessageState.failed, written.reason, written.detail))
            else:
                ready.append((message, written))
        for some in self._portions(channel, ready):
            receipts = self.channels[channel].send([written for _, written in some], self.log)
            settled += [
                _from_receipt(message, receipt, now, self.channels[channel].capabilities.dedup_window)
                for (message, _), receipt in zip(some, receipts, strict=True)
            ]
        outbox.settle(self.store, settled, now)
        self.log.forget()
        return _counted(settled)

    def _portions(
        self, channel: str, ready: Sequence[tuple[Claimed, Outgoing]]
    ) -> Iterator[Sequence[tuple[Claimed, Outgoing]]]:
        """Yield what goes out at once; where sending is slow, only what is still this worker's by then."""
        can = self.channels[channel].capabilities
        size, renewed = max(can.batch * can.at_once, 1), time.monotonic()
        for start in range(0, len(ready), size):
            some = ready[start : start + size]
            if time.monotonic() - renewed > RENEW_AFTER:
                mine = outbox.renew(self.store, [message for message, _ in ready[start:]])
                some, renewed = [pair for pair in some if pair[0].id in mine], time.monotonic()
            if some:
                yield some


def _from_receipt(message: Claimed, receipt: Receipt, now: datetime, dedup_window: float) -> Settled:
    """Return what became of a message; one of unknown fate may go again while the provider still knows its key."""
    if isinstance(receipt, Unknown) and (now - message.due_at).total_seconds() < dedup_window:
        receipt = Retry(receipt.reason)
    match receipt:
        case Accepted(provider_id):
            return Settled(message, MessageState.sent, provider_id=provider_id or None)
        case Refused(reason, forbidden=True):
            return Settled(message, MessageState.refused, Reason.not_allowed, reason)
        case Refused(reason):
            return Settled(message, MessageState.refused, Reason.rejected_by_provider, reason)
        case Unknown(reason):
            return Settled(message, MessageState.in_doubt, Reason.in_doubt, reason)
        case Retry(reason, after):
            if message.attempts >= MAX_ATTEMPTS:
                return Settled(message, MessageState.failed, Reason.rejected_by_provider, reason)
            wait = max(after, 30.0 * 2 ** (message.attempts - 1)) if message.attempts > 1 else after
            return Settled(message, MessageState.queued, None, reason, ready_at=now + timedelta(seconds=wait))
    raise AssertionError(receipt)


def _counted(settled: Sequence[Settled]) -> Delivered:
    counts = Delivered()
    for item in settled:
        if item.state is MessageState.sent:
            counts.sent += 1
        elif item.state is MessageState.queued:
            counts.held += 1
        elif item.state is MessageState.in_doubt:
            counts.in_doubt += 1
        elif item.state is MessageState.failed:
            counts.failed += 1
        else:
            reason = item.reason.value if item.reason else "unknown"
            counts.refused[reason] = counts.refused.get(reason, 0) + 1
    return counts
