"""What is known of the suppression list."""

from __future__ import annotations

from dataclasses import dataclass

from treue.segments.fact import Fact


@dataclass(frozen=True)
class SuppressedFact(Fact):
    """Since when a customer's address on a channel has been on the suppression list."""

    channel: str

    def source(self) -> object:
        """Return itself: one channel is read at a time."""
        return self
