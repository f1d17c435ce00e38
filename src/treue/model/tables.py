"""The tables. Times are UTC; `Instant` columns are microseconds since 1970 in the database.

Read from the top: who there is (customer, alias, consent, suppression, opt_out, forgotten, change,
event, event_conflict), what is written (journey,
journey_version, words, wording, step, watch), what happens (arrival, membership, enrollment, draw, message, printed), what is heard of it and how the
channels fare (delivery_event, channel_gate, channel_hour), what was decided (trace), what stays of old rows that were
deleted (past_event, past_message, past_receipt, stay_day, message_day, step_day, arm_day, sweep), how the work itself
goes (heartbeat, failure, chore), and what is only looked up (timezone_offset, receiving, telling, mailing, picture). Below
are the temporary tables of one transaction (cohort, judged, caller, looked).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)
from sqlmodel import Field, SQLModel

from treue.model.types import Instant, Json, KeywordType

LAST = 2**62
"""The place of what comes after all events of its instant."""

NAMES = "names"
"""Under which a column's `info` has what it names, `table.column`, where no foreign key says so."""

BigId = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER aliases SQLite's rowid


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigId, primary_key=True))


def _ref(target: str, *, null: bool = False, index: bool = False) -> Any:
    key = ForeignKey(target, ondelete="CASCADE")
    return Field(default=None, sa_column=Column(BigId, key, nullable=null, index=index))


def _names(target: str, *, null: bool = False) -> Any:
    """Return a column that names a row of another table and that no foreign key checks: the engine alone writes it.

    `store/orphans.py` counts those that name nothing; whoever deletes rows deletes what names them (`store/erasures.py`).
    """
    return Field(default=None, sa_column=Column(BigId, nullable=null, info={NAMES: target}))


def _time(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Instant, nullable=null))


def _effective() -> Any:
    return Field(default=None, sa_column=Column(Instant, nullable=False, server_default=text("0")))


def _text(*, null: bool = False) -> Any:
    return Field(default=None if null else "", sa_column=Column(Text, nullable=null))


def _word() -> Any:
    return Field(default="", sa_column=Column(KeywordType, nullable=False))


def _number(default: int | None = None) -> Any:
    given = None if default is None else text(str(default))
    return Field(default=default, sa_column=Column(BigInteger, nullable=False, server_default=given))


def _count() -> Any:
    return Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))


def _key(kind: Any, target: str | None = None) -> Any:
    keys = (ForeignKey(target, ondelete="CASCADE"),) if target else ()
    return Field(default=None, sa_column=Column(kind, *keys, primary_key=True, autoincrement=False))


NEVER_AGAIN = {"sqlite_autoincrement": True}
"""Of a table whose numbers are given once for ever, also where the last row was deleted: links and keys hold them."""


def _json() -> Any:
    return Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class Customer(SQLModel, table=True):
    """One person. `key` is the company's own id; `draw` is a stable 31-bit hash of it for splits and holdouts.

    `email_key` and `push_key` are the addresses as `addresses.key` writes them: several people may share a mailbox.
    """

    __tablename__ = "customer"
    __table_args__ = (
        Index("customer_key", "key", unique=True),
        Index("customer_email_key", "email_key"),
        Index("customer_phone", "phone"),
        Index("customer_push_key", "push_key"),
    )
    id: int = _id()
    key: str = _text()
    draw: int = Field(sa_column=Column(BigInteger, nullable=False))
    email: str | None = _text(null=True)
    phone: str | None = _text(null=True)
    push_token: str | None = _text(null=True)
    locale: str | None = _text(null=True)
    timezone: str | None = _text(null=True)
    attributes: dict[str, Any] = _json()
    created_at: datetime = _time()
    updated_at: datetime = _time()
    email_key: str | None = _text(null=True)
    push_key: str | None = _text(null=True)


class Alias(SQLModel, table=True):
    """The key of a record that was merged into a customer's: whoever names it means that customer."""

    __tablename__ = "alias"
    key: str = Field(sa_column=Column(Text, primary_key=True))
    customer_id: int = _ref("customer.id", index=True)
    merged_at: datetime = _time()


class Consent(SQLModel, table=True):
    """What a customer agreed to on a channel, as it stands; each change is also an event with its proof."""

    __tablename__ = "consent"
    __table_args__ = (Index("consent_customer", "customer_id", "channel", unique=True),)
    id: int = _id()
    customer_id: int = _ref("customer.id")
    channel: str = _text()
    given: bool = Field(default=True)
    basis: str = _text()
    since: datetime = _time()
    source: str = _text()
    proof: dict[str, Any] = _json()


