"""Why somebody is where they are: what a `wait for` looked at, from when the customer came to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.engine.scene import Scene
from treue.insight.why import CustomerInquiry
from treue.store import customers

ORDERED = "{wait: {for: {event: order.placed}, at_most: 3d, then: [{send: thanks, on: email}]}}"
ENTER = "enter: {event: signed.up}\n"


def compared(scene: Scene, key: str) -> list[str]:
    """Return what was compared when the customer took a way."""
    with scene.store.reading() as connection:
        found = customers.find(connection, key)
        assert found is not None
        trail = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
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


def trail(scene: Scene, key: str, name: str = "hello") -> list[tuple[str, str]]:
    """Return what was decided about a customer in a journey, each with its reason in words."""
    with scene.store.reading() as connection:
        found = customers.find(connection, key)
        assert found is not None
        entries = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail(name)
    return [(entry.decision, entry.reason_sentence) for entry in entries]


INSIDE = ("turned_away", "was in the journey already, and nobody is inside twice")


def test_a_second_order_of_somebody_inside_is_told(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: order.placed, again: always}\nsteps: [{wait: 3d}]\n")
    scene.customer("ada")
    for _ in range(2):
        scene.event("ada", "order.placed")
        scene.later(days=1)
    assert [decided for decided in trail(scene, "ada") if decided[0] != "waiting"] == [
        ("entered", "event"),
        INSIDE,
    ]


def test_who_is_inside_already_is_told_whatever_brought_her(scene: Scene) -> None:
    scene.journeys(
        hello='enter: {schedule: "0 12 * * *", segment: germans, each: run}\nsteps: [{wait: 3d}]\n',
        other="enter: {event: signed.up}\nsteps: [{start: hello}]\n",
    )
    scene.customer("ada", country="DE")
    scene.until("2026-03-03 13:00")
    scene.event("ada", "signed.up")
    scene.run()
    assert [decided for decided in trail(scene, "ada") if decided[0] == "turned_away"] == [INSIDE, INSIDE]


def test_an_event_that_ends_the_stay_it_comes_to_is_not_turned_away_as_inside(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed, again: always}\ngoal: {event: order.placed}\nsteps: [{wait: 3d}]\n"
    )
    scene.customer("ada")
    for _ in range(2):
        scene.event("ada", "order.placed")
        scene.later(hours=1)
    assert [decided for decided, _ in trail(scene, "ada") if decided != "waiting"] == [
        "entered", "converted", "entered",
    ]  # fmt: skip


def test_who_was_turned_away_by_an_exit_or_left_by_one_sees_what_it_compared(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}exit: [{{event: order.placed, at_least: 2}}]\nsteps: [{{wait: 1d}}, {{wait: 9d}}]\n"
    )
    for key in ("ada", "ben"):
        scene.customer(key)
    for _ in range(2):
        scene.event("ben", "order.placed")
    scene.later(hours=1)
    for key in ("ada", "ben"):
        scene.event(key, "signed.up")
    scene.later(hours=1)
    for _ in range(3):
        scene.event("ada", "order.placed")
    scene.later(days=2)
    assert ("turned_away", "had a reason to leave already: a condition of `exit` held") in trail(scene, "ben")
    assert ("exited", "a condition of `exit` held") in trail(scene, "ada")
    with scene.store.reading() as connection:
        for key, seen in (("ben", "2, wanted at least 2"), ("ada", "3, wanted at least 2")):
            found = customers.find(connection, key)
            assert found is not None
            last = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")[-1]
            assert [one.text for one in last.compared] == [f"order.placed: {seen}"]


def test_what_was_decided_late_is_compared_as_of_when_it_took_effect(scene: Scene) -> None:
    """Both orders came in after the second had happened: a step of the stay sees both, though it was due before."""
    scene.journeys(
        hello="enter: {event: order.placed}\nexit: [{event: order.placed, at_least: 2}]\nsteps: [{wait: 1d}]\n"
    )
    scene.customer("ada")
    begun = scene.now
    scene.now = begun + timedelta(days=3)
    for hours in (1, 2):
        scene.event("ada", "order.placed", when=begun + timedelta(hours=hours))
    scene.run()
    with scene.store.reading() as connection:
        found = customers.find(connection, "ada")
        assert found is not None
        trail_ = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
    [left] = [entry for entry in trail_ if entry.decision == "exited"]
    assert [one.text for one in left.compared] == ["order.placed: 2, wanted at least 2"]


def test_who_is_held_out_is_told_so_where_she_entered(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: order.placed}\nholdout: 100%\nsteps: [{wait: 3d}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.later(hours=1)
    said = "event; held out (100% are): walks the same path, is measured for comparison and is sent nothing"
    assert trail(scene, "ada") == [("entered", said), ("waiting", "")]
