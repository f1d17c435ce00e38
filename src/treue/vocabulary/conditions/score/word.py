"""`{score: churn, above: 0.7}`: a score that a model gives the customer. It comes later."""

from __future__ import annotations

from typing import Any

from treue.language.conditions import NUMBER_OPERATORS, parse_compared
from treue.language.grammar import Fields, Key, LaterShape, Shape, Text
from treue.language.words import Word


def _score(fields: Fields) -> Any:
    return parse_compared(fields, "number", "a score", "Such as `above: 0.7`.")


WORD = Word(
    "condition",
    {
        "score": LaterShape(
            Shape(
                "score condition",
                "A score that a model gives the customer.",
                (
                    Key("score", Text("the name of a score"), "The score's name.", required=True),
                    *NUMBER_OPERATORS,
                ),
                _score,
            )
        )
    },
)
