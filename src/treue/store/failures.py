"""Which work of which journey fails: since when, how often, why, and when it is tried again. Success leaves no row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, exc, or_, select

from treue.model.tables import failure, journey
from treue.store.dialect import upsert

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
"""How long failed work is left alone: after each failure in a row twice as long as before."""

LONGEST_REASON = 300
_TIMED_OUT = "it took longer than the database allows one statement (statement_timeout)"
_INTERRUPTED = "it took longer than a minute"

PLAN = "plan"
"""The work of reading a journey's plan: where it fails, the whole journey is held."""

Key = tuple[int, str]
"""A journey's number, and the name of its work."""


@dataclass(frozen=True)
class Failure:
    """Work of a journey that has failed `times` in a row, and is not tried again before `again_at`."""

    journey_id: int
    journey: str
    work: str
    since: datetime
    last_at: datetime
    again_at: datetime
    times: int
    reason: str

    def is_put_off(self, now: datetime) -> bool:
        """Whether the work is to be left alone at `now`. A failure from later is of a clock that was put back."""
        return self.last_at <= now < self.again_at


def find(connection: Connection) -> list[Failure]:
    """Return all work that fails, by journey and work; paused journeys do none."""
    query = (
        select(failure, journey.c.name)
        .join(journey, journey.c.id == failure.c.journey_id)
        .where(journey.c.paused_at.is_(None))
        .order_by(journey.c.name, failure.c.work)
    )
    return [
        Failure(
            row.journey_id, row.name, row.work, row.since, row.last_at, row.again_at, row.times, row.reason
        )
        for row in connection.execute(query)
    ]


def record(connection: Connection, key: Key, now: datetime, reason: str) -> None:
    """Record that work has failed, once more where it had before."""
    journey_id, work = key
    query = select(failure.c.since, failure.c.times).where(_is(key)).with_for_update()
    known = connection.execute(query).first()
    times = known.times + 1 if known else 1
    pause = min(FIRST_PAUSE * 2 ** min(times - 1, 20), LONGEST_PAUSE)
    values = {
        "since": known.since if known else now,
        "last_at": now,
        "again_at": now + pause,
        "times": times,
        "reason": reason,
    }
    upsert(connection, failure, {"journey_id": journey_id, "work": work}, values)


def forget(connection: Connection, keys: Iterable[Key]) -> None:
    """Forget failures of work that has succeeded, or is not there to be done any more."""
    if wanted := [_is(key) for key in sorted(keys)]:
        connection.execute(delete(failure).where(or_(*wanted)))


def forget_journey(connection: Connection, journey_id: int) -> None:
    """Forget all failures of a journey: what it does now is tried at once."""
    connection.execute(delete(failure).where(failure.c.journey_id == journey_id))


def reason(error: BaseException) -> str:
    """Return why something failed, in a line: what the database or we say, not the statement it was in."""
    original = getattr(error, "orig", None) if isinstance(error, exc.DBAPIError) else None
    if getattr(original, "sqlstate", None) == "57014":
        return _TIMED_OUT
    if getattr(original, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
        return _INTERRUPTED
    said = str(original or error).strip().splitlines()
    first = said[0].rstrip(".") if said else "no reason given"
    named = type(original or error).__name__
    plain = original is not None or type(error).__module__ == "treue.errors"
    return (first if plain else f"{named}: {first}")[:LONGEST_REASON]


def _is(key: Key) -> ColumnElement[bool]:
    return and_(failure.c.journey_id == key[0], failure.c.work == key[1])
