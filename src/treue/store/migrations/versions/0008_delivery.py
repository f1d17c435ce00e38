"""Channels have gates and hours, messages their provider's number and crashes, and providers' words are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
QUEUED = sa.text("state = 'queued'")
EXPRESS = sa.text("state = 'queued' AND category = 'transactional'")
KNOWN = sa.text("provider_id IS NOT NULL")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"  # which else puts new columns behind the constraints
    with op.batch_alter_table("message", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("tried_at", INSTANT))
        table.add_column(sa.Column("crashes", sa.SmallInteger, server_default=sa.text("0"), nullable=False))
    with op.batch_alter_table("suppression", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("purpose", sa.Text, server_default=sa.text("'all'"), nullable=False))
        table.add_column(sa.Column("expires_at", INSTANT))
    _indexes()
    _gates()
    _events()


def _indexes() -> None:
    op.drop_index("message_outbox", "message")
    outbox = ["journey_id", "channel", "ready_at", "id"]
    op.create_index("message_outbox", "message", outbox, sqlite_where=QUEUED, postgresql_where=QUEUED)
    express = ["channel", "ready_at", "id"]
    op.create_index("message_express", "message", express, sqlite_where=EXPRESS, postgresql_where=EXPRESS)
    op.create_index(
        "message_provider", "message", ["provider_id"], sqlite_where=KNOWN, postgresql_where=KNOWN
    )


def _gates() -> None:
    op.create_table(
        "channel_gate",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("next_at", INSTANT),
        sa.Column("paused_until", INSTANT),
        sa.Column("failures", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("since", INSTANT),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "channel_hour",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("hour", INSTANT, primary_key=True),
        sa.Column("sent", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("bounced", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("complained", sa.Integer, server_default=sa.text("0"), nullable=False),
    )


def _events() -> None:
    op.create_table(
        "delivery_event",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("message_id", BIG_ID, sa.ForeignKey("message.id", ondelete="CASCADE")),
        sa.Column("customer_id", BIG_ID, sa.ForeignKey("customer.id", ondelete="CASCADE")),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("raw", JSON, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
    )
    op.create_index("delivery_event_key", "delivery_event", ["channel", "key"], unique=True)
    op.create_index("delivery_event_customer", "delivery_event", ["customer_id", "channel", "at"])
    op.create_index("ix_delivery_event_message_id", "delivery_event", ["message_id"])
