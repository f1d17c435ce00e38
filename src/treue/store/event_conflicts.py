"""Events set aside because their id was used before for another content: kept whole, counted, shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, func, select

from treue.model.tables import customer, event, event_conflict
from treue.store import dialect

_UNIQUE = ("key", "scope", "content")


def set_aside(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep what was set aside: rows of `event_conflict`; the same a second time changes nothing."""
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in _UNIQUE))
    dialect.insert_new(connection, event_conflict, ordered, _UNIQUE, ("id",))


def count(connection: Connection) -> int:
    """Return how many events have been set aside."""
    return connection.scalar(select(func.count()).select_from(event_conflict)) or 0


def newest(connection: Connection, number: int) -> list[dict[str, Any]]:
    """Return the latest that were set aside, each with the event that has its id: `kept` are that one's properties.

    `kept` and `kept_at` are None where that event was deleted as old.
    """
    c = event_conflict.c
    same = and_(event.c.key == c.key, event.c.scope == c.scope)
    query = (
        select(
            c.received_at, c.at, c.properties, c.name, c.key.label("id"), c.source,
            event.c.at.label("kept_at"), event.c.properties.label("kept"), customer.c.key.label("customer"),
        )
        .join(customer, customer.c.id == c.customer_id)
        .outerjoin(event, same)
        .order_by(c.id.desc())
        .limit(number)
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]
