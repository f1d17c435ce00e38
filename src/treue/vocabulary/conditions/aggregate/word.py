"""`{sum: order.placed.total, above: 500}`: a number over an event's property. One leading key a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.clock import Duration
from treue.language.conditions import (
    NOUNS,
    NUMBER_OPERATORS,
    UNDECLARED,
    WHERE,
    WITHIN,
    parse_compared,
    parse_where_of,
)
from treue.language.grammar import INVALID, Fields, Key, Raw, Shape
from treue.language.problems import did_you_mean
from treue.language.source import Scalar
from treue.language.words import Word
from treue.segments.expiry import Expiry
from treue.segments.memory import Memory
from treue.segments.mentions import Mentions
from treue.segments.sources.event.fact import EventFact, leaving
from treue.segments.touch import Touch
from treue.segments.tree import Field, Leaf, Op, Property, ago
from treue.segments.words import scope, wanted

_SOME = ("is", "in", "above", "at_least", "between")
"""Comparisons that, of a sum, hold for nobody without such an event."""


@dataclass(frozen=True)
class Aggregate(Leaf):
    """A number over an event's property: `sum`, `average`, `min`, `max` or `count_distinct`.

    Without any event, `sum` and `count_distinct` are 0, the others missing.
    """

    function: Literal["sum", "average", "min", "max", "count_distinct"]
    event: str
    property: str
    type: str
    ops: tuple[Op, ...]
    within: Duration | None = None
    where: tuple[Property, ...] = ()
    kind: Literal["aggregate"] = "aggregate"

    def words(self) -> str:
        """Return the number and what is wanted of it."""
        return f"{self.subject()} {wanted(self.ops)}"

    def subject(self) -> str:
        """Return the aggregate in words, such as "sum of order.placed.total in 90 days"."""
        function = self.function.replace("count_distinct", "number of different")
        link = " " if self.function == "count_distinct" else " of "
        return f"{function}{link}{self.event}.{self.property}{scope(self.where, self.within)}"

    def facts(self) -> tuple[EventFact, ...]:
        """Return the fact with the aggregate over the events that match."""
        return (EventFact(self.function, self.event, self.within, self.where, self.property, self.type),)

    def mentions(self) -> Mentions:
        """Return the name of the event it aggregates."""
        return Mentions(events=frozenset([self.event]))

    def changes_by(self) -> Touch:
        """Return the event, and time where the time of an event counts."""
        return Touch(events=frozenset([self.event]), time=self.looks_back() or self.looks_ahead())

    def remembers(self) -> Memory:
        """Return the event, within the time before now or to the beginning."""
        return Memory(events=frozenset([(self.event, self.within)]))

    def expiries(self) -> tuple[Expiry, ...] | None:
        """Return the events that leave the window next; None where properties are compared with a time that goes by."""
        if self.looks_ahead() or ago(self.compares()):
            return None
        return leaving(EventFact("first", self.event, self.within, self.where)) if self.within else ()

    def fields(self) -> tuple[Field, ...]:
        """Return the event's properties, the one that is aggregated last."""
        where = (Field(self.event, one.name, one.ops) for one in self.where)
        return (*where, Field(self.event, self.property, self.ops))

    def lengths(self) -> tuple[Duration, ...]:
        """Return how long ago the events are that count, and those times that are compared."""
        return (*((self.within,) if self.within else ()), *ago(self.ops))

    def looks_back(self) -> bool:
        """Whether the time of an event or of a property counts."""
        return bool(self.within or ago(op for one in self.where for op in one.ops))

    def implies_event(self, name: str) -> bool:
        """Whether it asks for more of the event's numbers than nothing."""
        return self.event == name and any(op.name in _SOME for op in self.ops)


def _builder(function: str) -> Any:
    def build(fields: Fields) -> Any:
        context, target = fields.context, fields.get(function)
        if not isinstance(target, Scalar) or "." not in target.text.strip("."):
            return context.say(
                target,
                "T203",
                f"`{function}` takes an event and its property.",
                f"Such as `{function}: order.placed.total`.",
            )
        event, _, prop = target.text.rpartition(".")
        if event not in context.schema.events:
            hint = did_you_mean(event, context.schema.events)
            return context.say(target, "T303", f"There is no event `{event[:40]}`.", hint)
        type_ = context.schema.events[event].get(prop)
        if type_ is None:
            hint = did_you_mean(prop, context.schema.events[event])
            return context.say(target, "T305", f"The event `{event}` has no property `{prop[:40]}`.", hint)
        if type_ not in ("number", UNDECLARED) and function != "count_distinct":
            return context.say(target, "T309", f"`{function}` needs a number; `{prop}` is {NOUNS[type_]}.")
        where = parse_where_of(fields, event)
        ops = parse_compared(fields, "number", f"the {function}", "Such as `above: 500`.")
        if INVALID in (where, ops):
            return INVALID
        return Aggregate(function, event, prop, type_, ops, fields.get("within"), where)  # type: ignore[arg-type]

    return build


_NUMBERS = {
    "is": "is: 100",
    "not": "not: 0",
    "in": "in: [100, 200]",
    "not_in": "not_in: [0, 1]",
    "above": "above: 100",
    "at_least": "at_least: 100",
    "below": "below: 20",
    "at_most": "at_most: 20",
    "between": "between: [20, 100]",
}
_FILTERS = {"within": "within: 90d", "where": "where: {currency: EUR}"}


def _examples(function: str) -> dict[str, str]:
    target = f"{function}: order.placed.total"
    compared = {name: f"{{{target}, {text}}}" for name, text in _NUMBERS.items()}
    filtered = {name: f"{{{target}, above: 100, {text}}}" for name, text in _FILTERS.items()}
    return {function: f"{{{target}, above: 100}}", **compared, **filtered}


def _shape(function: str, doc: str) -> Shape:
    target = Key(function, Raw("an event's property", {"type": "string"}), doc, required=True)
    return Shape(
        f"{function.replace('_', '-')} condition",
        doc,
        (target, *NUMBER_OPERATORS, WITHIN, WHERE),
        _builder(function),
        "a condition",
        examples=_examples(function),
    )


_DOCS = {
    "sum": "The sum of an event's property, such as `order.placed.total`.",
    "average": "The average of an event's property.",
    "min": "The least value of an event's property.",
    "max": "The greatest value of an event's property.",
    "count_distinct": "How many different values an event's property has had.",
}

WORD = Word("condition", {name: _shape(name, doc) for name, doc in _DOCS.items()}, (Aggregate,))
