"""Rules about whom a journey speaks to, and when it begins to sell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from treue.clock import Duration
from treue.language.journey import Journey
from treue.language.problems import Place, Problem
from treue.language.steps import Step, message_of
from treue.lint.rule import LintInput, Rule
from treue.segments.needs import needs
from treue.segments.tree import All, AnyOf, Condition
from treue.vocabulary.conditions.event.word import Happened

if TYPE_CHECKING:
    from treue.lint.data import Data

PURCHASE = "order.placed"
"""The event that counts as a purchase."""

LOOKED_BACK = Duration(days=30)
"""How far back an event may lie for its customers to count as a journey's audience."""

SHARED = 0.2
"""The share of the smaller audience from which on an overlap is worth saying."""


class OverlappingAudiences(Rule):
    """Two promotional journeys that speak to the same people.

    Counted in the workspace's database: members of the segment, or those to whom the event happened within 30 days, as far
    as the `if` lets them in. Said where at least a fifth of the smaller audience is in both. `limits` decide what each
    customer gets (the journey of higher priority first); a `{not: {journey: …, is: inside}}` in one `if` keeps them apart.
    """

    code = "T505"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each pair, at the journey that comes second."""
        if data is None:
            return
        found = {name: _audience(one) for name, one in files.workspace.journeys.items() if _sells(one)}
        audiences = {name: audience for name, audience in found.items() if audience is not None}
        journeys = files.workspace.journeys
        for pair in combinations(sorted(audiences, key=lambda name: (-journeys[name].priority, name)), 2):
            first, second = pair
            both = data.fitting(audiences[first], audiences[second])
            least = min(data.fitting(audiences[first]), data.fitting(audiences[second]))
            if least and both >= SHARED * least:
                message = (
                    f"{both:,} of the {data.fitting(audiences[second]):,} customers of this journey are in the "
                    f"audience of `{first}` too; each may hear from both."
                )
                hint = f"Keep them apart with `{{not: {{journey: {first}, is: inside}}}}` in the `if`, or leave it to `limits`."
                yield Problem(files.place(second, "enter"), self.code, message, hint)


def _sells(journey: Journey) -> bool:
    return journey.category == "promotional"


def _audience(journey: Journey) -> Condition | None:
    """Return the condition on customers who enter a journey, as far as its file alone tells; else None."""
    enter, parts = journey.enter, [condition for _, condition in journey.enter.trigger.segments()]
    happened = [
        Happened(name, within=LOOKED_BACK, where=enter.trigger.properties())
        for name in enter.trigger.events()
    ]
    parts += [AnyOf(tuple(happened))] if len(happened) > 1 else happened
    if enter.when is not None and parts and not needs(enter.when):
        parts.append(enter.when)
    return None if not parts else parts[0] if len(parts) == 1 else All(tuple(parts))


class SellsTooEarly(Rule):
    """A promotional message that may come before the first purchase.

    The journey starts on something else than an order, and neither its segment, its `if` nor a branch on the way asks for
    one. Somebody who has not bought yet is best greeted, not sold to. Ask for `order.placed`, or make the message
    relational; where the first sale is what the journey is for, write `first_sale: true`.
    """

    code = "T506"
    wrong = "category: promotional\nenter: {event: customer.created}\nsteps: [{send: welcome, on: email}]"
    right = "category: promotional\nenter: {event: order.placed}\nsteps: [{send: welcome, on: email}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield the first such message of each journey."""
        if PURCHASE not in files.workspace.settings.schema.events:
            return
        for journey in files.workspace.journeys.values():
            if not journey.first_sale and not _knows_buyers(journey):
                place = next(self._early(journey.steps, journey, files), None)
                if place:
                    message = "This sells to somebody who may not have bought anything yet."
                    hint = (
                        f"Ask for `{{event: {PURCHASE}}}` before it, or make its category relational; where that is the "
                        "aim, write `first_sale: true` in the journey."
                    )
                    yield Problem(place, self.code, message, hint)

    def _early(self, steps: Sequence[Step], journey: Journey, files: LintInput) -> Iterator[Place]:
        for step in steps:
            if step.when is not None and _asks_for_purchase(step.when):
                continue
            if message := message_of(step):
                said = {
                    files.category_of(message.template, channel) or journey.category
                    for channel in message.channels
                }
                if "promotional" in said:
                    yield step.place
            for way in _unasked(step):
                yield from self._early(way, journey, files)


def _unasked(step: Step) -> Iterator[Sequence[Step]]:
    """Yield the ways inside a step that those take who need not have bought."""
    for branch in step.branches():
        if branch.taken and (branch.condition is None or not _asks_for_purchase(branch.condition)):
            yield branch.steps


def _knows_buyers(journey: Journey) -> bool:
    trigger, when = journey.enter.trigger, journey.enter.when
    asked = [*(condition for _, condition in trigger.segments()), *([when] if when is not None else [])]
    return set(trigger.events()) == {PURCHASE} or any(map(_asks_for_purchase, asked))


def _asks_for_purchase(condition: Condition) -> bool:
    """Whether only buyers fit a condition."""
    return condition.implies_event(PURCHASE)
