"""Erasing somebody in the middle of a journey: it works, the numbers still add up, and nothing comes back."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import insert, select

from tests.engine.census import rows_of, wait_until_somebody_waits_for_a_lock
from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind, Outgoing, Progress, Receipt
from treue.delivery import gates, receipts
from treue.insight.status import status
from treue.model.tables import (
    channel_gate,
    customer,
    delivery_event,
    enrollment,
    failure,
    journey,
    message,
    metadata,
    trace,
)
from treue.store.erasures import Erasures, every_address
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
        before = rows_of(connection, ada)
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
        assert rows_of(connection, bob) == before
        ERASURES.erase(connection, "ada", scene.now)
        assert rows_of(connection, ada) == {}
        assert rows_of(connection, bob) == before
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
        wait_until_somebody_waits_for_a_lock(inside)
        values = {"customer_id": stay.customer_id, "journey_id": stay.journey_id, "enrollment_id": stay.id}
        batch.execute(insert(trace).values(**values, at=inside.now, decision="waiting"))
    erasing.join(30)
    with inside.store.reading() as connection:
        assert rows_of(connection, stay.customer_id) == {}
        assert orphans(connection) == {}


def test_no_table_keeps_a_text_about_who_is_erased(inside: Scene) -> None:
    inside.customer("ada", email="new@example.com", first="zqattribute")
    inside.event("ada", "order.placed", "zqid", total=1, cart_id="zqcart")
    inside.run()
    with inside.store.transaction() as connection:
        hers = select(customer.c.id).where(customer.c.key == "ada").scalar_subquery()
        connection.execute(message.update().where(message.c.customer_id == hers).values(detail="550 zqwhy"))
        gates.failed(connection, "email", inside.now, 60.0, "550 zqwhy")
        gates.failed(connection, "sms", inside.now, 60.0, "down")
        about = {"since": inside.now, "last_at": inside.now, "again_at": inside.now, "times": 1}
        for work, reason in (("a", "zqfault at Ada of zqshop"), ("b", "no such column")):
            which = {"journey_id": connection.scalar(select(journey.c.id).limit(1)), "work": work}
            connection.execute(insert(failure).values(**which, reason=reason, **about))
        assert every_address(connection, "ada") >= {"ada@example.com", "new@example.com"}
    _erase(inside, "ada")
    with inside.store.reading() as connection:
        left = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables]).lower()
        kept = {
            *connection.scalars(select(channel_gate.c.reason)),
            *connection.scalars(select(failure.c.reason)),
        }
    assert "zq" not in left
    assert "ada@" not in left
    assert kept == {"erased", "down", "no such column"}
