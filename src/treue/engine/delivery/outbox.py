"""The outbox: claiming messages under a lease, the last look, and recording what became of each.

A claim is committed before anything is sent. `fence` counts a message's claims: a worker that slept past its
lease finds its fence outdated and may record nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Text,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from treue.clock import utc_now
from treue.engine.statements import refusal
from treue.model.states import ADDRESS, Decision, MessageState, Outcome, Reason
from treue.model.tables import (
    consent,
    customer,
    enrollment,
    event,
    journey,
    message,
    suppression,
    trace,
)
from treue.model.types import Instant
from treue.segments.reach import suppresses
from treue.store import dialect
from treue.store.store import Store

LEASE = timedelta(minutes=5)
"""How long a worker may take over a batch before its messages count as abandoned."""


@dataclass(frozen=True)
class Claimed:
    """One message in a worker's hands, with all that is needed to write it."""

    id: int
    fence: int
    journey_id: int
    journey: str
    enrollment_id: int
    step_id: int
    version_id: int
    customer_id: int
    channel: str
    template: str
    category: str
    due_at: datetime
    attempts: int
    address: str
    customer: Mapping[str, Any]
    event: Mapping[str, Any] | None
    against: str | None

    @property
    def key(self) -> str:
        """The idempotency key: the same on every attempt."""
        return str(self.id)


@dataclass(frozen=True)
class Settled:
    """What became of one message."""

    message: Claimed
    state: MessageState
    reason: Reason | None = None
    detail: str | None = None
    provider_id: str | None = None
    ready_at: datetime | None = None


def waiting(connection: Connection, now: datetime) -> dict[tuple[int, str], int]:
    """Return how many messages are ready to go by (journey number, channel), paused journeys left out."""
    query = (
        select(message.c.journey_id, message.c.channel, func.count())
        .join(journey, journey.c.id == message.c.journey_id)
        .where(
            message.c.state == MessageState.queued.value,
            message.c.ready_at <= now,
            journey.c.paused_at.is_(None),
        )
        .group_by(message.c.journey_id, message.c.channel)
    )
    return {(journey_id, channel): n for journey_id, channel, n in connection.execute(query)}


def claim(
    store: Store,
    journey_id: int,
    channel: str,
    now: datetime,
    worker: str,
    limit: int,
    reserved_only: bool = False,
) -> list[Claimed]:
    """Take up to `limit` messages that are ready; commit that; return them, each with the last look's verdict.

    With `reserved_only`, no marketing message that has no place among what the limits allow.
    """
    marketing = message.c.category != "transactional"
    with store.transaction() as connection:
        ready = (
            select(message.c.id)
            .where(
                message.c.state == MessageState.queued.value,
                message.c.journey_id == journey_id,
                message.c.channel == channel,
                message.c.ready_at <= now,
                or_(~marketing, message.c.reserved_at.is_not(None)) if reserved_only else true(),
            )
            .order_by(message.c.ready_at, message.c.id)
            .limit(limit)
        )
        ids = list(connection.scalars(dialect.claiming(ready)))
        if not ids:
            return []
        connection.execute(
            update(message)
            .where(dialect.among(connection, message.c.id, ids))
            .values(
                state=MessageState.claimed.value,
                worker=worker,
                lease_until=utc_now() + LEASE,  # a lease is about this machine's time, not the pass's
                fence=message.c.fence + 1,
                attempts=message.c.attempts + 1,
                reason=None,
                reserved_at=case((marketing, func.coalesce(message.c.reserved_at, literal(now, Instant)))),
            )
        )
        rows = connection.execute(_with_all(connection, channel, ids, now)).all()
    return [_claimed(row, channel) for row in rows]


