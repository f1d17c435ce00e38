"""Messages remember that an attempt's fate was unknown, whatever becomes of the next."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DOUBTED = """
    UPDATE message SET doubted_at = COALESCE(tried_at, queued_at)
    WHERE state IN ('queued', 'in_doubt') AND reason = 'in_doubt'
"""


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"  # which else puts new columns behind the constraints
    with op.batch_alter_table("message", recreate="always" if sqlite else "never") as table:
        table.add_column(sa.Column("doubted_at", sa.BigInteger))
    op.execute(DOUBTED)
