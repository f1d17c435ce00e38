"""From the outbox to the providers: claim, last look, write, send, record — each message by itself.

One failing template, one refused address costs one message; its batch goes on. A provider that fails pauses its
channel, for all workers, and no message is charged for it. Transactional messages go first, whatever waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from treue import meters
from treue.channel import Accepted, Channel, Outgoing, Receipt, Retry, Unknown
from treue.clock import utc_now
from treue.delivery import gates, mailboxes, outbox, policy, recovery
from treue.delivery.acceptance import AcceptanceLog, worker_name
from treue.delivery.brakes import SLOW_RATE, Brake, Pedal, brakes
from treue.delivery.outbox import Claimed, Lane, Settled
from treue.delivery.settling import settle
from treue.model.states import WEBHOOK, MessageState, Reason
from treue.store import printed
from treue.store.erasures import Erasures
from treue.store.printed import Printed
from treue.store.store import Store

MESSAGES_A_BATCH = 500
RENEW_AFTER = outbox.LEASE.total_seconds() / 5
"""Seconds of sending after which a worker makes sure that its messages are still its own."""

LONGEST_WAIT = 1.0
"""Seconds that are slept through at once for a channel's rate, so that what is urgent is seen in time."""

HOPELESS = 20
"""So many messages of a batch that wait for what is ours, and none that goes through: the rest is not tried."""

_MAY_BE_HERS = (MessageState.sent, MessageState.in_doubt)
"""States of messages that their customers have, or may have."""

LastLook = Callable[[Sequence[int], datetime], None]
"""Called before each claim with the journeys that are claimed from, and the time."""


@dataclass(frozen=True)
class Unwritable:
    """A message that cannot be written, and why."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Written:
    """A message ready for the wire, and what it was written with where that is kept.

    `text` is what it says without links of its own, where its address is shared.
    """

    outgoing: Outgoing
    text: str | None = None
    printed: Printed | None = None


class Composer(Protocol):
    """Turns claimed messages into ready ones."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        """Return each message ready for the wire, or why it cannot be written; raise where none can be just now."""


@dataclass
class Delivered:
    """How many messages were sent, held for another attempt, refused by reason, failed, and left in doubt.

    `postponed` are those that limits and quiet hours hold once more. `unfinished` says that the time was over
    before the outbox was empty.
    """

    sent: int = 0
    held: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    in_doubt: int = 0
    postponed: int = 0
    unfinished: bool = False

    def add(self, other: Delivered) -> None:
        """Add another count to this one."""
        self.sent += other.sent
        self.held += other.held
        self.postponed += other.postponed
        self.failed += other.failed
        self.in_doubt += other.in_doubt
        self.unfinished |= other.unfinished
        for reason, n in other.refused.items():
            self.refused[reason] = self.refused.get(reason, 0) + n


class Delivery:
    """One worker's way from the outbox to the providers. Use from one thread; close it at the end.

    `rates` are messages a second by channel, without them nothing is slowed (a clock that stands still lets no rate
    pass); `erasures` knows whom nothing may reach any more. With `slice_seconds`, a call to `deliver` ends after so
    many seconds, so that a pass can bring in what has become urgent meanwhile. `clock` and `sleep` are real time.
    """

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Channel],
        composer: Composer,
        state: Path,
        rates: Mapping[str, float] | None = None,
        erasures: Erasures | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store, self.channels, self.composer = store, channels, composer
        self.rates, self.erasures, self.clock, self.sleep = rates, erasures, clock, sleep
        self.slice_seconds: float | None = None
        self._winding_down = False
        self.state, self.log = state, AcceptanceLog(state, worker_name(), clock)

    @property
    def windows(self) -> dict[str, float]:
        """How long each channel's provider knows a key, in seconds."""
        return {name: channel.capabilities.dedup_window for name, channel in self.channels.items()}

    def deliver(
        self,
        journey_id: int,
        now: datetime,
        progress: Callable[[int], None] | None = None,
        last_look: LastLook | None = None,
        *,
        reserved_only: bool = False,
    ) -> Delivered:
        """Send everything of one journey that is ready, on all channels by turns; return what became of it.

        What `last_look` finds to have ended is not claimed any more. With `reserved_only`, marketing messages
        that limits and quiet hours have not let go stay where they are.
        """
        self.take_back(now)
        with self.store.reading() as connection:
            waiting, braked = outbox.waiting(connection, now), brakes(connection, now)
        total, began = Delivered(unfinished=self.winding_down), self.clock()
        lanes = [
            Lane(channel, journey_id, reserved_only) for id_, channel in sorted(waiting) if id_ == journey_id
        ]
        runs = [
            _Run(self, lane, braked.get(lane.channel, Brake()).pedal, now, began, last_look, progress)
            for lane in lanes
        ]
        while runs and not total.unfinished:
            waits = {run: run.step(total) for run in runs}
            runs = [run for run, wait in waits.items() if wait is not None]
            if longest := min((wait for wait in waits.values() if wait is not None), default=0.0):
                self.sleep(min(longest, LONGEST_WAIT))
            total.unfinished = bool(runs) and self._time_is_over(began)
        return total

    def wind_down(self) -> None:
        """Claim no more: what is in hand is sent and recorded, all else stays. May be called from another thread."""
        self._winding_down = True

    @property
    def winding_down(self) -> bool:
        """Whether no more is to be claimed."""
        return self._winding_down

    def take_back(self, now: datetime) -> None:
        """Settle what an error kept this worker from recording: its log still says what became of it."""
        if self.log.in_hand:
            recovery.take_back(self.store, self.state, self.log, now, self.windows)

    def _time_is_over(self, began: datetime) -> bool:
        longest = self.slice_seconds
        if self.winding_down:
            return True
        return longest is not None and (self.clock() - began).total_seconds() > longest

    def close(self) -> None:
        """Let go of the log. Channels belong to whoever made them."""
        self.log.close()


