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
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection

from treue import meters
from treue.model.states import EventStatus
from treue.store import aliases, events
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

    async def record(self, given: Sequence[EventInput]) -> list[EventStatus]:
        """Record events that have been checked (`events.problem`); return what became of each, after the commit."""
        statuses: list[EventStatus] = await self._submit(events=given)
        return statuses

    async def run(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result after the commit."""
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
            group, last = self._take_group(first)
            outcomes = self._commit(group)
            if any(not isinstance(outcome, Exception) for outcome in outcomes):
                self.wake()
            for loop in {job.loop for job in group}:
                mine = [(j, o) for j, o in zip(group, outcomes, strict=True) if j.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_answer, mine)
            if last:
                return

    def _take_group(self, first: _Job) -> tuple[list[_Job], bool]:
        """Take the jobs waiting behind the first off the queue; return them all, and whether the thread is to end."""
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

    def _commit(self, group: Sequence[_Job]) -> list[Any]:
        """Commit a group of jobs, each by itself if the group fails; return each one's result or exception."""
        try:
            return self._together(group)
        except Exception as error:
            if len(group) == 1:
                return [error]
            _log.debug("A group of %d did not fit together; each is written by itself.", len(group))
            return [outcome for job in group for outcome in self._commit([job])]

    def _together(self, group: Sequence[_Job]) -> list[Any]:
        plain = [job for job in group if not job.work]
        with self.store.transaction() as connection:
            aliases.hold(connection)
            now = self.clock()
            done = {id(job): job.work(connection, now) for job in group if job.work}
            if plain:
                recorded = _record(connection, [job.events for job in plain], now)
                done |= {id(job): statuses for job, statuses in zip(plain, recorded, strict=True)}
        for job in plain:
            for event, status in zip(job.events, done[id(job)], strict=True):
                meters.EVENTS.labels(event.source, status).inc()
        return [done[id(job)] for job in group]


def _answer(outcomes: Sequence[tuple[_Job, Any]]) -> None:
    for job, outcome in outcomes:
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)


def _record(
    connection: Connection, given: Sequence[Sequence[EventInput]], now: datetime
) -> list[list[EventStatus]]:
    """Record the events of several requests at once; of two that are the same, the first request's is the new one."""
    recorded = events.record(connection, [item for items in given for item in items], now, checked=True)
    statuses = iter(recorded.statuses)
    return [list(islice(statuses, len(items))) for items in given]
