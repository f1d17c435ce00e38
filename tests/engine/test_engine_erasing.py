"""Erasing somebody in the middle of a journey: it works, the numbers still add up, and nothing comes back."""

from __future__ import annotations

import threading
import time

import pytest
from scene import Scene
from sqlalchemy import Connection, func, insert, or_, select, text

from treue.channel import DeliveryEvent, DeliveryEventKind, Outgoing, Progress, Receipt
from treue.delivery import receipts
from treue.insight.status import status
from treue.model.tables import NAMES, customer, delivery_event, enrollment, message, metadata, trace
from treue.store.erasures import Erasures
from treue.store.journeys import pause
from treue.store.orphans import orphans

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email}, {wait: 1d}, {send: more, on: email}, {wait: 9d}]\n"
ERASURES = Erasures(b"a" * 32)
KIND = DeliveryEventKind


@pytest.fixture
def inside(scene: Scene) -> Scene:
    """Two customers who wait in a journey after a mail."""
    scene.journeys(hello=SEND)
    for key in ("ada", "bob"):
        scene.customer(key, consent="email")
        scene.event(key, "order.placed", total=1)
    scene.run()
    return scene


def _erase(scene: Scene, key: str) -> None:
    with scene.store.transaction() as connection:
        ERASURES.erase(connection, key, scene.now)


def _tell(scene: Scene, **values: object) -> None:
    with scene.store.transaction() as connection:
        event = DeliveryEvent(f"e{values}", KIND.bounced, scene.now, **values)  # type: ignore[arg-type]
        receipts.take(connection, "email", [event], scene.now)


def test_who_is_erased_inside_a_journey_is_gone_and_the_numbers_add_up(inside: Scene) -> None:
    _tell(inside, key="1", raw={"recipient": "ada@example.com"})
    _erase(inside, "ada")
    assert inside.counts("hello").entered == 1
    with inside.store.reading() as connection:
        assert status(connection, inside.now).healthy
        assert len(connection.execute(select(enrollment.c.id)).all()) == 1
    inside.later(days=1)
    assert inside.templates() == ["hello", "hello", "more"]


def test_what_was_told_of_an_address_without_a_message_goes_too(inside: Scene) -> None:
    _tell(inside, address="ada@example.com", raw={"to": "Ada <ADA@example.com>"})
    _tell(inside, reason="nobody we know", raw={"to": "eve@example.com"})
    _erase(inside, "ada")
    with inside.store.reading() as connection:
        assert connection.scalars(select(delivery_event.c.raw)).all() == [{"to": "eve@example.com"}]
        left = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])
    assert "ada@" not in left.lower()


def test_who_is_erased_while_the_mail_is_on_the_wire_costs_the_others_nothing(inside: Scene) -> None:
    sink, took = inside.channels["email"], inside.channels["email"].send

    def meanwhile(batch: list[Outgoing], progress: Progress) -> list[Receipt]:
        if batch[0].to.startswith("ada"):
            _erase(inside, "ada")
        return took(batch, progress)

    sink.send = meanwhile  # type: ignore[assignment, method-assign]
    inside.later(days=1)
    with inside.store.reading() as connection:
        assert connection.scalars(select(message.c.state)).all() == ["sent", "sent"]
    assert inside.counts("hello").sent == {"email": 2}


def test_of_two_who_share_an_erased_address_in_two_spellings_neither_gets_marketing(inside: Scene) -> None:
    _erase(inside, "ada")
    inside.delivery.erasures = ERASURES
    for key, email in (("new", "ada@example.com"), ("newer", "Ada@example.com")):
        inside.customer(key, email=email, consent="email")
        inside.event(key, "order.placed", total=1)
    inside.later(minutes=1)
    assert [row[3:5] for row in inside.messages()][1:] == [("refused", "suppressed")] * 2


def _rows_of(connection: Connection, customer_id: int) -> dict[str, int]:
    """How many rows of each table are about a customer, whichever column says so: found by search, not by a list."""
    found = {}
    for table in metadata.sorted_tables:
        hers = [
            column == customer_id
            for column in table.columns
            if column.info.get(NAMES) == "customer.id" or column.references(customer.c.id)
        ]
        stays = select(enrollment.c.id).where(enrollment.c.customer_id == customer_id)
        hers += [column.in_(stays) for column in table.columns if column.info.get(NAMES) == "enrollment.id"]
        if table is customer:
            hers.append(customer.c.id == customer_id)
        if hers:
            found[table.name] = connection.scalar(select(func.count()).select_from(table).where(or_(*hers)))
    return {name: number for name, number in found.items() if number}


def test_a_search_of_every_table_finds_nothing_of_who_is_erased(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nsteps:\n"
        "- {send: hello, on: email}\n- {set: {vip: true}}\n"
        "- {split: {a: {weight: 1, steps: [{wait: 1d}]}, b: {weight: 1, steps: [{wait: 2d}]}}}\n- {wait: 9d}\n",
        germans="enter: {segment: germans}\nsteps: [{wait: 1d}]",
        paused="enter: {event: order.placed}\nsteps: [{wait: 1d}]",
    )
    for key in ("ada", "bob"):
        scene.customer(key, consent="email", country="AT")
    scene.run()
    for key in ("ada", "bob"):
        scene.customer(key, consent="email", country="DE")
    with scene.store.transaction() as connection:
        pause(connection, "paused", scene.now)
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", total=1)
    scene.run()
    with scene.store.transaction() as connection:
        ada, bob = (
            connection.scalar(select(customer.c.id).where(customer.c.key == key)) for key in ("ada", "bob")
        )
        before = _rows_of(connection, ada)
        ways = {
            "arrival",
            "change",
            "consent",
            "draw",
            "enrollment",
            "event",
            "membership",
            "message",
            "trace",
        }
        assert ways <= before.keys(), "the test no longer reaches every table"
        assert _rows_of(connection, bob) == before
        ERASURES.erase(connection, "ada", scene.now)
        assert _rows_of(connection, ada) == {}
        assert _rows_of(connection, bob) == before
        assert orphans(connection) == {}


def test_what_a_batch_in_hand_writes_of_who_is_erased_goes_too(inside: Scene) -> None:
    """PostgreSQL lets both go on at the same time; SQLite has one writer."""
    if inside.store.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    with inside.store.reading() as connection:
        stay = connection.execute(
            select(enrollment)
            .join(customer, customer.c.id == enrollment.c.customer_id)
            .where(customer.c.key == "ada")
        ).one()
    erasing = threading.Thread(target=_erase, args=(inside, "ada"))
    with inside.store.transaction() as batch:
        inside.store.lock(batch, f"journey {stay.journey_id}")
        erasing.start()
        _wait_until_somebody_waits_for_a_lock(inside)
        values = {"customer_id": stay.customer_id, "journey_id": stay.journey_id, "enrollment_id": stay.id}
        batch.execute(insert(trace).values(**values, at=inside.now, decision="waiting"))
    erasing.join(30)
    with inside.store.reading() as connection:
        assert _rows_of(connection, stay.customer_id) == {}
        assert orphans(connection) == {}


def _wait_until_somebody_waits_for_a_lock(scene: Scene) -> None:
    """Return once a transaction of this schema waits for an advisory lock that another one has."""
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(300):
        with scene.store.reading() as connection:
            if connection.scalar(query):
                return
        time.sleep(0.1)
    raise AssertionError("nobody waits")
