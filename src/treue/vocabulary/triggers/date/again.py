"""Callers whose date was changed by a step after their days were looked through: a pass that is late looks before it acts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Connection, bindparam, delete, exists, func, select

from treue.cohorts.scene import Version
from treue.model.states import ArrivalKind
from treue.model.tables import arrival, caller
from treue.model.types import Instant

_touched = caller.c.kind == ArrivalKind.touch.value
_SINCE = select(func.min(caller.c.effective_at, type_=Instant())).where(_touched)

TOUCHED = (
    select(caller.c.customer_id, caller.c.effective_at.label("since")).where(_touched).subquery("touched")
)
"""Those callers, each with the instant since which her date is another one."""

_FORGET = delete(arrival).where(
    arrival.c.journey_id == bindparam("which", type_=BigInteger()),
    arrival.c.kind == ArrivalKind.date.value,
    exists().where(
        _touched,
        caller.c.customer_id == arrival.c.customer_id,
        caller.c.effective_at < arrival.c.effective_at,
    ),
)


def touched_since(connection: Connection) -> datetime | None:
    """Return the first instant at which any of the callers was touched."""
    found: datetime | None = connection.scalar(_SINCE)
    return found


def forget(connection: Connection, version: Version) -> None:
    """Take the days of those callers from the door that come after what touched them."""
    connection.execute(_FORGET, {"which": version.journey_id})