class Suppression(SQLModel, table=True):
    """An address that nothing is sent to, on what evidence, and until when.

    `address` is written as in `ADDRESS_KEY`. `purpose` is `all`, or `marketing` where transactional messages still go
    there.
    """

    __tablename__ = "suppression"
    __table_args__ = (Index("suppression_address", "channel", "address", unique=True),)
    id: int = _id()
    channel: str = _text()
    address: str = _text()
    reason: str = _text()
    since: datetime = _time()
    evidence: dict[str, Any] = _json()
    purpose: str = Field(default="all", sa_column=Column(Text, nullable=False, server_default=text("'all'")))
    expires_at: datetime | None = _time(null=True)


class OptOut(SQLModel, table=True):
    """An address that said stop: it gets no marketing until a customer who has it agrees again.

    `customer_id` is the customer who said so, empty where that is nobody we know or was erased since.
    """

    __tablename__ = "opt_out"
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    address: str = Field(sa_column=Column(Text, primary_key=True))
    since: datetime = _time()
    source: str = _text()
    proof: dict[str, Any] = _json()
    customer_id: int | None = Field(
        default=None,
        sa_column=Column(BigId, ForeignKey("customer.id", ondelete="SET NULL"), nullable=True, index=True),
    )


class Forgotten(SQLModel, table=True):
    """An address of somebody who was erased, as a keyed hash of channel and address: it still gets no marketing.

    `purpose` is `all` where nothing at all may go there.
    """

    __tablename__ = "forgotten"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    purpose: str = _text()
    reason: str = _text()
    since: datetime = _time()


class Change(SQLModel, table=True):
    """What a customer's record said of one thing before it was changed at a time; from then on it says something else.

    `name` is an attribute, an address, or `consent:CHANNEL`; `before` is empty where nothing was known. What held at
    an instant is `before` of the first change after it, else what the record says today. `happened_at` and `seq` are as
    an event's `at` and `seq`: of one instant, changes are in that order.
    """

    __tablename__ = "change"
    __table_args__ = (Index("change_place", "customer_id", "at"), Index("change_time", "at"))
    id: int = _id()
    customer_id: int = _ref("customer.id")
    name: str = _text()
    at: datetime = _time()
    happened_at: datetime = _time()
    seq: int = _number()
    before: Any = Field(default=None, sa_column=Column(Json, nullable=True))


