"""Journeys that would send a customer round and round within one pass: a circle of `start` and `emit`, and no wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from treue.language.journey import Journey
from treue.language.problems import Place
from treue.language.steps import Step
from treue.workspace.dependencies import Uses, circles, ordered


def find_cycles(journeys: Mapping[str, Journey]) -> Iterator[tuple[Place, list[str]]]:
    """Yield each circle of journeys that let everybody in again and again, and where its last one leads to its first."""
    open_ = {name: journey for name, journey in journeys.items() if _again_and_again(journey)}
    uses: Uses = {name: dict(_leads_to(journey, open_)) for name, journey in open_.items()}
    for circle in circles(uses, ordered(uses)):
        yield uses[circle[-1]][circle[0]], circle


def _again_and_again(journey: Journey) -> bool:
    return journey.enter.again is not None and not journey.enter.again


def _leads_to(journey: Journey, others: Mapping[str, Journey]) -> Iterator[tuple[str, Place]]:
    steps, _ = _at_once(journey.steps)
    for step in steps:
        yield from ((name, step.place) for name in step.starts() if name in others)
        for event in step.emits():
            entered = (name for name, other in others.items() if event in other.enter.trigger.events())
            yield from ((name, step.place) for name in entered)


def _at_once(steps: Sequence[Step]) -> tuple[list[Step], bool]:
    """Return the steps that bring somebody to a door and are reached without waiting; and whether the end is."""
    found: list[Step] = []
    for step in steps:
        inner, goes_on = _within(step)
        found += inner
        if not goes_on and step.when is None:
            return found, False
    return found, True


def _within(step: Step) -> tuple[list[Step], bool]:
    if step.holds or step.ends:
        return [], False
    reached = [_at_once(branch.steps) for branch in step.branches() if branch.taken]
    inner = [one for steps, _ in reached for one in steps]
    return [step, *inner], step.passes or any(goes_on for _, goes_on in reached)
