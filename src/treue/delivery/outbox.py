"""The outbox: claiming messages under a lease, the last look, and recording what became of each.

A claim is committed before anything is sent. `fence` counts a message's claims: a worker that slept past its
lease finds its fence outdated and may record nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from treue.cohorts.scene import NOW
from treue.cohorts.standing import Standing
from treue.cohorts.trace import row_about
from treue.delivery.brakes import Pedal, brakes
from treue.delivery.keys import message_key
from treue.model.states import ADDRESS, Decision, MessageState, Outcome, Reason
from treue.model.tables import (
    BigId,
    channel_gate,
    customer,
    enrollment,
    event,
    failure,
    journey,
    message,
    trace,
)
from treue.model.types import Instant
from treue.store import dialect, touches
from treue.store.failures import PLAN
from treue.store.store import Store

LEASE = timedelta(minutes=5)
"""How long a worker may take over a batch before its messages count as abandoned."""

SUSPECT = (1, 8, 64)
"""By how much a batch is smaller when the workers before died with its messages, once, twice, more often."""


@dataclass(frozen=True)
class Claimed:
    """One message in a worker's hands, with all that is needed to write it.

    `free_since` is from when on it could go: its event had come in, its step was due, and nothing held it.
    `shared` says that other customers have its address, too, and that it may go there only once (`mailboxes`), `alone`
    that a conversation with its provider has broken at it.
    """

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
    queued_at: datetime
    due_at: datetime
    send_by: datetime
    tried_at: datetime
    attempts: int
    address: str
    customer: Mapping[str, Any]
    event: Mapping[str, Any] | None
    against: str | None
    doubted_at: datetime | None = None
    detail: str | None = None
    free_since: datetime | None = None
    shared: bool = False
    alone: bool = False

    @property
    def key(self) -> str:
        """The idempotency key: the same on every attempt."""
        return message_key(self.id, self.queued_at)


_GONE = tuple(state.value for state in (MessageState.claimed, MessageState.sent, MessageState.in_doubt))
"""States of a message that its customer may have."""


class InHand(Protocol):
    """What is to be known of a claimed message to record what became of it."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def fence(self) -> int: ...  # noqa: D102
    @property
    def journey_id(self) -> int: ...  # noqa: D102
    @property
    def enrollment_id(self) -> int: ...  # noqa: D102
    @property
    def step_id(self) -> int: ...  # noqa: D102
    @property
    def customer_id(self) -> int: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def template(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def doubted_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def attempts(self) -> int: ...  # noqa: D102
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def tried_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def detail(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True)
class Settled:
    """What became of one message.

    `dead` says that its address is none any more, `charged` that the attempt counts, `crashed` that the worker
    died with it in its hands, `doubted` that it may have been sent, `alone` that it is to be tried again after all others.
    `copy_of` is the message that it would repeat. `customer_id` is whose it is when that is recorded: another than when it was
    claimed, where the record was merged since.
    """

    message: InHand
    state: MessageState
    reason: Reason | None = None
    detail: str | None = None
    provider_id: str | None = None
    ready_at: datetime | None = None
    dead: bool = False
    charged: bool = True
    crashed: bool = False
    doubted: bool = False
    alone: bool = False
    copy_of: int | None = None
    customer_id: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Lane:
    """What one claim may take of a channel: a journey's messages, or every journey's transactional ones.

    With `reserved_only`, no marketing message that has no place among what the limits allow. Those at which a
    conversation has broken have lanes of their own, `alone`.
    """

    channel: str
    journey_id: int | None = None
    reserved_only: bool = False
    alone: bool = False


_QUEUED = message.c.state == MessageState.queued.value
_TRANSACTIONAL = message.c.category == literal_column("'transactional'")
"""Written out, so that SQLite sees that the index of what is urgent will do."""
_MARKETING = message.c.category != "transactional"


_WAITING = (
    select(message.c.journey_id, message.c.channel, func.count())
    .join(journey, journey.c.id == message.c.journey_id)
    .outerjoin(channel_gate, channel_gate.c.channel == message.c.channel)
    .where(
        _QUEUED,
        message.c.ready_at <= NOW,
        journey.c.paused_at.is_(None),
        or_(channel_gate.c.paused_until.is_(None), channel_gate.c.paused_until <= NOW),
    )
    .group_by(message.c.journey_id, message.c.channel)
)


def waiting(connection: Connection, now: datetime) -> dict[tuple[int, str], int]:
    """Return how many messages are ready to go by (journey number, channel).

    Left out are paused journeys and channels, and marketing on a channel that the brake has stopped.
    """
    found = connection.execute(_WAITING, {"now": now}).all()
    if not found:
        return {}
    stopped = [channel for channel, one in brakes(connection, now).items() if one.pedal is Pedal.stop]
    if stopped:
        others = _WAITING.where(or_(_TRANSACTIONAL, message.c.channel.not_in(stopped)))
        found = connection.execute(others, {"now": now}).all()
    return {(journey_id, channel): n for journey_id, channel, n in found}


def express(connection: Connection, channel: str, now: datetime) -> list[int]:
    """Return the journeys that have transactional messages ready to go on a channel, paused ones left out."""
    return list(connection.scalars(_urgent(channel), {"now": now}))


@lru_cache(maxsize=64)
def _urgent(channel: str) -> Select[Any]:
    running = journey.c.paused_at.is_(None)
    query = select(message.c.journey_id).join(journey, journey.c.id == message.c.journey_id)
    return query.where(*in_lane(Lane(channel)), running).distinct()


def claim(
    connection: Connection, lane: Lane, now: datetime, wall: datetime, worker: str, limit: int
) -> list[Claimed]:
    """Take up to `limit` messages that are ready; return them, each with the last look's verdict.

    The caller commits before anything is sent. What workers died with is taken after all else, in ever smaller
    batches, so that one that kills its worker comes to be alone.
    """
    return claim_these(connection, lane.channel, _ready(connection, lane, now, limit), now, wall, worker)


def claim_these(
    connection: Connection, channel: str, ids: Sequence[int], now: datetime, wall: datetime, worker: str
) -> list[Claimed]:
    """Take these messages of a channel, which are ready, in hand; return them, each with the last look's verdict."""
    if not ids:
        return []
    name, values = connection.dialect.name, {"ids": dialect.listed(connection, ids), "now": now}
    connection.execute(_claiming(name), {**values, "by": worker, "until": wall + LEASE})
    rows = connection.execute(_with_all(name, channel), values).all()
    return [_claimed(row, channel) for row in rows]


def on_its_way(connection: Connection, message_id: int, channel: str) -> Claimed | None:
    """Return a message that was sent, or may have been, with all that is needed to write it once more; else None."""
    state, tried = message.c.state, message.c.tried_at
    query = select(tried).where(message.c.id == message_id, message.c.channel == channel, state.in_(_GONE))
    tried_at = connection.scalar(query)
    if tried_at is None:
        return None
    values = {"ids": dialect.listed(connection, [message_id]), "now": tried_at}
    row = connection.execute(_with_all(connection.dialect.name, channel), values).first()
    return _claimed(row, channel) if row else None


@lru_cache(maxsize=2)
def _claiming(name: str) -> Executable:
    """Return what claims the messages `ids` on the dialect `name`."""
    return (
        update(message)
        .where(dialect.among_listed(name, message.c.id, "ids"))
        .values(
            state=MessageState.claimed.value,
            worker=bindparam("by"),
            lease_until=bindparam("until", type_=Instant()),
            fence=message.c.fence + 1,
            attempts=message.c.attempts + 1,
            tried_at=func.coalesce(message.c.tried_at, NOW),
            reason=None,
            reserved_at=case((_MARKETING, func.coalesce(message.c.reserved_at, NOW))),
        )
    )


def _ready(connection: Connection, lane: Lane, now: datetime, limit: int) -> list[int]:
    if lane.alone:
        limit = 1
    for crashes in range(len(SUSPECT) + 1):
        size = limit if not crashes else max(1, limit // 8 // SUSPECT[crashes - 1])
        if ids := list(connection.scalars(_next(lane, crashes), {"now": now, "most": size})):
            return ids
        if not crashes and connection.scalar(_crashed(lane), {"now": now}) is None:
            break
    return []


@lru_cache(maxsize=1_024)
def _next(lane: Lane, crashes: int) -> Select[Any]:
    """Return the query for the first `most` messages of a lane that workers died with so often."""
    exactly = message.c.crashes == crashes if crashes < len(SUSPECT) else message.c.crashes >= crashes
    mine = message.c.alone.is_(lane.alone)
    query = (
        select(message.c.id).where(*in_lane(lane), mine, exactly).order_by(message.c.ready_at, message.c.id)
    )
    return dialect.claiming(query.limit(bindparam("most", type_=Integer())))


@lru_cache(maxsize=256)
def _crashed(lane: Lane) -> Select[Any]:
    mine = message.c.alone.is_(lane.alone)
    return select(message.c.id).where(*in_lane(lane), mine, message.c.crashes > 0).limit(1)


def in_lane(lane: Lane) -> Iterator[ColumnElement[bool]]:
    """Yield what says that a message is ready to be taken from a lane."""
    yield _QUEUED
    yield message.c.reason.is_distinct_from(Reason.not_yet_reachable.value)  # first it is asked again
    yield message.c.channel == lane.channel
    yield message.c.ready_at <= NOW
    if lane.journey_id is None:
        yield _TRANSACTIONAL
        yield message.c.journey_id.not_in(select(journey.c.id).where(journey.c.paused_at.is_not(None)))
        yield message.c.journey_id.not_in(select(failure.c.journey_id).where(failure.c.work == PLAN))
    else:
        yield message.c.journey_id == lane.journey_id
    if lane.reserved_only:
        yield or_(~_MARKETING, message.c.reserved_at.is_not(None))


@lru_cache(maxsize=64)
def _with_all(name: str, channel: str) -> Select[Any]:
    """Return the query for the messages `ids` with all that is needed to write them, on the dialect `name`."""
    # A call has no customer's address, so it is on no list, and being transactional, no consent is asked for it.
    address = customer.c[ADDRESS[channel]] if channel in ADDRESS else message.c.channel
    basis = func.coalesce(message.c.basis, literal("consent"))
    left, standing = enrollment.c.outcome.in_((Outcome.exited.value, Outcome.converted.value)), Standing()
    against = case(
        (left, Reason.left_before_send.value),
        (message.c.send_by < NOW, Reason.stale.value),
        else_=standing.refusal(message.c.category, basis, address),
    )
    source = (
        message.join(customer, customer.c.id == message.c.customer_id)
        .join(enrollment, enrollment.c.id == message.c.enrollment_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .outerjoin(event, event.c.id == enrollment.c.event_id)
    )
    columns = [
        message.c.id, message.c.fence, message.c.journey_id, journey.c.name.label("journey"),
        message.c.enrollment_id, message.c.step_id, message.c.version_id, message.c.customer_id,
        message.c.template, message.c.category, message.c.queued_at, message.c.due_at, message.c.send_by, message.c.tried_at,
        message.c.attempts, message.c.doubted_at, message.c.detail, message.c.alone,
        customer.c.key, customer.c.email, customer.c.phone, customer.c.push_token, customer.c.locale,
        customer.c.timezone, customer.c.attributes, customer.c.created_at, event.c.name.label("event_name"),
        message.c.ready_at, event.c.received_at,
        event.c.at.label("event_at"), event.c.properties, against.label("against"), address.label("address"),
    ]  # fmt: skip
    query = select(*columns).select_from(standing.joined(source, channel))
    return query.where(dialect.among_listed(name, message.c.id, "ids")).order_by(message.c.id)


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
        row.queued_at,
        row.due_at,
        row.send_by,
        row.tried_at,
        row.attempts,
        row.address or "",
        {**row.attributes, **built_in},
        started,
        row.against,
        row.doubted_at,
        row.detail,
        max(row.due_at, row.ready_at, row.received_at or row.due_at),
        alone=row.alone,
    )


_SETTLED: dict[str, Any] = {
    "id": BigId, "fence": Integer(), "state": Text(), "reason": Text(), "detail": Text(), "provider_id": Text(),
    "ready_at": Instant(), "sent_at": Instant(), "failed_at": Instant(), "uncharged": Integer(),
    "crashed": Integer(), "doubted_at": Instant(), "copy_of": BigId, "alone": Boolean(),
}  # fmt: skip


def record(connection: Connection, settled: Sequence[Settled], now: datetime) -> list[Settled]:
    """Record what became of messages and note it; return those that were still this worker's to record."""
    if not settled:
        return []
    _locked(connection, [item.message.id for item in settled])
    given = dialect.rows_as_table(connection, _SETTLED, [_values(item, now) for item in settled])
    written = ("state", "reason", "detail", "provider_id", "sent_at", "failed_at", "copy_of")
    statement = (
        update(message)
        .where(
            message.c.id == given.c.id,
            message.c.fence == given.c.fence,
            message.c.state == MessageState.claimed.value,
        )
        .values(
            {name: given.c[name] for name in written}
            | {
                "lease_until": None,
                "ready_at": func.coalesce(given.c.ready_at, message.c.ready_at),
                "attempts": message.c.attempts - given.c.uncharged,
                "crashes": message.c.crashes + given.c.crashed,
                "doubted_at": func.coalesce(message.c.doubted_at, given.c.doubted_at),
                "alone": or_(message.c.alone, given.c.alone),
            }
        )
        .returning(message.c.id, message.c.customer_id)
    )
    mine = {row.id: row.customer_id for row in connection.execute(statement)}
    kept = [replace(item, customer_id=mine[item.message.id]) for item in settled if item.message.id in mine]
    noted = [_noted(item, now) for item in kept if _is_news(item)]
    if noted:
        connection.execute(dialect.insert_rows(connection, trace, noted))
    settled_by = {MessageState.sent: "sent", MessageState.failed: "failed"}
    fates = [(item.customer_id, fate) for item in kept if (fate := settled_by.get(item.state))]
    touches.of_messages(connection, fates, now)
    return kept


def _locked(connection: Connection, ids: Sequence[int]) -> None:
    """Take hold of messages in the order of their numbers, as receipts do: in any other, two could wait for each other."""
    if dialect.is_postgresql(connection):
        mine = select(message.c.id).where(dialect.among(connection, message.c.id, ids))
        connection.execute(mine.order_by(message.c.id).with_for_update())


def _values(item: Settled, now: datetime) -> dict[str, Any]:
    return {
        "id": item.message.id,
        "fence": item.message.fence,
        "state": item.state.value,
        "reason": item.reason.value if item.reason else None,
        "detail": item.detail[:500] if item.detail else None,
        "provider_id": item.provider_id,
        "ready_at": item.ready_at,
        "sent_at": now if item.state is MessageState.sent else None,
        "failed_at": now if item.state is MessageState.failed else None,
        "uncharged": 0 if item.charged else 1,
        "crashed": 1 if item.crashed else 0,
        "doubted_at": now if item.doubted else None,
        "copy_of": item.copy_of,
        "alone": item.alone,
    }


def _is_news(item: Settled) -> bool:
    """Say whether a message's customer has something decided: not what waits, but why it begins to wait for us."""
    if item.state is not MessageState.queued:
        return True
    return item.reason is Reason.our_fault and (item.detail or "")[:500] != item.message.detail


_DECISIONS = {
    MessageState.queued: Decision.held,
    MessageState.sent: Decision.sent,
    MessageState.refused: Decision.refused,
    MessageState.failed: Decision.failed,
    MessageState.in_doubt: Decision.in_doubt,
}


def _noted(item: Settled, now: datetime) -> dict[str, Any]:
    why = {"why": item.detail[:200]} if item.detail else {}
    noted = row_about(item.message, now, _DECISIONS[item.state], item.reason, **why)
    return noted | {"customer_id": item.customer_id}


def renew(store: Store, messages: Sequence[Claimed], wall: datetime) -> set[int]:
    """Lengthen the lease of messages about to be sent; return those that are still this worker's."""
    with store.transaction() as connection:
        mine = _with_fence(connection, {item.id: item.fence for item in messages})
        connection.execute(
            update(message)
            .where(dialect.among(connection, message.c.id, sorted(mine)))
            .values(lease_until=wall + LEASE)
        )
    return mine


def _with_fence(connection: Connection, fences: Mapping[int, int]) -> set[int]:
    """Return the messages that are still claimed under these fences."""
    query = select(message.c.id, message.c.fence).where(
        dialect.among(connection, message.c.id, list(fences)), message.c.state == MessageState.claimed.value
    )
    return {id_ for id_, fence in connection.execute(query.with_for_update()) if fences[id_] == fence}


def abandoned(
    connection: Connection, dead_workers: Sequence[str], living: Sequence[str], wall: datetime
) -> list[Row[Any]]:
    """Return claimed messages of workers known to be dead, and those whose lease has run out by the wall clock.

    What a worker known to be alive has is never taken from it, however slow it is.
    """
    dead = message.c.worker.in_(dead_workers)
    late = and_(message.c.lease_until < literal(wall, Instant), message.c.worker.not_in(living))
    address = case({kind: customer.c[column] for kind, column in ADDRESS.items()}, value=message.c.channel)
    query = (
        select(message, func.coalesce(address, "").label("address"))
        .join(customer, customer.c.id == message.c.customer_id)
        .where(message.c.state == MessageState.claimed.value, dead | late)
    )
    return list(connection.execute(query.with_for_update(skip_locked=True, of=message)))


def claiming_workers(connection: Connection) -> list[str]:
    """Return the workers that have messages in their hands."""
    query = select(message.c.worker).where(message.c.state == MessageState.claimed.value).distinct()
    return [worker for worker in connection.scalars(query) if worker]