class Event(SQLModel, table=True):
    """Something a customer did. `routed_at` is empty until journeys have seen it.

    It takes effect at `effective_at`, the later of `at` and its receipt; of one instant, events are taken by `at`, then
    by `seq`, the order in which they were given (`store/sequence.py`).

    `key` is the sender's id, unique for ever within its `scope`: a digest of source, name and the customer's key as
    first given, empty where a journey or Treue itself recorded the event. `content` is the digest of what the sender
    said, by which the same again is told from another event under a used id; empty where that was not kept.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("event_key", "key", "scope", unique=True),
        Index("event_name_customer", "name", "customer_id", "effective_at", "at", "seq"),
        Index("event_customer", "customer_id", "at"),
        Index(
            "event_unrouted",
            "customer_id",
            sqlite_where=text("routed_at IS NULL"),
            postgresql_where=text("routed_at IS NULL"),
        ),
        NEVER_AGAIN,
    )
    id: int = _id()
    key: str = _text()
    customer_id: int = _ref("customer.id")
    name: str = _text()
    at: datetime = _time()
    properties: dict[str, Any] = _json()
    source: str = _text()
    received_at: datetime = _time()
    routed_at: datetime | None = _time(null=True)
    scope: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))
    content: str | None = _text(null=True)
    effective_at: datetime = _effective()
    seq: int = _number(0)


class EventConflict(SQLModel, table=True):
    """An event set aside whole: its source, name, customer and id are those of another one, its content is not.

    `key` and `scope` are those of the other one. `at` is empty where the sender gave no time.
    """

    __tablename__ = "event_conflict"
    __table_args__ = (Index("event_conflict_content", "key", "scope", "content", unique=True),)
    id: int = _id()
    content: str = _text()
    at: datetime | None = _time(null=True)
    properties: dict[str, Any] = _json()
    received_at: datetime = _time()
    key: str = _text()
    scope: str = _text()
    name: str = _text()
    source: str = _text()
    customer_id: int = _ref("customer.id", index=True)


class Journey(SQLModel, table=True):
    """A journey by name. It reacts to what happens from `live_since` on; history before that starts nobody."""

    __tablename__ = "journey"
    __table_args__ = (Index("journey_name", "name", unique=True),)
    id: int = _id()
    name: str = _text()
    version_id: int | None = _names("journey_version.id", null=True)
    live_since: datetime = _time()
    paused_at: datetime | None = _time(null=True)
    scheduled_until: datetime | None = _time(null=True)
    sensed_at: datetime | None = _time(null=True)


class JourneyVersion(SQLModel, table=True):
    """One frozen meaning of a journey's file: the plan, the text it was made from, its steps' numbers by id.

    `since` is when it was last made the live one.
    """

    __tablename__ = "journey_version"
    __table_args__ = (Index("journey_version_hash", "journey_id", "hash", unique=True),)
    id: int = _id()
    journey_id: int = _ref("journey.id")
    hash: str = _text()
    plan: dict[str, Any] = _json()
    source: str = _text()
    since: datetime = _time()
    steps: dict[str, int] = Field(
        default_factory=dict, sa_column=Column(Json, nullable=False, server_default=text("'{}'"))
    )


class Words(SQLModel, table=True):
    """The files of a template and its layout as they once were: bytes in base 64, by path under `templates/`."""

    __tablename__ = "words"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    files: dict[str, Any] = _json()


class Wording(SQLModel, table=True):
    """The copy that a version keeps of a template: what its messages are written with, whatever becomes of the files.

    One that `follows` is what the files said when they were last applied, and is replaced when they say something else.
    """

    __tablename__ = "wording"
    version_id: int = _key(BigId, "journey_version.id")
    template: str = _key(Text)
    digest: str = Field(sa_column=Column(Text, ForeignKey("words.digest"), nullable=False, index=True))
    follows: bool = Field(default=True)


class Step(SQLModel, table=True):
    """A step's number, which it keeps over all versions of its journey; `name` is the id it first had.

    Each version says under which id it has the step. Where a name was taken by another step, `~2` follows it.
    """

    __tablename__ = "step"
    __table_args__ = (Index("step_name", "journey_id", "name", unique=True),)
    id: int = _id()
    journey_id: int = _ref("journey.id")
    name: str = _text()


class Arrival(SQLModel, table=True):
    """Somebody at a journey's door: an event, a joined segment, a schedule, a call, another journey, or a reason to leave.

    A touch is a change that may alter the answer to a condition that the journey watches; an expiry, of which a customer
    has one at a door, is the instant at which time alone may.
    `enrollment_id` is the stay that has to end, where it is a reason to leave. `effective_at` and `seq` are as an event's;
    `caused` says that a step of a journey brought them.
    """

    __tablename__ = "arrival"
    __table_args__ = (
        Index("arrival_turn", "customer_id", "effective_at"),
        Index("arrival_journey", "journey_id", "effective_at", "id"),
        Index("arrival_event", "journey_id", "event_id", unique=True),
        Index(
            "arrival_leaving",
            "enrollment_id",
            sqlite_where=text("enrollment_id IS NOT NULL"),
            postgresql_where=text("enrollment_id IS NOT NULL"),
        ),
        Index(
            "arrival_expiry",
            "journey_id",
            "customer_id",
            unique=True,
            sqlite_where=text("kind = 'expiry'"),
            postgresql_where=text("kind = 'expiry'"),
        ),
    )
    id: int = _id()
    journey_id: int = _names("journey.id")
    customer_id: int = _names("customer.id")
    kind: str = _text()
    event_id: int | None = _names("event.id", null=True)
    at: datetime = _time()
    detail: str | None = _text(null=True)
    enrollment_id: int | None = _names("enrollment.id", null=True)
    effective_at: datetime = _effective()
    seq: int = _number(LAST)
    caused: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))


class Watch(SQLModel, table=True):
    """What journeys want to hear of besides events: the names of touches (`Touch.names`).

    With `inside`, a journey wants to hear it only of customers who are inside, or may be by then.
    """

    __tablename__ = "watch"
    __table_args__ = (Index("watch_name", "name"),)
    journey_id: int = Field(
        sa_column=Column(BigId, ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True)
    )
    name: str = Field(sa_column=Column(Text, primary_key=True))
    inside: bool = Field(default=False)


class Membership(SQLModel, table=True):
    """A member of a journey's entry segment: known from the last look at the customer."""

    __tablename__ = "membership"
    journey_id: int = Field(
        sa_column=Column(BigId, ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True)
    )
    customer_id: int = Field(
        sa_column=Column(BigId, ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True, index=True)
    )


