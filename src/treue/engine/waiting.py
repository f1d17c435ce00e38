"""Waits as SQL: arming those who have just come, releasing those whose time has come, watching for conditions.

Who comes to a wait is armed: `deadline_at` says when it ends at the latest, `due_at` when to look next. Both are
the same but for `wait for`, where an event that may matter wakes its customer (see `waking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    update,
)

from treue.clock import Duration
from treue.engine.local_time import later, next_time, own_time
from treue.engine.statements import (
    NOW,
    SKIP,
    Scene,
    Statement,
    clear,
    json_object,
    made_once,
    move,
    play,
    skip_unless,
    take,
    traced,
)
from treue.engine.versions import Version
from treue.model.states import Decision, Outcome
from treue.model.tables import cohort, enrollment, event
from treue.model.types import Instant
from treue.plan.stages import Split, Stage, Wait, WaitDate, WaitFor, Waiting, WaitUntil
from treue.segments.needs import event_names, looks_back, only_events, since_arrival
from treue.segments.sql import Moment, branches
from treue.segments.tree import Condition
from treue.store import dialect

Script = Callable[[Scene, Any], Iterable[Statement]]
"""Makes the statements of one batch of a stage, possibly one by one as they are run."""

THEN, OTHERWISE = 0, 1


def scripts(stage: Stage) -> tuple[Script, ...]:
    """Return what is played at a stage, one after the other."""
    match stage:
        case WaitFor():
            return arm, watch
        case Wait() | WaitUntil() | WaitDate():
            return arm, release
    return (play,)


def armed(stage: Stage, script: Script) -> bool | None:
    """Return whether a script is for those already armed; None where there is nothing to wait for."""
    return script is not arm if isinstance(stage, Waiting) else None


def is_constant(stage: Stage) -> bool:
    """Whether a stage's statements are the same at every pass: nothing is learnt, no month is to count."""
    if isinstance(stage, Split) and stage.learn:
        return False
    return not (isinstance(stage, (Wait, WaitFor, WaitDate)) and _length(stage).months)


def _length(stage: Wait | WaitFor | WaitDate) -> Duration:
    match stage:
        case Wait():
            return stage.duration
        case WaitFor():
            return stage.at_most
    return stage.before or stage.after or Duration()


def arm(scene: Scene, stage: Waiting) -> Iterator[Statement]:
    """Tell those who have just come to a wait when it ends; those its `if` passes by go on.

    Made one by one: which local days a wait in months starts on is only known once the cohort is taken.
    """
    yield clear()
    yield take(scene, stage, armed=False)
    yield from skip_unless(scene, stage)
    until = _until(scene, stage).subquery("until")
    mine = cohort.c.enrollment_id == until.c.key
    yield Statement("until when", update(cohort).values(deadline_at=until.c.due).where(mine))
    yield Statement("hold them", _HOLD_BACK if isinstance(stage, WaitFor) else _HOLD)
    if not isinstance(stage, WaitFor):
        yield Statement("note until when", _note_until(scene, stage))
    if stage.when is not None:
        yield from move(scene, stage.to, cohort.c.note == SKIP, "on past it")


_ENDS = case((cohort.c.deadline_at > cohort.c.at, cohort.c.deadline_at), else_=cohort.c.at)
"""When a wait ends: a time that is missing or has passed is no reason to wait."""
_HOLD_BACK = (
    update(enrollment)
    .values(deadline_at=_ENDS)
    .where(enrollment.c.id == cohort.c.enrollment_id, cohort.c.note.is_(None))
)
_HOLD = _HOLD_BACK.values(due_at=_ENDS)


def _until(scene: Scene, stage: Waiting) -> Select[Any]:
    """Return a query of (key, due): when the wait ends for each of the cohort."""
    rows = cohort.select().where(cohort.c.note.is_(None)).subquery("waiting")
    key = rows.c.enrollment_id
    match stage:
        case Wait():
            return later(scene.connection, rows, rows.c.at, stage.duration, scene.zone, key)
        case WaitFor():
            return later(scene.connection, rows, rows.c.at, stage.at_most, scene.zone, key)
        case WaitUntil():
            return next_time(rows, rows.c.at, stage.at, stage.days, scene.zone, key)
        case WaitDate():
            length, sign = _length(stage), -1 if stage.before else 1
            named = (stage.attribute, stage.type, length, sign)
            return own_time(scene.connection, rows, *named, scene.zone, key, scene.dialect)


def _note_until(scene: Scene, stage: Waiting) -> Any:
    decision: Any = Decision.waiting
    if not isinstance(stage, Wait):
        waits = cohort.c.deadline_at > cohort.c.at
        decision = case((waits, Decision.waiting.value), else_=Decision.at_once.value)
    until = json_object(scene.dialect, until=type_coerce(_ENDS, BigInteger))
    return traced(scene, stage, decision, until, cohort.c.note.is_(None))


def release(scene: Scene, stage: Waiting) -> list[Statement]:
    """Let those go on whose time has come."""
    return [clear(), take(scene, stage, armed=True), *move(scene, stage.to, None, "on")]


# --- wait for -----------------------------------------------------------------------------------------------


def watch(scene: Scene, stage: WaitFor) -> list[Statement]:
    """Let those go on for whom the condition holds, or whose time is up; the others sleep until something happens."""
    held, over = cohort.c.branch == THEN, cohort.c.branch == OTHERWISE
    note = traced(
        scene, stage, Decision.branch, json_object(scene.dialect, way=_WAY), cohort.c.branch.is_not(None)
    )
    return [
        clear(),
        take(scene, stage, armed=True),
        Statement("for whom it holds", _holding(scene, stage)),
        Statement("whose time is up", _TIME_IS_UP),
        Statement("sleep until something happens", _sleep(stage)),
        Statement("note until when", _note_asleep(scene, stage)),
        Statement("note which way", note),
        *move(scene, stage.then, held, "on, it holds"),
        *move(scene, stage.otherwise, over, "on without it"),
    ]


