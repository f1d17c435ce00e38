"""What `send` does to a cohort: judge each channel, queue the messages, note them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    SmallInteger,
    Text,
    and_,
    case,
    cast,
    exists,
    literal,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.sql.elements import ColumnElement

from treue.cohorts.cohort import insert_new
from treue.cohorts.local_time import absolute
from treue.cohorts.offers import first_open, offered
from treue.cohorts.outbox import MESSAGE_COLUMNS, note_messages
from treue.cohorts.player import Player
from treue.cohorts.scene import MICROS, NOW, Scene, Statement
from treue.model.states import CUSTOMER_CREATED, MessageState, Reason
from treue.model.tables import cohort, customer, event, message
from treue.store.dialect import worked_out
from treue.vocabulary.steps.send.word import Send


class SendPlayer(Player[Send]):
    """Plays `send`."""

    def act(self, scene: Scene, stage: Send) -> list[Statement]:
        """Return what queues a message for each (each channel with `all_channels`)."""
        offers = _offers(scene, stage)
        if stage.all_channels:
            queries = [_messages(scene, stage, offers, [n]) for n in range(len(stage.channels))]
        else:
            queries = [_messages(scene, stage, offers, range(len(stage.channels)))]
        queue = [
            Statement("queue the messages", insert_new(scene.dialect, message, MESSAGE_COLUMNS, query))
            for query in queries
        ]
        return [*queue, note_messages(scene, stage)]


def _offers(scene: Scene, stage: Send) -> Any:
    """Return a subquery with, for each of the cohort, the reason against each channel (NULL: reachable)."""
    source: Any = cohort.join(customer, customer.c.id == cohort.c.customer_id)
    basis = literal(scene.version.plan.basis or "consent", Text)
    asked = offered(source, [cohort], stage.channels, stage.categories, basis, by=cohort.c.effective_at)
    return asked.where(cohort.c.note.is_(None)).subquery("offers")


def _messages(scene: Scene, stage: Send, offers: Any, which: Sequence[int] | range) -> Select[Any]:
    found, version = _verdicts(scene, stage, offers, which), scene.version
    channel = case({n: stage.channels[n] for n in which}, value=found.c.number)
    category = case({n: stage.categories[n] for n in which}, value=found.c.number)
    may_come = found.c.reason == Reason.not_yet_reachable.value
    waits = or_(found.c.reason.is_(None), may_come)
    # Limits and quiet hours, where there are any, take the place back: most messages need be written only once.
    placed = and_(found.c.reason.is_(None), category != "transactional")
    return select(
        literal(version.journey_id, BigInteger),
        literal(version.version_id, BigInteger),
        found.c.enrollment_id,
        literal(version.number(stage), BigInteger),
        found.c.customer_id,
        channel,
        literal(stage.template),
        category,
        literal(version.plan.basis, Text),
        case((waits, MessageState.queued.value), else_=MessageState.refused.value),
        found.c.reason,
        NOW,
        found.c.at,
        case((may_come, found.c.held_until), else_=type_coerce(found.c.at, BigInteger)),
        found.c.send_by,
        literal(version.plan.priority, SmallInteger),
        case((placed, NOW), else_=cast(null(), BigInteger)),
        found.c.visit,
    )


def _verdicts(scene: Scene, stage: Send, offers: Any, which: Sequence[int] | range) -> Any:
    """Return a subquery with, for each offer, the channel's number and the reason why the message does not go now, or NULL."""
    is_open = {n: offers.c[f"reason_{n}"].is_(None) for n in which}
    number = first_open(offers, stage.channels, is_open).label("number")
    send_by = (type_coerce(offers.c.at, BigInteger) + literal(absolute(stage.valid_for), BigInteger)).label(
        "send_by"
    )
    held_until = _held_until(scene, stage, offers, send_by.element).label("held_until")
    against = case({n: offers.c[f"reason_{n}"] for n in which}, value=number.element).label("against")
    weighed = worked_out(select(offers, number, send_by, held_until, against), "weighed")
    reason = case(
        (
            and_(weighed.c.against.is_not(None), weighed.c.held_until.is_not(None)),
            Reason.not_yet_reachable.value,
        ),
        (weighed.c.against.is_not(None), weighed.c.against),
        (weighed.c.held_out, Reason.held_out.value),
        (weighed.c.send_by < MICROS, Reason.stale.value),
        else_=cast(null(), Text),
    )
    return worked_out(select(weighed, reason.label("reason")), "found")


def _held_until(scene: Scene, stage: Send, offers: Any, send_by: ColumnElement[int]) -> ColumnElement[Any]:
    """Return until when a message waits for an address or a consent to come, NULL where it does not.

    It does where nothing is known yet that would let it go, and the customer, or the event that began the stay, has only
    just been recorded: who is told of in several calls is asked once more when all of them have come.
    """
    at = type_coerce(offers.c.effective_at, BigInteger)
    length = literal(absolute(scene.hold), BigInteger)
    may_come = (Reason.no_address.value, Reason.no_consent.value)
    nothing_said = (offers.c[f"reason_{n}"].in_(may_come) for n in range(len(stage.channels)))
    since = type_coerce(event.c.effective_at, BigInteger) > at - length
    began = exists().where(event.c.id == offers.c.event_id, since)
    mine = (event.c.name == CUSTOMER_CREATED, event.c.customer_id == offers.c.customer_id)
    is_new = and_(*nothing_said, send_by > at, or_(began, exists().where(*mine, since)))
    return case((is_new, case((at + length < send_by, at + length), else_=send_by)))


PLAYERS = {"send": SendPlayer()}
