"""Each version says which number its steps have, so that a step keeps its number under another id."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    column = sa.Column("steps", JSON, nullable=False, server_default=sa.text("'{}'"))
    op.add_column("journey_version", column)
    connection = op.get_bind()
    version = sa.table(
        "journey_version",
        sa.column("id"),
        sa.column("journey_id"),
        sa.column("plan"),
        sa.column("steps", JSON),
    )
    step = sa.table("step", sa.column("id"), sa.column("journey_id"), sa.column("name"))
    for row in connection.execute(sa.select(version.c.id, version.c.journey_id, version.c.plan)).all():
        named = sa.select(step.c.name, step.c.id).where(step.c.journey_id == row.journey_id)
        numbers = {one.name: one.id for one in connection.execute(named)}
        ids = [stage["id"] for stage in _document(row.plan)["stages"]]
        steps = {id_: numbers[id_] for id_ in ids if id_ in numbers}
        connection.execute(sa.update(version).where(version.c.id == row.id).values(steps=steps))


def _document(plan: Any) -> Any:
    return json.loads(plan) if isinstance(plan, str) else plan
