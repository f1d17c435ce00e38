"""Who sends nothing on the way from a wait whose moment had passed."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "enrollment", sa.Column("skipping", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
