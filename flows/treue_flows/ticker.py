"""The embedded process's clock: APScheduler, with one interval and nothing else.

Cron expressions are not its business: it counts weekdays from Monday and yields local times that do not exist.
The engine reads them itself, at each tick.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger


class Ticker:
    """Remembers that the interval has passed, until somebody takes the tick; wakes whoever waits for `wake`."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake, self._due = wake, threading.Event()

    def fire(self) -> None:
        """Note a tick and wake the waiting thread."""
        self._due.set()
        self._wake.set()

    def take(self) -> bool:
        """Return whether there was a tick since the last call."""
        due = self._due.is_set()
        self._due.clear()
        return due


@contextmanager
def run_ticker(wake: threading.Event, seconds: float) -> Iterator[Ticker]:
    """Tick at once and then every so many seconds. Ticks that were missed while one lasted are one."""
    ticker = Ticker(wake)
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        ticker.fire,
        IntervalTrigger(seconds=seconds, timezone="UTC"),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,  # however late, it is one tick
    )
    ticker.fire()
    scheduler.start()
    try:
        yield ticker
    finally:
        scheduler.shutdown(wait=False)
