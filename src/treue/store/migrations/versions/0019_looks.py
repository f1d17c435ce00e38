"""What changes of customers' records journeys watch, and when answers expire."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

EXPIRY = sa.text("kind = 'expiry'")


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "watch",
        sa.Column("journey_id", big_id, sa.ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("inside", sa.Boolean, nullable=False),
    )
    op.create_index("watch_name", "watch", ["name"])
    op.create_index(
        "arrival_expiry",
        "arrival",
        ["journey_id", "customer_id"],
        unique=True,
        sqlite_where=EXPIRY,
        postgresql_where=EXPIRY,
    )
    op.create_table(
        "chore",
        sa.Column("journey_id", big_id, sa.ForeignKey("journey.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("work", sa.Text, primary_key=True),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("done_until", sa.BigInteger, nullable=False),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("repaired", sa.Integer, nullable=False),
    )
