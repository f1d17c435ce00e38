"""`start: JOURNEY` puts the customer at another journey's door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.language.grammar import Name
from treue.language.step_rows import leaf, step_row
from treue.language.steps import Leaf
from treue.language.words import Word


@dataclass(frozen=True)
class Start(Leaf):
    """Puts customers at another journey's door."""

    journey: str
    kind: Literal["start"] = "start"

    def words(self) -> str:
        """Return "start", with the journey."""
        return f"start {self.journey}"

    def starts(self) -> tuple[str, ...]:
        """Return the journey it starts."""
        return (self.journey,)


ROW = step_row(
    "start",
    "Puts the customer at another journey's door, subject to its `if` and `again`.",
    Name("journey"),
    lambda fields: Start(**leaf(fields), journey=fields.get("start")),
)
WORD = Word("step", {"start": ROW}, (Start,))
