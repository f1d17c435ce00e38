"""The keys of records that were merged into others."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "alias",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("customer_id", big_id, sa.ForeignKey("customer.id", ondelete="CASCADE"), nullable=False),
        sa.Column("merged_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_alias_customer_id", "alias", ["customer_id"])
