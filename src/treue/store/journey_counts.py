"""How many entered, where they are, what they were sent: the numbers of `status`, `run` and `report`.

They are counted from rows, and from the sums that old rows were counted into when they were deleted.

At all times entered = inside + finished + converted + exited (by reason) + held_out. Customers in the holdout
walk the same path but are counted by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, and_, cast, func, select

from treue.model.states import MessageState, Outcome
from treue.model.tables import enrollment, journey, message, message_day, stay_day

INSIDE = and_(enrollment.c.outcome == Outcome.inside.value, enrollment.c.held_out.is_(False))
"""Whose stays count as inside, and so who can be due or late: the holdout is counted by itself."""


@dataclass
class JourneyCounts:
    """The numbers of one journey, over all its versions."""

    entered: int = 0
    inside: int = 0
    finished: int = 0
    converted: int = 0
    exited: dict[str, int] = field(default_factory=dict)
    held_out: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    in_doubt: int = 0
    failed: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """Whether everybody who entered is accounted for."""
        return (
            self.entered
            == self.inside + self.finished + self.converted + sum(self.exited.values()) + self.held_out
        )

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return dict(vars(self))


@dataclass
class OpenCounts:
    """What of a journey is not over: customers inside, messages that wait, are in hand, or ask for an operator."""

    inside: int = 0
    queued: int = 0
    claimed: int = 0
    in_doubt: int = 0
    failed: int = 0


_OPEN = tuple(
    state.value
    for state in (MessageState.queued, MessageState.claimed, MessageState.in_doubt, MessageState.failed)
)


def open_counts(connection: Connection) -> dict[str, OpenCounts]:
    """Return what is not over of each journey by name: the same numbers as `journey_counts`, at the cost of these alone."""
    found = {
        name: OpenCounts() for name in connection.scalars(select(journey.c.name).order_by(journey.c.name))
    }
    inside = (
        select(journey.c.name, func.count())
        .join(enrollment, enrollment.c.journey_id == journey.c.id)
        .where(INSIDE)
        .group_by(journey.c.name)
    )
    for name, number in connection.execute(inside):
        found[name].inside = number
    messages = (
        select(journey.c.name, message.c.state, func.count())
        .join(message, message.c.journey_id == journey.c.id)
        .where(message.c.state.in_(_OPEN))
        .group_by(journey.c.name, message.c.state)
    )
    for name, state, number in connection.execute(messages):
        setattr(found[name], state, number)
    return found


def journey_counts(connection: Connection, names: Sequence[str] | None = None) -> dict[str, JourneyCounts]:
    """Return the numbers of each journey by name, of all journeys or the named ones."""
    query = select(journey.c.id, journey.c.name).order_by(journey.c.name)
    if names is not None:
        query = query.where(journey.c.name.in_(names))
    by_id = {id_: (name, JourneyCounts()) for id_, name in connection.execute(query)}
    _count_enrollments(connection, by_id)
    _count_messages(connection, by_id)
    return dict(by_id.values())


def _count_enrollments(connection: Connection, by_id: dict[int, tuple[str, JourneyCounts]]) -> None:
    for journey_id, held_out, outcome, reason, n in _grouped(
        connection, enrollment, stay_day, ("journey_id", "held_out", "outcome", "reason"), "stays"
    ):
        if journey_id not in by_id:
            continue
        counts = by_id[journey_id][1]
        counts.entered += n
        if held_out:
            counts.held_out += n
        elif outcome == Outcome.exited.value:
            counts.exited[reason or "left"] = counts.exited.get(reason or "left", 0) + n
        else:
            setattr(counts, outcome, getattr(counts, outcome) + n)


def _count_messages(connection: Connection, by_id: dict[int, tuple[str, JourneyCounts]]) -> None:
    for journey_id, state, channel, reason, n in _grouped(
        connection, message, message_day, ("journey_id", "state", "channel", "reason"), "messages"
    ):
        if journey_id not in by_id:
            continue
        counts = by_id[journey_id][1]
        if state == MessageState.sent.value:
            counts.sent[channel] = counts.sent.get(channel, 0) + n
        elif state == MessageState.refused.value:
            counts.refused[reason] = counts.refused.get(reason, 0) + n
        elif state == MessageState.in_doubt.value:
            counts.in_doubt += n
        elif state == MessageState.failed.value:
            counts.failed += n
            counts.refused[reason] = counts.refused.get(reason, 0) + n
        else:
            counts.queued += n


def _grouped(
    connection: Connection, rows: Table, sums: Table, by: Sequence[str], counted: str
) -> Iterator[Any]:
    """Yield how many there are of each combination of some columns: of those that are rows, then of those that were."""
    for table, number in ((rows, func.count()), (sums, cast(func.sum(sums.c[counted]), BigInteger))):
        columns = [table.c[name] for name in by]
        yield from connection.execute(select(*columns, number).group_by(*columns))
