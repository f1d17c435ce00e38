"""`emit` with templates in its data: rendered and recorded for one customer at a time."""

from __future__ import annotations

from treue.cohorts.cohort import each_of_cohort
from treue.cohorts.scene import Renders, Scene
from treue.store import event_identity, events
from treue.store.inputs import EventInput
from treue.vocabulary.steps.emit.word import Emit


def act(renders: Renders, scene: Scene, stage: Emit) -> None:
    """Record an event for each; a property that cannot be rendered is left out."""
    assert scene.connection is not None
    types = renders.properties.get(stage.event, {})
    given = [
        EventInput(
            row.key,
            stage.event,
            row.logical_at,
            renders.values(dict(stage.data), row, scene, types, only_templates=False),
            f"emit:{row.enrollment_id}:{scene.version.number(stage)}"
            + (f":{row.visit}" if row.visit else ""),
            f"{event_identity.JOURNEY}{scene.version.name}",
            effective_at=row.effective_at,
        )
        for row in each_of_cohort(scene.connection)
    ]
    if given:
        events.record(scene.connection, given, scene.now)
