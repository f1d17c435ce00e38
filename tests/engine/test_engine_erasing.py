"""Erasing somebody in the middle of a journey: it works, the numbers still add up, and nothing comes back."""

from __future__ import annotations

import pytest
from scene import Scene
from sqlalchemy import select

from treue.channel import DeliveryEvent, DeliveryEventKind, Outgoing, Progress, Receipt
from treue.engine.delivery import receipts
from treue.engine.status import status
from treue.model.tables import delivery_event, enrollment, message, metadata
from treue.store.erasures import Erasures

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
