"""Which of a journey's branches its tests reach: ways of a choose, arms, steps passed by, exits, the goal, the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from treue.language.journey import Branch, Choose, Journey, Split, Step, Stop, WaitFor, walk
from treue.language.problems import Place
from treue.model.states import Decision
from treue.plan.stages import Plan
from treue.segments.words import words
from treue.testing.happenings import Decided

DONE, SKIPPED = "done", "skipped"
END = "end"


@dataclass(frozen=True)
class Part:
    """One branch: at which step (empty: of the whole journey), which way, what it is in words, and where it stands."""

    step: str
    way: str
    says: str
    place: Place


@dataclass(frozen=True)
class Coverage:
    """A journey's branches, and those among them that no test reaches."""

    journey: str
    parts: tuple[Part, ...]
    missed: tuple[Part, ...]

    @property
    def share(self) -> float:
        """The share of the branches that tests reach, 0 to 1."""
        return 1.0 if not self.parts else 1 - len(self.missed) / len(self.parts)


def coverage(journey: Journey, plan: Plan, decided: Iterable[Decided]) -> Coverage:
    """Return which branches of a journey these decisions, of all its tests, went through."""
    seen = {part for one in decided if one.journey == journey.name for part in _reached(one)}
    parts = tuple(_parts(journey, plan))
    return Coverage(journey.name, parts, tuple(p for p in parts if (p.step, p.way) not in seen))


def _parts(journey: Journey, plan: Plan) -> Iterator[Part]:
    ids = [stage.id for stage in plan.stages]
    for step, id_ in zip(walk(journey.steps), ids, strict=True):
        yield from _of_step(step, id_)
    for exit_ in journey.exits:
        yield Part("", f"exited {exit_.name}", f"exit: {exit_.name}", exit_.place)
    if journey.goal:
        yield Part("", Decision.converted.value, f"goal: {journey.goal.event}", journey.goal.place)
    if journey.steps and not isinstance(journey.steps[-1], Stop):
        yield Part("", END, "the end of the journey", journey.steps[-1].place)


def _of_step(step: Step, id_: str) -> Iterator[Part]:
    if step.when is not None:
        yield Part(id_, DONE, f"`if` holds: {words(step.when)}", step.place)
        yield Part(id_, SKIPPED, f"`if` does not hold: {words(step.when)}", step.place)
    match step:
        case Choose():
            for n, branch in enumerate(step.branches):
                yield Part(id_, _way(n, branch), _says(branch), branch.place)
            if step.branches and step.branches[-1].condition is not None:
                yield Part(id_, "none", "none of the branches", step.place)
        case Split():
            arms = [arm for arm in step.arms if arm.weight]
            yield from (Part(id_, arm.name, f"arm {arm.name}", arm.place) for arm in arms)
        case WaitFor():
            held = words(step.condition)
            yield Part(id_, "then", f"it came to hold: {held}", step.place)
            yield Part(id_, "otherwise", f"it did not within {step.at_most}: {held}", step.place)


def _way(n: int, branch: Branch) -> str:
    return str(n) if branch.condition is not None else "else"


def _says(branch: Branch) -> str:
    return "else" if branch.condition is None else f"if {words(branch.condition)}"


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
