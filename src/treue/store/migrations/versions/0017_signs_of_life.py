"""When a pass under way was last heard of, and when a channel's provider last took a message."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"  # which else puts new columns behind the constraints
    for name, column in (("heartbeat", "alive_at"), ("channel_gate", "worked_at")):
        with op.batch_alter_table(name, recreate="always" if sqlite else "never") as table:
            table.add_column(sa.Column(column, sa.BigInteger))
