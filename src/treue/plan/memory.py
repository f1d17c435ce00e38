"""What of the past a plan looks back to: old rows are kept for it."""

from __future__ import annotations

from collections.abc import Iterator

from treue.plan.plan import Plan
from treue.segments.memory import Memory
from treue.segments.tree import Condition


def remembered(plan: Plan) -> Memory:
    """Return what of the past the conditions of a plan look back to."""
    return Memory.union(condition.remembers() for condition in _asked(plan))


def _asked(plan: Plan) -> Iterator[Condition]:
    """Yield all conditions of a plan as they are asked: at a wait, only what comes after the arrival counts."""
    entry = plan.entry
    yield from (one for one in (entry.when, entry.trigger.joined()) if one is not None)
    yield from (condition for _, condition in entry.trigger.segments())
    yield from (exit_.condition for exit_ in plan.exits if exit_.condition is not None)
    for stage in plan.stages:
        waits = stage.waits_for()
        yield from (waits.since_arrival() if one is waits else one for one in stage.conditions())
