"""The copies of templates that versions keep."""

import sqlalchemy as sa
from alembic import op

from treue.model.types import Json

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    version = sa.ForeignKey("journey_version.id", ondelete="CASCADE")
    op.create_table(
        "words",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("files", Json, nullable=False),
    )
    op.create_table(
        "wording",
        sa.Column("version_id", big_id, version, primary_key=True, autoincrement=False),
        sa.Column("template", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, sa.ForeignKey("words.digest"), nullable=False),
        sa.Column("follows", sa.Boolean, nullable=False),
    )
    op.create_index("ix_wording_digest", "wording", ["digest"])
