"""When passes, and the deletion of old rows, last began, succeeded and failed: a row each that all workers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, or_, select, update

from treue.model.tables import heartbeat
from treue.store.dialect import upsert

PASS, VACUUM = "pass", "vacuum"
LEASE = timedelta(minutes=5)
"""For how long after its last sign of life somebody is taken to be at what is done by one worker at a time."""


@dataclass(frozen=True)
class Heartbeat:
    """How passes go, or nights. `every` is how far apart those of whoever ran the last one are.

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


def find(connection: Connection, name: str = PASS) -> Heartbeat | None:
    """Return how passes go, or what else has a `name`; None where there never was one."""
    row = connection.execute(select(heartbeat).where(_is(name))).first()
    if row is None:
        return None
    every = timedelta(seconds=row.every)
    alive_at = row.alive_at or row.began_at
    return Heartbeat(every, row.began_at, alive_at, row.succeeded_at, row.failed_at, row.failures, row.reason)


def begin(connection: Connection, now: datetime, every: timedelta, name: str = PASS) -> None:
    """Record that a pass begins, and that the next one comes in about `every`."""
    values = {"every": round(every.total_seconds()), "began_at": now, "alive_at": now}
    upsert(connection, heartbeat, {"name": name}, values)


def claim(connection: Connection, name: str, now: datetime) -> bool:
    """Take what one worker does at a time, where nobody is at it; say whether it was taken."""
    ended = or_(
        heartbeat.c.succeeded_at >= heartbeat.c.alive_at, heartbeat.c.failed_at >= heartbeat.c.alive_at
    )
    free = or_(ended, heartbeat.c.alive_at <= now - LEASE)
    taken = update(heartbeat).where(_is(name), free).values(began_at=now, alive_at=now)
    return connection.execute(taken).rowcount > 0


def beat(connection: Connection, now: datetime, name: str = PASS) -> None:
    """Record that a pass is under way and goes on."""
    connection.execute(update(heartbeat).where(_is(name)).values(alive_at=now))


def leave(connection: Connection, name: str, now: datetime) -> None:
    """Let anybody go on at once with what was claimed."""
    connection.execute(update(heartbeat).where(_is(name)).values(alive_at=now - LEASE))


def succeed(connection: Connection, now: datetime, name: str = PASS) -> None:
    """Record that a pass has come to its end."""
    values = {"succeeded_at": now, "failures": 0, "failed_at": None, "reason": None}
    connection.execute(update(heartbeat).where(_is(name)).values(values))


def fail(connection: Connection, now: datetime, reason: str, name: str = PASS) -> None:
    """Record that a pass has failed, and why."""
    values = {"failures": heartbeat.c.failures + 1, "failed_at": now, "reason": reason}
    connection.execute(update(heartbeat).where(_is(name)).values(values))


def _is(name: str) -> ColumnElement[bool]:
    return heartbeat.c.name == name
