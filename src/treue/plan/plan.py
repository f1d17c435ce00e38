"""The plan that a journey becomes. Plain frozen data: what is explained is what is run.

Stages stand in the order of the file, which is a topological order: nobody ever moves backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from treue.clock import Duration
from treue.language.steps import Stage
from treue.language.triggers import Entry
from treue.segments.tree import Condition, Property, Same


@dataclass(frozen=True)
class Exit:
    """A reason to leave at once.

    A condition that is `asked` is asked of whoever comes to the door, to a step, or is about to be sent to; plans from
    before that was so have passes notice it only.
    """

    name: str
    event: str | None
    where: tuple[Property, ...]
    condition: Condition | None
    same: Same | None = None
    asked: bool = False


@dataclass(frozen=True)
class Goal:
    """The event that counts as success."""

    event: str
    where: tuple[Property, ...]
    within: Duration | None


@dataclass(frozen=True)
class Plan:
    """What a journey's file means. Two files that mean the same have the same plan and so the same `hash`.

    `moved` says which ids steps had in earlier versions, old before new; it is no part of the meaning.
    """

    journey: str
    category: str
    basis: str | None
    priority: int
    entry: Entry
    exits: tuple[Exit, ...]
    goal: Goal | None
    holdout: int
    in_flight: str
    stages: tuple[Stage, ...]
    moved: tuple[tuple[str, str], ...] = ()

    @property
    def has_several_stays(self) -> bool:
        """Whether a customer may be inside more than once at a time."""
        return self.entry.has_several_stays

    @cached_property
    def skips(self) -> bool:
        """Whether customers may be sent nothing for a while, since a moment to wait for has passed."""
        return any(stage.skips for stage in self.stages)

    @property
    def first(self) -> str | None:
        """The id of the first stage."""
        return self.stages[0].id if self.stages else None

    def stage(self, id_: str) -> Stage:
        """Return the stage with an id. Raises KeyError where there is none."""
        for stage in self.stages:
            if stage.id == id_:
                return stage
        raise KeyError(id_)

    @property
    def ending_events(self) -> tuple[str, ...]:
        """The events that may end a stay: exits and the goal."""
        names = [*(exit_.event for exit_ in self.exits), self.goal.event if self.goal else None]
        return tuple(dict.fromkeys(name for name in names if name))