class Enrollment(SQLModel, table=True):
    """A customer's stay in a journey. `due_at` is when the step at `step_id` acts; all logical time.

    `deadline_at` is when the wait they stand at ends; empty where they stand at no wait, or have only just come. The stay
    took effect at `effective_at`, later than `entered_at` where the event that began it came late; its place among what
    happened at that instant is `seq`. `visit` counts how often a stay has begun a round of steps anew. `skipping` says that
    nothing is sent on the way from a wait whose moment had passed: 1 until the next wait, 2 while she comes from waits alone.
    """

    __tablename__ = "enrollment"
    __table_args__ = (
        Index(
            "enrollment_inside",
            "customer_id",
            "journey_id",
            "per",
            unique=True,
            sqlite_where=text("outcome = 'inside'"),
            postgresql_where=text("outcome = 'inside'"),
        ),
        Index(
            "enrollment_due",
            "version_id",
            "step_id",
            "due_at",
            "id",
            sqlite_where=text("outcome = 'inside'"),
            postgresql_where=text("outcome = 'inside'"),
        ),
        Index("enrollment_customer", "customer_id", "journey_id"),
        Index(
            "enrollment_converting",
            "version_id",
            sqlite_where=text("outcome = 'finished' AND convert_by IS NOT NULL"),
            postgresql_where=text("outcome = 'finished' AND convert_by IS NOT NULL"),
        ),
        NEVER_AGAIN,
    )
    id: int = _id()
    journey_id: int = _names("journey.id")
    version_id: int = _names("journey_version.id")
    customer_id: int = _names("customer.id")
    event_id: int | None = _names("event.id", null=True)
    per: str = _text()
    held_out: bool = Field(default=False)
    entered_at: datetime = _time()
    convert_by: datetime | None = _time(null=True)
    step_id: int | None = _names("step.id", null=True)
    arrived_at: datetime = _time()
    due_at: datetime = _time()
    outcome: str = _word()
    reason: str | None = _text(null=True)
    left_at: datetime | None = _time(null=True)
    deadline_at: datetime | None = _time(null=True)
    effective_at: datetime = _effective()
    seq: int = _number(LAST)
    visit: int = _number(0)
    skipping: int = _number(0)


class Draw(SQLModel, table=True):
    """The way that a split chose for a stay; it never changes, even when the shares do."""

    __tablename__ = "draw"
    __table_args__ = (Index("draw_step", "step_id", "arm"),)
    enrollment_id: int = Field(sa_column=Column(BigId, primary_key=True, info={NAMES: "enrollment.id"}))
    step_id: int = Field(sa_column=Column(BigId, primary_key=True, info={NAMES: "step.id"}))
    visit: int = Field(default=0, sa_column=Column(BigInteger, primary_key=True, server_default=text("0")))
    arm: str = _text()
    at: datetime = _effective()


