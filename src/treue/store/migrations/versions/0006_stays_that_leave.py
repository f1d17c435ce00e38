"""Who is at a door to leave says which stay has to end; stays are found by the event that began them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Which stay they meant was not noted; the next pass looks again.
FORGOTTEN = "DELETE FROM arrival WHERE kind = 'leave'"


def upgrade() -> None:
    op.execute(FORGOTTEN)
    if op.get_bind().dialect.name == "sqlite":  # which else puts new columns behind the constraints
        stays = sa.Table("enrollment", sa.MetaData(), sa.Column("id", BIG_ID))
        keys = (sa.ForeignKeyConstraint(["enrollment_id"], [stays.c.id], ondelete="CASCADE"),)
        with op.batch_alter_table("arrival", recreate="always", table_args=keys) as table:
            table.add_column(sa.Column("enrollment_id", BIG_ID))
    else:
        key = sa.ForeignKey("enrollment.id", ondelete="CASCADE")
        op.add_column("arrival", sa.Column("enrollment_id", BIG_ID, key))
    op.create_index("ix_arrival_enrollment_id", "arrival", ["enrollment_id"])
    op.create_index("ix_enrollment_event_id", "enrollment", ["event_id"])
