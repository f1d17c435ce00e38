"""When passes last began, succeeded and failed: one row that all workers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from treue.model.tables import heartbeat
from treue.store.dialect import upsert

_NAME = {"name": "pass"}
_MINE = heartbeat.c.name == "pass"


@dataclass(frozen=True)
class Heartbeat:
    """How passes go. `every` is how far apart the passes of whoever ran the last one are.

    `alive_at` is when the last one was last heard of.
    """

    every: timedelta
    began_at: datetime
    alive_at: datetime
    succeeded_at: datetime | None
    failed_at: datetime | None
    failures: int
    reason: str | None

    @property
    def under_way(self) -> bool:
        """Whether a pass has begun and not ended, as far as is known: its worker may have died."""
        ends = (self.succeeded_at, self.failed_at)
        return not any(end is not None and end >= self.alive_at for end in ends)


def find(connection: Connection) -> Heartbeat | None:
    """Return how passes go, or None where there never was one."""
    row = connection.execute(select(heartbeat).where(_MINE)).first()
    if row is None:
        return None
    every = timedelta(seconds=row.every)
    alive_at = row.alive_at or row.began_at
    return Heartbeat(every, row.began_at, alive_at, row.succeeded_at, row.failed_at, row.failures, row.reason)


def begin(connection: Connection, now: datetime, every: timedelta) -> None:
    """Record that a pass begins, and that the next one comes in about `every`."""
    values = {"every": round(every.total_seconds()), "began_at": now, "alive_at": now}
    upsert(connection, heartbeat, _NAME, values)


def beat(connection: Connection, now: datetime) -> None:
    """Record that a pass is under way and goes on."""
    connection.execute(update(heartbeat).where(_MINE).values(alive_at=now))


def succeed(connection: Connection, now: datetime) -> None:
    """Record that a pass has come to its end."""
    values = {"succeeded_at": now, "failures": 0, "failed_at": None, "reason": None}
    connection.execute(update(heartbeat).where(_MINE).values(values))


def fail(connection: Connection, now: datetime, reason: str) -> None:
    """Record that a pass has failed, and why."""
    values = {"failures": heartbeat.c.failures + 1, "failed_at": now, "reason": reason}
    connection.execute(update(heartbeat).where(_MINE).values(values))
