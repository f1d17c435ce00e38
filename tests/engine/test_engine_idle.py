"""What a journey costs that nobody is due in: nothing. It is asked for together with all others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import event

from tests.engine.scene import Scene

JOURNEYS = {
    "orders": "enter: {event: order.placed, again: always}\nexit: [{event: signed.up}]\n"
    "steps: [{send: hello, on: email}, {wait: 3d}, {send: bye, on: email}]\n",
    "carts": "enter: {event: cart.left}\n"
    "steps: [{wait: {for: {event: told}, at_most: 3d}}, {choose: [{if: {attribute: vip, is: true}, steps: [{set: {visits: 1}}]}]}]\n",
    "birthdays": "enter: {date: birthday}\nsteps: [{send: hello, on: email}]\n",
    "mondays": 'enter: {schedule: "0 9 * * MON", segment: germans}\nsteps: [{send: hello, on: email}]\n',
    "by_hand": "enter: {manual: true}\nsteps: [{send: hello, on: email}]\n",
}


def statements(scene: Scene) -> list[str]:
    """Return what a pass sends to the database a minute later."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    scene.now += timedelta(minutes=1)
    event.listen(scene.store.engine, "before_cursor_execute", note)
    try:
        scene.run()
    finally:
        event.remove(scene.store.engine, "before_cursor_execute", note)
    return sent


def live(scene: Scene, copies: int, **more: str) -> None:
    """Let so many copies of each journey go live, and a pass or two settle."""
    texts = {f"{name}_{n}": text for name, text in JOURNEYS.items() for n in range(copies)}
    scene.journeys(**texts, **more)
    for _ in range(2):
        scene.now += timedelta(minutes=1)
        scene.run()


def test_journeys_that_nobody_is_due_in_cost_a_pass_no_statement(scene: Scene) -> None:
    scene.customer("ada", birthday="1990-07-01", country="DE")
    live(scene, 1)
    few = statements(scene)
    live(scene, 8)
    assert len(statements(scene)) == len(few)


def test_who_waits_in_a_journey_costs_a_pass_no_statement(scene: Scene) -> None:
    scene.customer("ada")
    live(scene, 4)
    idle = statements(scene)
    scene.event("ada", "order.placed")
    scene.event("ada", "cart.left")
    scene.run()
    assert len(scene.stays()) == 8
    assert len(statements(scene)) == len(idle)


def test_a_journey_somebody_is_due_in_costs_the_same_beside_idle_ones(scene: Scene) -> None:
    scene.customer("ada", birthday="1990-07-01")
    spent = []
    for copies in (1, 8):
        live(
            scene, copies, due="enter: {event: cart.abandoned, again: always}\nsteps: [{set: {visits: 3}}]\n"
        )
        scene.event("ada", "cart.abandoned")
        spent.append(len(statements(scene)))
        assert scene.counts("due").finished == len(spent)
    assert spent[0] == spent[1]
