"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()  # microseconds since 1970 UTC
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def only(condition: str) -> dict[str, Any]:
    """Say which rows an index is about."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    _customer()
    _journey()
    _receiving()
    _suppression()
    _timezone_offset()
    _consent()
    _event()
    _journey_version()
    _membership()
    _step()
    _arrival()
    _enrollment()
    _message()
    _trace()


def _customer() -> None:
    op.create_table(
        "customer",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("draw", sa.BigInteger, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("phone", sa.Text),
        sa.Column("push_token", sa.Text),
        sa.Column("locale", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("customer_email", "customer", ["email"])
    op.create_index("customer_key", "customer", ["key"], unique=True)


def _journey() -> None:
    op.create_table(
        "journey",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version_id", BIG_ID),
        sa.Column("live_since", INSTANT, nullable=False),
        sa.Column("paused_at", INSTANT),
        sa.Column("scheduled_until", INSTANT),
        sa.Column("sensed_at", INSTANT),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("journey_name", "journey", ["name"], unique=True)


def _receiving() -> None:
    op.create_table(
        "receiving",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("source", "key"),
    )


def _suppression() -> None:
    op.create_table(
        "suppression",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("suppression_address", "suppression", ["channel", "address"], unique=True)


def _timezone_offset() -> None:
    op.create_table(
        "timezone_offset",
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("utc_from", sa.BigInteger, nullable=False),
        sa.Column("utc_until", sa.BigInteger, nullable=False),
        sa.Column("wall_from", sa.BigInteger, nullable=False),
        sa.Column("wall_until", sa.BigInteger, nullable=False),
        sa.Column("shift", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("zone", "utc_from"),
    )
    op.create_index("timezone_offset_wall", "timezone_offset", ["zone", "wall_from"])


def _consent() -> None:
    op.create_table(
        "consent",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("given", sa.Boolean, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("proof", JSON, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_customer", "consent", ["customer_id", "channel"], unique=True)


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("properties", JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("routed_at", INSTANT),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_customer", "event", ["customer_id", "at"])
    op.create_index("event_key", "event", ["key"], unique=True)
    op.create_index("event_name_customer", "event", ["name", "customer_id", "at"])
    op.create_index("event_unrouted", "event", ["id"], **only("routed_at IS NULL"))


def _journey_version() -> None:
    op.create_table(
        "journey_version",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("journey_version_hash", "journey_version", ["journey_id", "hash"], unique=True)


def _membership() -> None:
    op.create_table(
        "membership",
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("journey_id", "customer_id"),
    )
    op.create_index("ix_membership_customer_id", "membership", ["customer_id"])


def _step() -> None:
    op.create_table(
        "step",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("step_name", "step", ["journey_id", "name"], unique=True)


def _arrival() -> None:
    op.create_table(
        "arrival",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("event_id", BIG_ID),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("detail", sa.Text),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("arrival_event", "arrival", ["journey_id", "event_id"], unique=True)
    op.create_index("arrival_turn", "arrival", ["journey_id", "customer_id", "at", "id"])
    op.create_index("ix_arrival_customer_id", "arrival", ["customer_id"])
    op.create_index("ix_arrival_event_id", "arrival", ["event_id"])


def _enrollment() -> None:
    op.create_table(
        "enrollment",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("version_id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("event_id", BIG_ID),
        sa.Column("per", sa.Text, nullable=False),
        sa.Column("held_out", sa.Boolean, nullable=False),
        sa.Column("entered_at", INSTANT, nullable=False),
        sa.Column("convert_by", INSTANT),
        sa.Column("step_id", BIG_ID),
        sa.Column("arrived_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("left_at", INSTANT),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"]),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["journey_version.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("enrollment_customer", "enrollment", ["journey_id", "customer_id"])
    op.create_index(
        "enrollment_due", "enrollment", ["version_id", "step_id", "due_at"], **only("outcome = 'inside'")
    )
    op.create_index(
        "enrollment_inside",
        "enrollment",
        ["journey_id", "customer_id", "per"],
        unique=True,
        **only("outcome = 'inside'"),
    )
    op.create_index(
        "enrollment_converting",
        "enrollment",
        ["version_id"],
        sqlite_where=sa.text("outcome = 'finished' AND convert_by IS NOT NULL"),
        postgresql_where=sa.text("outcome = 'finished' AND convert_by IS NOT NULL"),
    )
    op.create_index("ix_enrollment_customer_id", "enrollment", ["customer_id"])


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("version_id", BIG_ID, nullable=False),
        sa.Column("enrollment_id", BIG_ID, nullable=False),
        sa.Column("step_id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("basis", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("queued_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("ready_at", INSTANT, nullable=False),
        sa.Column("send_by", INSTANT, nullable=False),
        sa.Column("attempts", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", INSTANT),
        sa.Column("provider_id", sa.Text),
        sa.Column("sent_at", INSTANT),
        sa.Column("delivered_at", INSTANT),
        sa.Column("opened_at", INSTANT),
        sa.Column("clicked_at", INSTANT),
        sa.Column("bounced_at", INSTANT),
        sa.Column("complained_at", INSTANT),
        sa.Column("failed_at", INSTANT),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["journey_version.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("message_claimed", "message", ["lease_until"], **only("state = 'claimed'"))
    op.create_index("message_customer", "message", ["customer_id", "template", "sent_at"])
    op.create_index("message_journey", "message", ["journey_id", "state"])
    op.create_index("message_once", "message", ["enrollment_id", "step_id", "channel"], unique=True)
    op.create_index("message_outbox", "message", ["ready_at", "id"], **only("state = 'queued'"))


def _trace() -> None:
    op.create_table(
        "trace",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("journey_id", BIG_ID, nullable=False),
        sa.Column("enrollment_id", BIG_ID),
        sa.Column("step_id", BIG_ID),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", JSON),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trace_enrollment_id", "trace", ["enrollment_id"])
    op.create_index("trace_customer", "trace", ["customer_id", "journey_id", "id"])
