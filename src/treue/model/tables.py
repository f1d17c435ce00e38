"""The tables. Times are UTC; `Instant` columns are microseconds since 1970 in the database.

Read from the top: who there is (customer, consent, suppression, event), what is written (journey,
journey_version, step), what happens (arrival, membership, enrollment, draw, message, trace), what is heard of it (delivery_event, channel_gate,
channel_hour).
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
    text,
)
from sqlmodel import Field, SQLModel

from treue.model.types import Instant, Json, Word

BigId = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER aliases SQLite's rowid


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigId, primary_key=True))


def _ref(target: str, *, null: bool = False, index: bool = False, cascade: bool = True) -> Any:
    key = ForeignKey(target, ondelete="CASCADE" if cascade else None)
    return Field(default=None, sa_column=Column(BigId, key, nullable=null, index=index))


def _time(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Instant, nullable=null))


def _text(*, null: bool = False) -> Any:
    return Field(default=None if null else "", sa_column=Column(Text, nullable=null))


def _word() -> Any:
    return Field(default="", sa_column=Column(Word, nullable=False))


def _json() -> Any:
    return Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class Customer(SQLModel, table=True):
    """One person. `key` is the company's own id; `draw` is a stable 31-bit hash of it for splits and holdouts."""

    __tablename__ = "customer"
    __table_args__ = (
        Index("customer_key", "key", unique=True),
        Index("customer_email", "email"),
        Index("customer_phone", "phone"),
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
    """An address nothing is sent to any more, on what evidence, and until when.

    `purpose` is `all`, or `marketing` where transactional messages still go there.
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


class Forgotten(SQLModel, table=True):
    """An address of somebody who was erased, as a keyed hash of channel and address: it still gets no marketing.

    `purpose` is `all` where nothing at all may go there.
    """

    __tablename__ = "forgotten"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    purpose: str = _text()
    reason: str = _text()
    since: datetime = _time()


class Event(SQLModel, table=True):
    """Something a customer did. `key` deduplicates for ever; `routed_at` is empty until journeys have seen it."""

    __tablename__ = "event"
    __table_args__ = (
        Index("event_key", "key", unique=True),
        Index("event_name_customer", "name", "customer_id", "at"),
        Index("event_customer", "customer_id", "at"),
        Index(
            "event_unrouted",
            "id",
            sqlite_where=text("routed_at IS NULL"),
            postgresql_where=text("routed_at IS NULL"),
        ),
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


class Journey(SQLModel, table=True):
    """A journey by name. It reacts to what happens from `live_since` on; history before that starts nobody."""

    __tablename__ = "journey"
    __table_args__ = (Index("journey_name", "name", unique=True),)
    id: int = _id()
    name: str = _text()
    version_id: int | None = Field(default=None, sa_column=Column(BigId, nullable=True))
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

    `enrollment_id` is the stay that has to end, where it is a reason to leave.
    """

    __tablename__ = "arrival"
    __table_args__ = (
        Index("arrival_turn", "journey_id", "customer_id", "at", "id"),
        Index("arrival_event", "journey_id", "event_id", unique=True),
    )
    id: int = _id()
    journey_id: int = _ref("journey.id")
    customer_id: int = _ref("customer.id", index=True)
    kind: str = _text()
    event_id: int | None = _ref("event.id", null=True, index=True)
    at: datetime = _time()
    detail: str | None = _text(null=True)
    enrollment_id: int | None = _ref("enrollment.id", null=True, index=True)


class Membership(SQLModel, table=True):
    """Who was in a journey's entry segment when it was last looked at: joining is the difference to now."""

    __tablename__ = "membership"
    journey_id: int = Field(
        sa_column=Column(BigId, ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True)
    )
    customer_id: int = Field(
        sa_column=Column(BigId, ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True, index=True)
    )


class Enrollment(SQLModel, table=True):
    """A customer's stay in a journey. `due_at` is when the step at `step_id` acts; all logical time.

    `deadline_at` is when the wait they stand at ends; empty where they stand at no wait, or have only just come.
    """

    __tablename__ = "enrollment"
    __table_args__ = (
        Index(
            "enrollment_inside",
            "journey_id",
            "customer_id",
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
            sqlite_where=text("outcome = 'inside'"),
            postgresql_where=text("outcome = 'inside'"),
        ),
        Index("enrollment_customer", "journey_id", "customer_id"),
        Index(
            "enrollment_converting",
            "version_id",
            sqlite_where=text("outcome = 'finished' AND convert_by IS NOT NULL"),
            postgresql_where=text("outcome = 'finished' AND convert_by IS NOT NULL"),
        ),
    )
    id: int = _id()
    journey_id: int = _ref("journey.id")
    version_id: int = _ref("journey_version.id")
    customer_id: int = _ref("customer.id", index=True)
    event_id: int | None = _ref("event.id", null=True, index=True, cascade=False)
    per: str = _text()
    held_out: bool = Field(default=False)
    entered_at: datetime = _time()
    convert_by: datetime | None = _time(null=True)
    step_id: int | None = _ref("step.id", null=True)
    arrived_at: datetime = _time()
    due_at: datetime = _time()
    outcome: str = _word()
    reason: str | None = _text(null=True)
    left_at: datetime | None = _time(null=True)
    deadline_at: datetime | None = _time(null=True)


class Draw(SQLModel, table=True):
    """The way a split sent a stay. Written once: whoever went a way goes on it, whatever the shares become."""

    __tablename__ = "draw"
    __table_args__ = (Index("draw_step", "step_id", "arm"),)
    enrollment_id: int = Field(
        sa_column=Column(BigId, ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True)
    )
    step_id: int = Field(sa_column=Column(BigId, ForeignKey("step.id", ondelete="CASCADE"), primary_key=True))
    arm: str = _text()


class Message(SQLModel, table=True):
    """One message to one customer on one channel: the outbox and the send ledger in one.

    `due_at` is when it should go, `send_by` when it goes stale, `ready_at` the earliest next attempt.
    `fence` counts claims: a worker whose fence is old may not record anything. `reserved_at` is when it took its
    place among what the limits allow (none for transactional messages): a marketing message that is queued
    without one is held, for the `reason` it carries, until `ready_at`. `priority` is its journey's. `tried_at` is
    the first attempt; `crashes` counts the workers that died with it in their hands; `doubted_at` is when an attempt's
    fate was first unknown: its customer may have it, whatever became of later ones.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("message_once", "enrollment_id", "step_id", "channel", unique=True),
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
            "message_claimed",
            "lease_until",
            sqlite_where=text("state = 'claimed'"),
            postgresql_where=text("state = 'claimed'"),
        ),
        Index("message_customer", "customer_id", "template", "sent_at"),
        Index("message_reserved", "customer_id", "reserved_at"),
        Index("message_journey", "journey_id", "state"),
    )
    id: int = _id()
    journey_id: int = _ref("journey.id")
    version_id: int = _ref("journey_version.id")
    enrollment_id: int = _ref("enrollment.id")
    step_id: int = _ref("step.id")
    customer_id: int = _ref("customer.id")
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
    goes before `paused_until`; `failures` counts those in a row since `since`, `reason` is the last one's.
    """

    __tablename__ = "channel_gate"
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    next_at: datetime | None = _time(null=True)
    paused_until: datetime | None = _time(null=True)
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    since: datetime | None = _time(null=True)
    reason: str | None = _text(null=True)


class ChannelHour(SQLModel, table=True):
    """How many messages a channel sent in an hour, and how many hard bounces and complaints were heard in it."""

    __tablename__ = "channel_hour"
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    hour: datetime = Field(sa_column=Column(Instant, primary_key=True))
    sent: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    bounced: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    complained: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))


