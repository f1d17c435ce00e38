"""The rule about conditions that have to be asked of everybody, again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from treue.language.journey import Journey
from treue.language.problems import Place, Problem
from treue.lint.rule import LintInput, Rule
from treue.segments.needs import unforeseen
from treue.segments.tree import Condition, Leaf

if TYPE_CHECKING:
    from treue.lint.data import Data


class AskedOfEverybody(Rule):
    """A watched condition that time changes at an instant nobody can tell before.

    Who joins a segment, or has a reason to leave, is known at the instant of the event or the change that made it so, or at
    which a time ran out. Of the days ahead (`anniversary_in`), and of events whose own dates are compared with `30d ago`, that
    instant cannot be told: everybody has to be asked, again and again. With many customers that costs, and it takes effect
    only when it is noticed. A `date` trigger lets in on days of the customer's own; `within` and `last` tell when they change.
    """

    code = "T515"
    wrong = "enter: {segment: regulars}\nexit: [{attribute: birthday, anniversary_in: 3d}]"
    right = "enter: {date: birthday, before: 3d}\nexit: [{segment: resting}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each such segment that lets in, and each such reason to leave."""
        for name, journey in files.workspace.journeys.items():
            for place, condition in _watched(files, name, journey):
                if leaves := unforeseen(condition):
                    message = f"Everybody is asked for this again and again: nothing tells when time changes {_told(leaves)}."
                    hint = "Ask for it at a step, let in by a `date`, or count with `within` and `last`."
                    yield Problem(place, self.code, message, hint)


def _watched(files: LintInput, name: str, journey: Journey) -> Iterator[tuple[Place, Condition]]:
    if (joined := journey.enter.trigger.joined()) is not None:
        yield files.place(name, "enter", "segment"), joined
    for exit_ in journey.exits:
        if exit_.condition is not None:
            yield exit_.place, exit_.condition


def _told(leaves: Iterable[Leaf]) -> str:
    return " and ".join(dict.fromkeys(f"`{leaf.words()}`" for leaf in leaves))
