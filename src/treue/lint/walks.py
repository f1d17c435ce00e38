"""A journey's steps, walked as customers walk them: what follows what, where they end, how long it may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from treue.language.steps import Step

Ways = tuple[tuple[Step, ...], ...]


def ways(step: Step) -> Ways:
    """Return the lists of steps that lie inside a step, those that nobody takes left out."""
    return tuple(branch.steps for branch in step.branches() if branch.taken)


def ends(step: Step) -> bool:
    """Whether nobody goes on after a step."""
    if step.when is not None:
        return False
    return step.ends or (not step.passes and all(any(map(ends, way)) for way in ways(step)))


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
    return step.takes() + max((longest(way) for way in ways(step)), default=timedelta())
