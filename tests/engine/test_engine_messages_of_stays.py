"""What a journey asks of its own messages: this stay's, unless it says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from tests.engine.scene import Scene, plan_of
from treue.engine.versions.versions import publish
from treue.model.tables import message
from treue.plan.stored import from_json, plan_hash, to_json
from treue.store import touches

AGAIN = "enter: {event: order.placed, again: always}\n"
CHOOSE = """steps:
  - {{send: welcome, on: email}}
  - wait: 1d
  - choose:
      - if: {{message: welcome, was: clicked{more}}}
        steps: [{{set: {{vip: true}}}}]
      - else:
          - {{set: {{vip: false}}}}
"""


def click(scene: Scene) -> None:
    """Let whoever has a message click it."""
    with scene.store.transaction() as connection:
        clicked = update(message).values(clicked_at=scene.now).where(message.c.sent_at.is_not(None))
        who = connection.scalars(clicked.returning(message.c.customer_id)).all()
        touches.of_messages(connection, {(id_, "clicked") for id_ in who}, scene.now)


def second_stay(scene: Scene) -> Any:
    """Live through a stay whose message is clicked and one whose is not; return what is kept of the second."""
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(hours=1)
    click(scene)
    scene.later(hours=23)
    assert scene.attribute("ada", "vip") is True
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(days=1)
    return scene.attribute("ada", "vip")


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("", False),
        (", channel: email", False),
        (", since: ever", True),
        (", within: 7d", True),
        (", journey: hello", True),
    ],
)
def test_who_comes_again_is_told_by_the_message_of_this_stay(scene: Scene, more: str, kept: bool) -> None:
    scene.journeys(hello=AGAIN + CHOOSE.format(more=more))
    assert second_stay(scene) is kept


def test_a_wait_goes_on_at_the_click_on_this_stays_message(scene: Scene) -> None:
    scene.journeys(
        hello=f"{AGAIN}steps:\n  - {{send: welcome, on: email}}\n"
        "  - wait: {for: {message: welcome, was: clicked}, at_most: 2d, then: [{set: {vip: true}}],"
        " otherwise: [{set: {vip: false}}]}\n"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(hours=2)
    click(scene)
    scene.run()
    assert scene.attribute("ada", "vip") is True
    scene.later(days=1)
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(days=2)
    assert scene.attribute("ada", "vip") is False


def test_an_exit_asks_for_this_stays_message_and_keeps_nobody_out(scene: Scene) -> None:
    scene.journeys(
        hello=f"{AGAIN}exit: [{{message: welcome, was: clicked}}]\n"
        "steps:\n  - {send: welcome, on: email}\n  - wait: 9d\n"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(hours=1)
    click(scene)
    scene.run()
    assert scene.stays()[0][1:3] == ("exited", "condition")
    scene.event("ada", "order.placed")
    scene.run()
    assert scene.stays()[1][1] == "inside"


def test_the_if_of_enter_asks_for_all_that_was_ever_sent(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed, again: always, if: {not: {message: welcome, was: sent}}}\n"
        "steps:\n  - {send: welcome, on: email}\n"
    )
    scene.customer("ada")
    for _ in range(2):
        scene.event("ada", "order.placed")
        scene.later(hours=1)
    assert len(scene.stays()) == 1


def test_a_stored_plan_keeps_what_it_asked_and_the_new_one_is_another(scene: Scene) -> None:
    new = plan_of("hello", AGAIN + CHOOSE.format(more=""))
    document = to_json(new)
    old = from_json(_asking_of_all(document))
    assert plan_hash(old) != plan_hash(new)
    assert old == plan_of("hello", AGAIN + CHOOSE.format(more=", since: ever"))
    publish(scene.store, [old], {}, scene.now)
    assert second_stay(scene) is True
    scene.event("ada", "order.placed")
    scene.run()
    (change,) = scene.look(scene.files(hello=AGAIN + CHOOSE.format(more=""))).changes
    told = [(step.was, step.now) for step in change.steps if step.change == "changed"]
    assert [("of this stay" in was, "of this stay" in now) for was, now in told] == [(False, True)]
    assert change.inside == 1


def _asking_of_all(value: Any) -> Any:
    """Return a stored plan as it was made before a message was this stay's."""
    if isinstance(value, list):
        return [_asking_of_all(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "message_of_stay":
        return {**value, "kind": "message", "within": None, "journey": None}
    return {name: _asking_of_all(part) for name, part in value.items()}
