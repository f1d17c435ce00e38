"""A journey's steps, walked as customers walk them: what follows what, where they end, how long it may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from treue.clock import Duration
from treue.language.journey import Choose, Split, Step, Stop, Wait, WaitFor, WaitUntil

Ways = tuple[tuple[Step, ...], ...]


def ways(step: Step) -> Ways:
    """Return the lists of steps that lie inside a step."""
    match step:
        case Choose():
            return tuple(branch.steps for branch in step.branches)
        case Split():
            return tuple(arm.steps for arm in step.arms if arm.weight or step.learn)
        case WaitFor():
            return (step.then, step.otherwise)
    return ()


def ends(step: Step) -> bool:
    """Whether nobody goes on after a step."""
    if step.when is not None:
        return False
    if isinstance(step, Stop):
        return True
    if isinstance(step, Choose) and step.branches[-1].condition is not None:
        return False
    inner = ways(step)
    return bool(inner) and all(any(map(ends, way)) for way in inner)


def lists(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Yield every list of steps: the journey's own, and those inside its steps."""
    yield steps
    for step in steps:
        for way in ways(step):
            yield from lists(way)


def longest(steps: Sequence[Step]) -> timedelta:
    """Return how long the longest way through takes; a month counts as 30 days, a date to wait for as nothing."""
    return sum((_takes(step) for step in steps), timedelta())


def _takes(step: Step) -> timedelta:
    inner = max((longest(way) for way in ways(step)), default=timedelta())
    match step:
        case Wait():
            return about(step.duration)
        case WaitFor():
            return about(step.at_most) + inner
        case WaitUntil():
            return timedelta(days=1)
    return inner


def about(duration: Duration) -> timedelta:
    """Return a duration as a length of time; a month counts as 30 days."""
    return timedelta(days=duration.months * 30 + duration.days, seconds=duration.seconds)
