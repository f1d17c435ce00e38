"""Rules about who leaves a journey, and who should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.journey import Goal, Journey
from treue.language.problems import Problem
from treue.language.triggers import Entry
from treue.lint.rule import LintInput, Rule
from treue.lint.walks import longest
from treue.segments.tree import All, AnyOf, Condition, InSegment, Op
from treue.vocabulary.conditions.event.word import Happened

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

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
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
    if goal.within and goal.within.roughly < takes:
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

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each journey with waits, without exits, that needs consent."""
        for name, journey in files.workspace.journeys.items():
            if journey.category != "transactional" and not journey.exits and longest(journey.steps):
                message = "This journey has no `exit`: whoever withdraws consent stays inside to its end."
                hint = "Add `exit: [{event: consent.withdrawn}]`."
                yield Problem(files.place(name, "steps"), self.code, message, hint)


class MetAtTheDoor(Rule):
    """An exit by a condition that whoever enters meets already.

    Such an exit is asked at the door too, where it sees the event that brings the customer: an `exit` that repeats that
    event, or the segment or `if` of `enter`, lets nobody in. An event that counts is written alone (`- event:
    order.placed`), or with `since: entry`, and then means those after entry; `same` and `where` may tell them apart, too.
    """

    code = "T511"
    wrong = "enter: {event: order.placed}\nexit: [{event: order.placed, at_least: 1}]"
    right = "enter: {event: order.placed}\nexit: [{event: order.placed, at_least: 1, since: entry}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each exit that holds for whoever comes by an event, or who fits what `enter` asks for."""
        for journey in files.workspace.journeys.values():
            for exit_ in journey.exits:
                if exit_.condition is None:
                    continue
                if (event := _repeated(exit_.condition, journey.enter)) is not None:
                    message = f"Whoever comes by {event} meets this exit already: nobody gets in by it."
                    hint = "Add `since: entry`, to count only what comes after entry."
                    yield Problem(exit_.place, self.code, message, hint)
                elif _holds(exit_.condition, _asked_of_all(journey.enter)):
                    message = "Whoever fits `enter` meets this exit already: nobody gets in."
                    hint = "Leave it out, or let it ask for what comes later."
                    yield Problem(exit_.place, self.code, message, hint)


def _repeated(condition: Condition, enter: Entry) -> str | None:
    """Return the event that starts the journey and makes a condition hold by itself, or None."""
    given = _asked_of_all(enter)
    for name in enter.trigger.events():
        if _holds(condition, given, name, enter) and not _holds(condition, given):
            return name
    return None


def _asked_of_all(enter: Entry) -> frozenset[Condition]:
    """Return what holds for everybody who enters: the trigger's segments, and the parts of `if`."""
    segments = [InSegment(name, condition) for name, condition in enter.trigger.segments()]
    when = enter.when.parts if isinstance(enter.when, All) else (enter.when,) if enter.when else ()
    return frozenset([*segments, *when])


def _holds(
    condition: Condition, given: frozenset[Condition], event: str = "", enter: Entry | None = None
) -> bool:
    """Whether a condition certainly holds where others do, and where an event has just brought the customer."""
    if condition in given:
        return True
    match condition:
        case All():
            return all(_holds(part, given, event, enter) for part in condition.parts)
        case AnyOf():
            return any(_holds(part, given, event, enter) for part in condition.parts)
        case InSegment():
            return _holds(condition.condition, given, event, enter)
        case Happened():
            return enter is not None and condition.event == event and _is_met_by_one(condition, enter)
    return False


def _is_met_by_one(condition: Happened, enter: Entry) -> bool:
    """Whether the event that brings the customer is enough, whatever happened before."""
    if condition.since or condition.same or condition.last or condition.first:
        return False
    fits = set(condition.where) <= set(enter.trigger.properties())
    return fits and all(map(_is_at_least_one, condition.ops))


def _is_at_least_one(op: Op) -> bool:
    return op.name == "at_least" and op.values[0] in (0, 1)
