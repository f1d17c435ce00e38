"""What `emit` does to a cohort: record an event for each, unless it is personal, and note it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, case, cast, literal, select

from treue.cohorts.cohort import constant_json, insert_new, note_cohort, place_in_cohort
from treue.cohorts.personal import rendered
from treue.cohorts.player import Player
from treue.cohorts.scene import Deed, Scene, Statement
from treue.model.states import Decision
from treue.model.tables import cohort, event
from treue.store.event_identity import JOURNEY
from treue.vocabulary.steps.emit.word import Emit


class EmitPlayer(Player[Emit]):
    """Plays `emit`."""

    def act(self, scene: Scene, stage: Emit) -> Sequence[Statement | Deed]:
        """Return the statements that record the event for each customer and note it."""
        note = note_cohort(
            scene,
            stage,
            Decision.emitted,
            constant_json(scene, {"event": stage.event}),
            cohort.c.note.is_(None),
        )
        if stage.is_personal:
            return [rendered("record what is rendered for each", stage), Statement("note the event", note)]
        query = select(
            _key(scene.version.number(stage)),
            cohort.c.customer_id,
            literal(stage.event),
            cohort.c.at,
            constant_json(scene, dict(stage.data)),
            literal(f"{JOURNEY}{scene.version.name}"),
            cohort.c.effective_at,
            cohort.c.effective_at,
            place_in_cohort(),
        ).where(cohort.c.note.is_(None))
        columns = [
            "key", "customer_id", "name", "at", "properties", "source", "received_at", "effective_at", "seq",
        ]  # fmt: skip
        record = insert_new(scene.dialect, event, columns, query)
        return [Statement("record the event", record), Statement("note the event", note)]


def _key(step: int | None) -> ColumnElement[str]:
    """Return the events' ids: whatever happens, a stay emits once at each visit to a step."""
    again = case((cohort.c.visit > 0, literal(":") + cast(cohort.c.visit, Text)), else_="")
    return literal("emit:") + cast(cohort.c.enrollment_id, Text) + literal(f":{step}") + again


PLAYERS = {"emit": EmitPlayer()}
