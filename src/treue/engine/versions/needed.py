"""What of old rows the versions in use still need, and the files: the rules by which the rest is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection

from treue.clock import Duration
from treue.cohorts.host import host_of, looked_until
from treue.engine.versions.versions import Version, Versions
from treue.errors import PlanError
from treue.language.retention import Retention
from treue.plan.memory import remembered
from treue.plan.plan import Plan
from treue.plan.stored import from_json
from treue.segments.memory import Memory, Reach
from treue.store import journeys
from treue.store.event_identity import digest
from treue.store.past.horizon import pending_since
from treue.store.past.rules import Rules

N = TypeVar("N", str, str | None)

ZONES_APART = timedelta(hours=26)
"""How far two customers' clocks are apart at the most: `again` counts on each one's own."""


def rules(
    connection: Connection,
    retention: Retention,
    files: Sequence[Plan],
    besides: Memory,
    now: datetime,
    zone: str,
) -> Rules:
    """Return what is old at `now`, and what of it is needed by versions in use, by the plans of `files`, and `besides`.

    Raises PlanError where a plan cannot be read: what it looks back to cannot be told.
    """
    versions, latest = _versions(connection), _latest(connection)
    plans = [*(version.plan for version in versions), *files]
    memory = Memory.union((*map(remembered, plans), besides))
    numbers = {name: stored.journey_id for name, stored in journeys.by_name(connection).items()}
    learning = _numbers(numbers, (plan.journey for plan in plans if _learns(plan)))
    never = {id_ for id_, plan in latest.items() if plan.entry.again is None}
    again = {id_: plan.entry.again for id_, plan in latest.items() if plan.entry.again}
    kept = _numbers(numbers, memory.journeys) | learning | never
    slots = min([now, *_slots(connection, versions)])
    floor = min(pending_since(connection, now), slots)
    found = (retention, sorted(map(repr, (*memory.events, *memory.messages))), sorted(kept), sorted(learning))
    return Rules(
        retention.cuts(now, zone),
        floor,
        slots,
        _since(memory.events, floor, zone),
        _since(memory.messages, floor, zone),
        frozenset(kept),
        frozenset(learning),
        {id_: length.before(floor, zone) - ZONES_APART for id_, length in again.items()},
        tuple(sorted(numbers.values())),
        digest(repr((*found, sorted(map(repr, again.items()))))),
    )


def _versions(connection: Connection) -> list[Version]:
    known = Versions()
    versions = known.load(connection)
    for name, error in known.unreadable.values():
        raise PlanError(f"What {name} needs of old rows cannot be told, so none are deleted: {error}")
    return versions


def _latest(connection: Connection) -> dict[int, Plan]:
    """Return the plan of each journey that says when customers may come again: of its live version, else its last one."""
    found = {}
    for name, stored in journeys.by_name(connection).items():
        version_id = journeys.latest(connection, stored.journey_id)
        if version_id is None:
            continue
        try:
            found[stored.journey_id] = from_json(journeys.plan(connection, version_id))
        except PlanError as error:
            sentence = f"What {name} needs of old rows cannot be told, so none are deleted: {error}"
            raise PlanError(sentence) from error
    return found


def _numbers(numbers: dict[str, int], names: Iterable[str]) -> set[int]:
    return {numbers[name] for name in names if name in numbers}


def _slots(connection: Connection, versions: Iterable[Version]) -> list[datetime]:
    """Return until when each schedule, and each trigger by dates, has been looked through."""
    return [
        looked_until(connection, version)
        for version in versions
        if version.live and host_of(version.plan.entry.trigger).comes_by == "time"
    ]


def _learns(plan: Plan) -> bool:
    return any(stage.learns for stage in plan.stages)


def _since(found: Iterable[tuple[N, Reach]], floor: datetime, zone: str) -> dict[N, datetime | None]:
    """Return since when each name is found by what looks back furthest; None is ever."""
    by_name: dict[N, list[Duration | None]] = {}
    for name, reach in found:
        by_name.setdefault(name, []).append(reach)
    return {
        name: None
        if None in reaches
        else min(reach.before(floor, zone) for reach in reaches if reach is not None)
        for name, reaches in by_name.items()
    }
