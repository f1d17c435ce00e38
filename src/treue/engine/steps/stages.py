"""Who is due at which stage, and moving them on: one short transaction a batch, safe to repeat at any point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, func, literal, select, type_coerce

from treue.clock import TICK, hour_of
from treue.cohorts.cohort import due_at_stage, take_other_stays
from treue.cohorts.hindsight import COHORT, in_their_time
from treue.cohorts.player import Script, player
from treue.cohorts.scene import NOW, Deed, Scene, Statement
from treue.cohorts.turns import Turns, is_turn_of_stay, pending_before
from treue.engine.door.exits import ask_exits, conditions
from treue.engine.pressure.judge import LOCK, Judge, judge_queued
from treue.engine.versions.versions import Version
from treue.errors import WordError
from treue.language.steps import Stage
from treue.model.states import Outcome
from treue.model.tables import cohort, enrollment
from treue.model.types import Instant
from treue.segments.sql import Moment
from treue.segments.stretch import stretch_end
from treue.segments.tree import Condition
from treue.store import sequence
from treue.store.dialect import constant_table, count_many, worked_out
from treue.store.store import Store

ONE_HOUR = timedelta(hours=1)


def due_stages(connection: Connection, versions: Sequence[Version], now: datetime) -> dict[int, list[Stage]]:
    """Return the stages somebody is due at, in order, by version; versions at which nobody is due are left out."""
    found: dict[int, set[int]] = {}
    for version_id, step_id in connection.execute(_asked_at_each(connection, versions, _due), {"now": now}):
        found.setdefault(version_id, set()).add(step_id)
    return {
        version.version_id: [stage for stage in version.plan.stages if version.number(stage) in mine]
        for version in versions
        if (mine := found.get(version.version_id))
    }


def first_due(connection: Connection, versions: Sequence[Version], after: datetime) -> datetime | None:
    """Return when somebody is due first after an instant, at any step; None where nobody is."""
    found = connection.execute(_asked_at_each(connection, versions, _next), {"now": after})
    return min((at for (at,) in found), default=None)


def is_due(connection: Connection, version: Version, stage: Stage, due_by: datetime) -> bool:
    """Say whether anybody is due at a stage by then."""
    query = version.kept.of(("due", stage.id), partial(_anyone, version, stage))
    return connection.scalar(query, {"due_by": due_by}) is not None


def _anyone(version: Version, stage: Stage) -> Select[Any]:
    return select(literal(1)).select_from(enrollment).where(*due_at_stage(version, stage)).limit(1)


_Places = tuple[tuple[int, int | None], ...]
"""Steps, each with a version that has it."""

_PLACE: dict[str, Any] = {"version_id": BigInteger(), "step_id": BigInteger()}


def _asked_at_each(
    connection: Connection, versions: Sequence[Version], ask: Callable[[Any], Select[Any]]
) -> Select[Any]:
    """Return a query with one look into the index for each step of all versions: who waits there costs nothing."""
    places = tuple(
        place for version in versions for place in version.kept.of("places", partial(_places, version))
    )
    return _asking(connection.dialect.name, places, ask)


def _places(version: Version) -> _Places:
    return tuple((version.version_id, version.number(stage)) for stage in version.plan.stages)


@lru_cache(maxsize=64)
def _asking(dialect: str, places: _Places, ask: Callable[[Any], Select[Any]]) -> Select[Any]:
    rows = [{"version_id": version_id, "step_id": step_id} for version_id, step_id in places]
    return ask(constant_table(dialect, _PLACE, rows))


def _due(places: Any) -> Select[Any]:
    """Return who of the steps has somebody who is due. The LIMIT keeps PostgreSQL from reading all who stay instead."""
    someone = _standing_at(places).where(enrollment.c.due_at <= NOW).limit(1).scalar_subquery()
    return select(places.c.version_id, places.c.step_id).where(someone.is_not(None))


def _next(places: Any) -> Select[Any]:
    """Return when somebody is due next at each of the steps."""
    later = _standing_at(places).where(enrollment.c.due_at > NOW).order_by(enrollment.c.due_at).limit(1)
    found = worked_out(select(later.scalar_subquery().label("at")), "next_due")
    return select(type_coerce(found.c.at, Instant)).where(found.c.at.is_not(None))


def _standing_at(place: Any) -> Select[Any]:
    return select(enrollment.c.due_at).where(
        enrollment.c.version_id == place.c.version_id,
        enrollment.c.step_id == place.c.step_id,
        enrollment.c.outcome == Outcome.inside.value,
    )


def advance(
    store: Store,
    scene: Scene,
    version: Version,
    stage: Stage,
    turns: Turns,
    due_by: datetime,
    progress: Callable[[int], None] | None = None,
    judge: Judge | None = None,
) -> int:
    """Act on everyone due by then whose turn it is at a stage, batch by batch, and move them on.

    Return how many moved or were set waiting.

    `judge` judges the messages that they queue, where there are limits or quiet hours.
    """
    asked = (*stage.conditions(), *(condition for _, condition in conditions(version.plan)))
    total, together = 0, not asked and not player(stage).goes_by_the_hour(stage)
    for script in player(stage).scripts():
        moved = scene.batch
        while moved == scene.batch or (moved and not together):
            moved = _batch(store, _Work(scene, version, stage, script, due_by, asked, together), turns, judge)
            total += moved
            if progress and moved:
                progress(moved)
    return total


@dataclass(frozen=True)
class _Work:
    """What is played at which stage; `asked` is all that those there are asked: by the stage, and whether they must leave.

    All who are due are dealt with `together`, or stretch after stretch of time.
    """

    scene: Scene
    version: Version
    stage: Stage
    script: Script[Any]
    due_by: datetime
    asked: Sequence[Condition]
    together: bool


def _batch(store: Store, work: _Work, turns: Turns, judge: Judge | None) -> int:
    scene, version = work.scene, work.version
    with store.transaction() as connection:
        store.lock(connection, f"journey {version.journey_id}")
        values = {"now": scene.now, "due_by": work.due_by, **turns.values(version.journey_id)}
        scene = replace(scene, connection=connection)
        if not work.together:
            first = connection.scalar(_first(work), values)
            if first is None or _waits_for_others(connection, work, first, values):
                return 0
            scene = replace(scene, first=first, before=_end(work, first))
        taken = _perform(connection, replace(work, scene=scene), values)
        written = work.stage.message
        if taken and written and judge is not None:
            store.lock(connection, LOCK)  # only now, so that others wait as briefly as can be
            judge_queued(connection, judge, written.channels, version.number(work.stage), scene.now)
        return taken


def _first(work: _Work) -> Select[Any]:
    """Return the query for when the first of those at a stage is due whose turn it is."""

    def make() -> Select[Any]:
        these = due_at_stage(work.version, work.stage, player(work.stage).is_armed(work.script))
        turn = is_turn_of_stay(work.version, work.stage)
        return select(enrollment.c.due_at).where(*these, turn).order_by(enrollment.c.due_at).limit(1)

    return work.version.kept.of(("first", work.script.__name__, work.stage.id), make)


def _end(work: _Work, first: datetime) -> datetime:
    """Return the end of the stretch of time that begins with `first`."""
    end = stretch_end(work.asked, work.scene.zone, first, work.due_by + TICK)
    if player(work.stage).goes_by_the_hour(work.stage):
        return min(end, hour_of(first) + ONE_HOUR)
    return end


def _waits_for_others(connection: Connection, work: _Work, first: datetime, values: dict[str, Any]) -> bool:
    """Say whether anything of anybody is pending from before the hour by which a stage goes."""
    if not player(work.stage).goes_by_the_hour(work.stage):
        return False
    return connection.scalar(pending_before(), {**values, "hour": hour_of(first)}) is not None


def _statements(work: _Work) -> tuple[Iterable[Statement | Deed], dict[str, Any]]:
    """Return a batch's statements, made once for each version where that will do, and the values to run them with."""
    scene, stage, script = work.scene, work.stage, work.script
    if not player(stage).is_constant(stage):
        return script(scene, stage), {}

    def make(moment: Moment) -> tuple[Statement | Deed, ...]:
        return tuple(script(replace(scene, asked_at=moment), stage))

    return work.version.kept.asking((script.__name__, stage.id), stage.conditions(), scene.present, make)


