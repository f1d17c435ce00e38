"""Why somebody is where they are: what a `wait for` looked at, from when the customer came to it."""

from __future__ import annotations

import pytest
from scene import Scene

from treue.engine.why import Inquiry
from treue.store import customers

ORDERED = "{wait: {for: {event: order.placed}, at_most: 3d, then: [{send: thanks, on: email}]}}"
ENTER = "enter: {event: signed.up}\n"


def compared(scene: Scene, key: str) -> list[str]:
    """Return what was compared when the customer took a way."""
    with scene.store.reading() as connection:
        found = customers.find(connection, key)
        assert found is not None
        trail = Inquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
    return [one.text for entry in trail if entry.decision == "branch" for one in entry.compared]


@pytest.mark.parametrize(("orders", "seen"), [(1, "1, wanted at least 1"), (0, "0, wanted at least 1")])
def test_the_trail_tells_what_a_wait_for_saw_since_the_customer_came_to_it(
    scene: Scene, orders: int, seen: str
) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{wait: 1d}}, {ORDERED}, {{wait: 9d}}]\n")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.event("ada", "order.placed")  # while she waits for the day to pass: it does not count
    scene.later(days=1)
    scene.later(hours=5)
    for _ in range(orders):
        scene.event("ada", "order.placed")
    scene.later(days=4)
    assert compared(scene, "ada") == [f"order.placed since arrival: {seen}"]


def test_the_trail_tells_what_a_wait_for_saw_that_was_over_at_once(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{wait: {{for: {{attribute: country, is: DE}}, at_most: 3d}}}}]\n")
    scene.customer("ada", country="DE")
    scene.event("ada", "signed.up")
    scene.later(hours=1)
    assert compared(scene, "ada") == ["country: DE, wanted DE"]


def test_who_was_moved_to_a_wait_for_came_to_it_when_the_wait_before_it_began(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{wait: 5d, id: rest}}]\n")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(hours=1)
    scene.event("ada", "order.placed")
    scene.later(hours=1)
    watching = ORDERED.replace("{wait", "{id: watch, wait", 1)
    scene.apply(scene.files(hello=f"{ENTER}moved: {{rest: watch}}\nsteps: [{watching}]\n", migrate=True))
    scene.later(hours=1)
    assert compared(scene, "ada") == ["order.placed since arrival: 1, wanted at least 1"]
