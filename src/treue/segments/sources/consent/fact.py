"""What is known of a customer's consents."""

from __future__ import annotations

from dataclasses import dataclass

from treue.segments.fact import Fact


@dataclass(frozen=True)
class ConsentFact(Fact):
    """Since when a customer has agreed to a channel."""

    channel: str

    def source(self) -> object:
        """Return itself: one channel is read at a time."""
        return self
