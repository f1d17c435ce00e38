"""`withdraw: email` takes the customer's consent to a channel back, with the journey and the step as proof."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from treue.language.grammar import ChannelName
from treue.language.scenario import Noted, expectation_row, expected
from treue.language.step_rows import leaf, step_row
from treue.language.steps import Leaf, Step
from treue.language.words import Word
from treue.model.states import Decision


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


@dataclass(frozen=True)
class Withdrew(Noted):
    """A step takes the consent to a channel back."""

    decisions: ClassVar[tuple[str, ...]] = (Decision.emitted.value,)

    channel: str = ""

    def words(self) -> str:
        """Return "withdraw", with the channel."""
        return f"withdraw {self.channel}"

    def differences(self, values: Mapping[str, Any]) -> list[str]:
        """Return nothing where that is what a step noted, else a phrase."""
        noted = (values.get("event"), values.get("channel"))
        return [] if noted == ("consent.withdrawn", self.channel) else ["no such withdrawal"]

    def named(self, steps: Sequence[Step]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield the channel: some step must withdraw the consent to it."""
        known = {step.channel for step in steps if isinstance(step, Withdraw)}
        yield "withdraws no consent to {}", self.channel, known


ROW = step_row(
    "withdraw",
    "Takes the customer's consent to a channel back.",
    ChannelName(),
    lambda fields: Withdraw(**leaf(fields), channel=fields.get("withdraw")),
    least="withdraw: email",
)
EXPECTATION = expectation_row(
    "withdraw",
    "A step takes the customer's consent to this channel back.",
    ChannelName(),
    lambda fields: Withdrew(*expected(fields, "withdraw"), channel=fields.get("withdraw")),
    least="withdraw: email",
)
WORD = Word("step", {"withdraw": ROW}, (Withdraw,), expectations={"withdraw": EXPECTATION})