class Message(SQLModel, table=True):
    """One message to one customer on one channel: the outbox and the send ledger in one.

    `due_at` is when it should go, `send_by` when it goes stale, `ready_at` the earliest next attempt.
    `fence` counts claims: a worker whose fence is old may not record anything. `reserved_at` is when it took its
    place among what the limits allow (none for transactional messages): a marketing message that is queued
    without one is held, for the `reason` it carries, until `ready_at`. `priority` is its journey's. `tried_at` is
    the first attempt; `crashes` counts the workers that died with it in their hands; at an `alone` one, the conversation with
    its provider has broken: it is tried after all others; `doubted_at` is when an attempt's
    fate was first unknown: its customer may have it, whatever became of later ones. `copy_of` is the message by which the
    same text has reached the same mailbox under another record; what becomes of that is written here, too.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("message_once", "enrollment_id", "step_id", "channel", "visit", unique=True),
        Index(
            "message_outbox",
            "journey_id",
            "channel",
            "ready_at",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "message_express",
            "channel",
            "ready_at",
            "id",
            sqlite_where=text("state = 'queued' AND category = 'transactional'"),
            postgresql_where=text("state = 'queued' AND category = 'transactional'"),
        ),
        Index(
            "message_provider",
            "provider_id",
            sqlite_where=text("provider_id IS NOT NULL"),
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index(
            "message_copy",
            "copy_of",
            sqlite_where=text("copy_of IS NOT NULL"),
            postgresql_where=text("copy_of IS NOT NULL"),
        ),
        Index(
            "message_claimed",
            "lease_until",
            sqlite_where=text("state = 'claimed'"),
            postgresql_where=text("state = 'claimed'"),
        ),
        Index("message_customer", "customer_id", "template", "sent_at"),
        Index("message_reserved", "customer_id", "reserved_at"),
        Index("message_journey", "journey_id", "state"),
        NEVER_AGAIN,
    )
    id: int = _id()
    journey_id: int = _names("journey.id")
    version_id: int = _names("journey_version.id")
    enrollment_id: int = _names("enrollment.id")
    step_id: int = _names("step.id")
    customer_id: int = _names("customer.id")
    channel: str = _text()
    template: str = _text()
    category: str = _text()
    basis: str | None = _text(null=True)
    state: str = _word()
    reason: str | None = _text(null=True)
    detail: str | None = _text(null=True)
    queued_at: datetime = _time()
    due_at: datetime = _time()
    ready_at: datetime = _time()
    send_by: datetime = _time()
    attempts: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    fence: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    worker: str | None = _text(null=True)
    lease_until: datetime | None = _time(null=True)
    provider_id: str | None = _text(null=True)
    sent_at: datetime | None = _time(null=True)
    delivered_at: datetime | None = _time(null=True)
    opened_at: datetime | None = _time(null=True)
    clicked_at: datetime | None = _time(null=True)
    bounced_at: datetime | None = _time(null=True)
    complained_at: datetime | None = _time(null=True)
    failed_at: datetime | None = _time(null=True)
    priority: int = Field(
        default=50, sa_column=Column(SmallInteger, nullable=False, server_default=text("50"))
    )
    reserved_at: datetime | None = _time(null=True)
    tried_at: datetime | None = _time(null=True)
    crashes: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    doubted_at: datetime | None = _time(null=True)
    visit: int = _number(0)
    copy_of: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
    alone: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))


class Printed(SQLModel, table=True):
    """What a message was written with: the values that it printed, as compressed JSON, and the digest of its `words`."""

    __tablename__ = "printed"
    message_id: int = Field(
        sa_column=Column(BigId, primary_key=True, autoincrement=False, info={NAMES: "message.id"})
    )
    digest: str = Field(sa_column=Column(Text, nullable=False, index=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DeliveryEvent(SQLModel, table=True):
    """What a provider, or a bounce mail, told of a message or an address, its words kept. `key` deduplicates."""

    __tablename__ = "delivery_event"
    __table_args__ = (
        Index("delivery_event_key", "channel", "key", unique=True),
        Index("delivery_event_customer", "customer_id", "channel", "at"),
    )
    id: int = _id()
    channel: str = _text()
    key: str = _text()
    message_id: int | None = _ref("message.id", null=True, index=True)
    customer_id: int | None = _ref("customer.id", null=True)
    kind: str = _text()
    at: datetime = _time()
    hard: bool = Field(default=False)
    status: str = _text()
    reason: str = _text()
    url: str = _text()
    raw: dict[str, Any] = _json()
    received_at: datetime = _time()


class ChannelGate(SQLModel, table=True):
    """Whether and how fast a channel may send, for all workers together.

    `next_at` is when the next messages may go under the channel's rate. After a failure of the provider nothing
    goes before `paused_until`; `failures` counts those in a row since `since`, `reason` is the last one's. `worked_at` is
    when the provider last took a message, to the minute.
    """

    __tablename__ = "channel_gate"
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    next_at: datetime | None = _time(null=True)
    paused_until: datetime | None = _time(null=True)
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    since: datetime | None = _time(null=True)
    reason: str | None = _text(null=True)
    worked_at: datetime | None = _time(null=True)


class ChannelHour(SQLModel, table=True):
    """How many messages a channel sent in an hour, and how many hard bounces and complaints were heard in it."""

    __tablename__ = "channel_hour"
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    hour: datetime = Field(sa_column=Column(Instant, primary_key=True))
    sent: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    bounced: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    complained: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))


class Heartbeat(SQLModel, table=True):
    """How passes go, for all workers together (`name` is `pass`), and how deleting old rows by night goes (`vacuum`).

    `every` is how many seconds apart the passes of whoever ran the last one are, `began_at` when the last one began,
    `alive_at` when it was last heard of, `succeeded_at` when the last one that succeeded ended. `failures` counts those
    that failed in a row since, the last at `failed_at` for `reason`.
    """

    __tablename__ = "heartbeat"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    every: int = Field(sa_column=Column(Integer, nullable=False))
    began_at: datetime = _time()
    succeeded_at: datetime | None = _time(null=True)
    failed_at: datetime | None = _time(null=True)
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    reason: str | None = _text(null=True)
    alive_at: datetime | None = _time(null=True)


class Failure(SQLModel, table=True):
    """Work of one journey that fails: since when, how often in a row, why the last time, when it is tried again.

    There is no row for what succeeds.
    """

    __tablename__ = "failure"
    journey_id: int = Field(
        sa_column=Column(BigId, ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True)
    )
    work: str = Field(sa_column=Column(Text, primary_key=True))
    since: datetime = _time()
    last_at: datetime = _time()
    again_at: datetime = _time()
    times: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    reason: str = _text()


class Chore(SQLModel, table=True):
    """A look over everybody that a journey needs now and then, one worker at a time: when next, and how far it has come.

    `done_until` is the number of the last customer looked at, 0 between two looks; the last one ended at `done_at` and found
    `repaired` answers to be others than were kept. Whoever does it has it until `lease_until`.
    """

    __tablename__ = "chore"
    journey_id: int = Field(
        sa_column=Column(BigId, ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True)
    )
    work: str = Field(sa_column=Column(Text, primary_key=True))
    next_at: datetime = _time()
    lease_until: datetime | None = _time(null=True)
    done_until: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    done_at: datetime | None = _time(null=True)
    repaired: int = Field(default=0, sa_column=Column(Integer, nullable=False))


class Trace(SQLModel, table=True):
    """One decision about a customer, for `treue why`."""

    __tablename__ = "trace"
    __table_args__ = (Index("trace_customer", "customer_id", "journey_id", "id"),)
    id: int = _id()
    customer_id: int = _names("customer.id")
    journey_id: int = _names("journey.id")
    enrollment_id: int | None = _names("enrollment.id", null=True)
    step_id: int | None = _names("step.id", null=True)
    at: datetime = _time()
    decision: str = _text()
    reason: str | None = _text(null=True)
    detail: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))


class PastEvent(SQLModel, table=True):
    """An event that was deleted as old: nothing is left of it but that it came, so that it is known when it is told again.

    `identity` is a digest of its key and scope, `content` as the event's.
    """

    __tablename__ = "past_event"
    __table_args__ = {"sqlite_with_rowid": False}
    identity: str = _key(Text)
    customer_id: int = _ref("customer.id", index=True)
    content: str | None = _text(null=True)


class PastMessage(SQLModel, table=True):
    """A message that was deleted as old: its number, whom it went to, and what made it unique.

    By it the links in it still lead to its customer, who may unsubscribe years later.
    """

    __tablename__ = "past_message"
    id: int = _key(BigId)
    customer_id: int = _ref("customer.id", index=True)
    enrollment_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    step_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    visit: int = Field(sa_column=Column(BigInteger, nullable=False))
    channel: str = _text()
    template: str = _text()


class PastReceipt(SQLModel, table=True):
    """What a provider told and was deleted as old, as a digest of channel and key: told again, it changes nothing."""

    __tablename__ = "past_receipt"
    __table_args__ = {"sqlite_with_rowid": False}
    identity: str = _key(Text)


class StayDay(SQLModel, table=True):
    """Stays that were deleted as old, counted by the days (UTC) on which they began and ended, and how they ended.

    `reason` is empty where a stay has none. Here and below, days are their first instant.
    """

    __tablename__ = "stay_day"
    journey_id: int = _key(BigId, "journey.id")
    entered_on: datetime = _key(Instant)
    left_on: datetime = _key(Instant)
    held_out: bool = _key(Boolean)
    outcome: str = _key(Text)
    reason: str = _key(Text)
    stays: int = _count()


class MessageDay(SQLModel, table=True):
    """Messages that were deleted as old, counted by the day (UTC) on which they went or were refused, and what became of them."""

    __tablename__ = "message_day"
    journey_id: int = _key(BigId, "journey.id")
    step_id: int = _key(BigId, "step.id")
    channel: str = _key(Text)
    template: str = _key(Text)
    state: str = _key(Text)
    reason: str = _key(Text)
    day: datetime = _key(Instant)
    messages: int = _count()
    delivered: int = _count()
    opened: int = _count()
    clicked: int = _count()
    bounced: int = _count()
    complained: int = _count()
    failed: int = _count()


class StepDay(SQLModel, table=True):
    """Stays whose trace was deleted as old, counted by step and what they did there, on the day (UTC) of the last of it.

    `what` is as `store/past/sums.py` says; `way` is the branch's or the arm's name where it is a branch. The holdout is
    counted by itself.
    """

    __tablename__ = "step_day"
    journey_id: int = _key(BigId, "journey.id")
    step_id: int = _key(BigId, "step.id")
    what: str = _key(Text)
    way: str = _key(Text)
    held_out: bool = _key(Boolean)
    day: datetime = _key(Instant)
    stays: int = _count()


class ArmDay(SQLModel, table=True):
    """Draws of splits whose stays were deleted as old, counted by way, the day (UTC) of the draw and how the stays ended."""

    __tablename__ = "arm_day"
    step_id: int = _key(BigId, "step.id")
    arm: str = _key(Text)
    held_out: bool = _key(Boolean)
    outcome: str = _key(Text)
    day: datetime = _key(Instant)
    draws: int = _count()


class Sweep(SQLModel, table=True):
    """How far a table was looked through for old rows: up to the row `reached`, by `rules`, beginning anew at `since`.

    What is behind it was needed still, and is looked at once more after a while, or when the rules have changed.
    """

    __tablename__ = "sweep"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    reached: int = Field(sa_column=Column(BigInteger, nullable=False))
    rules: str = _text()
    since: datetime = _time()


class TimezoneOffset(SQLModel, table=True):
    """A stretch of one UTC offset in a zone customers live in, so that SQL can follow local clocks."""

    __tablename__ = "timezone_offset"
    __table_args__ = (Index("timezone_offset_wall", "zone", "wall_from"),)
    zone: str = Field(sa_column=Column(Text, primary_key=True))
    utc_from: int = Field(sa_column=Column(BigInteger, primary_key=True))
    utc_until: int = Field(sa_column=Column(BigInteger, nullable=False))
    wall_from: int = Field(sa_column=Column(BigInteger, nullable=False))
    wall_until: int = Field(sa_column=Column(BigInteger, nullable=False))
    offset: int = Field(sa_column=Column("shift", BigInteger, nullable=False))


class Receiving(SQLModel, table=True):
    """A webhook delivery already taken in, so that a replay changes nothing."""

    __tablename__ = "receiving"
    source: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    received_at: datetime = _time()


class Mailing(SQLModel, table=True):
    """A text that has gone to a mailbox which several records share: by digest, so that it says nothing of either."""

    __tablename__ = "mailing"
    __table_args__ = (Index("mailing_at", "at"), Index("mailing_message", "message_id"))
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    message_id: int = _ref("message.id")
    customer_id: int = _ref("customer.id")
    at: datetime = _time()


class Telling(SQLModel, table=True):
    """As of when a source has last told of a customer: deliveries come in any order, and an older one changes nothing."""

    __tablename__ = "telling"
    customer_id: int = Field(
        sa_column=Column(BigId, ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True)
    )
    source: str = Field(sa_column=Column(Text, primary_key=True))
    as_of: datetime = _time()


class Picture(SQLModel, table=True):
    """A picture that mails show from our address. `digest` is the hash of what it is; it never changes or goes."""

    __tablename__ = "picture"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = _text()
    media_type: str = _text()
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


metadata: MetaData = SQLModel.metadata

customer: Table = metadata.tables["customer"]
alias: Table = metadata.tables["alias"]
consent: Table = metadata.tables["consent"]
suppression: Table = metadata.tables["suppression"]
opt_out: Table = metadata.tables["opt_out"]
forgotten: Table = metadata.tables["forgotten"]
change: Table = metadata.tables["change"]
event: Table = metadata.tables["event"]
event_conflict: Table = metadata.tables["event_conflict"]
journey: Table = metadata.tables["journey"]
journey_version: Table = metadata.tables["journey_version"]
words: Table = metadata.tables["words"]
wording: Table = metadata.tables["wording"]
step: Table = metadata.tables["step"]
arrival: Table = metadata.tables["arrival"]
watch: Table = metadata.tables["watch"]
membership: Table = metadata.tables["membership"]
enrollment: Table = metadata.tables["enrollment"]
draw: Table = metadata.tables["draw"]
message: Table = metadata.tables["message"]
printed: Table = metadata.tables["printed"]
delivery_event: Table = metadata.tables["delivery_event"]
channel_gate: Table = metadata.tables["channel_gate"]
channel_hour: Table = metadata.tables["channel_hour"]
heartbeat: Table = metadata.tables["heartbeat"]
failure: Table = metadata.tables["failure"]
chore: Table = metadata.tables["chore"]
trace: Table = metadata.tables["trace"]
past_event: Table = metadata.tables["past_event"]
past_message: Table = metadata.tables["past_message"]
past_receipt: Table = metadata.tables["past_receipt"]
stay_day: Table = metadata.tables["stay_day"]
message_day: Table = metadata.tables["message_day"]
step_day: Table = metadata.tables["step_day"]
arm_day: Table = metadata.tables["arm_day"]
sweep: Table = metadata.tables["sweep"]
timezone_offset: Table = metadata.tables["timezone_offset"]
receiving: Table = metadata.tables["receiving"]
mailing: Table = metadata.tables["mailing"]
telling: Table = metadata.tables["telling"]
picture: Table = metadata.tables["picture"]

scratch = MetaData()
"""The temporary tables of a connection. PostgreSQL empties them at each commit: nothing ever vacuums them."""

cohort = Table(
    "cohort",
    scratch,
    Column("enrollment_id", BigId, primary_key=True),
    Column("customer_id", BigId, nullable=False, index=True),
    Column("event_id", BigId),
    Column("held_out", Boolean),
    Column("entered_at", Instant),
    Column("arrived_at", Instant),
    Column("at", Instant),
    Column("deadline_at", Instant),
    Column("effective_at", Instant),
    Column("entered_effective_at", Instant),
    Column("entered_seq", BigInteger),
    Column("arrived_effective_at", Instant),
    Column("visit", BigInteger),
    Column("skipping", BigInteger),
    Column("branch", Integer),
    Column("note", Text),
    Column("stands_until", Instant),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The customers one stage is acting on, for the length of one transaction. `at` is their logical time.

`deadline_at` is when their wait ends. What durations count from (`entered_at`, `arrived_at`, `at`) may lie before what took
effect then (`entered_effective_at`, `arrived_effective_at`, `effective_at`), where the event that began the stay came late.
"""

