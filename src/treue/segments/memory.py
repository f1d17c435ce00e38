"""What of the past conditions look back to, and how far: what old rows are kept for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from treue.clock import Duration

Reach = Duration | None
"""How far somebody looks back; None is to the beginning."""


@dataclass(frozen=True)
class Memory:
    """What has to be there to be found: events and messages by name with how long ago, journeys whose stays that ended count.

    The template None stands for messages of all templates. What happened in a stay that is not over needs no mention.
    """

    events: frozenset[tuple[str, Reach]] = frozenset()
    messages: frozenset[tuple[str | None, Reach]] = frozenset()
    journeys: frozenset[str] = frozenset()

    def __or__(self, other: Memory) -> Memory:
        return Memory(*(getattr(self, one.name) | getattr(other, one.name) for one in fields(self)))

    @classmethod
    def union(cls, many: Iterable[Memory]) -> Memory:
        """Return all that any of them looks back to."""
        found = cls()
        for one in many:
            found |= one
        return found
