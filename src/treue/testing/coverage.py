"""Which of a journey's branches its tests reach: ways of a choose, arms, steps passed by, exits, the goal, the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from treue.language.journey import Journey
from treue.language.problems import Place
from treue.language.steps import Step, walk
from treue.model.states import Decision
from treue.plan.plan import Plan
from treue.testing.happenings import Decided

DONE, SKIPPED = "done", "skipped"
END = "end"


@dataclass(frozen=True)
class CoveredBranch:
    """A branch of a step (or of the journey, where `step` is empty): its way, its words, and its place in the file."""

    step: str
    way: str
    says: str
    place: Place


@dataclass(frozen=True)
class Coverage:
    """A journey's branches, and those among them that no test reaches."""

    journey: str
    parts: tuple[CoveredBranch, ...]
    missed: tuple[CoveredBranch, ...]

    @property
    def share(self) -> float:
        """The share of the branches that tests reach, 0 to 1."""
        return 1.0 if not self.parts else 1 - len(self.missed) / len(self.parts)


def coverage(journey: Journey, plan: Plan, decided: Iterable[Decided]) -> Coverage:
    """Return which branches of a journey these decisions, of all its tests, went through."""
    seen = {part for one in decided if one.journey == journey.name for part in _reached(one)}
    parts = tuple(_parts(journey, plan))
    return Coverage(journey.name, parts, tuple(p for p in parts if (p.step, p.way) not in seen))


def _parts(journey: Journey, plan: Plan) -> Iterator[CoveredBranch]:
    ids = [stage.id for stage in plan.stages]
    for step, id_ in zip(walk(journey.steps), ids, strict=True):
        yield from _of_step(step, id_)
    for exit_ in journey.exits:
        yield CoveredBranch("", f"exited {exit_.name}", f"exit: {exit_.name}", exit_.place)
    if journey.goal:
        yield CoveredBranch("", Decision.converted.value, f"goal: {journey.goal.event}", journey.goal.place)
    if journey.steps and not journey.steps[-1].ends:
        yield CoveredBranch("", END, "the end of the journey", journey.steps[-1].place)


def _of_step(step: Step, id_: str) -> Iterator[CoveredBranch]:
    if step.when is not None:
        yield CoveredBranch(id_, DONE, f"`if` holds: {step.when.words()}", step.place)
        yield CoveredBranch(id_, SKIPPED, f"`if` does not hold: {step.when.words()}", step.place)
    branches = step.branches()
    for branch in branches:
        if branch.taken:
            yield CoveredBranch(id_, branch.name, branch.says, branch.place)
    if branches and step.passes:
        yield CoveredBranch(id_, "none", "none of the branches", step.place)


def _reached(one: Decided) -> Iterator[tuple[str, str]]:
    step = one.step or ""
    match one.decision:
        case Decision.branch.value:
            yield step, str(one.values.get("way"))
            yield step, DONE
        case Decision.skipped.value:
            yield step, SKIPPED
        case Decision.exited.value:
            yield "", f"exited {one.reason}"
        case Decision.converted.value:
            yield "", Decision.converted.value
        case Decision.finished.value:
            yield "", END
        case _:
            yield step, DONE
