"""When a channel is down: what waits for it goes by the step's next channel, where the step names one.

Only messages that certainly have not gone out change their channel; those whose fate is unknown never do, or a
customer could get the same twice, by mail and by SMS.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Text, and_, exists, func, literal, null, select, update

from treue.cohorts.scene import Version
from treue.cohorts.standing import Standing
from treue.cohorts.trace import row_about
from treue.delivery import gates
from treue.language.steps import OutboxMessage, Stage
from treue.model.states import ADDRESS, Decision, MessageState, Reason
from treue.model.tables import customer, message, trace
from treue.store import dialect
from treue.store.store import Store


def channels_down(store: Store, moment: datetime) -> set[str]:
    """Return the channels whose breaker is open."""
    with store.reading() as connection:
        return {
            name for name, gate in gates.closed(connection, moment).items() if gate.failures >= gates.FAILURES
        }


def reroute(store: Store, version: Version, down: Collection[str], moment: datetime) -> int:
    """Give messages that wait for a channel that is down the next channel of their step; return how many."""
    return sum(_rerouted(store, version, *choice, down, moment) for choice in _choices(version, down))


def _choices(version: Version, down: Collection[str]) -> list[tuple[Stage, OutboxMessage]]:
    """Return the steps that name a channel that is down and one that is not."""
    return [
        (stage, written)
        for stage in version.plan.stages
        if (written := stage.message) and not written.all_channels and set(written.channels) & set(down)
        if not set(written.channels) <= set(down)
    ]


def _rerouted(
    store: Store,
    version: Version,
    stage: Stage,
    written: OutboxMessage,
    down: Collection[str],
    moment: datetime,
) -> int:
    moved = 0
    with store.transaction() as connection:
        for channel, category in zip(written.channels, written.categories, strict=True):
            if channel not in down:
                moved += _moved(connection, version, stage, channel, category, down, moment)
    return moved


def _moved(
    connection: Connection,
    version: Version,
    stage: Stage,
    channel: str,
    category: str,
    down: Collection[str],
    moment: datetime,
) -> int:
    address, basis = customer.c[ADDRESS[channel]], func.coalesce(message.c.basis, "consent")
    standing = Standing()
    against = standing.refusal(literal(category, Text), basis, address)
    source = message.join(customer, customer.c.id == message.c.customer_id)
    reachable = (
        select(message.c.id, message.c.channel)
        .select_from(standing.joined(source, channel))
        .where(
            message.c.state == MessageState.queued.value,
            message.c.version_id == version.version_id,
            message.c.step_id == version.number(stage),
            message.c.channel.in_(sorted(down)),
            message.c.doubted_at.is_(None),
            message.c.reason.is_distinct_from(Reason.not_yet_reachable.value),
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
    rows = [row_about(row, moment, Decision.queued, Reason.channel_down) for row in found]
    connection.execute(dialect.insert_rows(connection, trace, rows))
