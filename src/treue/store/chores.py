"""Chores: looks over everybody that journeys need now and then, each done by one worker at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from treue.model.tables import chore, journey
from treue.store import dialect
from treue.store.failures import Key

LEASE = timedelta(minutes=5)
"""For how long a worker has a chore; each step of it takes the time anew."""


@dataclass(frozen=True)
class Chore:
    """A look over everybody: when next, who was looked at last, when it ended the last time and what it found."""

    journey_id: int
    work: str
    next_at: datetime
    done_until: int
    done_at: datetime | None
    repaired: int

    @property
    def key(self) -> Key:
        """Whose work it is, and which."""
        return self.journey_id, self.work


def find(connection: Connection) -> list[Chore]:
    """Return all chores."""
    columns = (chore.c[name] for name in Chore.__dataclass_fields__)
    return [Chore(*row) for row in connection.execute(select(*columns).order_by(chore.c.next_at))]


def repaired(connection: Connection) -> dict[str, int]:
    """Return by journey how many answers the last look over everybody found to be others than were kept, where any."""
    query = select(journey.c.name, chore.c.repaired).join(journey, journey.c.id == chore.c.journey_id)
    return {row.name: row.repaired for row in connection.execute(query.where(chore.c.repaired > 0))}


def plan(connection: Connection, wanted: Mapping[Key, datetime]) -> list[Chore]:
    """Have these chores and no others, a new one due at the time given; return them all."""
    known = {one.key for one in find(connection)}
    for key in known - wanted.keys():
        connection.execute(delete(chore).where(*_is(key)))
    new = [
        {"journey_id": key[0], "work": key[1], "next_at": wanted[key], "done_until": 0, "repaired": 0}
        for key in sorted(wanted.keys() - known)
    ]
    if new:
        dialect.insert_new(connection, chore, new, ("journey_id", "work"), ("work",))
    return find(connection)


def claim(connection: Connection, key: Key, now: datetime) -> bool:
    """Take a chore that is due, unless another worker has it; say whether it was taken."""
    free = or_(chore.c.lease_until.is_(None), chore.c.lease_until <= now)
    taken = update(chore).where(*_is(key), chore.c.next_at <= now, free).values(lease_until=now + LEASE)
    return connection.execute(taken).rowcount > 0


def go_on(connection: Connection, key: Key, until: int, repaired: int, now: datetime, *, anew: bool) -> None:
    """Remember until which customer a chore has come, and what it has repaired on the way; `anew` says that it began here."""
    total = repaired if anew else chore.c.repaired + repaired
    values = {"done_until": until, "repaired": total, "lease_until": now + LEASE}
    connection.execute(update(chore).where(*_is(key)).values(values))


def finish(connection: Connection, key: Key, now: datetime, next_at: datetime) -> None:
    """Let a chore be done until its next time."""
    values = {"done_until": 0, "done_at": now, "next_at": next_at, "lease_until": None}
    connection.execute(update(chore).where(*_is(key)).values(values))


def leave(connection: Connection, key: Key) -> None:
    """Let anybody go on with a chore where it has come to."""
    connection.execute(update(chore).where(*_is(key)).values(lease_until=None))


def _is(key: Key) -> tuple[ColumnElement[bool], ...]:
    return chore.c.journey_id == key[0], chore.c.work == key[1]