def _perform(connection: Connection, work: _Work, values: dict[str, Any]) -> int:
    """Run a batch; what its customers' records came to say later is taken back meanwhile."""
    scene, (statements, asked) = work.scene, _statements(work)
    values = {**values, **asked, "until": scene.before, "first_place": sequence.take(scene.batch + 1)}
    rest, taken = iter(statements), 0
    for statement in rest:
        assert isinstance(statement, Statement)
        result = connection.execute(statement.sql, values)
        if statement.takes:
            taken = result.rowcount
            break
    if not taken:
        return 0
    if taken == scene.batch and work.asked and work.version.plan.has_several_stays:
        others = take_other_stays(connection, scene, work.stage, player(work.stage).is_armed(work.script))
        taken += connection.execute(others, values).rowcount
    count_many(connection, cohort, taken)
    with in_their_time(connection, COHORT):
        ask_exits(connection, scene, work.version.plan)
        for statement in rest:
            if isinstance(statement, Deed):
                statement.act(scene)
            else:
                connection.execute(statement.sql, values)
    _require_progress(connection, work)
    return taken


def _require_progress(connection: Connection, work: _Work) -> None:
    """Raise WordError where the first of the cohort stands as before: the same customers would be taken for ever.

    One is enough, for in the end only those are left whom the word keeps.
    """
    query = work.version.kept.of(("stands", work.script.__name__, work.stage.id), partial(_stands, work))
    if connection.scalar(query, {"due_by": work.due_by}) is not None:
        raise WordError(
            f"The word `{work.stage.kind}` keeps customers at the step `{work.stage.id}`: whom its player takes, it has to "
            "move on, to end, or to make due at another time. Correct the package that brings the word."
        )


def _stands(work: _Work) -> Select[Any]:
    """Return the query for the first stay of the cohort, if the script would take it again at the same time."""
    first = select(func.min(cohort.c.enrollment_id)).scalar_subquery()
    mine = select(cohort.c.at).where(cohort.c.enrollment_id == enrollment.c.id).scalar_subquery()
    again = due_at_stage(work.version, work.stage, player(work.stage).is_armed(work.script))
    return select(enrollment.c.id).where(enrollment.c.id == first, *again, enrollment.c.due_at == mine)
