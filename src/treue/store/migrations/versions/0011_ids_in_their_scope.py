"""An event's id is unique by source, name and customer; what comes under a used id with other content is set aside."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()
JSON = sa.JSON().with_variant(JSONB(), "postgresql")

DIGEST = {
    "sqlite": "scope_of({text})",
    "postgresql": "encode(substring(sha256(convert_to({text}, 'UTF8')) FROM 1 FOR 12), 'base64')",
}
SCOPED = """
    UPDATE event SET scope = {digest} FROM customer
    WHERE customer.id = event.customer_id AND event.name <> 'customer.created' AND event.source NOT LIKE 'journey:%'
"""
TEXT = "event.name || '\n' || customer.key || '\n' || event.source"


def upgrade() -> None:
    bind = op.get_bind()
    sqlite = bind.dialect.name == "sqlite"  # which else puts new columns behind the constraints
    op.drop_index("event_key", "event")
    with op.batch_alter_table("event", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("scope", sa.Text, server_default=sa.text("''"), nullable=False))
        table.add_column(sa.Column("content", sa.Text))
    if sqlite:
        driver: Any = bind.connection.driver_connection
        driver.create_function("scope_of", 1, scope_of, deterministic=True)
    op.execute(SCOPED.format(digest=DIGEST[bind.dialect.name].format(text=TEXT)))
    op.create_index("event_key", "event", ["key", "scope"], unique=True)
    op.create_table(
        "event_conflict",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("event_id", BIG_ID, sa.ForeignKey("event.id", ondelete="CASCADE"), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("at", INSTANT),
        sa.Column("properties", JSON, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
    )
    op.create_index("event_conflict_content", "event_conflict", ["event_id", "content"], unique=True)


def scope_of(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()[:12]).decode()
