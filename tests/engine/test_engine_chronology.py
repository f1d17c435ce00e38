"""A customer's things take effect in the order of their own times, whenever passes run."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene
from treue.model.tables import customer, enrollment, event, message, opt_out, trace
from treue.store import consents
from treue.store.inputs import ConsentInput

SECONDS, HOURS = timedelta(seconds=2), timedelta(hours=2)
SEND = "enter: {event: order.placed, again: always}\nsteps: [{send: hello, on: email}]\n"
EMIT = "enter: {event: order.placed, again: always}\nsteps: [{emit: told}]\n"
WAIT = "enter: {event: order.placed, again: always}\nsteps: [{wait: 30m}, {send: hello, on: email}]\n"
AGAIN = "enter: {event: order.placed, again: 1h}\nsteps: [{send: hello, on: email}]\n"


def _live(scene: Scene, happenings: list[tuple[datetime, str]], late: bool) -> None:
    """Let things happen, with a pass at each of them and each quarter of an hour, or with one in the end alone."""
    end = happenings[-1][0] + timedelta(hours=6)
    moments = {at for at, _ in happenings} | {happenings[0][0] + timedelta(minutes=15 * n) for n in range(24)}
    for at in sorted(moments):
        scene.now = at
        for when, name in happenings:
            if when == at:
                scene.event("ada", name)
        if not late:
            scene.run()
    scene.now = end
    scene.run()


def _entered(scene: Scene) -> list[datetime]:
    with scene.store.reading() as connection:
        return list(connection.scalars(select(enrollment.c.entered_at).order_by(enrollment.c.entered_at)))


def _attributes(scene: Scene) -> dict[str, object]:
    with scene.store.reading() as connection:
        return dict(connection.scalars(select(customer.c.attributes)).one())


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("journey", "apart", "times"),
    [
        (SEND, SECONDS, 2), (SEND, HOURS, 2), (EMIT, SECONDS, 2), (EMIT, HOURS, 2),
        (WAIT, SECONDS, 1), (WAIT, HOURS, 2), (AGAIN, SECONDS, 1), (AGAIN, HOURS, 2),
    ],
)  # fmt: skip
def test_two_orders_come_out_of_a_late_pass_as_of_passes_in_time(
    scene: Scene, journey: str, apart: timedelta, times: int, late: bool
) -> None:
    scene.journeys(hello=journey)
    scene.customer("ada")
    first = scene.now
    _live(scene, [(first, "order.placed"), (first + apart, "order.placed")], late)
    assert _entered(scene) == [first, first + apart][:times]
    with scene.store.reading() as connection:
        what = (
            select(event.c.at).where(event.c.name == "told") if journey == EMIT else select(message.c.due_at)
        )
        done = connection.scalars(what).all()
        away = connection.scalars(select(trace.c.reason).where(trace.c.decision == "turned_away")).all()
    assert len(done) == times
    assert len(away) == 2 - times, "the second is told as turned away"


@pytest.mark.parametrize("late", [False, True])
def test_an_exit_in_the_evening_undoes_nothing_of_the_morning(scene: Scene, late: bool) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nexit: [{event: signed.up}]\n"
        "steps: [{wait: 1h}, {set: {vip: true}}, {emit: told}, {wait: 4h}, {set: {visits: 9}}]\n"
    )
    scene.customer("ada")
    first = scene.now
    _live(scene, [(first, "order.placed"), (first + HOURS, "signed.up")], late)
    assert scene.stays()[0][1] == "exited"
    assert _attributes(scene) == {"vip": True}


@pytest.mark.parametrize("late", [False, True])
def test_a_journey_sees_what_another_did_before_it_and_nothing_that_came_after(
    scene: Scene, late: bool
) -> None:
    branch = "{choose: [{if: {attribute: visits, is: 1}, steps: [{send: hello, on: email}]}]}"
    scene.journeys(
        first="enter: {event: order.placed}\nsteps: [{wait: 1h}, {set: {visits: 1}}, {wait: 2h}, {set: {visits: 2}}]\n",
        second=f"enter: {{event: order.placed}}\nsteps: [{{wait: 2h}}, {branch}]\n",
    )
    scene.customer("ada")
    _live(scene, [(scene.now, "order.placed")], late)
    assert len(scene.messages()) == 1
    assert _attributes(scene) == {"visits": 2}


@pytest.mark.parametrize("late", [False, True])
def test_a_slot_of_a_schedule_lets_in_nobody_who_came_to_be_known_after_it(scene: Scene, late: bool) -> None:
    scene.journeys(
        hello='enter: {schedule: "0 9 * * *", segment: germans}\nsteps: [{send: hello, on: email, valid_for: 9d}]\n'
    )
    for _ in range(2):
        scene.now += timedelta(days=1)
        if not late:
            scene.run()
    scene.customer("ada", country="DE")
    first = scene.now
    scene.now += timedelta(days=2)
    scene.run()
    assert [entered > first for entered in _entered(scene)] == [True]


@pytest.mark.parametrize("late", [False, True])
def test_who_agrees_after_two_withdrawals_has_agreed_also_where_these_come_late(
    scene: Scene, late: bool
) -> None:
    scene.journeys(hello="enter: {event: order.placed}\nsteps: [{withdraw: email}, {withdraw: email}]\n")
    scene.customer("ada", consent="")
    scene.event("ada", "order.placed")
    if not late:
        scene.run()
    scene.now += HOURS
    with scene.store.transaction() as connection:
        consents.give(connection, [ConsentInput("ada", "email", scene.now)], scene.now)
    scene.now += HOURS
    scene.run()
    with scene.store.reading() as connection:
        assert connection.execute(select(opt_out)).all() == []


@pytest.mark.parametrize("late", [False, True])
def test_a_schedule_asks_its_segment_by_what_records_said_at_its_slot(scene: Scene, late: bool) -> None:
    scene.journeys(hello='enter: {schedule: "0 13 * * *", segment: germans}\nsteps: [{wait: 9d}]\n')
    scene.customer("ada", country="DE")
    scene.run()
    scene.now += timedelta(hours=3)
    slot = scene.now
    if not late:
        scene.run()
    scene.now += HOURS
    scene.customer("ada", country="FR")
    scene.run()
    assert _entered(scene) == [slot]
