"""Looking through a table from its oldest row on, batch by batch: each is one transaction that remembers how far it came.

So it may be killed at any time and goes on where it was, and what waits for the database waits for one batch. The walk
ends at the first row that is too young. Rows that are needed still are left behind it, and looked at once more when the
rules have changed, or after a while: a night costs what has grown old since the last one, not what there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, select, update

from treue.model.tables import sweep
from treue.store import dialect
from treue.store.past.rules import Rules
from treue.store.store import Store

ROWS_A_BATCH = 5_000
ANEW = timedelta(days=30)
"""After how long what was left behind is looked at once more."""

VACUUM = "vacuum"
"""The lock of who deletes rows of many customers; who erases one takes it, too."""

Progress = Callable[[str, int], None]
"""Told which table is looked through, and how many rows of it so far."""


@dataclass(frozen=True)
class Stretch:
    """Rows of a table that are looked at together: those after one number up to another."""

    table: Table
    after: int
    last: int

    @property
    def rows(self) -> ColumnElement[bool]:
        """Which rows these are."""
        return and_(self.table.c.id > self.after, self.table.c.id <= self.last)


Prune = Callable[[Connection, Stretch, Rules], Mapping[str, int]]
"""Deletes what is old and not needed of a stretch; returns how many rows of which table."""


@dataclass(frozen=True)
class Walk:
    """How a table is looked through: by which column a row is too young, and what is done with a stretch."""

    table: Table
    kind: str
    age: ColumnElement[datetime]
    prune: Prune


def walk(store: Store, one: Walk, rules: Rules, now: datetime, progress: Progress) -> Counter[str]:
    """Delete what is old and not needed of a table; return how many rows of which table."""
    deleted, looked_at, goes_on = Counter[str](), 0, one.kind in rules.cuts
    while goes_on:
        with store.transaction() as connection:
            _keep_passes_out(store, connection, rules)
            reached = _reached(connection, one.table.name, rules, now)
            rows = _next(connection, one, reached)
            old = _old(rows, rules.cuts[one.kind])
            goes_on = len(old) == ROWS_A_BATCH
            if old:
                stretch = Stretch(one.table, reached, old[-1].id)
                deleted.update(one.prune(connection, stretch, rules))
                _remember(connection, one.table.name, stretch.last)
        looked_at += len(old)
        progress(one.table.name, looked_at)
    return deleted


def _keep_passes_out(store: Store, connection: Connection, rules: Rules) -> None:
    """Let no pass act on anybody for the length of a batch; in the order in which routing locks journeys."""
    store.lock(connection, VACUUM)
    for journey_id in rules.journeys:
        store.lock(connection, f"journey {journey_id}")


def _next(connection: Connection, one: Walk, reached: int) -> list[Row[Any]]:
    c = one.table.c
    query = select(c.id, one.age.label("at")).where(c.id > reached).order_by(c.id).limit(ROWS_A_BATCH)
    return list(connection.execute(query))


def _old(rows: list[Row[Any]], cut: datetime) -> list[Row[Any]]:
    young = (n for n, row in enumerate(rows) if row.at >= cut)
    return rows[: next(young, len(rows))]


def _reached(connection: Connection, name: str, rules: Rules, now: datetime) -> int:
    """Return how far a table was looked through by these rules; nothing where it is to be looked through anew."""
    row = connection.execute(select(sweep).where(sweep.c.name == name)).first()
    if row is not None and row.rules == rules.text and row.since <= now < row.since + ANEW:
        return int(row.reached)
    dialect.upsert(connection, sweep, {"name": name}, {"reached": 0, "rules": rules.text, "since": now})
    return 0


def _remember(connection: Connection, name: str, reached: int) -> None:
    connection.execute(update(sweep).where(sweep.c.name == name).values(reached=reached))
