"""What installed packages bring, by entry-point group."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any


def installed_entries(group: str) -> EntryPoints:
    """Return the entries of a group: what each installed package brings there."""
    found: EntryPoints = _found(tuple(sys.path)).select(group=group)
    return found


@lru_cache(maxsize=1)
def _found(_places: tuple[str, ...]) -> Any:
    """Return all entries in these places, found once: each look reads a file of every package."""
    return entry_points()
