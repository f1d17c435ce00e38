"""What `choose` does to a cohort: ask the conditions, note the way, send each on by it."""

from __future__ import annotations

from sqlalchemy import update

from treue.cohorts.branches import go_on_by_ways, note_ways
from treue.cohorts.player import Player
from treue.cohorts.scene import Scene, Statement
from treue.model.tables import cohort
from treue.segments.sql import branches
from treue.vocabulary.steps.choose.word import Choose


class ChoosePlayer(Player[Choose]):
    """Plays `choose`."""

    def act(self, scene: Scene, stage: Choose) -> list[Statement]:
        """Return the statements that note each customer's branch in the cohort."""
        conditions = [way.condition for way in stage.ways]
        found = branches(conditions, scene.moment, scene.dialect, cohort).subquery("found")
        pick = (
            update(cohort)
            .values(branch=found.c.branch)
            .where(cohort.c.enrollment_id == found.c.enrollment_id, cohort.c.note.is_(None))
        )
        return [Statement("which branch", pick), note_ways(scene, stage, stage.ways)]

    def go_on(self, scene: Scene, stage: Choose) -> list[Statement]:
        """Return what sends each on by its branch."""
        return go_on_by_ways(scene, stage, stage.ways)


PLAYERS = {"choose": ChoosePlayer()}
