"""What a replay came to: messages day by day, each journey's funnel, and what customers had to bear."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from treue.engine.what_if.replay import Pace
from treue.model.states import CHANNELS, Decision, MessageState, Reason
from treue.model.tables import enrollment, journey, message, step, trace
from treue.plan.plan import Plan
from treue.store.journey_counts import JourneyCounts, journey_counts

HOLDING = (
    Reason.not_yet_reachable.value,
    Reason.quiet_hours.value,
    Reason.over_limit.value,
    Reason.lower_priority.value,
)
"""Reasons for which a message waits instead of being dropped at once."""


@dataclass
class StepTally:
    """One step: how many came to it, and of its messages how many went, were held for a while, or were refused."""

    id: str
    what: str
    reached: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return dict(vars(self))


@dataclass
class JourneyTally:
    """One journey: its counts, how many were still inside at the end, and its steps in order."""

    counts: JourneyCounts
    steps: list[StepTally]

    @property
    def sent(self) -> int:
        """How many messages went, on all channels that reach customers."""
        return sum(n for channel, n in self.counts.sent.items() if channel in CHANNELS)

    def held(self, *reasons: str) -> int:
        """How many messages waited for a while, for these reasons."""
        return sum(n for one in self.steps for reason, n in one.held.items() if reason in reasons)

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return {**self.counts.as_json(), "steps": [one.as_json() for one in self.steps]}


@dataclass(frozen=True)
class Day:
    """One day: how many messages went by journey, and how many the held-out would have had."""

    date: date
    journeys: dict[str, int]
    held_out: int

    @property
    def sent(self) -> int:
        """How many messages went."""
        return sum(self.journeys.values())

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return {
            "date": self.date.isoformat(),
            "sent": self.sent,
            "held_out": self.held_out,
            "journeys": self.journeys,
        }


@dataclass(frozen=True)
class Pressure:
    """What customers bore. `weeks` counts, by number of messages, the weeks in which somebody had that many.

    A week is a customer's week from Monday to Sunday in which at least one message came.
    """

    customers: int
    weeks: dict[int, int]

    @property
    def max(self) -> int:
        """The most messages anybody had in a week."""
        return max(self.weeks, default=0)

    @property
    def p95(self) -> int:
        """In 95 of 100 of these weeks the customer had no more messages than this."""
        wanted, passed = math.ceil(0.95 * sum(self.weeks.values())), 0
        for number in sorted(self.weeks):
            passed += self.weeks[number]
            if passed >= wanted:
                return number
        return 0

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        weeks = {str(number): self.weeks[number] for number in sorted(self.weeks)}
        return {"customers": self.customers, "max": self.max, "p95": self.p95, "weeks": weeks}


@dataclass(frozen=True)
class Tally:
    """What a replay came to, and on which clock."""

    journeys: dict[str, JourneyTally]
    days: list[Day]
    pressure: Pressure
    pace: Pace
    passes: int

    @property
    def sent(self) -> int:
        """How many messages went, of all journeys."""
        return sum(one.sent for one in self.journeys.values())


def tally(
    connection: Connection,
    plans: Sequence[Plan],
    period: tuple[datetime, datetime],
    zone: str,
    pace: Pace,
    passes: int,
) -> Tally:
    """Return what a replay of a period came to; days and weeks are those of `zone`."""
    counts = journey_counts(connection, [plan.journey for plan in plans])
    found = {name: JourneyTally(counts[name], steps) for name, steps in _steps(connection, plans).items()}
    went = list(_went(connection, zone))
    first, last = (at.astimezone(ZoneInfo(zone)).date() for at in period)
    return Tally(found, list(_days(went, first, last)), _pressure(went), pace, passes)


@dataclass(frozen=True)
class _Went:
    """A message that went, or would have gone to somebody held out."""

    customer_id: int
    journey: str
    day: date
    held_out: bool


def _went(connection: Connection, zone: str) -> Iterator[_Went]:
    held_out = message.c.reason == Reason.held_out.value
    query = (
        select(
            message.c.customer_id,
            journey.c.name,
            func.coalesce(message.c.sent_at, message.c.due_at),
            held_out,
        )
        .join(journey, journey.c.id == message.c.journey_id)
        .where((message.c.state == MessageState.sent.value) | held_out, message.c.channel.in_(CHANNELS))
        .order_by(message.c.id)
    )
    local = ZoneInfo(zone)
    for customer_id, name, at, out in connection.execute(query):
        yield _Went(customer_id, name, at.astimezone(local).date(), bool(out))


def _days(went: Iterable[_Went], first: date, last: date) -> Iterator[Day]:
    sent: Counter[tuple[date, str]] = Counter()
    held_out: Counter[date] = Counter()
    for one in went:
        if one.held_out:
            held_out[one.day] += 1
        else:
            sent[one.day, one.journey] += 1
    names = sorted({name for _, name in sent})
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        yield Day(day, {name: sent[day, name] for name in names if sent[day, name]}, held_out[day])


def _pressure(went: Iterable[_Went]) -> Pressure:
    weeks: Counter[tuple[int, date]] = Counter()
    for one in went:
        if not one.held_out:
            weeks[one.customer_id, one.day - timedelta(days=one.day.weekday())] += 1
    return Pressure(len({customer_id for customer_id, _ in weeks}), dict(Counter(weeks.values())))


# --- steps --------------------------------------------------------------------------------------------------


def _steps(connection: Connection, plans: Sequence[Plan]) -> dict[str, list[StepTally]]:
    """Return the steps of each journey, in order."""
    found = {plan.journey: [StepTally(stage.id, stage.words()) for stage in plan.stages] for plan in plans}
    by_name = {(name, one.id): one for name, steps in found.items() for one in steps}
    query = select(step.c.id, journey.c.name, step.c.name).join(journey, journey.c.id == step.c.journey_id)
    by_number = {
        id_: by_name[name, own] for id_, name, own in connection.execute(query) if (name, own) in by_name
    }
    _count_reached(connection, by_number)
    _count_messages(connection, by_number)
    _count_held(connection, by_number)
    return found


def _count_reached(connection: Connection, steps: Mapping[int, StepTally]) -> None:
    """Count who came to each step: whoever left a trace there, and whoever stands there now."""
    noted, stands = (
        select(trace.c.step_id, trace.c.enrollment_id),
        select(enrollment.c.step_id, enrollment.c.id),
    )
    been = noted.where(trace.c.step_id.is_not(None)).union(stands).subquery("been")
    for number, n in connection.execute(select(been.c.step_id, func.count()).group_by(been.c.step_id)):
        if number in steps:
            steps[number].reached = n


def _count_messages(connection: Connection, steps: Mapping[int, StepTally]) -> None:
    kinds = (message.c.step_id, message.c.channel, message.c.state, message.c.reason)
    for number, channel, state, reason, n in connection.execute(
        select(*kinds, func.count()).group_by(*kinds)
    ):
        if number not in steps:
            continue
        one = steps[number]
        if state == MessageState.sent.value:
            one.sent[channel] = one.sent.get(channel, 0) + n
        elif reason:
            one.refused[reason] = one.refused.get(reason, 0) + n


def _count_held(connection: Connection, steps: Mapping[int, StepTally]) -> None:
    """Count the messages that were held for a while, whatever became of them afterwards."""
    query = (
        select(trace.c.step_id, trace.c.reason, func.count(trace.c.enrollment_id.distinct()))
        .where(trace.c.decision == Decision.held.value, trace.c.reason.in_(HOLDING))
        .group_by(trace.c.step_id, trace.c.reason)
    )
    for number, reason, n in connection.execute(query):
        if number in steps:
            steps[number].held[reason] = n
