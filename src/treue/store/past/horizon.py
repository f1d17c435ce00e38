"""As of which earliest instant anything may still be asked: something is pending since then."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from treue.model.states import Outcome
from treue.model.tables import arrival, enrollment, event

_PENDING = (
    select(func.min(event.c.at)).where(event.c.routed_at.is_(None)),
    select(func.min(arrival.c.at)),
    select(func.min(arrival.c.effective_at)),
    select(func.min(enrollment.c.due_at)).where(enrollment.c.outcome == Outcome.inside.value),
)


def pending_since(connection: Connection, now: datetime) -> datetime:
    """Return the instant of the earliest thing that is pending, at the latest `now`."""
    found: list[datetime | None] = [connection.scalar(query) for query in _PENDING]
    return min([now, *(at for at in found if at is not None)])
