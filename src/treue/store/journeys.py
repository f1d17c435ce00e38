"""Journeys and their versions: what is live, what still has customers inside, what is paused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Connection, Select, case, delete, exists, func, insert, or_, select, update

from treue.model.states import JourneyState
from treue.model.tables import enrollment, journey, journey_version, membership, message, step
from treue.store import failures
from treue.store.dialect import insert_new


@dataclass(frozen=True)
class StoredVersion:
    """One version as it is kept. `live` is the one new customers enter.

    `sensed` says that it is known who was in the journey's segment when it went live.
    """

    journey_id: int
    version_id: int
    name: str
    hash: str
    live: bool
    live_since: datetime
    paused: bool
    sensed: bool


def numbered(connection: Connection, name: str, now: datetime) -> int:
    """Return a journey's number. A new one reacts to what happens from `now` on."""
    insert_new(connection, journey, [{"name": name, "live_since": now}], ["name"], ["id"])
    number: int = connection.execute(select(journey.c.id).where(journey.c.name == name)).scalar_one()
    return number


def publish(connection: Connection, journey_id: int, version_id: int, now: datetime) -> bool:
    """Make this version of a journey the live one; say whether that changed anything.

    Customers inside older versions stay on theirs.
    """
    live = connection.scalar(select(journey.c.version_id).where(journey.c.id == journey_id))
    if live == version_id:
        return False
    anew: dict[str, Any] = {}
    if live is None or _entry(connection, live) != _entry(connection, version_id):
        # Another way in: what happened, who was in the segment and which slots passed before now start nobody.
        anew = {"live_since": now, "scheduled_until": now, "sensed_at": None}
        connection.execute(delete(membership).where(membership.c.journey_id == journey_id))
    connection.execute(
        update(journey).where(journey.c.id == journey_id).values(version_id=version_id, **anew)
    )
    connection.execute(update(journey_version).where(journey_version.c.id == version_id).values(since=now))
    failures.forget_journey(connection, journey_id)
    return True


def kept(connection: Connection, journey_id: int, hash_: str) -> int | None:
    """Return the version of a journey that has this hash, or None."""
    same = (journey_version.c.journey_id == journey_id, journey_version.c.hash == hash_)
    return connection.scalar(select(journey_version.c.id).where(*same))


def keep(
    connection: Connection,
    journey_id: int,
    hash_: str,
    document: dict[str, Any],
    source: str,
    steps: Mapping[str, int],
    now: datetime,
) -> int:
    """Keep a new version; return its number."""
    row = {
        "journey_id": journey_id,
        "hash": hash_,
        "plan": document,
        "source": source,
        "steps": steps,
        "since": now,
    }
    added = insert(journey_version).values(row).returning(journey_version.c.id)
    number: int = connection.execute(added).scalar_one()
    return number


def latest(connection: Connection, journey_id: int) -> int | None:
    """Return the version of a journey that is live, or else was the last to be; None where there is none yet."""
    live = journey.c.version_id == journey_version.c.id
    query = (
        select(journey_version.c.id)
        .join(journey, journey.c.id == journey_version.c.journey_id)
        .where(journey_version.c.journey_id == journey_id)
        .order_by(case((live, 0), else_=1), journey_version.c.since.desc(), journey_version.c.id.desc())
    )
    return connection.scalar(query.limit(1))


def _entry(connection: Connection, version_id: int) -> Any:
    """Return how customers come into a version, without what is empty: other versions of Treue write it or not."""
    entry = plan(connection, version_id).get("entry") or {}
    date = {key: value for key, value in (entry.get("date") or {}).items() if key != "moves"}
    return {
        key: value for key, value in (entry | {"date": date}).items() if value not in (None, False, [], {})
    }


def retire(connection: Connection, name: str) -> bool:
    """Let nobody enter a journey any more; those inside go on. Say whether it was live."""
    found = connection.execute(
        update(journey)
        .where(journey.c.name == name, journey.c.version_id.is_not(None))
        .values(version_id=None)
    )
    return found.rowcount > 0


def _in_use() -> Select[Any]:
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
    columns = (
        journey_version.c.id,
        journey_version.c.journey_id,
        journey_version.c.hash,
        journey.c.name,
        journey.c.live_since,
        journey.c.paused_at,
        journey.c.sensed_at,
        live.label("live"),
    )
    return (
        select(*columns)
        .join(journey, journey.c.id == journey_version.c.journey_id)
        .where(or_(live, inside, waiting, converting))
        .order_by(journey.c.name, journey_version.c.id)
    )


_IN_USE = _in_use()


def in_use(connection: Connection) -> list[StoredVersion]:
    """Return the live version of every journey, and older ones that still have customers or messages."""
    return [
        StoredVersion(
            row.journey_id,
            row.id,
            row.name,
            row.hash,
            bool(row.live),
            row.live_since,
            row.paused_at is not None,
            row.sensed_at is not None,
        )
        for row in connection.execute(_IN_USE)
    ]


