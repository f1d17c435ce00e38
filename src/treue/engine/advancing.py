"""Who is due at which stage, and moving them on: one short transaction a batch, safe to repeat at any point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, literal, select, union_all

from treue.engine.statements import Scene, Statement, arm, play
from treue.engine.versions import Version
from treue.model.states import Outcome
from treue.model.tables import enrollment
from treue.plan.stages import Stage, Wait
from treue.store.store import Store

Personal = Callable[[Scene, Stage], None]
"""Does for each customer of the cohort what needs a template rendered; called inside the batch's transaction."""


def due_stages(connection: Connection, version: Version, now: datetime, after: int = 0) -> list[Stage]:
    """Return the stages somebody is due at, in order, from the stage of index `after` on."""
    stages = version.plan.stages[after:]
    asked = [_anyone(version, stage, n, now).subquery() for n, stage in enumerate(stages)]
    if not asked:
        return []
    found = connection.scalars(union_all(*(select(sub.c.n) for sub in asked))).all()
    return [stages[n] for n in sorted(set(found))]


def _anyone(version: Version, stage: Stage, n: int, now: datetime) -> Select[Any]:
    return (
        select(literal(n).label("n"))
        .select_from(enrollment)
        .where(
            enrollment.c.version_id == version.version_id,
            enrollment.c.step_id == version.number(stage),
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.due_at <= now,
        )
        .limit(1)
    )


def advance(
    store: Store,
    scene: Scene,
    stage: Stage,
    personal: Personal | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Act on everyone due at a stage, batch by batch, and move them on; return how many moved or were set waiting."""
    total = 0
    scripts = [arm, play] if isinstance(stage, Wait) else [play]
    for script in scripts:
        while moved := _batch(store, scene, stage, script, personal):  # type: ignore[arg-type]
            total += moved
            if progress:
                progress(moved)
    return total


def _batch(
    store: Store,
    scene: Scene,
    stage: Stage,
    script: Callable[[Scene, Stage], Sequence[Statement]],
    personal: Personal | None,
) -> int:
    with store.transaction() as connection:
        store.lock(connection, f"journey {scene.version.journey_id}")
        return _perform(connection, replace(scene, connection=connection), stage, script, personal)


def _perform(
    connection: Connection,
    scene: Scene,
    stage: Stage,
    script: Callable[[Scene, Stage], Sequence[Statement]],
    personal: Personal | None,
) -> int:
    taken = 0
    for statement in script(scene, stage):
        result = connection.execute(statement.sql)
        if statement.takes:
            taken = result.rowcount
            if not taken:
                return 0
        if statement.takes and personal is not None:
            personal(scene, stage)
    return taken
