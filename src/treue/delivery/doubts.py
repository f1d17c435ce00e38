"""Messages that an operator decides about: those in doubt, and those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, literal, select, update

from treue.cohorts.trace import row_about
from treue.model.states import Decision, MessageState, Reason
from treue.model.tables import customer, journey, message, step, trace
from treue.model.types import Instant
from treue.store import touches

SHOWN = 1_000
NAMES = ("message", "customer", "journey", "step", "channel", "template", "due_at", "tried_at", "why")


def doubts(connection: Connection, limit: int = SHOWN) -> list[dict[str, Any]]:
    """Return messages that may or may not have been sent, oldest first."""
    return _listed(connection, MessageState.in_doubt, limit)


def failed(connection: Connection, limit: int = SHOWN) -> list[dict[str, Any]]:
    """Return messages that could not be sent, oldest first."""
    return _listed(connection, MessageState.failed, limit)


def _listed(connection: Connection, state: MessageState, limit: int) -> list[dict[str, Any]]:
    query = (
        select(
            message.c.id, customer.c.key, journey.c.name, step.c.name, message.c.channel, message.c.template,
            message.c.due_at, message.c.tried_at, message.c.detail,
        )
        .join(customer, customer.c.id == message.c.customer_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .join(step, step.c.id == message.c.step_id)
        .where(message.c.state == state.value)
        .order_by(message.c.id)
        .limit(limit)
    )  # fmt: skip
    return [dict(zip(NAMES, row, strict=True)) for row in connection.execute(query)]


def resend(connection: Connection, now: datetime, which: Sequence[int] = ()) -> int:
    """Put messages in doubt into the outbox once more, all or those named; return how many.

    A customer who got one gets a second copy: that is why a person decides it.
    """
    return _queue(connection, MessageState.in_doubt, now, which)


def retry(connection: Connection, now: datetime, which: Sequence[int] = ()) -> int:
    """Put failed messages into the outbox once more, all or those named; return how many.

    Each gets another key: a provider that took it, and gave it up later, would else take it for the same one.
    """
    return _queue(connection, MessageState.failed, now, which, queued_at=now)


def drop(connection: Connection, now: datetime, which: Sequence[int] = ()) -> int:
    """Decide that messages in doubt are not sent, all or those named; return how many."""
    _note(connection, _chosen(MessageState.in_doubt, which), now, Decision.refused, Reason.dropped)
    chosen = _chosen(MessageState.in_doubt, which).with_only_columns(message.c.id)
    values = {"state": MessageState.refused.value, "reason": Reason.dropped.value}
    return connection.execute(update(message).where(message.c.id.in_(chosen)).values(values)).rowcount


def _queue(
    connection: Connection, state: MessageState, now: datetime, which: Sequence[int], **more: Any
) -> int:
    """Make messages ready again. Each is valid from now on for as long as it was from when it was due."""
    _note(connection, _chosen(state, which), now, Decision.queued, None)
    if state is MessageState.failed:
        owners = connection.scalars(_chosen(state, which).with_only_columns(message.c.customer_id))
        touches.of_messages(connection, [(id_, "failed") for id_ in owners], now)
    chosen = _chosen(state, which).with_only_columns(message.c.id)
    valid = message.c.send_by - message.c.due_at
    values: dict[str, Any] = {
        "state": MessageState.queued.value, "reason": None, "detail": None, "attempts": 0, "crashes": 0, "alone": False,
        "ready_at": now, "failed_at": None, "tried_at": None, "doubted_at": None, "send_by": literal(now, Instant) + valid,
        **more,
    }  # fmt: skip
    return connection.execute(update(message).where(message.c.id.in_(chosen)).values(values)).rowcount


def _chosen(state: MessageState, which: Sequence[int]) -> Select[Any]:
    query = select(message).where(message.c.state == state.value)
    return query.where(message.c.id.in_(which)) if which else query


def _note(
    connection: Connection, chosen: Select[Any], now: datetime, decision: Decision, reason: Reason | None
) -> None:
    rows = [row_about(row, now, decision, reason, by="operator") for row in connection.execute(chosen)]
    if rows:
        connection.execute(insert(trace), rows)
