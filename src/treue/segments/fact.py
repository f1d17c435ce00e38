"""What a leaf needs to know of each customer."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Fact(ABC):
    """One number or time a customer: how many orders in 90 days, when the last mail was opened. A frozen dataclass."""

    @abstractmethod
    def source(self) -> object:
        """Return what is alike, by its `repr`, for the facts that one subquery reads together."""
