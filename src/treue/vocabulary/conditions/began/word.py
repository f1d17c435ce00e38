"""`{began: {category: coffee}}`: what the event that started the customer's stay says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.language.conditions import parse_where
from treue.language.grammar import INVALID, Fields, Key, Raw, Shape
from treue.language.words import Word
from treue.segments.fact import Fact
from treue.segments.mentions import Mentions
from treue.segments.touch import Touch
from treue.segments.tree import Leaf, Op, Property
from treue.segments.words import wanted


@dataclass(frozen=True)
class BeganFact(Fact):
    """A property, of the declared type, of the event that started a stay."""

    name: str
    type: str

    def source(self) -> object:
        """Return the starting events of the stays."""
        return "began"


@dataclass(frozen=True)
class Began(Leaf):
    """Whether the properties of the event that started the stay fit; each is missing where no event did."""

    properties: tuple[Property, ...]
    kind: Literal["began"] = "began"

    def words(self) -> str:
        """Return the comparisons with each property in words."""
        return "began with " + " and ".join(f"{one.name} {wanted(one.ops)}" for one in self.properties)

    def subject(self) -> str:
        """Return the names of the properties in words: "began with …"."""
        return "began with " + " and ".join(one.name for one in self.properties)

    def facts(self) -> tuple[BeganFact, ...]:
        """Return a fact for each property of the starting event."""
        return tuple(BeganFact(one.name, one.type) for one in self.properties)

    def mentions(self) -> Mentions:
        """Return nothing: the trigger names the event."""
        return Mentions()

    def changes_by(self) -> Touch:
        """Return time, where a property is compared with one: what began a stay stays."""
        return Touch(time=self.looks_back() or self.looks_ahead())

    def compares(self) -> tuple[Op, ...]:
        """Return the comparisons of all its properties."""
        return tuple(op for one in self.properties for op in one.ops)

    def stay_columns(self) -> tuple[str, ...]:
        """Return the column of the starting event."""
        return ("event_id",)


def _build(fields: Fields) -> Any:
    context, node = fields.context, fields.get("began")
    if not context.started_by:
        message = "`began` looks at the event that started the journey; here is none."
        hint = "It goes into the conditions of a journey whose `enter` has `event`."
        return context.say(fields.at("began"), "T340", message, hint)
    properties = parse_where(node, context.started_by, context)
    if properties == ():
        return context.say(
            node, "T203", "What about it? A property is missing.", "Such as `{category: coffee}`."
        )
    return INVALID if properties is INVALID else Began(properties)


WORD = Word(
    "condition",
    {
        "began": Shape(
            "began condition",
            "What the event that started the journey says.",
            (
                Key(
                    "began",
                    Raw("an event's properties", {"type": "object"}),
                    "The starting event's own properties, such as `{category: coffee}`.",
                    required=True,
                ),
            ),
            _build,
            least="began: {cart_id: c-1}",
        )
    },
    (Began,),
)
