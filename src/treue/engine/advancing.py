"""Who is due at which stage, and moving them on: one short transaction a batch, safe to repeat at any point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, literal, select, union_all

from treue.clock import hour_after
from treue.engine.pressure import LOCK, judge_queued
from treue.engine.statements import Scene, Statement, asks, conditions, made_once, standing, take_other_stays
from treue.engine.versions import Version
from treue.engine.waiting import Script, armed, is_constant, scripts
from treue.model.tables import enrollment
from treue.plan.stages import Send, Stage
from treue.segments.sql import Moment
from treue.store.store import Store

Personal = Callable[[Scene, Stage], None]
"""Does for each customer of the cohort what needs a template rendered; called inside the batch's transaction."""


def due_stages(connection: Connection, version: Version, now: datetime) -> list[Stage]:
    """Return the stages somebody is due at, in order."""
    if "due" not in version.memo:
        version.memo["due"] = _due_queries(version)
    found = {n for query in version.memo["due"] for n in connection.scalars(query, {"now": now})}
    return [stage for n, stage in enumerate(version.plan.stages) if n in found]


def is_due(connection: Connection, version: Version, stage: Stage, now: datetime) -> bool:
    """Say whether anybody is due at a stage."""
    key = ("due", stage.id)
    if key not in version.memo:
        version.memo[key] = _anyone(version, stage, 1)
    return connection.scalar(version.memo[key], {"now": now}) is not None


def _due_queries(version: Version) -> list[Select[Any]]:
    """Return one look into the index for each stage: the cost does not grow with the customers who wait.

    In portions, since SQLite takes at most 500 terms in a compound SELECT.
    """
    looks = [_anyone(version, stage, n).subquery() for n, stage in enumerate(version.plan.stages)]
    portions = [looks[start : start + 200] for start in range(0, len(looks), 200)]
    return [select(union_all(*(select(look.c.n) for look in some)).subquery().c.n) for some in portions]


def _anyone(version: Version, stage: Stage, n: int) -> Select[Any]:
    return select(literal(n).label("n")).select_from(enrollment).where(*standing(version, stage)).limit(1)


def advance(
    store: Store,
    scene: Scene,
    stage: Stage,
    personal: Personal | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Act on everyone due at a stage, batch by batch, and move them on; return how many moved or were set waiting."""
    total = 0
    for script in scripts(stage):
        moved = scene.batch
        while moved == scene.batch or (moved and asks(stage)):
            moved = _batch(store, scene, stage, script, personal)
            total += moved
            if progress and moved:
                progress(moved)
    return total


def _batch(
    store: Store,
    scene: Scene,
    stage: Stage,
    script: Script,
    personal: Personal | None,
) -> int:
    with store.transaction() as connection:
        store.lock(connection, f"journey {scene.version.journey_id}")
        scene = replace(scene, connection=connection)
        if asks(stage):
            before = _end_of_first_hour(connection, scene, stage, script)
            if before is None:
                return 0
            scene = replace(scene, before=before)
        taken = _perform(connection, scene, stage, script, personal)
        if taken and isinstance(stage, Send) and scene.judge is not None:
            store.lock(connection, LOCK)  # only now, so that others wait as briefly as can be
            judge_queued(connection, scene.judge, scene.version.number(stage), scene.now)
        return taken


def _end_of_first_hour(connection: Connection, scene: Scene, stage: Stage, script: Script) -> datetime | None:
    """Return the end of the hour in which the first of those at a stage is due, None where nobody is."""
    key = ("first", script.__name__, stage.id)
    if key not in scene.version.memo:
        due = select(enrollment.c.due_at).where(*standing(scene.version, stage, armed(stage, script)))
        scene.version.memo[key] = due.order_by(enrollment.c.due_at).limit(1)
    first = connection.scalar(scene.version.memo[key], {"now": scene.now})
    return hour_after(first) if first is not None else None


def _statements(scene: Scene, stage: Stage, script: Script) -> tuple[Iterable[Statement], dict[str, Any]]:
    """Return a batch's statements, made once for each version where that will do, and the values to run them with."""
    values = {"now": scene.now, "before": scene.before}
    if not is_constant(stage):
        return script(scene, stage), values

    def make(moment: Moment) -> tuple[Statement, ...]:
        return tuple(script(replace(scene, asked_at=moment), stage))

    key = (script.__name__, stage.id)
    found, asked = made_once(scene.version, key, conditions(stage), scene.present, make)
    return found, values | asked


def _perform(
    connection: Connection,
    scene: Scene,
    stage: Stage,
    script: Script,
    personal: Personal | None,
) -> int:
    taken = 0
    statements, values = _statements(scene, stage, script)
    for statement in statements:
        result = connection.execute(statement.sql, values)
        if statement.takes:
            taken = result.rowcount
            if not taken:
                return 0
            if taken == scene.batch and asks(stage) and scene.version.plan.entry.has_several_stays:
                rest = take_other_stays(connection, scene, stage, armed(stage, script))
                taken += connection.execute(rest, values).rowcount
        if statement.takes and personal is not None:
            personal(scene, stage)
    return taken
