"""What `stop` does to a cohort: end its stays."""

from __future__ import annotations

from treue.cohorts.cohort import SKIP, move
from treue.cohorts.player import Player
from treue.cohorts.scene import Scene, Statement
from treue.model.tables import cohort
from treue.vocabulary.steps.stop.word import Stop


class StopPlayer(Player[Stop]):
    """Plays `stop`."""

    def act(self, scene: Scene, stage: Stop) -> list[Statement]:
        """Return nothing: going on is all there is."""
        return []

    def go_on(self, scene: Scene, stage: Stop) -> list[Statement]:
        """Return what ends the stays, but for those who skip the step."""
        return [
            *move(scene, None, cohort.c.note.is_(None), "end"),
            *move(scene, stage.to, cohort.c.note == SKIP, "on past it"),
        ]


PLAYERS = {"stop": StopPlayer()}
