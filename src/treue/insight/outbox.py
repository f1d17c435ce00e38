"""What waits to be sent, for whom, and which channel takes nothing although it could."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from treue.delivery import gates
from treue.delivery.brakes import Pedal, brakes
from treue.engine.pressure.judge import HELD
from treue.model.states import MessageState, Reason
from treue.model.tables import journey, message
from treue.store.journey_counts import OpenCounts

SILENT = timedelta(minutes=15)
"""For how long, beside the time between two passes, a channel may take nothing although messages are ready."""

MANY = 20
"""So many messages that were tried and are to be tried again, and none that was taken: it is not their addresses."""

_QUEUED = message.c.state == MessageState.queued.value


@dataclass(frozen=True)
class Ready:
    """The messages that may go on a channel: how many, and since when the oldest is ready."""

    messages: int
    since: datetime


@dataclass(frozen=True)
class Outbox:
    """What waits to be sent: how many messages are queued and in hand, and since when the oldest is ready.

    `ready_on` has those of the queued that may go now, by channel: their time has come, and their journey is not paused.
    `held` has how many wait for quiet hours to end or for limits to have room, by reason, and when the next may go.
    `silent` has since when a channel takes nothing although messages are ready and nothing speaks against sending.
    """

    queued: int = 0
    claimed: int = 0
    in_doubt: int = 0
    failed: int = 0
    ready_on: Mapping[str, Ready] = field(default_factory=dict)
    held: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    silent: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def ready(self) -> int:
        """How many may go now, on all channels."""
        return sum(one.messages for one in self.ready_on.values())

    @property
    def oldest(self) -> datetime | None:
        """Since when the oldest of them is ready."""
        return min((one.since for one in self.ready_on.values()), default=None)

    @property
    def held_by_reason(self) -> str:
        """How many are held for what, for people."""
        return ", ".join(
            f"{number:,} {reason.replace('_', ' ')}" for reason, (number, _) in self.held.items()
        )

    @property
    def next_held(self) -> datetime | None:
        """When the next of the held may go."""
        return min((next_ for _, next_ in self.held.values()), default=None)


def outbox(connection: Connection, counts: Mapping[str, OpenCounts], now: datetime) -> Outbox:
    """Return what waits to be sent at `now`; `counts` are those of all journeys."""
    ready, going = dict[str, Ready](), dict[str, datetime]()
    stopped = {name for name, one in brakes(connection, now).items() if one.pedal is Pedal.stop}
    for channel, urgent, number, since in _ready(connection, now):
        before = ready.get(channel, Ready(0, since))
        ready[channel] = Ready(before.messages + number, min(before.since, since))
        if urgent or channel not in stopped:
            going[channel] = min(going.get(channel, since), since)
    return Outbox(
        sum(one.queued for one in counts.values()),
        sum(one.claimed for one in counts.values()),
        sum(one.in_doubt for one in counts.values()),
        sum(one.failed for one in counts.values()),
        ready,
        _held(connection),
        dict(_silent(connection, going, now)),
    )


def _ready(connection: Connection, now: datetime) -> Iterator[tuple[str, bool, int, datetime]]:
    """Yield for each channel, and apart for what is urgent: how many messages may go, and since when the oldest."""
    urgent = message.c.category == "transactional"
    query = (
        select(message.c.channel, urgent, func.count(), func.min(message.c.ready_at))
        .join(journey, journey.c.id == message.c.journey_id)
        .where(_QUEUED, message.c.ready_at <= now, journey.c.paused_at.is_(None))
        .group_by(message.c.channel, urgent)
        .order_by(message.c.channel)
    )
    for channel, is_urgent, number, since in connection.execute(query):
        yield channel, bool(is_urgent), number, since


def _silent(
    connection: Connection, going: Mapping[str, datetime], now: datetime
) -> Iterator[tuple[str, datetime]]:
    """Yield the channels that could take messages and take none: since they could, and took the last.

    Left out is a channel that its provider has paused, or whose rate lets nothing go yet.
    """
    known, waits = gates.all_gates(connection), dict(going)
    for channel, since in _tried_in_vain(connection, now - SILENT):
        waits[channel] = min(since, waits.get(channel, since))
    for channel, since in sorted(waits.items()):
        gate = known.get(channel)
        last = (gate.worked_at, gate.paused_until, gate.next_at) if gate is not None else ()
        could = max((since, *(at for at in last if at is not None)))
        if could < now:
            yield channel, could


def _tried_in_vain(connection: Connection, before: datetime) -> list[tuple[str, datetime]]:
    """Return the channels on which many messages were first tried before a time, and are to be tried again for their own sake.

    With each channel goes when the first of them was tried.
    """
    query = (
        select(message.c.channel, func.min(message.c.tried_at))
        .join(journey, journey.c.id == message.c.journey_id)
        .where(
            _QUEUED,
            message.c.tried_at < before,
            func.coalesce(message.c.reason, Reason.in_doubt.value) == Reason.in_doubt.value,
            journey.c.paused_at.is_(None),
        )
        .group_by(message.c.channel)
        .having(func.count() >= MANY)
    )
    return [(channel, since) for channel, since in connection.execute(query)]


def _held(connection: Connection) -> dict[str, tuple[int, datetime]]:
    query = (
        select(message.c.reason, func.count(), func.min(message.c.ready_at))
        .where(_QUEUED, message.c.reason.in_(HELD))
        .group_by(message.c.reason)
        .order_by(message.c.reason)
    )
    return {reason: (number, next_) for reason, number, next_ in connection.execute(query)}
