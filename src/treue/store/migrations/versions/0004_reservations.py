"""Messages know their journey's priority, and when they took their place among what the limits allow."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What was queued or sent before there were limits counts once there are some.
COUNTED = """
    UPDATE message SET reserved_at = queued_at
    WHERE category <> 'transactional' AND state IN ('queued', 'claimed', 'sent', 'in_doubt')
"""


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"  # which else puts new columns behind the constraints
    with op.batch_alter_table("message", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("priority", sa.SmallInteger, server_default=sa.text("50"), nullable=False))
        table.add_column(sa.Column("reserved_at", sa.BigInteger))
    op.execute(COUNTED)
    op.create_index("message_reserved", "message", ["customer_id", "reserved_at"])
