"""`{segment: dormant}`: whether the customer is in a named segment.

What is kept of it is `InSegment`, which carries the segment's own condition: it needs no SQL of its own.
"""

from __future__ import annotations

from typing import Any

from treue.language.grammar import INVALID, Fields, Key, Shape, Text
from treue.language.problems import Place
from treue.language.words import Word
from treue.segments.tree import InSegment


def _build(fields: Fields) -> Any:
    name = fields.get("segment")
    place: Place = fields.node.get("segment").place  # type: ignore[union-attr]
    condition = fields.context.segment(name, place)
    return INVALID if condition is None else InSegment(name, condition)


WORD = Word(
    "condition",
    {
        "segment": Shape(
            "segment condition",
            "Whether the customer is in a named segment.",
            (Key("segment", Text("the name of a segment"), "The segment's name.", required=True),),
            _build,
            least="segment: regulars",
        )
    },
    (InSegment,),
)
