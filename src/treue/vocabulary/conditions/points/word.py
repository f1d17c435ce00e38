"""`{points: {at_least: 100}}`: how many loyalty points the customer has. It comes later."""

from __future__ import annotations

from typing import Any

from treue.language.conditions import parse_comparisons
from treue.language.grammar import Context, Key, LaterShape, Shape, shown
from treue.language.source import Mapping, Node
from treue.language.words import Word


class _Compared:
    noun = "comparisons of a number"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the comparisons with a number of points."""
        if isinstance(node, Mapping):
            return parse_comparisons(node, "number", "the number", context)
        message, hint = f"Here belong comparisons, not {shown(node)}.", "Such as `{at_least: 100}`."
        return context.say(node, "T203", message, hint)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object"}


WORD = Word(
    "condition",
    {
        "points": LaterShape(
            Shape(
                "points condition",
                "How many loyalty points the customer has.",
                (Key("points", _Compared(), "Such as `{at_least: 100}`.", required=True),),
                lambda fields: fields.get("points"),
            )
        )
    },
)
