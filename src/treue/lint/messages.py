"""The rule about conditions on messages that another journey sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.journey import Journey
from treue.language.problems import Place, Problem
from treue.language.steps import message_of, walk
from treue.lint.rule import LintInput, Rule
from treue.segments.needs import leaves
from treue.segments.tree import Condition
from treue.vocabulary.conditions.message.word import MessageWas

if TYPE_CHECKING:
    from treue.lint.data import Data


class AnothersMessage(Rule):
    """A condition on a message that only another journey sends.

    In a journey that sends a template itself, `{message: welcome, was: clicked}` asks for this stay's message. Of a template
    that only other journeys send it asks for all that the customer has ever had, years ago included. `within` says how long
    ago they may be, and `since: ever` that it is meant so.
    """

    code = "T516"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each step and exit that asks so for the message of another journey."""
        sent = {name: _sent(journey) for name, journey in files.workspace.journeys.items()}
        for name, journey in files.workspace.journeys.items():
            for place, condition in _asked(journey):
                for template in _bare(condition):
                    others = sorted(other for other in sent if other != name and template in sent[other])
                    if others:
                        message = f"`{template}` is sent by {others[0]}, not here: this looks at all that were ever sent."
                        hint = "Add `within`, or `since: ever` if that is meant."
                        yield Problem(place, self.code, message, hint)


def _sent(journey: Journey) -> set[str]:
    return {found.template for step in walk(journey.steps) if (found := message_of(step)) is not None}


def _asked(journey: Journey) -> Iterator[tuple[Place, Condition]]:
    for exit_ in journey.exits:
        if exit_.condition is not None:
            yield exit_.place, exit_.condition
    for step in walk(journey.steps):
        for condition in step.conditions():
            yield step.place, condition


def _bare(condition: Condition) -> list[str]:
    found = (leaf for leaf in leaves(condition) if isinstance(leaf, MessageWas) and leaf.bare)
    return sorted({leaf.template for leaf in found if leaf.template is not None})
