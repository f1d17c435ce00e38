"""Messages and calls put in the outbox for a cohort."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, case, type_coerce

from treue.cohorts.cohort import json_object
from treue.cohorts.scene import NOW, Scene, Statement
from treue.cohorts.trace import note
from treue.language.steps import Stage
from treue.model.states import Decision, MessageState, Reason
from treue.model.tables import cohort, message

MESSAGE_COLUMNS = [
    "journey_id", "version_id", "enrollment_id", "step_id", "customer_id", "channel", "template", "category", "basis",
    "state", "reason", "queued_at", "due_at", "ready_at", "send_by",
    "priority", "reserved_at", "visit",
]  # fmt: skip


def note_messages(scene: Scene, stage: Stage) -> Statement:
    """Return what notes what became of each of the cohort's messages of a stage."""
    had = message.c.queued_at < NOW  # an edit has put the step behind them once more
    queued = message.c.state == MessageState.queued.value
    held = and_(queued, message.c.reason == Reason.not_yet_reachable.value)
    mine = and_(
        message.c.enrollment_id == cohort.c.enrollment_id,
        message.c.step_id == scene.version.number(stage),
        message.c.visit == cohort.c.visit,
    )
    what = {"message": message.c.id, "channel": message.c.channel, "template": message.c.template}
    until = type_coerce(message.c.ready_at, BigInteger)
    noted = note(
        customer=cohort.c.customer_id,
        journey=scene.version.journey_id,
        enrollment=cohort.c.enrollment_id,
        step=message.c.step_id,
        at=cohort.c.at,
        decision=case(
            (had, Decision.refused.value),
            (held, Decision.held.value),
            (queued, Decision.queued.value),
            else_=Decision.refused.value,
        ),
        reason=case((had, Reason.already_queued.value), else_=message.c.reason),
        detail=case(
            (and_(held, ~had), json_object(scene.dialect, **what, until=until)),
            else_=json_object(scene.dialect, **what),
        ),
        of=cohort.join(message, mine),
        where=(cohort.c.note.is_(None),),
    )
    return Statement("note the messages", noted)
