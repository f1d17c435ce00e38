"""Messages at which a conversation with the provider has broken."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("alone", sa.Boolean, nullable=False, server_default=sa.false()))
