"""Journeys that would send a customer round and round within one pass: a circle of `start` and `emit`, and no wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from treue.language.journey import Choose, Emit, Journey, Split, Start, Step, Stop, Wait, WaitFor, WaitUntil
from treue.language.problems import Place
from treue.workspace.dependencies import Uses, circles, ordered


def spinning(journeys: Mapping[str, Journey]) -> Iterator[tuple[Place, list[str]]]:
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
        if isinstance(step, Start) and step.journey in others:
            yield step.journey, step.place
        elif isinstance(step, Emit):
            entered = (name for name, other in others.items() if other.enter.event == step.event)
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
    match step:
        case Start() | Emit():
            return [step], True
        case Wait() | WaitUntil() | WaitFor() | Stop():
            return [], False
        case Choose():
            return _any([branch.steps for branch in step.branches], step.branches[-1].condition is not None)
        case Split():
            return _any([arm.steps for arm in step.arms if arm.weight], passes=False)
    return [], True


def _any(ways: Sequence[Sequence[Step]], passes: bool) -> tuple[list[Step], bool]:
    reached = [_at_once(way) for way in ways]
    return [step for steps, _ in reached for step in steps], passes or any(on for _, on in reached)
