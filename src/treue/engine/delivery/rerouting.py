"""When a channel is down: what waits for it goes by the step's next channel, where the step names one.

Only messages that certainly have not gone out change their channel; those whose fate is unknown never do, or a
customer could get the same twice, by mail and by SMS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Text, and_, exists, func, literal, null, select, update

from treue.engine.delivery import gates
from treue.engine.statements import refusal
from treue.engine.versions import Version
from treue.model.states import ADDRESS, Decision, MessageState, Reason
from treue.model.tables import consent, customer, message, suppression, trace
from treue.plan.stages import Send
from treue.segments.reach import suppresses
from treue.store import dialect
from treue.store.store import Store


def reroute(store: Store, versions: Iterable[Version], moment: datetime) -> int:
    """Give messages that wait for a channel whose breaker is open the next channel of their step; return how many."""
    with store.reading() as connection:
        down = {
            name for name, gate in gates.closed(connection, moment).items() if gate.failures >= gates.FAILURES
        }
    return sum(_rerouted(store, version, stage, down, moment) for version, stage in _choices(versions, down))


def _choices(versions: Iterable[Version], down: Collection[str]) -> list[tuple[Version, Send]]:
    """Return the steps that name a channel that is down and one that is not."""
    return [
        (version, stage)
        for version in versions
        for stage in version.plan.stages
        if isinstance(stage, Send) and not stage.all_channels and set(stage.channels) & set(down)
        if not set(stage.channels) <= set(down)
    ]


def _rerouted(store: Store, version: Version, stage: Send, down: Collection[str], moment: datetime) -> int:
    moved = 0
    with store.transaction() as connection:
        for n, channel in enumerate(stage.channels):
            if channel not in down:
                moved += _moved(connection, version, stage, n, down, moment)
    return moved


def _moved(
    connection: Connection, version: Version, stage: Send, to: int, down: Collection[str], moment: datetime
) -> int:
    channel, category = stage.channels[to], stage.categories[to]
    address, basis = customer.c[ADDRESS[channel]], func.coalesce(message.c.basis, "consent")
    against = refusal(literal(category, Text), basis, address, consent, suppression)
    reachable = (
        select(message.c.id, message.c.channel)
        .join(customer, customer.c.id == message.c.customer_id)
        .outerjoin(consent, and_(consent.c.customer_id == customer.c.id, consent.c.channel == channel))
        .outerjoin(suppression, suppresses(suppression, channel, address))
        .where(
            message.c.state == MessageState.queued.value,
            message.c.version_id == version.version_id,
            message.c.step_id == version.number(stage),
            message.c.channel.in_(sorted(down)),
            message.c.doubted_at.is_(None),
            against.is_(None),
            ~_has_one(channel),
        )
    )
    rows = connection.execute(reachable).all()
    if rows:
        ids = [row.id for row in rows]
        # The new channel has limits and quiet hours of its own: the message takes its place anew.
        values = {
            "channel": channel,
            "category": category,
            "reserved_at": null(),
            "ready_at": moment,
            "reason": None,
        }
        connection.execute(update(message).where(dialect.among(connection, message.c.id, ids)).values(values))
        _note(connection, ids, moment)
    return len(rows)


def _has_one(channel: str) -> ColumnElement[bool]:
    """Return whether the step's message went by that channel too: an earlier version may have used all of them."""
    other = message.alias("other")
    same = and_(other.c.enrollment_id == message.c.enrollment_id, other.c.step_id == message.c.step_id)
    return exists().where(same, other.c.channel == channel)


def _note(connection: Connection, ids: Sequence[int], moment: datetime) -> None:
    found = connection.execute(select(message).where(dialect.among(connection, message.c.id, ids)))
    rows = [
        {
            "customer_id": row.customer_id, "journey_id": row.journey_id, "enrollment_id": row.enrollment_id,
            "step_id": row.step_id, "at": moment, "decision": Decision.queued.value, "reason": Reason.channel_down.value,
            "detail": {"message": row.id, "channel": row.channel, "template": row.template},
        }
        for row in found
    ]  # fmt: skip
    connection.execute(dialect.insert_rows(connection, trace, rows))
