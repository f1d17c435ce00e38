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


class Tick:
    """Says whether the regular time has come since it was last asked; wakes whoever waits for `wake`."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake, self._come = wake, threading.Event()

    def come(self) -> None:
        """Let the time have come."""
        self._come.set()
        self._wake.set()

    def taken(self) -> bool:
        """Return whether the time has come, and start over."""
        come = self._come.is_set()
        self._come.clear()
        return come


@contextmanager
def ticking(wake: threading.Event, seconds: float) -> Iterator[Tick]:
    """Tick at once and then every so many seconds. Ticks that were missed while one lasted are one."""
    tick = Tick(wake)
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        tick.come,
        IntervalTrigger(seconds=seconds, timezone="UTC"),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,  # however late, it is one tick
    )
    tick.come()
    scheduler.start()
    try:
        yield tick
    finally:
        scheduler.shutdown(wait=False)
