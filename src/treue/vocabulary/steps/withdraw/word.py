"""`withdraw: email` takes the customer's consent to a channel back, with the journey and the step as proof."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from treue.language.grammar import ChannelName
from treue.language.step_rows import leaf, step_row
from treue.language.steps import Leaf
from treue.language.words import Word


@dataclass(frozen=True)
class Withdraw(Leaf):
    """Withdraws the customer's consent to a channel."""

    channel: str
    kind: Literal["withdraw"] = "withdraw"

    def words(self) -> str:
        """Return "withdraw", with the channel."""
        return f"withdraw {self.channel}"

    def likeness(self) -> Hashable:
        """Return the channel: a step that withdraws another consent is another step."""
        return self.kind, self.channel

    def emits(self) -> tuple[str, ...]:
        """Return the event that a withdrawal records."""
        return ("consent.withdrawn",)


ROW = step_row(
    "withdraw",
    "Takes the customer's consent to a channel back.",
    ChannelName(),
    lambda fields: Withdraw(**leaf(fields), channel=fields.get("withdraw")),
    least="withdraw: email",
)
WORD = Word("step", {"withdraw": ROW}, (Withdraw,))