_WAY = case({THEN: literal("then", Text)}, value=cohort.c.branch, else_=literal("otherwise", Text))
_TIME_IS_UP = (
    update(cohort)
    .values(branch=OTHERWISE)
    .where(cohort.c.branch.is_(None), cohort.c.at >= cohort.c.deadline_at)
)


def _holding(scene: Scene, stage: WaitFor) -> Any:
    """Return what marks those for whom the condition holds, by what had happened until their own time."""
    stay = (cohort.c.customer_id, cohort.c.event_id, cohort.c.entered_at, cohort.c.arrived_at)
    asked = select(cohort.c.enrollment_id, *stay, cohort.c.at.label("until")).subquery("asked")
    found = branches([since_arrival(stage.condition)], scene.moment, scene.dialect, asked).subquery("found")
    same = cohort.c.enrollment_id == found.c.enrollment_id
    return update(cohort).values(branch=found.c.branch).where(same)


def _sleep(stage: WaitFor) -> Any:
    """Return what has the others looked at again at their next event that may matter, at the latest at the end.

    Where the condition may hold without an event, a late pass looks once more as of now.
    """
    names = sorted(event_names(stage.condition))
    following: ColumnElement[Any] = cast(null(), Instant)
    if names:
        mine = (event.c.customer_id == cohort.c.customer_id, event.c.name.in_(names))
        query = select(func.min(event.c.at)).where(
            *mine, event.c.at > cohort.c.at, event.c.at <= cohort.c.deadline_at
        )
        following = query.scalar_subquery()
    again: ColumnElement[Any] = func.coalesce(following, cohort.c.deadline_at)
    if must_be_looked_at(stage):
        again = case((and_(cohort.c.at < NOW, again > NOW), NOW), else_=again)
    same = enrollment.c.id == cohort.c.enrollment_id
    return update(enrollment).values(due_at=again).where(same, cohort.c.branch.is_(None))


def _note_asleep(scene: Scene, stage: WaitFor) -> Any:
    until = json_object(scene.dialect, until=type_coerce(cohort.c.deadline_at, BigInteger))
    first_look = cohort.c.branch.is_(None) & (cohort.c.at == cohort.c.arrived_at)
    return traced(scene, stage, Decision.waiting, until, first_look)


def watching(version: Version) -> list[WaitFor]:
    """Return the stages of a version that wait for a condition."""
    return [stage for stage in version.plan.stages if isinstance(stage, WaitFor)]


def waking(version: Version, stage: WaitFor, name: str) -> Executable:
    """Return what has those looked at who wait at a stage and to whom one of the events `ids` happened, as of it."""
    key = ("waking", stage.id)
    if key not in version.memo:
        version.memo[key] = _waking(version, stage, name)
    made: Executable = version.memo[key]
    return made


def _waking(version: Version, stage: WaitFor, name: str) -> Executable:
    first = (
        select(enrollment.c.id, func.min(event.c.at).label("at"))
        .join(event, event.c.customer_id == enrollment.c.customer_id)
        .where(
            dialect.among_listed(name, event.c.id, "ids"),
            (event.c.name + "").in_(sorted(event_names(stage.condition))),
            *_asleep(version, stage),
            event.c.at > enrollment.c.arrived_at,
            event.c.at <= enrollment.c.deadline_at,
        )
        .group_by(enrollment.c.id)
        .subquery("first")
    )
    sooner = (enrollment.c.id == first.c.id, first.c.at < enrollment.c.due_at)
    return update(enrollment).values(due_at=first.c.at).where(*sooner)


def _asleep(version: Version, stage: WaitFor) -> tuple[ColumnElement[bool], ...]:
    return (
        enrollment.c.journey_id == version.journey_id,
        enrollment.c.version_id == version.version_id,
        enrollment.c.step_id == version.number(stage),
        enrollment.c.outcome == Outcome.inside.value,
        enrollment.c.deadline_at.is_not(None),
    )


def must_be_looked_at(stage: WaitFor) -> bool:
    """Whether a condition may come to hold without an event: by an attribute, a message, or as time goes by."""
    return not only_events(stage.condition) or looks_back(stage.condition)


def notice(connection: Connection, version: Version, stage: WaitFor, now: datetime, zone: str) -> None:
    """Have those go on now who wait at a stage and for whom its condition has come to hold."""
    condition, name = since_arrival(stage.condition), connection.dialect.name
    make = partial(_noticing, version, stage, condition, name)
    statement, values = made_once(version, ("notice", stage.id), [condition], Moment(now, zone), make)
    connection.execute(statement, {"now": now, **values})


def _noticing(
    version: Version, stage: WaitFor, condition: Condition, name: str, moment: Moment
) -> Executable:
    stay = (enrollment.c.customer_id, enrollment.c.event_id, enrollment.c.entered_at, enrollment.c.arrived_at)
    asked = (
        select(enrollment.c.id.label("enrollment_id"), *stay)
        .where(*_asleep(version, stage), enrollment.c.due_at > NOW, enrollment.c.deadline_at > NOW)
        .subquery("asked")
    )
    found = branches([condition], moment, name, asked).subquery("found")
    holding = select(found.c.enrollment_id).where(found.c.branch.is_not(None))
    return update(enrollment).values(due_at=NOW).where(enrollment.c.id.in_(holding))
