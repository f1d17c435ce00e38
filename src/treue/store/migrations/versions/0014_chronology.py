"""When things take effect, in which order, and what customers' records said before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

LAST = 2**62
INSIDE = sa.text("outcome = 'inside'")
UNROUTED = sa.text("routed_at IS NULL")
EVENTS_IN_THEIR_ORDER = (
    "UPDATE event SET effective_at = CASE WHEN received_at > at THEN received_at ELSE at END, seq = id"
)


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "change",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("customer_id", big_id, sa.ForeignKey("customer.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("happened_at", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("before", sa.JSON().with_variant(JSONB(), "postgresql")),
    )
    op.create_index("change_place", "change", ["customer_id", "at"])
    op.create_index("change_time", "change", ["at"])
    _add("event", ("effective_at", 0), ("seq", 0))
    op.execute(EVENTS_IN_THEIR_ORDER)
    op.drop_index("event_name_customer", "event")
    op.create_index("event_name_customer", "event", ["name", "customer_id", "effective_at", "at", "seq"])
    op.drop_index("event_unrouted", "event")
    op.create_index(
        "event_unrouted", "event", ["customer_id"], sqlite_where=UNROUTED, postgresql_where=UNROUTED
    )
    _add("arrival", ("effective_at", 0), ("seq", LAST))
    op.add_column("arrival", sa.Column("caused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE arrival SET effective_at = at")
    op.execute("UPDATE arrival SET seq = event_id WHERE event_id IS NOT NULL")
    _add("enrollment", ("effective_at", 0), ("seq", LAST), ("visit", 0))
    op.execute("UPDATE enrollment SET effective_at = entered_at")
    op.execute("UPDATE enrollment SET seq = event_id WHERE event_id IS NOT NULL")
    _add("message", ("visit", 0))
    op.drop_index("arrival_turn", "arrival")
    op.drop_index("ix_arrival_customer_id", "arrival")
    op.create_index("arrival_turn", "arrival", ["customer_id", "effective_at"])
    op.create_index("arrival_journey", "arrival", ["journey_id", "effective_at"])
    op.create_index(
        "enrollment_pending", "enrollment", ["customer_id"], sqlite_where=INSIDE, postgresql_where=INSIDE
    )
    op.drop_index("message_once", "message")
    op.create_index("message_once", "message", ["enrollment_id", "step_id", "channel", "visit"], unique=True)
    _key_draws_by_visit(big_id)


def _key_draws_by_visit(big_id: sa.types.TypeEngine[int]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        _add("draw", ("visit", 0), ("at", 0))
        op.drop_constraint("draw_pkey", "draw")
        op.create_primary_key("draw_pkey", "draw", ["enrollment_id", "step_id", "visit"])
        return
    op.drop_index("draw_step", "draw")
    op.rename_table("draw", "draw_before")
    op.create_table(
        "draw",
        sa.Column("enrollment_id", big_id, nullable=False),
        sa.Column("step_id", big_id, nullable=False),
        sa.Column("visit", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollment.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("enrollment_id", "step_id", "visit"),
    )
    op.execute(
        "INSERT INTO draw (enrollment_id, step_id, arm) SELECT enrollment_id, step_id, arm FROM draw_before"
    )
    op.drop_table("draw_before")
    op.create_index("draw_step", "draw", ["step_id", "arm"])


def _add(table: str, *columns: tuple[str, int]) -> None:
    for name, default in columns:
        op.add_column(
            table, sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text(str(default)))
        )
