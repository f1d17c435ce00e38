"""`set` with templates in its values: rendered and written for one customer at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from treue.cohorts.cohort import each_of_cohort
from treue.cohorts.scene import Renders, Scene
from treue.model.tables import cohort, customer
from treue.store import changes, customers, sequence
from treue.vocabulary.steps.set.word import Set


def act(renders: Renders, scene: Scene, stage: Set) -> None:
    """Write the values that are templates."""
    assert scene.connection is not None
    customers.lock(scene.connection, scene.connection.scalars(select(cohort.c.customer_id)).all())
    written, told = dict[int, dict[str, Any]](), list[changes.Change]()
    for row in each_of_cohort(scene.connection):
        values = renders.values(dict(stage.values), row, scene, renders.attributes, only_templates=True)
        before = written.get(row.id, row.attributes)
        told += changes.between(row.id, before, values, row.effective_at, sequence.take())
        if values:
            written[row.id] = {**before, **values}
    changes.record(scene.connection, told, caused=True)
    if written:
        scene.connection.execute(
            update(customer)
            .where(customer.c.id == bindparam("which"))
            .values(attributes=bindparam("attributes"), updated_at=scene.now),
            [{"which": id_, "attributes": attributes} for id_, attributes in written.items()],
        )