judged = Table(
    "judged",
    scratch,
    Column("message_id", BigId, primary_key=True),
    Column("customer_id", BigId, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("reason", Text),
    Column("refused", Boolean),
    Column("until", Instant),
    Column("rule", Integer),
    Column("had", Integer),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""Messages that limits and quiet hours are applied to, for the length of one transaction.

`turn` counts those of one customer; `rule` is the limit that decided, by its place in the settings, and `had` what it
counted; `reason` is empty where a message may go, else it is refused, or held `until` then.
"""

caller = Table(
    "caller",
    scratch,
    Column("arrival_id", BigId, primary_key=True),
    Column("customer_id", BigId, nullable=False, unique=True),
    Column("kind", Text),
    Column("event_id", BigId),
    Column("enrollment_id", BigId),
    Column("at", Instant),
    Column("detail", Text),
    Column("per", Text),
    Column("verdict", Text),
    Column("effective_at", Instant),
    Column("seq", BigInteger),
    Column("caused", Boolean),
    Column("last_at", Instant),
    Column("looks", Boolean),
    Column("holds", Boolean),
    Column("stands_until", Instant),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""Each customer's earliest arrival at a journey's door, for the length of one transaction.

`last_at` and `seq` are its place, up to which it sees what came from outside at its instant. Of whom it `looks` at, the
conditions that the journey watches are asked: `holds` says whether they are in its segment, `stands_until` when time alone
may change an answer.
"""

looked = Table(
    "looked",
    scratch,
    Column("enrollment_id", BigId, primary_key=True),
    Column("customer_id", BigId, nullable=False, index=True),
    Column("branch", Integer),
    Column("stands_until", Instant),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The stays of callers whose reasons to leave are asked: `branch` is the first that holds, by its place in the plan."""
