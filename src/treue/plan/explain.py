"""A plan in words: who enters, what each stage does, where it leads. What commands and flowcharts say of it."""

from __future__ import annotations

from collections.abc import Iterator

from treue.language.triggers import Entry, fitting
from treue.plan.plan import Exit, Goal, Plan

END = "end"
"""What the end of a journey is called where a stage's id would stand."""


def category(plan: Plan) -> str:
    """Return what a journey's messages are for, and on what legal ground."""
    return f"{plan.category}, by {plan.basis.replace('_', ' ')}" if plan.basis else plan.category


def admission(entry: Entry) -> Iterator[str]:
    """Yield who is let in, and how often, in words."""
    if entry.when is not None:
        yield f"if {entry.when.words()}"
    per = entry.trigger.stays_for()
    if entry.again is None:
        yield f"once for each {per}" if per else "once"
    else:
        yield f"again {entry.again} after leaving" if entry.again else "again and again"
        if per:
            yield f"for each {per}"


def goal(aim: Goal) -> str:
    """Return the goal in words: its event, what that must fit, and by when."""
    return aim.event + fitting(aim.where) + (f" within {aim.within}" if aim.within else " while inside")


def leaving(reason: Exit) -> str:
    """Return in words what makes customers leave at once."""
    if reason.condition is not None:
        return reason.condition.words()
    same = f" with the same {reason.same.name}" if reason.same else ""
    return f"{reason.event}{fitting(reason.where)}{same}"


def share(holdout: int) -> str:
    """Return a holdout, kept in hundredths of a percent, as people write it."""
    return f"{holdout / 100:g}%"


def tasks(plan: Plan) -> list[str]:
    """Return the names of the tasks of one pass over this journey, in order."""
    return ["enter", *(stage.id for stage in plan.stages), "deliver"]
