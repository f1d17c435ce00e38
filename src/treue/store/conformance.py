"""Attributes brought over to what they are declared as: imported before that, or declared otherwise then.

Each value that can be read as its type is written so, as a change of its customer's record like any other; what cannot stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import customer
from treue.segments.unfit import TYPES, is_unfit
from treue.store import aliases, changes, customers, dialect, sequence, validation
from treue.store.row_files.local_writing import KINDS, LocalWriting
from treue.store.store import Store

AT_A_TIME = 5_000
"""How many customers one transaction brings over."""

NAMED = 10
"""How many of the values that stay are named for each attribute."""


@dataclass
class Conformed:
    """Of one attribute: of how many customers it was brought over, of how many it stays, and why, the first of them."""

    written: int = 0
    left: int = 0
    reasons: list[str] = field(default_factory=list)


def conform(
    store: Store,
    declared: Mapping[str, str],
    now: datetime,
    *,
    zone: str,
    locale: str,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Conformed]:
    """Bring what customers have to its declared type, some thousand at a time; return what became of each attribute.

    Times without an offset are local to `zone`, numbers and dates may be written as `locale` does. May be stopped and begun
    again at any time, beside passes.
    """
    types = {
        name: kind for name, kind in declared.items() if kind in TYPES and name not in BUILT_IN_ATTRIBUTES
    }
    reading, found = _Reading(types, zone, LocalWriting(locale)), dict[str, Conformed]()
    after: int | None = 0
    while types and after is not None:
        with store.transaction() as connection:
            after = _portion(connection, reading, after, now, found)
        if progress and after is not None:
            progress(after)
    return found


@dataclass(frozen=True)
class _Reading:
    types: Mapping[str, str]
    zone: str
    writing: LocalWriting

    def read(self, name: str, value: Any) -> Any:
        """Return a value as its type keeps it. Raises Misfit where it cannot be read so."""
        kind = self.types[name]
        told = self.writing.read(value, kind) if isinstance(value, str) and kind in KINDS else value
        return validation.fit(told, kind, self.zone)


def _portion(
    connection: Connection, reading: _Reading, after: int, now: datetime, found: dict[str, Conformed]
) -> int | None:
    """Bring the next customers over; return the number of the last one, None where there were no more."""
    aliases.hold(connection)
    unfit = {
        name: is_unfit(customer.c.attributes, name, kind, connection.dialect.name).label(f"unfit_{n}")
        for n, (name, kind) in enumerate(reading.types.items())
    }
    which = select(customer.c.id).where(customer.c.id > after, or_(*unfit.values()))
    ids: list[int] = list(connection.scalars(which.order_by(customer.c.id).limit(AT_A_TIME)))
    if not ids:
        return None
    customers.lock(connection, ids)
    mine = dialect.among(connection, customer.c.id, ids)
    columns = (customer.c.id, customer.c.key, customer.c.attributes, *unfit.values())
    rows = connection.execute(select(*columns).where(mine).order_by(customer.c.id)).mappings()
    told: dict[int, dict[str, Any]] = {}
    made: list[changes.Change] = []
    seq = sequence.take(len(ids))
    for n, row in enumerate(rows):
        for name, column in unfit.items():
            if not row[column.name]:
                continue
            value, one = row["attributes"].get(name), found.setdefault(name, Conformed())
            try:
                told.setdefault(row["id"], {})[name] = reading.read(name, value)
            except validation.Misfit as misfit:
                one.left += 1
                if len(one.reasons) < NAMED:
                    one.reasons.append(f"customer {row['key']}: {misfit}")
            else:
                one.written += 1
                made.append(changes.Change(row["id"], name, now, now, seq + n, value))
    customers.rewrite(connection, told)
    changes.record(connection, made)
    return ids[-1]
