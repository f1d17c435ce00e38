"""As of when each source has last told of a customer, and which texts have gone to mailboxes that several share."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

COPY = sa.text("copy_of IS NOT NULL")


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "telling",
        sa.Column("customer_id", big_id, sa.ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("as_of", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "mailing",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("message_id", big_id, sa.ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
        sa.Column("customer_id", big_id, sa.ForeignKey("customer.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("mailing_at", "mailing", ["at"])
    op.create_index("mailing_message", "mailing", ["message_id"])
    op.add_column("message", sa.Column("copy_of", big_id))
    op.create_index("message_copy", "message", ["copy_of"], sqlite_where=COPY, postgresql_where=COPY)


def downgrade() -> None:
    op.drop_index("message_copy", "message")
    op.drop_column("message", "copy_of")
    op.drop_table("mailing")
    op.drop_table("telling")
