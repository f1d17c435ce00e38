"""`{journey: welcome, is: inside}`: how the customer stands to a journey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.language.grammar import Key, Name, Option, Shape
from treue.language.words import Word
from treue.segments.fact import Fact
from treue.segments.memory import Memory
from treue.segments.mentions import Mentions
from treue.segments.touch import Touch
from treue.segments.tree import Leaf

_STATE_WORDS = {
    "inside": "inside",
    "finished": "has finished",
    "converted": "has converted in",
    "never": "has never been in",
}


@dataclass(frozen=True)
class StayFact(Fact):
    """When a customer last came into, finished or converted in a journey; for `never`, when first into it."""

    leaf: JourneyIs

    def source(self) -> object:
        """Return a key that facts about the same journey share."""
        return ("journey", self.leaf.journey)


@dataclass(frozen=True)
class JourneyIs(Leaf):
    """How the customer stands to a journey.

    `inside`; `finished` where some stay came to the end or reached the goal; `converted` where some reached the
    goal; `never` where there was no stay at all.
    """

    journey: str
    state: Literal["inside", "finished", "converted", "never"]
    kind: Literal["journey"] = "journey"

    def words(self) -> str:
        """Return how the customer stands to the journey."""
        return f"{_STATE_WORDS[self.state]} journey {self.journey}"

    def facts(self) -> tuple[StayFact, ...]:
        """Return the fact with the time since when the state has held."""
        return (StayFact(self),)

    def mentions(self) -> Mentions:
        """Return the journey's name."""
        return Mentions(journeys=frozenset([self.journey]))

    def remembers(self) -> Memory:
        """Return the journey, unless only who is inside counts."""
        return Memory() if self.state == "inside" else Memory(journeys=frozenset([self.journey]))

    def changes_by(self) -> Touch:
        """Return that stays in the journey change the answer."""
        return Touch(journeys=frozenset([self.journey]))


WORD = Word(
    "condition",
    {
        "journey": Shape(
            "journey condition",
            "How the customer stands to a journey.",
            (
                Key("journey", Name("journey"), "The journey's name.", required=True),
                Key(
                    "is",
                    Option(tuple(_STATE_WORDS)),
                    "`inside` it now; has `finished` it (also by its goal); has `converted`; has `never` been in it.",
                    required=True,
                ),
            ),
            lambda fields: JourneyIs(fields.get("journey"), fields.get("is")),
            least="journey: welcome, is: finished",
        )
    },
    (JourneyIs,),
)
