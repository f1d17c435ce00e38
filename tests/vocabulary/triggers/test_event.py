"""`enter: {event: [a, b]}` lets in whom one of several events happens to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import Scene, plan_of
from treue.plan.stored import from_json, to_json
from treue.store.store import Store

BOTH = "enter: {event: [signed.up, order.placed], again: always}\n"
SENDS = "steps: [{send: a, on: email}]\n"


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(store, tmp_path / "state")
    yield made
    made.delivery.close()


def test_each_of_the_events_lets_in(scene: Scene) -> None:
    scene.journeys(hello=BOTH + SENDS)
    for key, event in (("ada", "signed.up"), ("ben", "order.placed"), ("eve", "told")):
        scene.customer(key)
        scene.event(key, event)
    scene.run()
    assert sorted(scene.sent()) == [("ada@example.com", "a"), ("ben@example.com", "a")]


def test_why_names_them_all(scene: Scene) -> None:
    from treue.insight.why import CustomerInquiry
    from treue.store import customers

    scene.journeys(hello=BOTH + SENDS)
    scene.customer("ada")
    version = scene.engine.versions()[0]
    with scene.store.reading() as connection:
        found = customers.find(connection, "ada")
        assert found is not None
        notes = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).outside(
            version.plan, version
        )
    assert notes[0].sentence == "signed.up or order.placed has never happened to them."


def test_both_events_are_kept_and_said() -> None:
    plan = plan_of("hello", BOTH + SENDS)
    assert from_json(to_json(plan)) == plan
    assert plan.entry.trigger.words() == "signed.up or order.placed"


def test_one_event_in_a_list_is_that_event() -> None:
    assert plan_of("hello", f"enter: {{event: [order.placed]}}\n{SENDS}") == plan_of(
        "hello", f"enter: {{event: order.placed}}\n{SENDS}"
    )


@pytest.mark.parametrize(
    ("enter", "said"),
    [
        ("{event: [order.placed, order.plced]}", "T303 There is no event `order.plced`."),
        ("{event: []}", "T203 This list is empty."),
        (
            "{event: [order.placed, told], where: {total: 1}}",
            "T305 The event `told` has no property `total`.",
        ),
        ("{event: [order.placed, told], per: total}", "T305 The event `told` has no property `total`."),
    ],
)
def test_mistakes_are_said(enter: str, said: str) -> None:
    with pytest.raises(AssertionError) as raised:
        plan_of("hello", f"enter: {enter}\n{SENDS}")
    assert said in str(raised.value)
