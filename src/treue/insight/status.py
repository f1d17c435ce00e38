"""How things stand: the one answer that `treue status`, the console, /metrics and probes give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from treue.insight.channels import ChannelStatus, held_channels
from treue.insight.due import DueStep, due_steps
from treue.insight.health import Check, Health, health, patience
from treue.insight.outbox import Outbox, outbox
from treue.model.states import JourneyState
from treue.model.tables import customer, event
from treue.store import chores, event_conflicts, heartbeat, journeys
from treue.store.journey_counts import JourneyCounts, OpenCounts, journey_counts, open_counts


@dataclass(frozen=True)
class Standing:
    """What waits and what is wrong at one instant. Costs what waits, whoever exists and whatever has been.

    `open` has each journey's customers inside and its messages that are not settled; `repaired` how many had joined or left a
    journey's segment unnoticed when everybody was looked at last.
    """

    at: datetime
    open: Mapping[str, OpenCounts]
    due: Sequence[DueStep]
    outbox: Outbox
    channels: Mapping[str, ChannelStatus]
    unrouted: int
    set_aside: int
    repaired: Mapping[str, int]
    health: Health

    @property
    def due_in(self) -> Mapping[str, int]:
        """How many are due now, by journey; in a paused one they wait until it is resumed."""
        total: Counter[str] = Counter()
        for one in self.due:
            total[one.journey] += one.customers
        return total

    @property
    def last_pass(self) -> datetime | None:
        """When the last pass that succeeded ended."""
        return self.health.passes.succeeded_at if self.health.passes else None

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was looked at to say whether all is well."""
        return self.health.checks

    @property
    def healthy(self) -> bool:
        """Whether every check is well."""
        return self.health.well


@dataclass(frozen=True)
class JourneyStatus:
    """One journey: its state, its numbers, and how many are due now."""

    name: str
    state: JourneyState
    counts: JourneyCounts
    due: int

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return {**self.counts.as_json(), "state": self.state, "due": self.due}


@dataclass(frozen=True)
class Status(Standing):
    """How things stand at one instant, with all that has been: everybody there is, all who entered, all that was sent."""

    customers: int
    journeys: tuple[JourneyStatus, ...]

    @property
    def sent(self) -> Mapping[str, int]:
        """How many messages were sent by channel, over all journeys."""
        total: Counter[str] = Counter()
        for one in self.journeys:
            total.update(one.counts.sent)
        return total


def standing(connection: Connection, now: datetime) -> Standing:
    """Return what waits and what is wrong at `now`."""
    passes, counts = heartbeat.find(connection), open_counts(connection)
    due = tuple(due_steps(connection, now, now - patience(passes)))
    box, channels = outbox(connection, counts, now), held_channels(connection, now)
    return Standing(
        now,
        counts,
        due,
        box,
        channels,
        connection.scalar(select(func.count(event.c.id)).where(event.c.routed_at.is_(None))) or 0,
        event_conflicts.count(connection),
        chores.repaired(connection),
        health(connection, now, passes, due, box, channels),
    )


def status(connection: Connection, now: datetime) -> Status:
    """Return how things stand at `now`, counted over all there is."""
    known = standing(connection, now)
    customers = connection.scalar(select(func.count()).select_from(customer)) or 0
    return Status(**vars(known), customers=customers, journeys=tuple(_journeys(connection, known.due_in)))


def _journeys(connection: Connection, due: Mapping[str, int]) -> Iterator[JourneyStatus]:
    stored = journeys.by_name(connection)
    for name, numbers in journey_counts(connection).items():
        yield JourneyStatus(name, stored[name].state, numbers, due.get(name, 0))