def plan(connection: Connection, version_id: int) -> dict[str, Any]:
    """Return a version's plan as it is kept."""
    found: dict[str, Any] = connection.execute(
        select(journey_version.c.plan).where(journey_version.c.id == version_id)
    ).scalar_one()
    return found


def steps(connection: Connection, journey_id: int) -> dict[int, dict[str, int]]:
    """Return for each version of a journey, oldest first, the numbers of its steps by id."""
    query = select(journey_version.c.id, journey_version.c.steps).order_by(journey_version.c.id)
    found = connection.execute(query.where(journey_version.c.journey_id == journey_id))
    return {row.id: row.steps for row in found}


def ids(connection: Connection, journey_id: int) -> set[str]:
    """Return all ids that steps of a journey have had in any version."""
    return {id_ for numbers in steps(connection, journey_id).values() for id_ in numbers}


def first_names(connection: Connection, journey_id: int) -> dict[int, str]:
    """Return the name each step of a journey first had, by number; no two are the same."""
    found = connection.execute(select(step.c.id, step.c.name).where(step.c.journey_id == journey_id))
    return {row.id: row.name for row in found}


def new_steps(connection: Connection, journey_id: int, ids: Sequence[str]) -> dict[str, int]:
    """Give numbers to steps there have never been; return them by id."""
    taken = set(first_names(connection, journey_id).values())
    names = {}
    for id_ in ids:
        names[id_] = next(name for name in _names(id_) if name not in taken)
        taken.add(names[id_])
    rows = [{"journey_id": journey_id, "name": name} for name in names.values()]
    added = insert_new(connection, step, rows, ["journey_id", "name"], ["id", "name"])
    numbers = {row.name: row.id for row in added}
    return {id_: numbers[name] for id_, name in names.items()}


def _names(id_: str) -> Iterator[str]:
    yield id_
    yield from (f"{id_}~{n}" for n in count(2))


def source(connection: Connection, version_id: int) -> str:
    """Return the text of the file a version was made from."""
    found: str = connection.execute(
        select(journey_version.c.source).where(journey_version.c.id == version_id)
    ).scalar_one()
    return found


@dataclass(frozen=True)
class StoredJourney:
    """One journey as it is kept: its number, its live version and that one's hash (None where it is not live), whether paused."""

    journey_id: int
    version_id: int | None
    hash: str | None
    paused: bool

    @property
    def state(self) -> JourneyState:
        """The journey's state in the one word that all who show it use."""
        if self.version_id is None:
            return JourneyState.stopped if self.paused else JourneyState.retired
        return JourneyState.paused if self.paused else JourneyState.live


def by_name(connection: Connection) -> dict[str, StoredJourney]:
    """Return all journeys there ever were, by name."""
    query = (
        select(journey, journey_version.c.hash)
        .outerjoin(journey_version, journey_version.c.id == journey.c.version_id)
        .order_by(journey.c.name)
    )
    return {
        row.name: StoredJourney(row.id, row.version_id, row.hash, row.paused_at is not None)
        for row in connection.execute(query)
    }


def occupancy(connection: Connection, journey_id: int) -> list[tuple[int, int, int]]:
    """Return how many are inside a journey by version and step: (version, step, customers), the holdout included."""
    query = (
        select(enrollment.c.version_id, enrollment.c.step_id, func.count())
        .where(enrollment.c.journey_id == journey_id, enrollment.c.outcome == "inside")
        .group_by(enrollment.c.version_id, enrollment.c.step_id)
        .order_by(enrollment.c.version_id, enrollment.c.step_id)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def find(connection: Connection, name: str) -> int | None:
    """Return a journey's number, or None."""
    return connection.scalar(select(journey.c.id).where(journey.c.name == name))


def names(connection: Connection) -> list[str]:
    """Return the names of all journeys there ever were."""
    return list(connection.scalars(select(journey.c.name).order_by(journey.c.name)))


def resume(connection: Connection, name: str, now: datetime) -> bool:
    """Let everyone in a journey go on, and live again where it was stopped; say whether it exists."""
    stored = by_name(connection).get(name)
    if stored is None:
        return False
    version_id = latest(connection, stored.journey_id)
    if stored.state is JourneyState.stopped and version_id is not None:
        publish(connection, stored.journey_id, version_id, now)
    return pause(connection, name, None)


def pause(connection: Connection, name: str, now: datetime | None) -> bool:
    """Hold everyone in a journey where they are, or with `now` None let them go on; say whether it exists."""
    found = connection.execute(update(journey).where(journey.c.name == name).values(paused_at=now))
    return found.rowcount > 0
