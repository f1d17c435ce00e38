"""`stop: true` ends the journey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from treue.language.grammar import Just
from treue.language.step_rows import leaf, step_row
from treue.language.steps import Lead, Leaf
from treue.language.words import Word


@dataclass(frozen=True)
class Stop(Leaf):
    """Ends the journey."""

    ends: ClassVar[bool] = True

    kind: Literal["stop"] = "stop"

    def words(self) -> str:
        """Return "stop"."""
        return "stop"

    def leads_to(self) -> set[str | None]:
        """Return the end, and where those go on to who pass it by its `if`."""
        return {lead.to for lead in self.leads()}

    def leads(self, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
        """Return the end, and the way past it."""
        return self.or_skipped((Lead("", None),))


ROW = step_row("stop", "Ends the journey here.", Just(True), lambda fields: Stop(**leaf(fields)))
WORD = Word("step", {"stop": ROW}, (Stop,))
