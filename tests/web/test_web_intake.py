"""Group commit: many requests, few transactions, and a bad one that spoils nobody's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from treue.errors import RejectedInput
from treue.model.states import EventStatus
from treue.model.tables import customer, event, event_conflict
from treue.store import customers
from treue.store.inputs import CustomerInput, EventInput
from treue.store.store import Store
from treue.web.intake import Intake

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NEW, SEEN, OTHER = EventStatus.accepted, EventStatus.duplicate, EventStatus.conflict


class Watched:
    """A store that counts its transactions, the first of which waits until `go` is set."""

    def __init__(self, store: Store) -> None:
        self.store, self.go, self.count = store, threading.Event(), 0

    def transaction(self) -> Any:
        self.count += 1
        self.go.wait(30)
        return self.store.transaction()


@pytest.fixture
def watched(store: Store) -> Watched:
    """The store, once on each database."""
    return Watched(store)


@pytest.fixture
def intake(watched: Watched) -> Iterator[Intake]:
    made = Intake(watched, lambda: None, lambda: NOW)  # type: ignore[arg-type]
    yield made
    watched.go.set()
    made.stop()


def _event(key: str, who: str = "ada", **properties: Any) -> EventInput:
    return EventInput(who, "order.placed", NOW, properties, key)


def _poison(_connection: Connection, _now: datetime) -> None:
    raise RejectedInput("poison")


def _together(intake: Intake, watched: Watched, *jobs: Any) -> list[Any]:
    """Submit a job, and while its transaction waits the others; return all outcomes but the first's."""

    async def run() -> list[Any]:
        first = asyncio.ensure_future(intake.record([_event("first")]))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(job) for job in jobs]
        await asyncio.sleep(0.05)
        watched.go.set()
        await first
        return list(await asyncio.gather(*rest, return_exceptions=True))

    return asyncio.run(run())


def _count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_requests_that_wait_together_are_committed_together(intake: Intake, watched: Watched) -> None:
    outcomes = _together(intake, watched, *(intake.record([_event(f"e{n}")]) for n in range(100)))
    assert outcomes == [[NEW]] * 100
    assert watched.count == 2
    assert _count(watched.store, event) == 101 + 1, "the events, and that Ada was created"


def test_of_two_requests_in_a_group_with_the_same_event_one_is_the_duplicate(
    intake: Intake, watched: Watched
) -> None:
    a, b = _event("same"), _event("other")
    outcomes = _together(intake, watched, intake.record([a, b]), intake.record([a]), intake.record([b, b]))
    assert outcomes == [[NEW, NEW], [SEEN], [SEEN, SEEN]]


def test_of_two_requests_in_a_group_each_is_told_of_its_own_conflicts(
    intake: Intake, watched: Watched
) -> None:
    first, other, third = _event("same", total=1), _event("same", total=2), _event("same", "bob", total=2)
    jobs = [intake.record([first]), intake.record([other, first]), intake.record([third, other])]
    assert _together(intake, watched, *jobs) == [[NEW], [OTHER, SEEN], [NEW, OTHER]]
    assert _count(watched.store, event_conflict) == 1, "the same twice is set aside once"


def test_a_poison_request_does_not_fail_its_neighbours(intake: Intake, watched: Watched) -> None:
    def fine(connection: Connection, now: datetime) -> list[int]:
        return customers.upsert(connection, [CustomerInput("eve")], now)

    jobs = [intake.run(_poison), intake.record([_event("good", "bob")]), intake.run(fine)]
    poisoned, good, ids = _together(intake, watched, *jobs)
    assert isinstance(poisoned, RejectedInput)
    assert good == [NEW]
    assert len(ids) == 1
    assert _count(watched.store, customer) == 3


def test_what_a_poison_request_had_written_is_gone(intake: Intake, watched: Watched) -> None:
    def half(connection: Connection, now: datetime) -> None:
        customers.upsert(connection, [CustomerInput("half")], now)
        raise RejectedInput("half way")

    outcomes = _together(intake, watched, intake.run(half), intake.record([_event("good")]))
    assert isinstance(outcomes[0], RejectedInput)
    with watched.store.reading() as connection:
        assert customers.find(connection, "half") is None


def test_a_request_whose_client_is_gone_is_written_all_the_same(intake: Intake, watched: Watched) -> None:
    async def run() -> None:
        task = asyncio.ensure_future(intake.record([_event("gone")]))
        await asyncio.sleep(0.05)
        task.cancel()
        watched.go.set()
        await intake.record([_event("next")])

    asyncio.run(run())
    assert _count(watched.store, event) == 2 + 1


def test_stopping_writes_what_is_waiting(watched: Watched) -> None:
    intake = Intake(watched, lambda: None, lambda: NOW)  # type: ignore[arg-type]

    async def run() -> list[list[EventStatus]]:
        jobs = [asyncio.ensure_future(intake.record([_event(f"e{n}")])) for n in range(20)]
        await asyncio.sleep(0.05)
        watched.go.set()
        await asyncio.to_thread(intake.stop)
        return await asyncio.gather(*jobs)

    assert asyncio.run(run()) == [[NEW]] * 20


def test_a_refusing_database_fails_the_request_and_the_next_one_works(store: Store) -> None:
    intake = Intake(store, lambda: None, lambda: NOW)

    def broken(connection: Connection, _now: datetime) -> None:
        connection.execute(text("SELECT * FROM nowhere"))

    async def run() -> list[EventStatus]:
        with pytest.raises(Exception, match="nowhere"):
            await intake.run(broken)
        return await intake.record([_event("after")])

    assert asyncio.run(run()) == [NEW]
    intake.stop()
