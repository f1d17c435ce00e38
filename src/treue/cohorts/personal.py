"""What steps with templates in their values work with: the one place where a stage looks at customers one by one."""

from __future__ import annotations

from treue.cohorts.scene import Deed, Scene
from treue.language.steps import Stage
from treue.model.faces import face


def rendered(says: str, stage: Stage) -> Deed:
    """Return what a stage's face `personal` does for each of the cohort, where templates can be filled in."""

    def act(scene: Scene) -> None:
        if scene.renders is not None:
            face(type(stage), "personal").act(scene.renders, scene, stage)

    return Deed(says, act)
