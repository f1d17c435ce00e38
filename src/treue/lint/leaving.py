"""Rules about who leaves a journey, and who should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.journey import Goal, Journey
from treue.language.problems import Problem
from treue.lint.rule import Files, Rule
from treue.lint.walking import about, longest

if TYPE_CHECKING:
    from treue.lint.data import Data


class GoalLetsNobodyOut(Rule):
    """The goal's event does not always end the stay, and no `exit` names it.

    A goal counts only events that fit its `where`, and only `within` its time. Whoever orders for less, or later, stays
    inside and is written to as if nothing had happened. Name the event under `exit` too, or lengthen `within`.
    """

    code = "T503"
    wrong = "goal: {event: order.placed, within: 2d}\nsteps: [{send: welcome, on: email}, {wait: 9d}]"
    right = "goal: {event: order.placed, within: 9d}\nsteps: [{send: welcome, on: email}, {wait: 9d}]"

    def look(self, files: Files, data: Data | None) -> Iterator[Problem]:
        """Yield each goal that lets go of its event before the journey is over."""
        for name, journey in files.workspace.journeys.items():
            goal = journey.goal
            if goal is None or any(exit_.event == goal.event for exit_ in journey.exits):
                continue
            if (message := _gap(journey, goal)) is not None:
                hint = f"Add `- event: {goal.event}` under `exit`, or change the goal."
                yield Problem(files.place(name, "goal"), self.code, message, hint)


def _gap(journey: Journey, goal: Goal) -> str | None:
    takes = longest(journey.steps)
    if goal.within and about(goal.within) < takes:
        return f"After {goal.within} {goal.event} no longer ends the stay, but the journey may take {takes.days} days."
    if goal.where and takes:
        return f"A {goal.event} that does not fit the goal's `where` leaves the customer inside."
    return None


class NobodyLeaves(Rule):
    """A journey that takes its time and has no `exit`.

    Nobody gets a message after withdrawing consent, whatever the file says: the last look before sending sees to it.
    But they stay inside, are counted as inside, and each message is refused one by one. `check --fix` adds the exit.
    """

    code = "T504"
    wrong = "steps: [{send: welcome, on: email}, {wait: 9d}, {send: welcome-all-well, on: email}]"
    right = "exit: [{event: consent.withdrawn}]\nsteps: [{send: welcome, on: email}, {wait: 9d}]"

    def look(self, files: Files, data: Data | None) -> Iterator[Problem]:
        """Yield each journey with waits, without exits, that needs consent."""
        for name, journey in files.workspace.journeys.items():
            if journey.category != "transactional" and not journey.exits and longest(journey.steps):
                message = "This journey has no `exit`: whoever withdraws consent stays inside to its end."
                hint = "Add `exit: [{event: consent.withdrawn}]`."
                yield Problem(files.place(name, "steps"), self.code, message, hint)
