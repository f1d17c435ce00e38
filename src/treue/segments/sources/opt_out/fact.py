"""What is known of the opt-outs of addresses."""

from __future__ import annotations

from dataclasses import dataclass

from treue.segments.fact import Fact


@dataclass(frozen=True)
class OptOutFact(Fact):
    """Since when a customer's address on a channel has been opted out, by whichever record of it."""

    channel: str

    def source(self) -> object:
        """Return itself: one channel is read at a time."""
        return self
