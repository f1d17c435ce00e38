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
    literal,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.sql.elements import ColumnElement

from treue.cohorts.cohort import insert_new
from treue.cohorts.local_time import absolute
from treue.cohorts.outbox import MESSAGE_COLUMNS, note_messages
from treue.cohorts.player import Player
from treue.cohorts.scene import NOW, Scene, Statement
from treue.cohorts.standing import Standing
from treue.model.states import ADDRESS, PREFERRED_CHANNEL, MessageState, Reason
from treue.model.tables import cohort, customer, message
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
    columns: list[ColumnElement[Any]] = []
    if len(stage.channels) > 1 and not stage.all_channels:
        columns.append(customer.c.attributes[PREFERRED_CHANNEL].as_string().label("preferred"))
    for n, channel in enumerate(stage.channels):
        standing = Standing.numbered(n)
        source = standing.joined(source, channel, cohort.c.effective_at)
        category, basis = (
            literal(stage.categories[n], Text),
            literal(scene.version.plan.basis or "consent", Text),
        )
        reason = standing.refusal(category, basis, customer.c[ADDRESS[channel]])
        columns.append(reason.label(f"reason_{n}"))
    return select(cohort, *columns).select_from(source).where(cohort.c.note.is_(None)).subquery("offers")


def _messages(scene: Scene, stage: Send, offers: Any, which: Sequence[int] | range) -> Select[Any]:
    open_ = [(offers.c[f"reason_{n}"].is_(None), n) for n in which]
    first = next(iter(which))
    liked = (
        [(and_(offers.c.preferred == stage.channels[n], fits), n) for fits, n in open_]
        if len(open_) > 1
        else []
    )
    number = case(*liked, *open_, else_=first)
    channel = case({n: stage.channels[n] for n in which}, value=number)
    category = case({n: stage.categories[n] for n in which}, value=number)
    send_by = type_coerce(offers.c.at, BigInteger) + literal(absolute(stage.valid_for), BigInteger)
    reachable = or_(*(condition for condition, _ in open_))
    reason = case(
        (~reachable, offers.c[f"reason_{first}"]),
        (offers.c.held_out, Reason.held_out.value),
        (send_by < NOW, Reason.stale.value),
        else_=cast(null(), Text),
    )
    version = scene.version
    # Limits and quiet hours, where there are any, take the place back: most messages need be written only once.
    placed = and_(reason.is_(None), category != "transactional")
    return select(
        literal(version.journey_id, BigInteger),
        literal(version.version_id, BigInteger),
        offers.c.enrollment_id,
        literal(version.number(stage), BigInteger),
        offers.c.customer_id,
        channel,
        literal(stage.template),
        category,
        literal(version.plan.basis, Text),
        case((reason.is_(None), MessageState.queued.value), else_=MessageState.refused.value),
        reason,
        NOW,
        offers.c.at,
        offers.c.at,
        send_by,
        literal(version.plan.priority, SmallInteger),
        case((placed, NOW), else_=cast(null(), BigInteger)),
        offers.c.visit,
    )


PLAYERS = {"send": SendPlayer()}
