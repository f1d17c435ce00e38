"""What stays of old rows that are deleted; numbers that are never given twice; conflicts that outlive their events."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERED = ("event", "enrollment", "message")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
CONFLICTS = """
    INSERT INTO event_conflict (content, at, properties, received_at, key, scope, name, source, customer_id)
    SELECT old.content, old.at, old.properties, old.received_at,
           event.key, event.scope, event.name, event.source, event.customer_id
    FROM event_conflict_before AS old JOIN event ON event.id = old.event_id ORDER BY old.id
"""


def upgrade() -> None:
    _let_conflicts_stand_alone()
    if op.get_bind().dialect.name == "sqlite":  # PostgreSQL's sequences never go back
        for name in NUMBERED:
            _number_for_ever(name)
    _keep_keys()
    _keep_sums()


def _let_conflicts_stand_alone() -> None:
    op.drop_index("event_conflict_content", "event_conflict")
    op.execute("ALTER TABLE event_conflict RENAME TO event_conflict_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX event_conflict_pkey RENAME TO event_conflict_before_pkey")
        op.execute("ALTER SEQUENCE event_conflict_id_seq RENAME TO event_conflict_before_id_seq")
    op.create_table(
        "event_conflict",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger),
        sa.Column("properties", JSON, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("key", "scope", "name", "source")),
        _customer(),
    )
    op.execute(CONFLICTS)
    op.drop_table("event_conflict_before")
    op.create_index("event_conflict_content", "event_conflict", ["key", "scope", "content"], unique=True)
    op.create_index("ix_event_conflict_customer_id", "event_conflict", ["customer_id"])


def _number_for_ever(name: str) -> None:
    with op.batch_alter_table(name, recreate="always", table_kwargs={"sqlite_autoincrement": True}) as table:
        if name == "event":  # or its default would be written in another way
            table.alter_column("scope", existing_type=sa.Text(), server_default=sa.text("''"))


def _keep_keys() -> None:
    op.create_table(
        "past_event",
        sa.Column("identity", sa.Text, primary_key=True),
        _customer(),
        sa.Column("content", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_past_event_customer_id", "past_event", ["customer_id"])
    op.create_table(
        "past_message",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=False),
        _customer(),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("enrollment_id", "step_id", "visit")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("channel", "template")),
    )
    op.create_index("ix_past_message_customer_id", "past_message", ["customer_id"])
    op.create_table("past_receipt", sa.Column("identity", sa.Text, primary_key=True), sqlite_with_rowid=False)


def _customer() -> sa.Column[int]:
    return sa.Column("customer_id", BIG_ID, sa.ForeignKey("customer.id", ondelete="CASCADE"), nullable=False)


def _keep_sums() -> None:
    op.create_table(
        "stay_day",
        _journey(),
        *(_key(name, sa.BigInteger()) for name in ("entered_on", "left_on")),
        _key("held_out", sa.Boolean()),
        *(_key(name, sa.Text()) for name in ("outcome", "reason")),
        _count("stays"),
    )
    op.create_table(
        "message_day",
        _journey(),
        _step(),
        *(_key(name, sa.Text()) for name in ("channel", "template", "state", "reason")),
        _key("day", sa.BigInteger()),
        *map(
            _count,
            ("messages", "delivered", "opened", "clicked", "bounced", "complained", "failed"),
        ),
    )
    op.create_table(
        "step_day",
        _journey(),
        _step(),
        *(_key(name, sa.Text()) for name in ("what", "way")),
        _key("held_out", sa.Boolean()),
        _key("day", sa.BigInteger()),
        _count("stays"),
    )
    op.create_table(
        "arm_day",
        _step(),
        _key("arm", sa.Text()),
        _key("held_out", sa.Boolean()),
        _key("outcome", sa.Text()),
        _key("day", sa.BigInteger()),
        _count("draws"),
    )
    op.create_table(
        "sweep",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("reached", sa.BigInteger, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )


def _journey() -> sa.Column[Any]:
    return _key("journey_id", BIG_ID, "journey.id")


def _step() -> sa.Column[Any]:
    return _key("step_id", BIG_ID, "step.id")


def _key(name: str, kind: Any, target: str | None = None) -> sa.Column[Any]:
    keys = (sa.ForeignKey(target, ondelete="CASCADE"),) if target else ()
    return sa.Column(name, kind, *keys, primary_key=True, autoincrement=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))
