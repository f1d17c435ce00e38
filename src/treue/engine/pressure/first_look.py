"""Messages that nobody could be sent at the first look, since no address or consent was there yet, asked once more.

Done before a journey's messages are judged and sent: whoever can be reached by now gets theirs on the first of the step's
channels that reaches, as at the first look; the others are refused for the reason that is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from treue.cohorts.cohort import json_object
from treue.cohorts.offers import first_open, offered
from treue.cohorts.scene import NOW, Version
from treue.cohorts.trace import note
from treue.language.steps import OutboxMessage, Stage
from treue.model.states import Decision, MessageState, Outcome, Reason
from treue.model.tables import customer, enrollment, message
from treue.store import dialect
from treue.store.store import Store

MESSAGES_A_BATCH = 2_000

_IS_HELD = and_(
    message.c.state == MessageState.queued.value,
    message.c.reason == Reason.not_yet_reachable.value,
    message.c.ready_at <= NOW,
)


def ask_again(store: Store, versions: Sequence[Version], journey_id: int, now: datetime) -> dict[str, int]:
    """Ask again about the messages of a journey that were held at the first look until now; return how many were refused.

    `versions` are the journey's that are in use.
    """
    with store.reading() as connection:
        waiting = connection.execute(_steps(journey_id), {"now": now}).all()
    refused = Counter[str]()
    for version_id, step_id in waiting:
        for version in versions:
            stage = _stage(version, step_id) if version.version_id == version_id else None
            if stage is not None:
                refused += _asked(store, version, stage, now)
    return dict(refused)


def _steps(journey_id: int) -> Select[Any]:
    mine = message.c.journey_id == journey_id
    return select(message.c.version_id, message.c.step_id).where(mine, _IS_HELD).distinct()


def _stage(version: Version, step_id: int) -> Stage | None:
    return next((one for one in version.plan.stages if one.message and version.number(one) == step_id), None)


def _asked(store: Store, version: Version, stage: Stage, now: datetime) -> Counter[str]:
    written = stage.message
    assert written is not None
    refused = Counter[str]()
    at_step = and_(
        message.c.journey_id == version.journey_id,
        message.c.version_id == version.version_id,
        message.c.step_id == version.number(stage),
    )
    some = select(message.c.id).where(at_step, _IS_HELD).order_by(message.c.id).limit(MESSAGES_A_BATCH)
    ids: Sequence[int] = [0]
    while ids:
        with store.transaction() as connection:
            store.lock(connection, f"journey {version.journey_id}")
            if ids := list(connection.scalars(some, {"now": now})):
                _decide(connection, version, written, ids, now)
                refused += _note(connection, ids, now)
    return refused


def _decide(
    connection: Connection, version: Version, written: OutboxMessage, ids: Sequence[int], now: datetime
) -> None:
    found = _verdicts(connection, version, written, ids).subquery("found")
    refused = found.c.reason.is_not(None)
    values = {
        "channel": found.c.channel,
        "category": found.c.category,
        "state": case((refused, MessageState.refused.value), else_=MessageState.queued.value),
        "reason": found.c.reason,
    }
    connection.execute(update(message).values(values).where(message.c.id == found.c.id), {"now": now})


def _verdicts(
    connection: Connection, version: Version, written: OutboxMessage, ids: Sequence[int]
) -> Select[Any]:
    """Return the query for the channel and category that each message has now, and the reason against it, or NULL."""
    source = message.join(customer, customer.c.id == message.c.customer_id).join(
        enrollment, enrollment.c.id == message.c.enrollment_id
    )
    columns = (
        message.c.id,
        message.c.enrollment_id,
        message.c.step_id,
        message.c.visit,
        message.c.send_by,
        message.c.channel.label("given"),
        enrollment.c.held_out,
        enrollment.c.outcome,
    )
    basis = literal(version.plan.basis or "consent", Text)
    asked = offered(source, columns, written.channels, written.categories, basis)
    offers: Any = asked.where(dialect.among(connection, message.c.id, ids)).subquery("offers")
    every = range(len(written.channels))
    number: Any
    against: Any
    if written.all_channels:
        number = case({channel: n for n, channel in enumerate(written.channels)}, value=offers.c.given)
        against = case({n: offers.c[f"reason_{n}"] for n in every}, value=number)
    else:
        free = {
            n: and_(offers.c[f"reason_{n}"].is_(None), ~_is_taken(offers, written.channels[n])) for n in every
        }
        number = first_open(offers, written.channels, free)
        else_ = func.coalesce(offers.c.reason_0, Reason.already_queued.value)
        against = case((or_(*free.values()), cast(null(), Text)), else_=else_)
    left = offers.c.outcome.in_((Outcome.exited.value, Outcome.converted.value))
    reason = case(
        (left, Reason.left_before_send.value),
        (against.is_not(None), against),
        (offers.c.held_out, Reason.held_out.value),
        (offers.c.send_by < NOW, Reason.stale.value),
        else_=cast(null(), Text),
    )
    return select(
        offers.c.id,
        case({n: written.channels[n] for n in every}, value=number).label("channel"),
        case({n: written.categories[n] for n in every}, value=number).label("category"),
        reason.label("reason"),
    )


def _is_taken(offers: Any, channel: str) -> Any:
    """Return whether the step has another message of the stay on a channel: an earlier version may have used it."""
    other = message.alias("other")
    same = and_(
        other.c.enrollment_id == offers.c.enrollment_id,
        other.c.step_id == offers.c.step_id,
        other.c.visit == offers.c.visit,
        other.c.id != offers.c.id,
    )
    return exists().where(same, other.c.channel == channel)


def _note(connection: Connection, ids: Sequence[int], now: datetime) -> Counter[str]:
    """Note what was decided; return how many were refused by reason."""
    these = dialect.among(connection, message.c.id, ids)
    refused = message.c.state == MessageState.refused.value
    what = {"message": message.c.id, "channel": message.c.channel, "template": message.c.template}
    noted = note(
        customer=message.c.customer_id,
        journey=message.c.journey_id,
        enrollment=message.c.enrollment_id,
        step=message.c.step_id,
        at=now,
        decision=case((refused, Decision.refused.value), else_=Decision.queued.value),
        reason=message.c.reason,
        detail=json_object(connection.dialect.name, **what),
        of=message,
        where=(these,),
        order_by=(message.c.id,),
    )
    connection.execute(noted)
    query = select(message.c.reason, func.count()).where(these, refused).group_by(message.c.reason)
    return Counter({reason: number for reason, number in connection.execute(query)})  # noqa: C416
