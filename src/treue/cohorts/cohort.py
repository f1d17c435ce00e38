"""The enrollments that stand at a stage and are due, in the temporary table `cohort`: taken, moved, noted.

All statements of a batch are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Insert,
    Select,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from treue.cohorts.scene import BEFORE, DUE_BY, SEQ, Scene, Statement, Version
from treue.cohorts.trace import note
from treue.cohorts.turns import effective, is_turn_of_stay, later_of
from treue.language.steps import Stage
from treue.model.states import Dated, Decision, Outcome
from treue.model.tables import cohort, customer, enrollment, event
from treue.segments.sql import branches
from treue.store import touches
from treue.store.dialect import among

EFFECTIVE = func.coalesce(cohort.c.effective_at, cohort.c.at)
"""When what a stage does with one of the cohort takes effect."""

SKIP = "skip"
"""The note of those who go past a stage because its `if` does not hold."""

PASSED = "passed"
"""The note of those who are sent nothing at a stage, since the moment they waited for last had passed."""


def due_at_stage(version: Version, stage: Stage, armed: bool | None = None) -> list[ColumnElement[bool]]:
    """Return the conditions on enrollments due at a stage; `armed` says whether the end of their wait is known."""
    found: list[ColumnElement[bool]] = [
        enrollment.c.version_id == version.version_id,
        enrollment.c.step_id == version.number(stage),
        enrollment.c.outcome == Outcome.inside.value,
        enrollment.c.due_at <= DUE_BY,
    ]
    if armed is not None:
        found.append(enrollment.c.deadline_at.is_not(None) if armed else enrollment.c.deadline_at.is_(None))
    return found


def asked_of(stay: Any, at: ColumnElement[Any], effective_at: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return the columns by which conditions are asked of stays, as of some time."""
    return [
        stay.c.id.label("enrollment_id"),
        stay.c.customer_id,
        stay.c.event_id,
        stay.c.entered_at,
        at.label("at"),
        effective_at.label("effective_at"),
        stay.c.effective_at.label("entered_effective_at"),
        stay.c.seq.label("entered_seq"),
        arrived_effective(stay).label("arrived_effective_at"),
    ]


def arrived_effective(stay: Any) -> ColumnElement[Any]:
    """Return when a stay's coming to the step at which it stands took effect."""
    return later_of(stay.c.arrived_at, stay.c.effective_at)


def clear() -> Statement:
    """Empty the cohort."""
    return Statement("empty the cohort", delete(cohort))


def take(scene: Scene, stage: Stage, armed: bool | None = None) -> Statement:
    """Take the next batch of those who stand at the stage and whose turn it is; of a wait, those armed or not."""
    next_ones = _due(scene, stage, armed).order_by(enrollment.c.due_at, enrollment.c.id).limit(scene.batch)
    return Statement("take those whose turn it is", _taking(next_ones), takes=True)


def take_other_stays(connection: Connection, scene: Scene, stage: Stage, armed: bool | None) -> Insert:
    """Return an INSERT that adds the other stays, due at the same instant, of customers who are in a full batch already.

    They are asked together, wherever a batch ends. They are looked up by customer: by stage, each batch would read
    everybody who is due.
    """
    taken = connection.scalars(select(cohort.c.customer_id))
    left = _due(scene, stage, armed).where(
        enrollment.c.journey_id == scene.version.journey_id,
        among(connection, enrollment.c.customer_id, taken),
        enrollment.c.id.not_in(select(cohort.c.enrollment_id)),
    )
    return _taking(left.with_hint(enrollment, "INDEXED BY enrollment_customer", "sqlite"))


def _due(scene: Scene, stage: Stage, armed: bool | None) -> Select[Any]:
    stay = enrollment.c
    due = select(
        stay.id,
        stay.customer_id,
        stay.event_id,
        stay.held_out,
        stay.entered_at,
        stay.arrived_at,
        stay.due_at,
        stay.deadline_at,
        effective(enrollment),
        stay.effective_at,
        stay.seq,
        arrived_effective(enrollment),
        stay.visit,
        stay.skipping,
    ).where(*due_at_stage(scene.version, stage, armed), is_turn_of_stay(scene.version, stage))
    return due.where(enrollment.c.due_at < BEFORE) if scene.before is not None else due


_TAKEN = (
    "enrollment_id", "customer_id", "event_id", "held_out", "entered_at", "arrived_at", "at", "deadline_at",
    "effective_at", "entered_effective_at", "entered_seq", "arrived_effective_at", "visit", "skipping",
)  # fmt: skip


def _taking(due: Select[Any]) -> Insert:
    return insert(cohort).from_select(list(_TAKEN), due).execution_options(preserve_rowcount=True)


