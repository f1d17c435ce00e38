"""One journey that starts another."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene, at
from treue.model.tables import trace

ORDERED = "enter: {event: order.placed}\n"
BY_HAND = "enter: {manual: true}\n"
SEND = "steps: [{send: second, on: email}]\n"


def _ordered(scene: Scene, *keys: str, **values: object) -> None:
    for key in keys:
        scene.customer(key, **values)  # type: ignore[arg-type]
        scene.event(key, "order.placed", total=1)
    scene.run()


def test_a_start_brings_the_customer_into_the_other_journey_in_the_same_pass(scene: Scene) -> None:
    scene.journeys(a_first=f"{ORDERED}steps: [{{start: z-second}}]\n", z_second=BY_HAND + SEND)
    _ordered(scene, "ada")
    assert scene.templates() == ["second"]
    assert scene.decisions("ada") == [
        "entered",
        "started",
        "finished",
        "entered",
        "queued",
        "finished",
        "sent",
    ]


def test_also_into_one_whose_turn_in_the_pass_came_before(scene: Scene) -> None:
    scene.journeys(z_first=f"{ORDERED}steps: [{{start: a-second}}]\n", a_second=BY_HAND + SEND)
    _ordered(scene, "ada")
    assert scene.templates() == ["second"]


def test_whatever_the_other_journeys_trigger_is(scene: Scene) -> None:
    scene.journeys(
        first=f"{ORDERED}steps: [{{start: by-event}}, {{start: by-segment}}]\n",
        by_event="enter: {event: told}\nsteps: [{send: by-event, on: email}]\n",
        by_segment="enter: {segment: germans}\nsteps: [{send: by-segment, on: email}]\n",
    )
    _ordered(scene, "ada", country="FR")
    assert sorted(scene.templates()) == ["by-event", "by-segment"]


def test_the_other_journeys_if_and_again_decide(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: order.placed, again: always}\nsteps: [{start: second}]\n",
        second=f"enter: {{manual: true, if: {{attribute: vip, is: true}}}}\n{SEND}",
    )
    _ordered(scene, "ada", vip=True)
    _ordered(scene, "bob")
    scene.later(hours=1)
    scene.event("ada", "order.placed")
    scene.run()
    assert scene.sent() == [("ada@example.com", "second")]
    assert scene.decisions("bob")[-1] == "turned_away"
    assert scene.decisions("ada")[-1] == "turned_away"


def test_it_counts_from_when_the_step_was_due_not_from_when_the_pass_came(scene: Scene) -> None:
    scene.journeys(
        first=f"{ORDERED}steps: [{{wait: 1d}}, {{start: second}}]\n",
        second=f"{BY_HAND}steps: [{{wait: 1d}}, {{send: second, on: email}}]\n",
    )
    _ordered(scene, "ada")
    scene.later(hours=30)
    scene.until("2026-03-04 16:00")
    assert [row[-1] for row in scene.messages()] == [at("2026-03-04 10:00")]


def test_a_journey_that_does_not_run_starts_nobody_and_the_trace_says_so(scene: Scene) -> None:
    scene.journeys(first=f"{ORDERED}steps: [{{start: second}}, {{send: first, on: email}}]\n")
    _ordered(scene, "ada")
    assert scene.decisions("ada")[:2] == ["entered", "not_started"]
    assert scene.templates() == ["first"]
    with scene.store.reading() as connection:
        details = list(connection.scalars(select(trace.c.detail).where(trace.c.decision == "not_started")))
    assert details == [{"journey": "second"}]


def test_the_holdout_starts_the_other_journey_too(scene: Scene) -> None:
    scene.journeys(first=f"holdout: 100%\n{ORDERED}steps: [{{start: second}}]\n", second=BY_HAND + SEND)
    _ordered(scene, "ada")
    assert scene.counts("first").held_out == 1
    assert scene.templates() == ["second"]


def test_a_start_whose_if_does_not_hold_is_skipped(scene: Scene) -> None:
    scene.journeys(
        first=f"{ORDERED}steps: [{{start: second, if: {{attribute: vip, is: true}}}}]\n",
        second=BY_HAND + SEND,
    )
    _ordered(scene, "ada")
    assert scene.decisions("ada") == ["entered", "skipped", "finished"]


def test_a_step_of_one_stay_starts_once_however_often_it_is_played(scene: Scene) -> None:
    from sqlalchemy import update

    from treue.model.tables import enrollment

    scene.journeys(
        first=f"{ORDERED}steps: [{{id: go, start: second}}, {{wait: 9d}}]\n",
        second=f"enter: {{manual: true, again: always}}\n{SEND}",
    )
    _ordered(scene, "ada")
    first = next(version for version in scene.engine.versions() if version.name == "first")
    back = {"step_id": first.number("go"), "due_at": scene.now, "arrived_at": scene.now}
    with scene.store.transaction() as connection:
        connection.execute(update(enrollment).where(enrollment.c.outcome == "inside").values(back))
    scene.run()
    assert scene.templates() == ["second"]


def test_a_journey_that_starts_itself_without_a_wait_is_entered_once(scene: Scene) -> None:
    scene.journeys(first="enter: {event: order.placed, again: always}\nsteps: [{start: first}]\n")
    _ordered(scene, "ada")
    assert scene.counts("first").entered == 1
    assert "turned_away" in scene.decisions("ada")


def test_a_late_pass_lets_the_other_journey_see_what_happened_since(scene: Scene) -> None:
    scene.journeys(
        first=f"{ORDERED}steps: [{{wait: 1d}}, {{start: second}}]\n",
        second=f"{BY_HAND}exit: [{{event: told}}]\nsteps: [{{wait: 9d}}]\n",
    )
    _ordered(scene, "ada")
    scene.now = at("2026-03-04 10:00")
    scene.event("ada", "told")
    scene.later(days=1)
    assert scene.counts("second").exited == {"told": 1}


@pytest.mark.parametrize("others", [(), ("bob",)])
def test_what_becomes_of_somebody_does_not_hang_on_who_else_is_there(
    scene: Scene, others: tuple[str, ...]
) -> None:
    scene.journeys(
        a_first=f"{ORDERED}steps: [{{start: z-second}}, {{emit: told}}]\n",
        z_second="enter: {event: signed.up}\ngoal: {event: told, within: 1d}\nsteps: [{send: second, on: email}]\n",
    )
    for key in others:
        scene.customer(key)
        scene.event(key, "signed.up")
    _ordered(scene, "ada")
    assert [stay[1] for stay in scene.stays() if stay[0] == "ada"] == ["finished", "converted"]
