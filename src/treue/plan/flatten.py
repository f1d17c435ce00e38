"""A journey's file to its plan: steps become stages, branches become ways that lead to stages."""

from __future__ import annotations

from collections.abc import Callable

from treue.language import journey as language
from treue.language.steps import Stage, Step
from treue.plan.plan import Exit, Goal, Plan

CategoryOf = Callable[[str, str], str | None]


def _no_category(_template: str, _channel: str) -> str | None:
    return None


def build(journey: language.Journey, category_of: CategoryOf = _no_category) -> Plan:
    """Return the plan of a journey. `category_of(template, channel)` is what a template's front matter says."""
    goal = journey.goal
    return Plan(
        journey.name,
        journey.category,
        journey.basis,
        journey.priority,
        journey.enter,
        tuple(
            Exit(one.name, one.event, one.where, one.condition, one.same, one.condition is not None)
            for one in journey.exits
        ),
        Goal(goal.event, goal.where, goal.within) if goal else None,
        journey.holdout,
        journey.in_flight,
        tuple(_Flattening(journey.category, category_of).steps(journey.steps, "steps", None)),
        tuple((one.old, one.new) for one in journey.moved),
    )


class _Flattening:
    def __init__(self, category: str, category_of: CategoryOf) -> None:
        self.category, self._category_of = category, category_of

    def category_of(self, template: str, channel: str) -> str | None:
        return self._category_of(template, channel)

    def steps(self, steps: tuple[Step, ...], path: str, after: str | None) -> list[Stage]:
        ids = [step.id or f"{path}.{n}" for n, step in enumerate(steps)]
        stages: list[Stage] = []
        for n, step in enumerate(steps):
            to = ids[n + 1] if n + 1 < len(ids) else after
            stages += step.flatten(self, ids[n], f"{path}.{n}", to)
        return stages
