"""Rules about what is stored of customers, held against what is declared and what journeys rely on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from treue.language.problems import Problem
from treue.language.steps import Step
from treue.lint.rule import LintInput, Rule
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.segments.tree import Condition

if TYPE_CHECKING:
    from treue.lint.data import Data


class StoredOtherwise(Rule):
    """An attribute that customers have as something else than it is declared.

    Counted in the workspace's database. What was imported before it was declared, or declared otherwise then, is kept as it
    came: a text where a number is declared fits no comparison, and counts as missing. `treue db conform` brings over what can
    be read so; else declare what it is. Said too of what is `required` and yet missing.
    """

    code = "T512"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each such attribute, where it is declared."""
        if data is None or not data.customers:
            return
        schema = files.workspace.settings.schema
        for one in data.unfit(schema.attributes):
            hint = "`treue db conform` brings over what can be read so; or declare what it is."
            yield Problem(files.declared(one.attribute), self.code, one.words(), hint)
        for name in sorted(schema.required):
            if lacking := data.lacking(name, schema.attributes[name]):
                message = (
                    f"`{name}` is `required`, and {lacking:,} of {data.customers:,} customers have none: for them a message "
                    "that prints it fails."
                )
                hint = "Take `required` away and give templates a `default`, or import what is missing."
                yield Problem(files.declared(name), self.code, message, hint)


class DateMissing(Rule):
    """A wait until a date that customers may lack.

    For whoever has no such date the moment counts as passed: they do not wait, and by `passed` they are sent nothing until
    the next wait, go on at once, or leave. With the workspace's database, how many those are; without one, unless the
    attribute is `required`. Ask for the date with `{attribute: …, exists: true}` in the `if` of `enter`, or around the wait.
    """

    code = "T514"
    wrong = "steps: [{wait: {until: {attribute: birthday, before: 3d}}}, {send: welcome, on: email}]"
    right = (
        "enter: {event: customer.created, if: {attribute: birthday, exists: true}}\n"
        "steps: [{wait: {until: {attribute: birthday, before: 3d}}}, {send: welcome, on: email}]"
    )

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each step that waits for a date which some customers may lack."""
        for journey in files.workspace.journeys.values():
            asked = [condition for _, condition in journey.enter.trigger.segments()]
            asked += [journey.enter.when] if journey.enter.when is not None else []
            known = {name for one in asked for name in one.implies_attributes()}
            yield from self._within(journey.steps, known | set(journey.enter.trigger.reads()), files, data)

    def _within(
        self, steps: Sequence[Step], known: set[str], files: LintInput, data: Data | None
    ) -> Iterator[Problem]:
        for step in steps:
            here = known | _implied(step.when)
            for name in step.dates():
                if name not in here and (lacking := _lacking(name, files, data)):
                    message = f"{lacking}: for them the moment counts as passed, and they do not wait here."
                    hint = f"Ask for `{{attribute: {name}, exists: true}}` in the `if` of `enter`, or around the wait."
                    yield Problem(step.place, self.code, message, hint)
            for branch in step.branches():
                yield from self._within(branch.steps, here | _implied(branch.condition), files, data)


def _lacking(name: str, files: LintInput, data: Data | None) -> str:
    """Return who lacks a date, in words; empty where nobody does."""
    schema = files.workspace.settings.schema
    if data is not None and data.customers:
        lacking = data.lacking(name, schema.attributes[name])
        return f"{lacking:,} of {data.customers:,} customers have no {name}" if lacking else ""
    certain = name in schema.required or name in BUILT_IN_ATTRIBUTES
    return "" if certain else f"Customers may have no {name}"


def _implied(condition: Condition | None) -> set[str]:
    return set(condition.implies_attributes()) if condition is not None else set()
