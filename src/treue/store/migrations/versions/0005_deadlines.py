"""Stays know when the wait they stand at ends."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Until now only who had been told how long to wait was due later than they had arrived.
WAITING = "UPDATE enrollment SET deadline_at = due_at WHERE outcome = 'inside' AND due_at > arrived_at"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"  # which else puts new columns behind the constraints
    with op.batch_alter_table("enrollment", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("deadline_at", sa.BigInteger))
    op.execute(WAITING)
