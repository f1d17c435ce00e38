"""The numbers an operator looks at: on one page, for Prometheus, and for probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from treue.engine.assembly import Assembly
from treue.engine.counts import JourneyCounts, journey_counts
from treue.engine.status import ChannelStatus, held_channels
from treue.model.states import MessageState, Outcome
from treue.model.tables import customer, enrollment, event, journey, message

LAST_EVENTS = 20
LATE = timedelta(minutes=15)
"""A message that has been ready for longer than this is held up by something."""


@dataclass
class JourneyState:
    """One journey: its numbers, how many are due, and whether it is live or paused."""

    name: str
    counts: JourneyCounts
    due: int = 0
    live: bool = True
    paused: bool = False

    @property
    def state(self) -> str:
        """The journey's state in a word."""
        return "paused" if self.paused else "live" if self.live else "retired"


@dataclass
class State:
    """Everything the console shows, as of `now`."""

    now: datetime
    customers: int = 0
    journeys: list[JourneyState] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    oldest: datetime | None = None
    in_doubt: int = 0
    unrouted: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    held: Mapping[str, ChannelStatus] = field(default_factory=dict)

    @property
    def age(self) -> float:
        """For how many seconds the oldest message that is ready has been so."""
        return (self.now - self.oldest).total_seconds() if self.oldest else 0.0

    @property
    def late(self) -> bool:
        """Whether something holds the outbox up."""
        return self.age > LATE.total_seconds()

    def sum(self, name: str) -> int:
        """Return a number summed over all journeys."""
        return sum(int(getattr(j.counts, name)) for j in self.journeys)

    @property
    def sent(self) -> dict[str, int]:
        """How many messages were sent by channel, over all journeys."""
        total: dict[str, int] = {}
        for one in self.journeys:
            for channel, n in one.counts.sent.items():
                total[channel] = total.get(channel, 0) + n
        return total


def look(assembly: Assembly, now: datetime, *, events: bool = True) -> State:
    """Return the state of things at one instant; `events` adds the last ones."""
    with assembly.store.reading() as connection:
        state = State(now, connection.scalar(select(func.count()).select_from(customer)) or 0)
        state.journeys = _journeys(connection, now)
        _outbox(connection, state)
        state.in_doubt, state.held = state.sum("in_doubt"), held_channels(connection, now)
        unrouted = select(func.count()).select_from(event).where(event.c.routed_at.is_(None))
        state.unrouted = connection.scalar(unrouted) or 0
        state.events = _last_events(connection) if events else []
    return state


def _journeys(connection: Connection, now: datetime) -> list[JourneyState]:
    counts = journey_counts(connection)
    due_query = (
        select(enrollment.c.journey_id, func.count().label("n"))
        .where(enrollment.c.outcome == Outcome.inside.value, enrollment.c.due_at <= now)
        .group_by(enrollment.c.journey_id)
    )
    due = {row.journey_id: row.n for row in connection.execute(due_query)}
    rows = connection.execute(
        select(journey.c.id, journey.c.name, journey.c.version_id, journey.c.paused_at).order_by(
            journey.c.name
        )
    )
    return [
        JourneyState(
            r.name, counts[r.name], due.get(r.id, 0), r.version_id is not None, r.paused_at is not None
        )
        for r in rows
    ]


def _outbox(connection: Connection, state: State) -> None:
    """Count what waits; what is held back for a later time is not yet ready."""
    queued = message.c.state == MessageState.queued.value
    ready = (
        select(message.c.channel, func.count(), func.min(message.c.ready_at))
        .where(queued, message.c.ready_at <= state.now)
        .group_by(message.c.channel)
    )
    oldest = []
    for channel, n, since in connection.execute(ready):
        state.ready[channel] = n
        oldest.append(since)
    state.oldest = min(oldest, default=None)
    state.waiting = (
        connection.scalar(
            select(func.count()).select_from(message).where(queued, message.c.ready_at > state.now)
        )
        or 0
    )


def _last_events(connection: Connection) -> list[dict[str, Any]]:
    query = (
        select(event.c.at, event.c.name, event.c.source, event.c.routed_at, customer.c.key.label("customer"))
        .join(customer, customer.c.id == event.c.customer_id)
        .order_by(event.c.id.desc())
        .limit(LAST_EVENTS)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


_GAUGES = {
    "treue_customers": "Customers known.",
    "treue_journey_inside": "Customers inside a journey.",
    "treue_journey_due": "Customers whose step is due.",
    "treue_messages_sent": "Messages the providers took.",
    "treue_messages_failed": "Messages that could not be sent.",
    "treue_messages_in_doubt": "Messages that may or may not have been sent.",
    "treue_channel_failures": "A channel's failures in a row, while it is paused for them.",
    "treue_outbox_ready": "Messages ready to go.",
    "treue_outbox_oldest_seconds": "For how long the oldest of them has been ready.",
    "treue_events_unrouted": "Events no journey has seen yet.",
}


def metrics(state: State) -> str:
    """Return the numbers in Prometheus' text format, version 0.0.4."""
    samples = dict[str, list[str]]()
    for name, labels, value in _samples(state):
        samples.setdefault(name, []).append(f"{name}{labels} {value:g}\n")
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n" + "".join(samples.get(name, []))
        for name, text in _GAUGES.items()
    )


def _samples(state: State) -> Iterator[tuple[str, str, float]]:
    yield "treue_customers", "", state.customers
    for one in state.journeys:
        label = f'{{journey="{one.name}"}}'
        yield "treue_journey_inside", label, one.counts.inside
        yield "treue_journey_due", label, one.due
        for channel, n in one.counts.sent.items():
            yield "treue_messages_sent", f'{{journey="{one.name}",channel="{channel}"}}', n
        yield "treue_messages_failed", label, one.counts.failed
        yield "treue_messages_in_doubt", label, one.counts.in_doubt
    for channel, n in state.ready.items():
        yield "treue_outbox_ready", f'{{channel="{channel}"}}', n
    for channel, held in state.held.items():
        yield "treue_channel_failures", f'{{channel="{channel}"}}', held.failures
    yield "treue_outbox_oldest_seconds", "", state.age
    yield "treue_events_unrouted", "", state.unrouted
