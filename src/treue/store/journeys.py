"""Journeys and their versions: what is live, what still has customers inside, what is paused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, or_, select, update

from treue.model.tables import enrollment, journey, journey_version, membership, message, step
from treue.store.dialect import insert_new


@dataclass(frozen=True)
class StoredVersion:
    """One version as it is kept. `live` is the one new customers enter."""

    journey_id: int
    version_id: int
    name: str
    hash: str
    live: bool
    live_since: datetime
    paused: bool


def publish(
    connection: Connection,
    name: str,
    hash_: str,
    document: dict[str, Any],
    source: str,
    steps: Sequence[str],
    now: datetime,
) -> bool:
    """Make this version of a journey the live one; say whether that changed anything.

    A new journey reacts to what happens from `now` on. Customers inside older versions stay on theirs.
    """
    insert_new(connection, journey, [{"name": name, "live_since": now}], ["name"], ["id"])
    journey_id, live = connection.execute(
        select(journey.c.id, journey.c.version_id).where(journey.c.name == name)
    ).one()
    rows = [{"journey_id": journey_id, "name": step_name} for step_name in steps]
    insert_new(connection, step, rows, ["journey_id", "name"], ["id"])
    row = {"journey_id": journey_id, "hash": hash_, "plan": document, "source": source, "since": now}
    insert_new(connection, journey_version, [row], ["journey_id", "hash"], ["id"])
    version_id = connection.scalar(
        select(journey_version.c.id).where(
            journey_version.c.journey_id == journey_id, journey_version.c.hash == hash_
        )
    )
    if live == version_id:
        return False
    anew: dict[str, Any] = {}
    if live is None or _entry(connection, live) != document.get("entry"):
        # Another way in: what happened, who was in the segment and which slots passed before now start nobody.
        anew = {"live_since": now, "scheduled_until": now, "sensed_at": None}
        connection.execute(delete(membership).where(membership.c.journey_id == journey_id))
    connection.execute(
        update(journey).where(journey.c.id == journey_id).values(version_id=version_id, **anew)
    )
    return True


def _entry(connection: Connection, version_id: int) -> Any:
    return plan(connection, version_id).get("entry")


def retire(connection: Connection, name: str) -> bool:
    """Let nobody enter a journey any more; those inside go on. Say whether it was live."""
    found = connection.execute(
        update(journey)
        .where(journey.c.name == name, journey.c.version_id.is_not(None))
        .values(version_id=None)
    )
    return found.rowcount > 0


def in_use(connection: Connection) -> list[StoredVersion]:
    """Return the live version of every journey, and older ones that still have customers or messages."""
    inside = exists().where(enrollment.c.version_id == journey_version.c.id, enrollment.c.outcome == "inside")
    waiting = exists().where(
        message.c.version_id == journey_version.c.id,
        message.c.journey_id == journey_version.c.journey_id,
        message.c.state.in_(("queued", "claimed")),
    )
    converting = exists().where(
        enrollment.c.version_id == journey_version.c.id,
        enrollment.c.outcome == "finished",
        enrollment.c.convert_by.is_not(None),
    )
    live = journey.c.version_id == journey_version.c.id
    query = (
        select(
            journey_version.c.id,
            journey_version.c.journey_id,
            journey_version.c.hash,
            journey.c.name,
            journey.c.live_since,
            journey.c.paused_at,
            live.label("live"),
        )
        .join(journey, journey.c.id == journey_version.c.journey_id)
        .where(or_(live, inside, waiting, converting))
        .order_by(journey.c.name, journey_version.c.id)
    )
    return [
        StoredVersion(
            row.journey_id,
            row.id,
            row.name,
            row.hash,
            bool(row.live),
            row.live_since,
            row.paused_at is not None,
        )
        for row in connection.execute(query)
    ]


def plan(connection: Connection, version_id: int) -> dict[str, Any]:
    """Return a version's plan as it is kept."""
    found: dict[str, Any] = connection.execute(
        select(journey_version.c.plan).where(journey_version.c.id == version_id)
    ).scalar_one()
    return found


def step_ids(connection: Connection, journey_id: int) -> dict[str, int]:
    """Return the numbers of a journey's steps by name."""
    found = connection.execute(select(step.c.name, step.c.id).where(step.c.journey_id == journey_id))
    return {row.name: row.id for row in found}


def find(connection: Connection, name: str) -> int | None:
    """Return a journey's number, or None."""
    return connection.scalar(select(journey.c.id).where(journey.c.name == name))


def names(connection: Connection) -> list[str]:
    """Return the names of all journeys there ever were."""
    return list(connection.scalars(select(journey.c.name).order_by(journey.c.name)))


def pause(connection: Connection, name: str, now: datetime | None) -> bool:
    """Hold everyone in a journey where they are, or with `now` None let them go on; say whether it exists."""
    found = connection.execute(update(journey).where(journey.c.name == name).values(paused_at=now))
    return found.rowcount > 0


__all__ = ["StoredVersion", "find", "in_use", "names", "pause", "plan", "publish", "retire", "step_ids"]