def skip_unless(scene: Scene, stage: Stage) -> list[Statement]:
    """Mark those for whom the step's `if` does not hold; they go on without it."""
    if stage.when is None:
        return []
    found = branches([stage.when], scene.moment, scene.dialect, cohort).subquery("asked")
    mark = (
        update(cohort)
        .values(note=SKIP)
        .where(cohort.c.enrollment_id == found.c.enrollment_id, found.c.branch.is_(None))
    )
    skipped = note_cohort(scene, stage, Decision.skipped, where=cohort.c.note == SKIP)
    return [Statement("who skips the step", mark), Statement("note the skipped", skipped)]


def skip_passed(scene: Scene, stage: Stage) -> list[Statement]:
    """Mark those who are sent nothing, where a stage sends and the moment that they waited for last had passed."""
    if stage.outbox() is None or not scene.version.plan.skips:
        return []
    mark = update(cohort).values(note=PASSED).where(cohort.c.skipping > 0, cohort.c.note.is_(None))
    reason = literal(Dated.moment_passed.value, Text)
    skipped = note_cohort(scene, stage, Decision.skipped, where=cohort.c.note == PASSED, reason=reason)
    return [Statement("for whom the moment has passed", mark), Statement("note for whom", skipped)]


def move(scene: Scene, to: str | None, which: ColumnElement[bool] | None, says: str) -> list[Statement]:
    """Move the cohort, or those of it for whom `which` holds, on to a stage or to the end."""
    who = select(cohort.c.enrollment_id)
    if which is not None:
        who = who.where(which)
    if to is not None:
        number = scene.version.number(to)
        values = {"step_id": number, "arrived_at": enrollment.c.due_at, "deadline_at": None}
        return [Statement(says, update(enrollment).values(values).where(enrollment.c.id.in_(who)))]
    ended = {"step_id": None, "outcome": Outcome.finished.value, "left_at": enrollment.c.due_at}
    finished = note_cohort(scene, None, Decision.finished, where=which)
    over = select(cohort.c.customer_id, EFFECTIVE)
    telling = touches.of_stays(scene.version.name, over if which is None else over.where(which))
    return [
        Statement(f"{says}, to the end", update(enrollment).values(ended).where(enrollment.c.id.in_(who))),
        Statement("note the end", finished),
        Statement("tell the journeys that watch for it", telling),
    ]


def note_cohort(
    scene: Scene,
    stage: Stage | None,
    decision: Decision | ColumnElement[Any],
    detail: ColumnElement[Any] | None = None,
    where: ColumnElement[bool] | None = None,
    reason: ColumnElement[str] | None = None,
) -> Insert:
    """Return what notes a decision about the cohort, or those of it for whom `where` holds."""
    return note(
        customer=cohort.c.customer_id,
        journey=scene.version.journey_id,
        enrollment=cohort.c.enrollment_id,
        step=scene.version.number(stage),
        at=cohort.c.at,
        decision=decision,
        reason=reason,
        detail=detail,
        where=() if where is None else (where,),
    )


def json_object(dialect: str, **values: Any) -> ColumnElement[Any]:
    """Return a JSON object made in the database."""
    pairs = [part for name, value in values.items() for part in (literal(name, Text), value)]
    if dialect == "postgresql":
        return func.jsonb_build_object(*pairs)
    return func.json_object(*pairs)


def place_in_cohort() -> ColumnElement[int]:
    """Return the place, in the order in which things are given, of what each of the cohort brings about."""
    return SEQ + func.row_number().over(order_by=cohort.c.enrollment_id)


def constant_json(scene: Scene, document: Any) -> ColumnElement[Any]:
    """Return a JSON document written into the statement."""
    text = literal(json.dumps(document, ensure_ascii=False), Text)
    return cast(text, postgresql.JSONB) if scene.dialect == "postgresql" else func.json(text)


def insert_new(dialect: str, table: Table, columns: Sequence[str], query: Select[Any]) -> Executable:
    """Return an INSERT … SELECT that passes over rows that are there: nothing is ever queued or recorded twice."""
    into = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # SQLite needs a WHERE between SELECT and ON CONFLICT to tell the two ON apart.
    return into.from_select(
        list(columns), query.where(true()), include_defaults=False
    ).on_conflict_do_nothing()


def each_of_cohort(connection: Connection) -> list[Any]:
    """Return a row for each of the cohort who does not skip the stage: customer, stay and starting event."""
    query = (
        select(
            customer,
            cohort.c.enrollment_id,
            cohort.c.at.label("logical_at"),
            EFFECTIVE.label("effective_at"),
            cohort.c.visit,
            event.c.name.label("event_name"),
            event.c.at.label("event_at"),
            event.c.properties,
        )
        .join(customer, customer.c.id == cohort.c.customer_id)
        .outerjoin(event, event.c.id == cohort.c.event_id)
        .where(cohort.c.note.is_(None))
    )
    return list(connection.execute(query))