def _with_all(connection: Connection, channel: str, ids: Sequence[int], now: datetime) -> Any:
    # A call has no customer's address, so no suppression and, being transactional, no consent is found for it.
    address = customer.c[ADDRESS[channel]] if channel in ADDRESS else message.c.channel
    basis = func.coalesce(message.c.basis, literal("consent"))
    left = enrollment.c.outcome.in_((Outcome.exited.value, Outcome.converted.value))
    against = case(
        (left, Reason.left_before_send.value),
        (message.c.send_by < literal(now, Instant), Reason.stale.value),
        else_=refusal(message.c.category, basis, address, consent, suppression),
    )
    source = (
        message.join(customer, customer.c.id == message.c.customer_id)
        .join(enrollment, enrollment.c.id == message.c.enrollment_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .outerjoin(event, event.c.id == enrollment.c.event_id)
        .outerjoin(consent, and_(consent.c.customer_id == customer.c.id, consent.c.channel == channel))
        .outerjoin(suppression, suppresses(suppression, channel, address))
    )
    columns = [
        message.c.id, message.c.fence, message.c.journey_id, journey.c.name.label("journey"),
        message.c.enrollment_id, message.c.step_id, message.c.version_id,
        message.c.customer_id, message.c.template, message.c.category, message.c.due_at, message.c.attempts,
        customer.c.key, customer.c.email, customer.c.phone, customer.c.push_token, customer.c.locale,
        customer.c.timezone, customer.c.attributes, customer.c.created_at, event.c.name.label("event_name"),
        event.c.at.label("event_at"), event.c.properties, against.label("against"), address.label("address"),
    ]  # fmt: skip
    query = select(*columns).select_from(source)
    return query.where(dialect.among(connection, message.c.id, ids)).order_by(message.c.id)


def _claimed(row: Row[Any], channel: str) -> Claimed:
    built_in = {
        "id": row.key, "email": row.email, "phone": row.phone, "push_token": row.push_token,
        "locale": row.locale, "timezone": row.timezone, "created_at": row.created_at,
    }  # fmt: skip
    started = None
    if row.event_name is not None:
        started = {**(row.properties or {}), "name": row.event_name, "at": row.event_at}
    return Claimed(
        row.id,
        row.fence,
        row.journey_id,
        row.journey,
        row.enrollment_id,
        row.step_id,
        row.version_id,
        row.customer_id,
        channel,
        row.template,
        row.category,
        row.due_at,
        row.attempts,
        row.address or "",
        {**row.attributes, **built_in},
        started,
        row.against,
    )


def settle(store: Store, settled: Sequence[Settled], now: datetime) -> int:
    """Record what became of messages and note it; return how many were still this worker's to record."""
    if not settled:
        return 0
    with store.transaction() as connection:
        mine = _still_mine(connection, settled)
        kept = [item for item in settled if item.message.id in mine]
        if kept:
            connection.execute(_settling(), [_values(item, now) for item in kept])
            noted = [_noted(item, now) for item in kept if item.state is not MessageState.queued]
            if noted:
                connection.execute(insert(trace), noted)
    return len(kept)


def _still_mine(connection: Connection, settled: Sequence[Settled]) -> set[int]:
    return _with_fence(connection, {item.message.id: item.message.fence for item in settled})


def _with_fence(connection: Connection, fences: Mapping[int, int]) -> set[int]:
    """Return the messages that are still claimed under these fences."""
    query = select(message.c.id, message.c.fence).where(
        dialect.among(connection, message.c.id, list(fences)), message.c.state == MessageState.claimed.value
    )
    return {id_ for id_, fence in connection.execute(query.with_for_update()) if fences[id_] == fence}


def _settling() -> Any:
    given = {
        "state": Text, "reason": Text, "detail": Text, "provider_id": Text,
        "sent_at": Instant, "failed_at": Instant,
    }  # fmt: skip
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=type_()) for name, type_ in given.items()}
    values["ready_at"] = func.coalesce(bindparam("new_ready_at", type_=Instant()), message.c.ready_at)
    return update(message).where(message.c.id == bindparam("which")).values(lease_until=None, **values)


def _values(item: Settled, now: datetime) -> dict[str, Any]:
    return {
        "which": item.message.id,
        "new_state": item.state.value,
        "new_reason": item.reason.value if item.reason else None,
        "new_detail": item.detail[:500] if item.detail else None,
        "new_provider_id": item.provider_id,
        "new_sent_at": now if item.state is MessageState.sent else None,
        "new_failed_at": now if item.state is MessageState.failed else None,
        "new_ready_at": item.ready_at,
    }


_DECISIONS = {
    MessageState.sent: Decision.sent,
    MessageState.refused: Decision.refused,
    MessageState.failed: Decision.failed,
    MessageState.in_doubt: Decision.in_doubt,
}


def _noted(item: Settled, now: datetime) -> dict[str, Any]:
    claimed = item.message
    return {
        "customer_id": claimed.customer_id,
        "journey_id": claimed.journey_id,
        "enrollment_id": claimed.enrollment_id,
        "step_id": claimed.step_id,
        "at": now,
        "decision": _DECISIONS[item.state].value,
        "reason": item.reason.value if item.reason else None,
        "detail": {"message": claimed.id, "channel": claimed.channel, "template": claimed.template}
        | ({"why": item.detail[:200]} if item.detail else {}),
    }


def renew(store: Store, messages: Sequence[Claimed]) -> set[int]:
    """Lengthen the lease of messages about to be sent; return those that are still this worker's."""
    with store.transaction() as connection:
        mine = _with_fence(connection, {item.id: item.fence for item in messages})
        connection.execute(
            update(message)
            .where(dialect.among(connection, message.c.id, sorted(mine)))
            .values(lease_until=utc_now() + LEASE)
        )
    return mine


def abandoned(
    connection: Connection, dead_workers: Sequence[str], living: Sequence[str], wall: datetime
) -> list[Row[Any]]:
    """Return claimed messages of workers known to be dead, and those whose lease has run out by the wall clock.

    What a worker known to be alive has is never taken from it, however slow it is.
    """
    dead = message.c.worker.in_(dead_workers)
    late = and_(message.c.lease_until < literal(wall, Instant), message.c.worker.not_in(living))
    query = select(message).where(message.c.state == MessageState.claimed.value, dead | late)
    return list(connection.execute(query.with_for_update(skip_locked=True)))


def claiming_workers(connection: Connection) -> list[str]:
    """Return the workers that have messages in their hands."""
    query = select(message.c.worker).where(message.c.state == MessageState.claimed.value).distinct()
    return [worker for worker in connection.scalars(query) if worker]


def doubts(connection: Connection, limit: int = 1_000) -> list[dict[str, Any]]:
    """Return messages that may or may not have been sent, oldest first."""
    query = (
        select(
            message.c.id,
            customer.c.key,
            journey.c.name,
            message.c.channel,
            message.c.template,
            message.c.due_at,
        )
        .join(customer, customer.c.id == message.c.customer_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .where(message.c.state == MessageState.in_doubt.value)
        .order_by(message.c.id)
        .limit(limit)
    )
    names = ("message", "customer", "journey", "channel", "template", "due_at")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]
