"""How many entered, where they are, what they were sent: the numbers of `status`, `run` and `report`.

At all times entered = inside + finished + converted + exited (by reason) + held_out. Customers in the holdout
walk the same path but are counted by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from treue.model.states import MessageState, Outcome
from treue.model.tables import enrollment, journey, message


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
    query = select(
        enrollment.c.journey_id,
        enrollment.c.held_out,
        enrollment.c.outcome,
        enrollment.c.reason,
        func.count(),
    ).group_by(enrollment.c.journey_id, enrollment.c.held_out, enrollment.c.outcome, enrollment.c.reason)
    for journey_id, held_out, outcome, reason, n in connection.execute(query):
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
    query = select(
        message.c.journey_id, message.c.state, message.c.channel, message.c.reason, func.count()
    ).group_by(message.c.journey_id, message.c.state, message.c.channel, message.c.reason)
    for journey_id, state, channel, reason, n in connection.execute(query):
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