class Trace(SQLModel, table=True):
    """One decision about a customer, for `treue why`."""

    __tablename__ = "trace"
    __table_args__ = (Index("trace_customer", "customer_id", "journey_id", "id"),)
    id: int = _id()
    customer_id: int = _ref("customer.id")
    journey_id: int = _ref("journey.id")
    enrollment_id: int | None = _ref("enrollment.id", null=True, index=True)
    step_id: int | None = _ref("step.id", null=True)
    at: datetime = _time()
    decision: str = _text()
    reason: str | None = _text(null=True)
    detail: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))


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


class Picture(SQLModel, table=True):
    """A picture that mails show from our address. `digest` is the hash of what it is; it never changes or goes."""

    __tablename__ = "picture"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = _text()
    media_type: str = _text()
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


metadata: MetaData = SQLModel.metadata

customer: Table = metadata.tables["customer"]
consent: Table = metadata.tables["consent"]
suppression: Table = metadata.tables["suppression"]
forgotten: Table = metadata.tables["forgotten"]
event: Table = metadata.tables["event"]
journey: Table = metadata.tables["journey"]
journey_version: Table = metadata.tables["journey_version"]
step: Table = metadata.tables["step"]
arrival: Table = metadata.tables["arrival"]
membership: Table = metadata.tables["membership"]
enrollment: Table = metadata.tables["enrollment"]
draw: Table = metadata.tables["draw"]
message: Table = metadata.tables["message"]
delivery_event: Table = metadata.tables["delivery_event"]
channel_gate: Table = metadata.tables["channel_gate"]
channel_hour: Table = metadata.tables["channel_hour"]
trace: Table = metadata.tables["trace"]
timezone_offset: Table = metadata.tables["timezone_offset"]
receiving: Table = metadata.tables["receiving"]
picture: Table = metadata.tables["picture"]

scratch = MetaData()
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
    Column("branch", Integer),
    Column("note", Text),
    prefixes=["TEMPORARY"],
)
"""The customers one stage is acting on, for the length of one transaction. `at` is their logical time.

`deadline_at` is when their wait ends."""

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
    prefixes=["TEMPORARY"],
)
"""Each customer's earliest arrival at a journey's door, for the length of one transaction."""
