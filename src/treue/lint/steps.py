"""Rules about the ways through a journey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from treue.language.problems import Place, Problem
from treue.language.steps import Step, walk
from treue.lint.rule import LintInput, Rule
from treue.lint.walks import ends, lists
from treue.segments.needs import needs
from treue.segments.tree import Condition

if TYPE_CHECKING:
    from treue.lint.data import Data


class Unreachable(Rule):
    """A step that nobody can reach.

    It stands after a `stop: true`, or after a `choose` or `split` in which every way ends with one; or it is a branch
    whose condition an earlier branch of the same `choose` has already. Delete it, or move it before the end.
    """

    code = "T501"
    wrong = "steps: [{stop: true}, {send: welcome, on: email}]"
    right = "steps: [{send: welcome, on: email}, {stop: true}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each first step behind an end, and each branch that repeats an earlier one."""
        for journey in files.workspace.journeys.values():
            for steps in lists(journey.steps):
                yield from self._behind(steps)
            for step in walk(journey.steps):
                yield from self._repeated(step)

    def _behind(self, steps: Sequence[Step]) -> Iterator[Problem]:
        for before, step in pairwise(steps):
            if ends(before):
                message = f"Nobody reaches this step: the journey has ended in line {before.place.line}."
                yield Problem(step.place, self.code, message, "Delete it, or move it before the end.")
                return

    def _repeated(self, step: Step) -> Iterator[Problem]:
        seen: dict[Condition, Place] = {}
        for branch in step.branches():
            if branch.condition is None:
                continue
            first = seen.setdefault(branch.condition, branch.place)
            if first is not branch.place:
                message = f"Nobody takes this branch: the one in line {first.line} has the same condition."
                yield Problem(branch.place, self.code, message, "Change one of the two conditions.")


class EmptyBranch(Rule):
    """A branch that no customer fits today.

    Counted in the workspace's database. Conditions on what happens inside the journey (since entry, messages) are left
    out. It may be meant for times to come; most often it is a value spelt otherwise than the data spell it.
    """

    code = "T502"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each branch whose condition holds for nobody."""
        if data is None or not data.customers:
            return
        for journey in files.workspace.journeys.values():
            for step in walk(journey.steps):
                for branch in () if step.holds else step.branches():  # what is waited for is yet to come
                    condition = branch.condition
                    if condition is not None and _of_everybody(condition) and not data.fitting(condition):
                        message = (
                            f"None of {data.customers:,} customers fits this branch: {condition.words()}."
                        )
                        yield Problem(
                            branch.place, self.code, message, "Is the value spelt as the data spell it?"
                        )


def _of_everybody(condition: Condition) -> bool:
    """Whether a condition can be asked of any customer, inside the journey or not."""
    return not needs(condition) and not condition.changes_by().messages
