"""`{tier: gold}`: the customer's tier of the loyalty programme. It comes later."""

from __future__ import annotations

from treue.language.grammar import Key, LaterShape, Shape, Text
from treue.language.words import Word

WORD = Word(
    "condition",
    {
        "tier": LaterShape(
            Shape(
                "tier condition",
                "The customer's tier of the loyalty programme.",
                (Key("tier", Text("the name of a tier"), "The tier's name.", required=True),),
                lambda fields: fields.get("tier"),
            )
        )
    },
)
