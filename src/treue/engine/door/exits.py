"""Reasons to leave that are conditions: asked of whoever comes to a step, and of whose message is about to go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Text,
    and_,
    case,
    delete,
    exists,
    insert,
    literal,
    select,
    update,
)

from treue.cohorts.cohort import EFFECTIVE, asked_of, note_cohort
from treue.cohorts.scene import NOW, Scene
from treue.engine.versions.versions import Version
from treue.model.states import Decision, MessageState, Outcome, Reason
from treue.model.tables import cohort, enrollment, message
from treue.plan.plan import Exit, Plan
from treue.segments.sql import Moment, branches
from treue.segments.tree import Condition
from treue.store import touches
from treue.store.store import Store


def conditions(plan: Plan) -> list[tuple[Exit, Condition]]:
    """Return the exits of a plan that are asked, each with its condition."""
    return [(exit_, exit_.condition) for exit_ in plan.exits if exit_.asked and exit_.condition is not None]


def ask_exits(connection: Connection, scene: Scene, plan: Plan) -> None:
    """End the stays of the cohort that have a reason to leave, each as of its own time, and take them out of the cohort."""
    if exits := conditions(plan):
        _let_out(connection, scene, exits, "ask exits")


def ask_before_sending(store: Store, version: Version, now: datetime, zone: str) -> None:
    """Let nobody be sent to who has a reason to leave by now: their stays end, and what waits is refused."""
    exits = conditions(version.plan)
    if not exits:
        return
    with store.transaction() as connection:
        store.lock(connection, f"journey {version.journey_id}")
        scene = Scene(version, now, connection.dialect.name, zone, "", connection)
        connection.execute(delete(cohort))
        recipients = version.kept.of("recipients", partial(_recipients, version))
        if connection.execute(recipients, {"now": now}).rowcount:
            _let_out(connection, scene, exits, "last look", [_refusing()])


def _let_out(
    connection: Connection,
    scene: Scene,
    exits: Sequence[tuple[Exit, Condition]],
    key: str,
    first: Sequence[Executable] = (),
) -> None:
    """Ask the cohort, and end the stays of those who have a reason to leave; what is to be done `first` is done before."""
    asked = [condition for _, condition in exits]

    def make(moment: Moment) -> list[Executable]:
        return [_marking(scene, asked, moment), *first, *_ending(scene, [exit_ for exit_, _ in exits])]

    (mark, *rest), values = scene.version.kept.asking(key, asked, scene.present, make)
    if connection.execute(mark, values).rowcount:
        for statement in rest:
            connection.execute(statement)


def _recipients(version: Version) -> Executable:
    """Return what fills the cohort with the stays that have messages ready to be sent."""
    ready = exists().where(
        message.c.enrollment_id == enrollment.c.id,
        message.c.journey_id == version.journey_id,
        message.c.state == MessageState.queued.value,
        message.c.ready_at <= NOW,
    )
    who = select(*asked_of(enrollment, NOW, NOW)).where(enrollment.c.version_id == version.version_id, ready)
    columns = [column.name for column in who.selected_columns]
    return insert(cohort).from_select(columns, who).execution_options(preserve_rowcount=True)


def _refusing() -> Executable:
    """Return what refuses the messages of those who leave: a stay that has come to its end has nothing else to lose."""
    leaves = select(cohort.c.enrollment_id).where(cohort.c.branch.is_not(None))
    gone = {"state": MessageState.refused.value, "reason": Reason.left_before_send.value}
    waits = message.c.state == MessageState.queued.value
    return update(message).where(waits, message.c.enrollment_id.in_(leaves)).values(gone)


def _marking(scene: Scene, asked: Sequence[Condition], moment: Moment) -> Any:
    found = branches(asked, moment, scene.dialect, cohort).subquery("leaving")
    mine = cohort.c.enrollment_id == found.c.enrollment_id
    return update(cohort).values(branch=found.c.branch).where(mine, found.c.branch.is_not(None))


def _ending(scene: Scene, exits: Sequence[Exit]) -> list[Executable]:
    leaves = cohort.c.branch.is_not(None)
    reason = case({n: literal(exit_.name, Text) for n, exit_ in enumerate(exits)}, value=cohort.c.branch)
    left = {
        "outcome": Outcome.exited.value,
        "reason": reason,
        "left_at": cohort.c.effective_at,
        "step_id": None,
    }
    inside = enrollment.c.outcome == Outcome.inside.value
    stays = (enrollment.c.id == cohort.c.enrollment_id, leaves, inside)
    still = and_(leaves, cohort.c.enrollment_id.in_(select(enrollment.c.id).where(inside)))
    return [
        note_cohort(scene, None, Decision.exited, where=still, reason=reason),
        touches.of_stays(scene.version.name, select(cohort.c.customer_id, EFFECTIVE).where(still)),
        update(enrollment).values(left).where(*stays),
        delete(cohort).where(leaves),
    ]
