"""What `start` does to a cohort: bring it to the other journey's door."""

from __future__ import annotations

from sqlalchemy import and_, case, exists, insert, literal, select, true

from treue.cohorts.cohort import constant_json, note_cohort, place_in_cohort
from treue.cohorts.player import Player
from treue.cohorts.scene import Scene, Statement
from treue.model.states import ArrivalKind, Decision
from treue.model.tables import arrival, cohort, journey, trace
from treue.vocabulary.steps.start.word import Start

_ARRIVAL = ["journey_id", "customer_id", "kind", "at", "detail", "effective_at", "seq", "caused"]


class StartPlayer(Player[Start]):
    """Plays `start`."""

    def act(self, scene: Scene, stage: Start) -> list[Statement]:
        """Return what brings them there; nobody comes twice by the same step of one stay."""
        runs = and_(journey.c.name == stage.journey, journey.c.version_id.is_not(None))
        mine = scene.version.number(stage)
        hers = (trace.c.customer_id == cohort.c.customer_id, trace.c.journey_id == scene.version.journey_id)
        before = exists().where(*hers, trace.c.enrollment_id == cohort.c.enrollment_id, trace.c.step_id == mine,
                                trace.c.decision == Decision.started.value)  # fmt: skip
        query = (
            select(
                journey.c.id,
                cohort.c.customer_id,
                literal(ArrivalKind.started.value),
                cohort.c.at,
                literal(scene.version.name),
                cohort.c.effective_at,
                place_in_cohort(),
                true(),
            )
            .join(journey, runs)
            .where(cohort.c.note.is_(None), ~before)
        )
        bring = insert(arrival).from_select(_ARRIVAL, query)
        decision = case((exists().where(runs), Decision.started.value), else_=Decision.not_started.value)
        detail = constant_json(scene, {"journey": stage.journey})
        note = note_cohort(scene, stage, decision, detail, and_(cohort.c.note.is_(None), ~before))
        return [
            Statement(f"bring them to the door of {stage.journey}", bring),
            Statement("note the start", note),
        ]


PLAYERS = {"start": StartPlayer()}