class _Run:
    """One journey's messages on one channel, from the first claim to the last."""

    def __init__(
        self,
        delivery: Delivery,
        lane: Lane,
        pedal: Pedal,
        now: datetime,
        began: datetime,
        last_look: LastLook | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._of, self._lane, self._now, self._began = delivery, lane, now, began
        self._look, self._progress = last_look, progress
        self._pedal, self._full_rate = pedal, (delivery.rates or {}).get(lane.channel, 0.0)
        self._claimed_at, self._broke = now, False

    @property
    def _moment(self) -> datetime:
        """The pass's time, gone on by as much as has really gone by."""
        return self._now + (self._of.clock() - self._began)

    def step(self, total: Delivered) -> float | None:
        """Send one batch; return for how many seconds the channel then takes none, or None where there is no more."""
        if self._of.winding_down:
            return 0.0
        admission, claimed = self._claim()
        if admission.closed or (admission.limit and not claimed):
            return None
        if not claimed:
            return admission.wait.total_seconds()
        total.add(self._batch(claimed))
        if self._progress:
            self._progress(len(claimed))
        return 0.0

    def _claim(self) -> tuple[gates.Admission, list[Claimed]]:
        """Take transactional messages of any journey first, then this journey's own. A place unused is given back.

        Those at which the conversation has broken come last, one at a time, until it breaks at one of them again.
        """
        channel, moment, wall = self._lane.channel, self._moment, self._of.clock()
        assert self._lane.journey_id is not None
        with self._of.store.reading() as connection:
            urgent = outbox.express(connection, channel, moment)
        if self._look:
            self._look([*urgent, self._lane.journey_id], moment)
        rate = self._full_rate if urgent else self._rate
        self._of.log.in_hand = True
        with self._of.store.transaction() as connection:
            admission = gates.admit(connection, channel, moment, wall, MESSAGES_A_BATCH, rate, self._at_once)
            claimed: list[Claimed] = []
            for lane in self._lanes(urgent):
                if admission.limit and not claimed:
                    claimed = outbox.claim(
                        connection, lane, moment, wall, self._of.log.worker, admission.limit
                    )
            claimed = self._with_others(connection, claimed, moment, wall)
            gates.give_back(connection, channel, admission.limit - len(claimed), rate)
        self._of.log.lease, self._of.log.in_hand = wall + outbox.LEASE, bool(claimed)
        self._claimed_at = moment
        return admission, claimed

    def _with_others(
        self, connection: Connection, claimed: list[Claimed], moment: datetime, wall: datetime
    ) -> list[Claimed]:
        """Mark what goes to an address that several have, and claim with it what else is ready for that address."""
        marked = mailboxes.shared(connection, claimed)
        if not marked:
            return claimed
        some = [one for one in claimed if one.id in marked]
        others = mailboxes.others(connection, self._lane, some, moment)
        worker, channel = self._of.log.worker, self._lane.channel
        further = outbox.claim_these(connection, channel, others, moment, wall, worker)
        both = [*claimed, *further]
        marked |= {one.id for one in further if one.category != "transactional"}
        return [replace(one, shared=one.id in marked) for one in both]

    @property
    def _at_once(self) -> int:
        """How many messages the adapter takes at once."""
        channel = self._of.channels.get(self._lane.channel)
        return max(channel.capabilities.batch * channel.capabilities.at_once, 1) if channel else 1

    @property
    def _rate(self) -> float:
        """Messages a second for marketing: the channel's, or less where the brake slows."""
        if self._pedal is not Pedal.slow or self._of.rates is None:
            return self._full_rate
        return min(self._full_rate or SLOW_RATE, SLOW_RATE)

    def _lanes(self, urgent: Sequence[int]) -> list[Lane]:
        own = [] if self._pedal is Pedal.stop else [self._lane]
        lanes = [Lane(self._lane.channel), *own] if urgent else own
        return lanes if self._broke else [*lanes, *(replace(lane, alone=True) for lane in lanes)]

    def _batch(self, claimed: Sequence[Claimed]) -> Delivered:
        settled, wanted = self._looked_at(claimed)
        letters: list[tuple[Claimed, Written]] = []
        for message, written in zip(wanted, self._of.composer.compose(wanted, self._moment), strict=True):
            if isinstance(written, Unwritable):
                settled.append(Settled(message, MessageState.failed, written.reason, written.detail))
            else:
                letters.append((message, written))
        copies = self._copies(letters)
        settled += copies.values()
        ready = [(message, written.outgoing) for message, written in letters if message.id not in copies]
        receipts = self._sent(ready)
        self._broke |= claimed[0].alone and any(_broke(receipt) for _, receipt in receipts)
        window = self._of.windows.get(self._lane.channel, 0.0)
        moment = self._moment
        settled += [policy.settled(message, receipt, moment, window) for message, receipt in receipts]
        with self._of.store.transaction() as connection:
            recorded = settle(connection, settled, moment)
            had = {one.message.id for one in recorded if one.doubted or one.state in _MAY_BE_HERS}
            kept = {message.id: written.printed for message, written in letters if message.id in had}
            printed.keep(connection, {id_: one for id_, one in kept.items() if one is not None})
            self._hear(receipts, moment, connection)
        self._of.log.forget()
        _meter(settled, moment)
        return _counted(settled)

    def _looked_at(self, claimed: Sequence[Claimed]) -> tuple[list[Settled], list[Claimed]]:
        """Tell apart what the last look, or the settings, speak against."""
        settled, wanted = [], []
        hashed, window = self._forgotten(claimed), self._of.windows.get(self._lane.channel, 0.0)
        for message in claimed:
            against = self._against(message, hashed)
            if against is not None and message.doubted_at is not None:
                settled.append(policy.doubted(message, f"Not sent once more, as {against.sentence}."))
            elif against is not None:
                why = message.detail if against is Reason.stale else None
                settled.append(Settled(message, MessageState.refused, against, why))
            elif not policy.may_go(message, self._moment, window):
                settled.append(policy.doubted(message, "The provider would not know it again by now."))
            else:
                wanted.append(message)
        return settled, wanted

    def _against(self, message: Claimed, hashed: Collection[int]) -> Reason | None:
        if message.against is not None:
            return Reason(message.against)
        if message.id in hashed:
            return Reason.suppressed
        return None if message.channel in self._of.channels else Reason.channel_off

    def _forgotten(self, claimed: Sequence[Claimed]) -> set[int]:
        """Return the messages to somebody who was erased once and has come back by another way."""
        if self._of.erasures is None:
            return set()
        with self._of.store.reading() as connection:
            found = self._of.erasures.among(connection, self._lane.channel, [one.address for one in claimed])
        return {
            one.id
            for one in claimed
            if (purpose := found.get(one.address)) and (purpose == "all" or one.category != "transactional")
        }

    def _copies(self, letters: Sequence[tuple[Claimed, Written]]) -> dict[int, Settled]:
        """Return, settled, what would bring a mailbox the same text again."""
        texts = [(message, written.text) for message, written in letters if written.text is not None]
        if not texts:
            return {}
        with self._of.store.transaction() as connection:
            repeated = mailboxes.take(connection, texts, self._moment)
        return {
            message.id: Settled(
                message, MessageState.refused, Reason.same_mailbox, copy_of=repeated[message.id]
            )
            for message, _ in texts
            if message.id in repeated
        }

    def _sent(self, ready: Sequence[tuple[Claimed, Outgoing]]) -> list[tuple[Claimed, Receipt]]:
        """Send in the adapter's batches; once the provider fails, what is left is not tried."""
        found: list[tuple[Claimed, Receipt]] = []
        for some in self._portions(ready):
            with meters.CALL_SECONDS.labels(self._lane.channel).time():
                receipts = self._of.channels[self._lane.channel].send(
                    [written for _, written in some], self._of.log
                )
            found += [(message, receipt) for (message, _), receipt in zip(some, receipts, strict=True)]
            if outage := _outage(receipts) or _hopeless([receipt for _, receipt in found]):
                tried = {message.id for message, _ in found}
                rest = replace(
                    outage, ours=False
                )  # of them nobody has said anything: they line up before those
                found += [(message, rest) for message, _ in ready if message.id not in tried]
                break
        return found

    def _portions(
        self, ready: Sequence[tuple[Claimed, Outgoing]]
    ) -> Iterator[Sequence[tuple[Claimed, Outgoing]]]:
        """Yield what goes out at once; where sending is slow, only what is still this worker's by then."""
        if not ready:
            return
        size, renewed = self._at_once, self._of.clock()
        for start in range(0, len(ready), size):
            some, wall = ready[start : start + size], self._of.clock()
            if (wall - renewed).total_seconds() > RENEW_AFTER:
                mine = outbox.renew(self._of.store, [message for message, _ in ready[start:]], wall)
                some, renewed = [pair for pair in some if pair[0].id in mine], wall
                self._of.log.lease = wall + outbox.LEASE
            if some:
                yield some

    def _hear(
        self, told: Sequence[tuple[Claimed, Receipt]], moment: datetime, connection: Connection
    ) -> None:
        """Open or close the channel's gate by what the provider said last. Calls go to many hosts: one's silence is its own.

        A message that waits for what is ours closes it where none went through; but not one that is tried again while
        others go through: then it is its like alone that cannot go.
        """
        channel, receipts = self._lane.channel, [receipt for _, receipt in told]
        outage = _outage(receipts[::-1])
        ours = [(message, one) for message, one in told if isinstance(one, Retry) and one.ours]
        silent = bool(told) and all(isinstance(one, Unknown) and not message.alone for message, one in told)
        if any(isinstance(one, Accepted) for one in receipts):
            gates.worked(connection, channel, moment)
        if outage:
            gates.failed(connection, channel, moment, outage.after, outage.reason)
        elif channel == WEBHOOK or any(isinstance(one, Accepted) for one in receipts):
            return
        elif ours:
            new = any(message.tried_at >= self._claimed_at for message, _ in ours)
            if new or channel in gates.failures(connection):
                gates.failed(connection, channel, moment, gates.PAUSE.total_seconds(), ours[-1][1].reason)
        elif silent:
            gates.failed(connection, channel, moment, 0.0, "It does not answer.")


def _outage(receipts: Iterable[Receipt]) -> Retry | None:
    """Return the first receipt by which no other message is to be tried, or None."""
    return next((one for one in receipts if isinstance(one, Retry) and one.everyone), None)


def _broke(receipt: Receipt) -> bool:
    """Say whether the conversation broke at a message."""
    return isinstance(receipt, Retry | Unknown) and receipt.alone


def _hopeless(receipts: Sequence[Receipt]) -> Retry | None:
    """Return what is left to say of the rest where message after message waits for what is ours, else None."""
    last = receipts[-1] if len(receipts) >= HOPELESS else None
    if not isinstance(last, Retry) or not all(isinstance(one, Retry) and one.ours for one in receipts):
        return None
    return Retry(last.reason, gates.PAUSE.total_seconds(), everyone=True)


def _meter(settled: Iterable[Settled], moment: datetime) -> None:
    """Count what became of messages, and for how long those waited that were taken at the first try."""
    for item in settled:
        one = item.message
        assert isinstance(one, Claimed)
        reason = item.reason.value if item.reason else ""
        meters.OUTCOMES.labels(one.journey, one.channel, item.state.value, reason).inc()
        if item.state is MessageState.sent and one.free_since and one.free_since <= one.tried_at:
            meters.DELAY_SECONDS.labels(one.channel).observe((moment - one.free_since).total_seconds())


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
