"""What customers' records said before they were changed: what is decided late is decided by what held then.

Whoever changes a record says here what it said before, in the same transaction. New customers have no past.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, select

from treue.model.states import Outcome
from treue.model.tables import arrival, change, enrollment, event
from treue.store import dialect, touches
from treue.store.touches import Touched

CONSENT = "consent:"
"""What the name of a consent begins with; its channel follows."""


@dataclass(frozen=True)
class Change:
    """One thing that a customer's record said until `at`, when something else took effect.

    Of one instant, changes are in the order of `happened_at`, the sender's own time, then of `seq`, as events are.
    """

    customer_id: int
    name: str
    at: datetime
    happened_at: datetime
    seq: int
    before: Any


def between(
    customer_id: int,
    before: Mapping[str, Any],
    named: Mapping[str, Any],
    at: datetime,
    seq: int,
    *,
    owes: bool = False,
) -> list[Change]:
    """Return the changes of what is `named` with its new value; None and what is missing are the same.

    Of a customer who `owes` something, what is named with the value it has is a change, too: a step of hers that is yet to
    act, at an earlier time, may write another.
    """
    return [
        Change(customer_id, name, at, at, seq, before.get(name))
        for name, value in named.items()
        if (owes or before.get(name) != value) and not name.startswith(CONSENT)
    ]


def owing(connection: Connection, ids: Collection[int], now: datetime) -> set[int]:
    """Return those of some customers of whom something is pending that should have been done by now."""
    due = (
        select(enrollment.c.customer_id).where(
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.due_at <= now,
            _mine(connection, enrollment, ids),
        ),
        select(arrival.c.customer_id).where(arrival.c.effective_at <= now, _mine(connection, arrival, ids)),
        select(event.c.customer_id).where(event.c.routed_at.is_(None), _mine(connection, event, ids)),
    )
    return {id_ for query in due for id_ in connection.scalars(query)}


def _mine(connection: Connection, table: Table, ids: Collection[int]) -> ColumnElement[bool]:
    return dialect.among(connection, table.c.customer_id, ids)


def record(connection: Connection, changes: Sequence[Change], *, caused: bool = False) -> None:
    """Keep these changes, and let journeys know that watch for them; `caused` says that a step has made them."""
    keep(connection, changes)
    touches.record(
        connection,
        [Touched(one.customer_id, one.name, one.happened_at, one.at, one.seq, caused) for one in changes],
    )


def keep(connection: Connection, changes: Sequence[Change]) -> None:
    """Keep these changes without a word to journeys, which are told otherwise."""
    for start in range(0, len(changes), dialect.BATCH):
        rows = [vars(one) for one in changes[start : start + dialect.BATCH]]
        connection.execute(dialect.insert_rows(connection, change, rows))
