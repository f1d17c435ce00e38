"""What the engine alone writes is not checked row by row any more, and no index is kept that no query asks."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAMING = {"fk": "%(table_name)s_%(column_0_name)s_fkey"}
KEYS = {
    "arrival": ("journey_id", "customer_id", "event_id", "enrollment_id"),
    "enrollment": ("journey_id", "version_id", "customer_id", "event_id", "step_id"),
    "draw": ("enrollment_id", "step_id"),
    "message": ("journey_id", "version_id", "enrollment_id", "step_id", "customer_id"),
    "trace": ("customer_id", "journey_id", "enrollment_id", "step_id"),
}
NUMBERED = ("enrollment", "message")
"""Whose numbers SQLite never gives twice."""
BEFORE = (
    ("arrival", "ix_arrival_event_id"),
    ("arrival", "arrival_journey"),
    ("arrival", "ix_arrival_enrollment_id"),
    ("enrollment", "ix_enrollment_customer_id"),
    ("enrollment", "ix_enrollment_event_id"),
    ("enrollment", "enrollment_pending"),
    ("enrollment", "enrollment_customer"),
    ("enrollment", "enrollment_inside"),
    ("enrollment", "enrollment_due"),
    ("trace", "ix_trace_enrollment_id"),
)
INSIDE = sa.text("outcome = 'inside'")
LEAVING = sa.text("enrollment_id IS NOT NULL")


def upgrade() -> None:
    for name, index in BEFORE:
        op.drop_index(index, name)
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name, columns in KEYS.items():
        # SQLite's constraints have no names but those that reflection gives them.
        with op.batch_alter_table(
            name,
            recreate="always" if sqlite else "never",
            naming_convention=NAMING if sqlite else None,
            table_kwargs={"sqlite_autoincrement": name in NUMBERED},
        ) as table:
            for column in columns:
                table.drop_constraint(f"{name}_{column}_fkey", "foreignkey")
    op.create_index("enrollment_customer", "enrollment", ["customer_id", "journey_id"])
    op.create_index(
        "enrollment_inside",
        "enrollment",
        ["customer_id", "journey_id", "per"],
        unique=True,
        sqlite_where=INSIDE,
        postgresql_where=INSIDE,
    )
    op.create_index(
        "enrollment_due",
        "enrollment",
        ["version_id", "step_id", "due_at", "id"],
        sqlite_where=INSIDE,
        postgresql_where=INSIDE,
    )
    op.create_index("arrival_journey", "arrival", ["journey_id", "effective_at", "id"])
    op.create_index(
        "arrival_leaving", "arrival", ["enrollment_id"], sqlite_where=LEAVING, postgresql_where=LEAVING
    )
