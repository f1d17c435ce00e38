"""Where everything stands: journeys, outbox, the last pass, and whether all is healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, select

from treue.engine.counts import JourneyCounts, journey_counts
from treue.engine.delivery import gates
from treue.engine.delivery.brakes import brakes
from treue.engine.pressure import HELD
from treue.model.states import MessageState, Outcome
from treue.model.tables import arrival, enrollment, event, journey, message
from treue.store import journeys

LATE = timedelta(hours=1)
"""How long an event or a message may wait for somebody to look at it before that is a finding."""


@dataclass(frozen=True)
class JourneyStatus:
    """One journey: live, paused or stopped; its numbers; how many are due now."""

    name: str
    state: str
    counts: JourneyCounts
    due: int

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return {**self.counts.as_json(), "state": self.state, "due": self.due}


@dataclass(frozen=True)
class Outbox:
    """What waits to be sent: how many messages are queued, ready and in hand, and since when the oldest is ready.

    `held` has how many wait for quiet hours to end or for limits to have room, by reason, and when the next may go.
    """

    queued: int = 0
    ready: int = 0
    claimed: int = 0
    in_doubt: int = 0
    failed: int = 0
    oldest: datetime | None = None
    held: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)


@dataclass(frozen=True)
class ChannelStatus:
    """What keeps a channel from sending: a pause after its provider failed, and since when; the brake's sentence."""

    paused_until: datetime | None = None
    failures: int = 0
    reason: str = ""
    brake: str = ""

    @property
    def grave(self) -> bool:
        """Whether somebody should look: a pause that a provider asks for now and then is none of it."""
        return self.failures >= gates.FAILURES or bool(self.brake)

    @property
    def sentence(self) -> str:
        """What is wrong with the channel, for people; nothing where all is well."""
        after = f"{self.failures} failures" if self.failures != 1 else "a failure"
        pause = f"paused after {after}: {self.reason.rstrip('.')}" if self.paused_until else ""
        return "; ".join(part for part in (pause, self.brake) if part)


@dataclass(frozen=True)
class Check:
    """One look at the health: what was looked at, whether it is well, and a sentence if not."""

    name: str
    well: bool
    sentence: str = ""


