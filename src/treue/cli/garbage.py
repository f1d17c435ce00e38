"""Garbage collection, suspended while a verb works and as the process ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Suspend garbage collection: its search for cycles takes a quarter of the time of checking and compiling."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def leave_garbage() -> None:
    """Leave the garbage of a process that is about to end to the operating system."""
    gc.disable()
