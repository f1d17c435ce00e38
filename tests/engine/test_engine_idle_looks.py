"""What a pass costs in which nothing is to be done: as many statements, and as many rows read, whoever there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event as on
from sqlalchemy import text, update

from tests.engine.scene import Scene
from treue.model.tables import event
from treue.store import customers, events
from treue.store.inputs import CustomerInput, EventInput

FEW, MANY = 2_000, 20_000
JOURNEYS = {
    "lapsed": "enter: {segment: lapsed}\nexit: [{event: order.placed, within: 3d}]\nsteps: [{send: hello, on: email}, {wait: 9d}]",
    "spenders": "enter: {segment: spenders}\nexit: [{not: {segment: spenders}}]\nsteps: [{wait: 9d}]",
    "carts": "enter: {event: cart.left}\nexit: [{attribute: vip, is: true}]\n"
    "steps: [{wait: {for: {event: order.placed, within: 1d}, at_most: 9d}}, {send: bye, on: email}]",
    "greeted": "enter: {event: signed.up}\nsteps: [{wait: {for: {attribute: vip, is: true}, at_most: 9d}}]",
    "weekly": 'enter: {schedule: "0 9 * * MON", segment: germans}\nsteps: [{send: hello, on: email}]',
}


Cost = list[tuple[str, int]]
"""The statements that were run, each with how much it read."""


@contextmanager
def counted(scene: Scene) -> Iterator[Cost]:
    """Count what the statements of a block read: SQLite's steps, PostgreSQL's rows of all scans."""
    cost, engine, read = Cost(), scene.store.engine, 0

    def before(connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        nonlocal read
        read = 0
        if engine.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            driver.set_progress_handler(lambda: step(), 1)
        elif statement.lstrip().split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            cursor.execute("SAVEPOINT counted")
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
            read = rows_of(cursor.fetchone()[0][0]["Plan"])
            cursor.execute("ROLLBACK TO SAVEPOINT counted")

    def step() -> None:
        nonlocal read
        read += 1

    def after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        cost.append((statement, read))
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.set_progress_handler(None, 1)

    on.listen(engine, "before_cursor_execute", before)
    on.listen(engine, "after_cursor_execute", after)
    try:
        yield cost
    finally:
        on.remove(engine, "before_cursor_execute", before)
        on.remove(engine, "after_cursor_execute", after)


def rows_of(plan: dict[str, Any]) -> int:
    """Return how many rows the scans of a plan read, those included that they throw away."""
    mine = 0
    if "Scan" in plan["Node Type"]:
        thrown = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        mine = (plan["Actual Rows"] + thrown) * plan["Actual Loops"]
    return mine + sum(map(rows_of, plan.get("Plans", ())))


def populate(scene: Scene, first: int, last: int) -> None:
    """Record customers with a past that all journeys have seen: orders, some of long ago, and half of them Germans."""
    numbers = range(first, last)
    with scene.store.transaction() as connection:
        people = [
            CustomerInput(f"c{n}", email=f"c{n}@example.com", attributes={"country": ("DE", "FR")[n % 2]})
            for n in numbers
        ]
        customers.upsert(connection, people, scene.now)
        orders = [
            EventInput(
                f"c{n}",
                "order.placed",
                scene.now - timedelta(days=n % 400, seconds=k),
                {"total": 10 * k},
                f"{n}-{k}",
            )
            for n in numbers
            for k in (1, 2)
        ]
        events.record(connection, orders, scene.now, routed=True)
        connection.execute(update(event).values(routed_at=scene.now))


def test_an_idle_pass_reads_as_much_with_ten_times_the_customers(scene: Scene) -> None:
    populate(scene, 0, FEW)
    scene.now += timedelta(hours=1)
    scene.journeys(**JOURNEYS)
    for key in ("c1", "c2"):
        scene.event(key, "cart.left")
        scene.event(key, "signed.up")
    few = idle(scene)
    populate(scene, FEW, MANY)
    assert idle(scene) == few


def tidy(scene: Scene) -> None:
    """Let the database count its rows, and clear away what is no more, as it does by itself from time to time."""
    scene.store.survey(anew=True)
    if scene.store.dialect == "postgresql":
        with scene.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def idle(scene: Scene) -> Cost:
    """Return what a pass costs in which nothing happens, once statements are made and chores are done."""
    for _ in range(3):
        scene.later(minutes=20)
    tidy(scene)
    with counted(scene) as cost:
        passed = scene.later(minutes=20)
    assert (passed.routed, passed.arrivals, passed.moved) == (0, 0, 0)
    return cost