@dataclass(frozen=True)
class Status:
    """One screen of numbers."""

    journeys: tuple[JourneyStatus, ...]
    outbox: Outbox
    unrouted: int
    last_pass: datetime | None
    checks: tuple[Check, ...] = field(default=())
    channels: Mapping[str, ChannelStatus] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether every check is well."""
        return all(check.well for check in self.checks)


def status(connection: Connection, now: datetime) -> Status:
    """Return where everything stands at `now`."""
    counts = journey_counts(connection)
    states, due = _states(connection), _due(connection, now)
    journeys = tuple(JourneyStatus(n, states[n], one, due.get(n, 0)) for n, one in counts.items())
    box, unrouted = _outbox(connection, now), _count(connection, event.c.id, event.c.routed_at.is_(None))
    channels = held_channels(connection, now)
    checks = (
        *(_adds_up(name, one) for name, one in counts.items()),
        _routed(connection, now),
        _delivered(box, now),
        _released(connection, now),
        *(_open(name, one) for name, one in channels.items()),
    )
    return Status(journeys, box, unrouted, _last_pass(connection), checks, channels)


def standing(connection: Connection, name: str) -> dict[str, int]:
    """Return how many stand at each step of a journey, over all its versions, the holdout left out.

    Steps are called as in the live version; those it does not have as in the customers' own.
    """
    journey_id = journeys.find(connection, name)
    query = (
        select(enrollment.c.version_id, enrollment.c.step_id, func.count())
        .where(
            enrollment.c.journey_id == journey_id,
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.held_out.is_(False),
        )
        .group_by(enrollment.c.version_id, enrollment.c.step_id)
    )
    found: dict[str, int] = {}
    if journey_id is not None:
        steps = journeys.steps(connection, journey_id)
        shown = steps.get(journeys.latest(connection, journey_id) or 0, {})
        for version_id, number, customers in connection.execute(query):
            ids = {n: id_ for one in (steps[version_id], shown) for id_, n in one.items()}
            found[ids[number]] = found.get(ids[number], 0) + customers
    return found


def _states(connection: Connection) -> Mapping[str, str]:
    query = select(journey.c.name, journey.c.version_id, journey.c.paused_at)
    return {
        name: "stopped" if version is None else "paused" if paused else "live"
        for name, version, paused in connection.execute(query)
    }


def _due(connection: Connection, now: datetime) -> dict[str, int]:
    query = (
        select(journey.c.name, func.count())
        .join(enrollment, enrollment.c.journey_id == journey.c.id)
        .where(
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.held_out.is_(False),
            enrollment.c.due_at <= now,
        )
        .group_by(journey.c.name)
    )
    return {name: number for name, number in connection.execute(query)}  # noqa: C416


def _outbox(connection: Connection, now: datetime) -> Outbox:
    query = select(message.c.state, func.count()).group_by(message.c.state)
    states: dict[str, int] = {state: number for state, number in connection.execute(query)}  # noqa: C416
    going = and_(
        message.c.state == MessageState.queued.value, message.c.ready_at <= now, journey.c.paused_at.is_(None)
    )
    waiting = (
        select(func.count(), func.min(message.c.ready_at))
        .join(journey, journey.c.id == message.c.journey_id)
        .where(going)
    )
    ready, oldest = connection.execute(waiting).one()
    return Outbox(
        states.get("queued", 0), ready, states.get("claimed", 0), states.get("in_doubt", 0),
        states.get("failed", 0), oldest, _held(connection),
    )  # fmt: skip


def held_channels(connection: Connection, now: datetime) -> dict[str, ChannelStatus]:
    """Return those channels that something keeps from sending."""
    braked = {name: one.sentence for name, one in brakes(connection, now).items() if one.sentence}
    paused = gates.closed(connection, now)
    found = {name: ChannelStatus(brake=sentence) for name, sentence in braked.items()}
    for name, gate in paused.items():
        sentence = braked.get(name, "")
        found[name] = ChannelStatus(gate.paused_until, gate.failures, gate.reason or "", sentence)
    return found


def _held(connection: Connection) -> dict[str, tuple[int, datetime]]:
    query = (
        select(message.c.reason, func.count(), func.min(message.c.ready_at))
        .where(message.c.state == MessageState.queued.value, message.c.reason.in_(HELD))
        .group_by(message.c.reason)
        .order_by(message.c.reason)
    )
    return {reason: (number, next_) for reason, number, next_ in connection.execute(query)}


def _last_pass(connection: Connection) -> datetime | None:
    """Return when a pass last left a mark: routed an event, looked at a segment, queued or sent a message."""
    latest = (
        select(event.c.routed_at).where(event.c.routed_at.is_not(None)).order_by(event.c.id.desc()).limit(1),
        select(message.c.queued_at).order_by(message.c.id.desc()).limit(1),
        select(message.c.sent_at)
        .where(message.c.sent_at.is_not(None))
        .order_by(message.c.id.desc())
        .limit(1),
        select(func.max(journey.c.sensed_at)),
    )
    marks = [connection.scalar(query) for query in latest]
    return max((mark for mark in marks if mark is not None), default=None)


def _count(connection: Connection, column: Any, *where: Any) -> int:
    return connection.scalar(select(func.count(column)).where(*where)) or 0


# --- health -------------------------------------------------------------------------------------------------


def _adds_up(name: str, counts: JourneyCounts) -> Check:
    known = counts.entered - counts.inside - counts.finished - counts.converted - counts.held_out
    left = sum(counts.exited.values())
    return Check(
        f"the numbers of {name} add up",
        counts.adds_up,
        "" if counts.adds_up else f"{counts.entered} entered {name}, but {known - left} of them are nowhere.",
    )


def _routed(connection: Connection, now: datetime) -> Check:
    late = _count(connection, event.c.id, event.c.routed_at.is_(None), event.c.received_at < now - LATE)
    waiting = _count(
        connection, arrival.c.id, arrival.c.at < now - LATE, arrival.c.journey_id.in_(_running())
    )
    sentence = (
        f"{late + waiting} events have waited for more than an hour to be looked at; is `treue up` running?"
    )
    return Check("events are looked at", not (late or waiting), sentence if late or waiting else "")


def _running() -> Any:
    return select(journey.c.id).where(journey.c.paused_at.is_(None), journey.c.version_id.is_not(None))


def _delivered(box: Outbox, now: datetime) -> Check:
    late = box.oldest is not None and box.oldest < now - LATE
    sentence = "Messages have been ready for more than an hour; is `treue up` running, is the provider there?"
    return Check("messages go out", not late, sentence if late else "")


def _open(name: str, one: ChannelStatus) -> Check:
    return Check(
        f"{name} can send", not one.grave, f"{name}: {one.sentence.rstrip('.')}." if one.grave else ""
    )


def _released(connection: Connection, now: datetime) -> Check:
    stuck = _count(
        connection, message.c.id, message.c.state == MessageState.claimed.value, message.c.lease_until < now
    )
    sentence = (
        f"{stuck} messages are in the hands of a worker that has gone; the next `treue run` settles them."
    )
    return Check("no worker died with messages", not stuck, sentence if stuck else "")


__all__ = [
    "ChannelStatus",
    "Check",
    "JourneyStatus",
    "Outbox",
    "Status",
    "held_channels",
    "standing",
    "status",
]
