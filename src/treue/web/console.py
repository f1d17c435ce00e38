"""What the operator's page shows: how things stand, and beside it what came in last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from treue.insight.status import Status, status
from treue.model.tables import customer, event
from treue.store import event_conflicts
from treue.store.store import Store

LAST_EVENTS = 20


@dataclass(frozen=True)
class Overview:
    """How things stand, the last events, and the last that were set aside."""

    status: Status
    events: Sequence[Mapping[str, Any]]
    conflicts: Sequence[Mapping[str, Any]]


def overview(store: Store, now: datetime) -> Overview:
    """Return what the console shows at one instant."""
    with store.reading() as connection:
        return Overview(
            status(connection, now),
            _last_events(connection),
            event_conflicts.newest(connection, LAST_EVENTS),
        )


def _last_events(connection: Connection) -> list[dict[str, Any]]:
    query = (
        select(event.c.at, event.c.name, event.c.source, event.c.routed_at, customer.c.key.label("customer"))
        .join(customer, customer.c.id == event.c.customer_id)
        .order_by(event.c.id.desc())
        .limit(LAST_EVENTS)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
