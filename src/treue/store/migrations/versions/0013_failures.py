"""How passes go, and which work of which journey fails."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("every", sa.Integer, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("succeeded_at", sa.BigInteger()),
        sa.Column("failed_at", sa.BigInteger()),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "failure",
        sa.Column("journey_id", big_id, sa.ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("work", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("again_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
