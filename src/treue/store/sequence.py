"""The order in which things are given: numbers that grow, kept with what was recorded.

A row's id does not tell it: of one statement's rows a database may number the last first.
"""

from __future__ import annotations

import threading
import time

_lock = threading.Lock()
_last = 0


def take(count: int = 1) -> int:
    """Return the first of so many consecutive numbers, each greater than all that were taken before.

    They are the nanoseconds of the real clock, so that those of several processes follow one another without asking a
    database; only which of two processes was first within the same microsecond is left to chance.
    """
    global _last
    with _lock:
        first = max(_last + 1, time.time_ns())
        _last = first + count - 1
        return first
