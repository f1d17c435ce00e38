"""Group commit: what concurrent requests bring is written by one thread, many requests in one transaction.

Each commit waits for the disk once; while it does, the next group gathers. A request is answered only after
its group is committed. Where one spoils its group, the group is rolled back and each is written by itself.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from treue.model.tables import event
from treue.store import dialect, events
from treue.store.inputs import EventInput
from treue.store.store import Store

T = TypeVar("T")
Work = Callable[[Connection, datetime], T]
"""What one request wants written: called with the group's transaction and the present."""

MAX_GROUP = 1_000
"""How many requests share a transaction at most."""

MAX_EVENTS = 20_000
"""With how many events a group is full, so that no transaction takes long."""

_log = logging.getLogger("treue.web.intake")


@dataclass(frozen=True)
class Counts:
    """How many of a request's events were new, and how many had been seen before."""

    accepted: int
    duplicates: int


@dataclass(frozen=True)
class _Job:
    """A request on its way: events that may be recorded along with others', or work of its own."""

    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    events: Sequence[EventInput] = ()
    work: Work[Any] | None = None


class Intake:
    """The one writer of the web. `wake` is called after each commit; `clock` says the present."""

    def __init__(self, store: Store, wake: Callable[[], None], clock: Callable[[], datetime]) -> None:
        self.store, self.wake, self.clock = store, wake, clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def record(self, given: Sequence[EventInput]) -> Counts:
        """Record events that have been checked (`events.problem`) and have their keys; return after the commit."""
        counts: Counts = await self._submit(events=given)
        return counts

    async def run(self, work: Work[T]) -> T:
        """Have `work` done in a transaction; return what it returned, after the commit."""
        result: T = await self._submit(work=work)
        return result

    async def _submit(self, **what: Any) -> Any:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="treue-intake", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(future, loop, **what))
        return await future

    def stop(self) -> None:
        """Write what is waiting, then end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _write(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, last = self._gathered(first)
            outcomes = self._committed(group)
            if any(not isinstance(outcome, Exception) for outcome in outcomes):
                self.wake()
            for loop in {job.loop for job in group}:
                mine = [(j, o) for j, o in zip(group, outcomes, strict=True) if j.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_answer, mine)
            if last:
                return

    def _gathered(self, first: _Job) -> tuple[list[_Job], bool]:
        """Return the first job with all those waiting behind it, and whether the end was among them."""
        group, size = [first], len(first.events)
        while len(group) < MAX_GROUP and size < MAX_EVENTS:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
            size += len(job.events)
        return group, False

    def _committed(self, group: Sequence[_Job]) -> list[Any]:
        """Return each job's result or the exception it failed with."""
        try:
            return self._together(group)
        except Exception as error:
            if len(group) == 1:
                return [error]
            _log.debug("A group of %d did not fit together; each is written by itself.", len(group))
            return [outcome for job in group for outcome in self._committed([job])]

    def _together(self, group: Sequence[_Job]) -> list[Any]:
        with self.store.transaction() as connection:
            now = self.clock()
            done = {id(job): job.work(connection, now) for job in group if job.work}
            plain = [job for job in group if not job.work]
            if plain:
                counts = _recorded(connection, [job.events for job in plain], now)
                done |= {id(job): count for job, count in zip(plain, counts, strict=True)}
        return [done[id(job)] for job in group]


def _answer(outcomes: Sequence[tuple[_Job, Any]]) -> None:
    for job, outcome in outcomes:
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)


def _recorded(connection: Connection, given: Sequence[Sequence[EventInput]], now: datetime) -> list[Counts]:
    """Record the events of several requests at once; of two with the same key, the first request's is the new one."""
    together = [item for items in given for item in items]
    recorded = events.record(connection, together, now, checked=True)
    if not recorded.duplicates:
        return [Counts(len(items), 0) for items in given]
    found = select(event.c.key).where(dialect.among(connection, event.c.id, recorded.new_ids))
    new = set(connection.scalars(found))
    counts = []
    for items in given:
        mine = new & {item.key or "" for item in items}
        new -= mine
        counts.append(Counts(len(mine), len(items) - len(mine)))
    return counts
