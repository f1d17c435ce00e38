"""The names that a condition, a step or a trigger refers to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Mentions:
    """Names by what they name; `events` are those looked at, reacted to or recorded."""

    segments: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()

    def __or__(self, other: Mentions) -> Mentions:
        return Mentions(*(getattr(self, one.name) | getattr(other, one.name) for one in fields(self)))

    @classmethod
    def union(cls, many: Iterable[Mentions]) -> Mentions:
        """Return all that any of them names."""
        found = cls()
        for one in many:
            found |= one
        return found
