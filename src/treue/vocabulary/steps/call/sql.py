"""What `call` does to a cohort: queue the calls, note them."""

from __future__ import annotations

from sqlalchemy import BigInteger, SmallInteger, Text, case, cast, literal, null, select, type_coerce

from treue.cohorts.cohort import insert_new
from treue.cohorts.local_time import absolute
from treue.cohorts.outbox import MESSAGE_COLUMNS, note_messages
from treue.cohorts.player import Player
from treue.cohorts.scene import NOW, Scene, Statement
from treue.model.states import WEBHOOK, Category, MessageState, Reason
from treue.model.tables import cohort, message
from treue.vocabulary.steps.call.word import Call


class CallPlayer(Player[Call]):
    """Plays `call`."""

    def act(self, scene: Scene, stage: Call) -> list[Statement]:
        """Queue the calls: as transactional messages, to which no consent, limit or quiet hour applies."""
        version = scene.version
        send_by = type_coerce(cohort.c.at, BigInteger) + literal(absolute(stage.valid_for), BigInteger)
        reason = case(
            (cohort.c.held_out, Reason.held_out.value),
            (send_by < NOW, Reason.stale.value),
            else_=cast(null(), Text),
        )
        query = select(
            literal(version.journey_id, BigInteger),
            literal(version.version_id, BigInteger),
            cohort.c.enrollment_id,
            literal(version.number(stage), BigInteger),
            cohort.c.customer_id,
            literal(WEBHOOK),
            literal(stage.url),
            literal(Category.transactional.value),
            cast(null(), Text),
            case((reason.is_(None), MessageState.queued.value), else_=MessageState.refused.value),
            reason,
            NOW,
            cohort.c.at,
            cohort.c.at,
            send_by,
            literal(version.plan.priority, SmallInteger),
            cast(null(), BigInteger),
            cohort.c.visit,
        ).where(cohort.c.note.is_(None))
        queue = insert_new(scene.dialect, message, MESSAGE_COLUMNS, query)
        return [Statement("queue the calls", queue), note_messages(scene, stage)]


PLAYERS = {"call": CallPlayer()}
