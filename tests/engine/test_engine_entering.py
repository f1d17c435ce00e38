"""Who gets in, who does not, and who leaves."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene, at
from treue.model.tables import customer, enrollment, message

BY_ORDER = "enter: {event: order.placed%s}\nsteps: [{send: hello, on: email}, {wait: 10d}]\n"


def test_an_event_lets_the_customer_in_and_the_first_message_goes_at_once(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % "")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=20)
    scene.run()
    assert scene.sent() == [("ada@example.com", "hello")]
    assert scene.decisions("ada") == ["entered", "queued", "waiting", "sent"]


def test_the_same_pass_run_twice_sends_nothing_twice(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % "")
    scene.customer("ada")
    scene.event("ada", "order.placed", "order-1", total=20)
    scene.run()
    scene.event("ada", "order.placed", "order-1", total=20)
    for _ in range(3):
        scene.run()
    assert len(scene.sent()) == 1
    assert scene.counts("hello").entered == 1


def test_only_events_whose_properties_fit_let_in(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % ", where: {total: {above: 50}}")
    for key, total in (("ada", 50), ("bob", 50.5), ("cem", None)):
        scene.customer(key)
        scene.event(key, "order.placed", total=total)
    scene.run()
    assert scene.sent() == [("bob@example.com", "hello")]


def test_the_condition_at_entry_turns_others_away_and_says_so(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % ", if: {attribute: country, is: DE}")
    scene.customer("ada", country="DE")
    scene.customer("bob", country="FR")
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", total=1)
    scene.run()
    assert scene.sent() == [("ada@example.com", "hello")]
    assert scene.decisions("bob") == ["turned_away"]


@pytest.mark.parametrize(("again", "expected"), [("never", 1), ("always", 3), ("30d", 2)])
def test_again_says_when_a_customer_may_come_back(scene: Scene, again: str, expected: int) -> None:
    scene.journeys(
        hello=f"enter: {{event: order.placed, again: {again}}}\nsteps: [{{send: hello, on: email}}]\n"
    )
    scene.customer("ada")
    for days in (0, 10, 25):
        scene.later(days=days)
        scene.event("ada", "order.placed", total=1)
        scene.run()
    assert len(scene.sent()) == expected


def test_who_is_inside_does_not_enter_a_second_time(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % ", again: always")
    scene.customer("ada")
    for _ in range(3):
        scene.event("ada", "order.placed", total=1)
        scene.later(hours=1)
    assert scene.counts("hello").entered == 1


def test_per_gives_one_stay_for_each_value(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % ", per: cart_id")
    scene.customer("ada")
    for cart in ("a", "b", "a"):
        scene.event("ada", "order.placed", cart_id=cart)
    scene.run()
    assert scene.counts("hello").entered == 2


def test_what_happened_before_a_journey_went_live_starts_nobody(scene: Scene) -> None:
    scene.customer("ada")
    scene.event("ada", "order.placed", total=1)
    scene.now = at("2026-03-02 11:00")
    scene.journeys(hello=BY_ORDER % "")
    scene.run()
    assert scene.counts("hello").entered == 0


def test_an_event_that_comes_late_counts_from_when_it_happened(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: order.placed}\nsteps: [{wait: 2d}, {send: hello, on: email}]\n")
    scene.customer("ada")
    scene.now = at("2026-03-03 10:00")
    scene.event("ada", "order.placed", when=at("2026-03-02 12:00"))
    scene.run()
    scene.until("2026-03-04 13:00")
    assert [row[-1] for row in scene.messages()] == [at("2026-03-04 12:00")]


def test_a_segment_lets_in_who_joins_it_and_not_who_was_there(scene: Scene) -> None:
    scene.customer("old", country="DE")
    scene.now += _hours(1)
    scene.journeys(hello="enter: {segment: germans}\nsteps: [{send: hello, on: email}]\n")
    scene.run()
    scene.customer("new", country="DE")
    scene.customer("other", country="FR")
    scene.later(hours=1)
    scene.later(hours=1)
    assert scene.sent() == [("new@example.com", "hello")]


def test_who_leaves_a_segment_and_joins_it_again_enters_again_where_allowed(scene: Scene) -> None:
    scene.journeys(hello="enter: {segment: germans, again: always}\nsteps: [{send: hello, on: email}]\n")
    scene.run()
    for country in ("DE", "FR", "DE"):
        scene.customer("ada", country=country)
        scene.later(hours=1)
    assert len(scene.sent()) == 2


def test_a_schedule_lets_in_everybody_in_the_segment_once_a_slot(scene: Scene) -> None:
    scene.customer("ada", country="DE")
    scene.journeys(
        hello='enter: {schedule: "0 9 * * MON", segment: germans, again: always}\nsteps: [{send: hello, on: email}]\n'
    )
    scene.until("2026-03-16 12:00", every=_hours(5))
    assert len(scene.sent()) == 2


def test_each_missed_slot_of_a_schedule_happens_at_its_own_time(scene: Scene) -> None:
    scene.customer("ada", country="DE")
    scene.journeys(
        hello='enter: {schedule: "0 9 * * *", segment: germans, again: always}\nsteps: [{send: hello, on: email, valid_for: 5d}]\n'
    )
    scene.later(days=4)
    scene.later(minutes=1)
    assert len(scene.sent()) == 4
    with scene.store.reading() as connection:
        entered = connection.scalars(select(enrollment.c.entered_at).order_by(enrollment.c.entered_at)).all()
    assert [moment.day for moment in entered] == [3, 4, 5, 6]


def test_an_exit_event_ends_the_stay_and_takes_back_what_is_queued(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nexit: [{event: told}]\nsteps: [{wait: 1d}, {send: hello, on: email}, {wait: 9d}]\n"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    scene.event("ada", "told")
    scene.later(days=2)
    assert scene.sent() == []
    assert scene.counts("hello").exited == {"told": 1}


def test_an_exit_of_the_same_cart_ends_only_the_stay_that_cart_began(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: cart.left, per: cart_id}
exit: [{event: order.placed, same: cart_id}]
steps: [{wait: 1d}, {send: hello, on: email}]
"""
    )
    scene.customer("ada")
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    scene.event("ada", "order.placed")
    scene.event("ada", "order.placed", cart_id="b")
    scene.later(hours=1)
    assert [stay[1] for stay in scene.stays()] == ["inside", "exited"]
    scene.later(days=1)
    assert [row[3:5] for row in scene.messages()] == [("sent", None)]


def test_an_exit_of_the_same_cart_calls_back_only_that_carts_message(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: cart.left, per: cart_id}
exit: [{event: order.placed, same: cart_id}]
steps: [{send: hello, on: email}]
"""
    )
    scene.customer("ada")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    scene.engine.delivery = delivery
    scene.event("ada", "order.placed", cart_id="a")
    scene.later(hours=1)
    query = select(enrollment.c.per, message.c.state).join(
        message, message.c.enrollment_id == enrollment.c.id
    )
    with scene.store.reading() as connection:
        assert dict(connection.execute(query).all()) == {"a": "refused", "b": "sent"}


def test_an_exit_that_is_a_condition_ends_only_the_stay_it_holds_for(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: cart.left, per: cart_id}
exit: [{event: order.placed, same: cart_id, at_least: 2}]
steps: [{wait: 9d}]
"""
    )
    scene.customer("ada")
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    for cart in ("a", "b", "b"):
        scene.event("ada", "order.placed", cart_id=cart)
    scene.later(hours=1)
    assert [stay[1:3] for stay in scene.stays()] == [("inside", None), ("exited", "condition")]


def test_of_two_stays_that_conditions_end_each_has_its_own_reason(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: cart.left, per: cart_id}
exit:
  - {event: order.placed, same: cart_id, at_least: 2}
  - {segment: germans}
steps: [{wait: 9d}]
"""
    )
    scene.customer("ada")
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    for cart in ("b", "b"):
        scene.event("ada", "order.placed", cart_id=cart)
    scene.customer("ada", country="DE")
    scene.later(hours=1)
    assert [stay[2] for stay in scene.stays()] == ["segment germans", "condition"]


def test_who_bought_the_same_before_is_turned_away(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: order.placed, again: always, if: {event: order.placed, same: cart_id, at_most: 1}}
steps: [{send: hello, on: email}]
"""
    )
    scene.customer("ada")
    for cart in ("a", "b", "a"):
        scene.later(hours=2)
        scene.event("ada", "order.placed", cart_id=cart)
        scene.run()
    assert scene.counts("hello").entered == 2


def test_an_exit_state_ends_the_stay(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{segment: germans}}]\n{BY_ORDER % ''}")
    scene.customer("ada", country="FR")
    scene.event("ada", "order.placed")
    scene.run()
    scene.customer("ada", country="DE")
    scene.later(hours=1)
    assert scene.counts("hello").exited == {"segment germans": 1}


GOAL = "enter: {event: signed.up}\ngoal: {event: order.placed, within: 10d}\nsteps: [{send: hello, on: email}, {wait: 3d}, {send: more, on: email}]\n"


def test_who_reaches_the_goal_leaves_as_converted(scene: Scene) -> None:
    scene.journeys(hello=GOAL)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=1)
    scene.event("ada", "order.placed")
    scene.later(days=5)
    assert scene.templates() == ["hello"]
    assert scene.counts("hello").converted == 1


@pytest.mark.parametrize(("days", "outcome"), [(9, "converted"), (11, "finished")])
def test_the_goals_window_runs_on_after_the_last_step(scene: Scene, days: int, outcome: str) -> None:
    scene.journeys(hello=GOAL)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=4)
    scene.later(days=days - 4)
    scene.event("ada", "order.placed")
    scene.run()
    assert [stay[1] for stay in scene.stays()] == [outcome]


def test_the_event_that_starts_a_stay_does_not_end_it(scene: Scene) -> None:
    scene.journeys(hello=f"goal: {{event: order.placed}}\n{BY_ORDER % ', again: always'}")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    assert scene.counts("hello").inside == 1


def test_what_one_customer_did_takes_effect_in_the_order_it_happened(scene: Scene) -> None:
    scene.journeys(hello=f"goal: {{event: told}}\n{BY_ORDER % ', again: always'}")
    scene.customer("ada")
    start = scene.now
    scene.now = at("2026-03-02 12:00")
    for minutes, name in enumerate(("order.placed", "told", "order.placed", "told", "order.placed")):
        scene.event("ada", name, when=start + _minutes(minutes))
    scene.run()
    counts = scene.counts("hello")
    assert (counts.entered, counts.converted, counts.inside) == (3, 2, 1)


def test_a_paused_journey_holds_everyone_where_they_are(scene: Scene) -> None:
    from treue.store import journeys

    scene.journeys(hello="enter: {event: order.placed}\nsteps: [{wait: 1h}, {send: hello, on: email}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    with scene.store.transaction() as connection:
        assert journeys.pause(connection, "hello", scene.now)
    scene.later(hours=2)
    assert scene.sent() == []
    with scene.store.transaction() as connection:
        journeys.pause(connection, "hello", None)
    scene.run()
    assert scene.templates() == ["hello"]


def test_customers_finish_on_the_version_they_entered(scene: Scene) -> None:
    steps = "enter: {{event: order.placed}}\nsteps: [{{wait: 1d}}, {{send: {}, on: email}}]\n"
    scene.journeys(hello=steps.format("old"))
    for key in ("ada", "bob"):
        scene.customer(key)
    scene.event("ada", "order.placed")
    scene.run()
    scene.journeys(hello=steps.format("new"))
    scene.event("bob", "order.placed")
    scene.run()
    scene.later(days=1)
    assert scene.sent() == [("ada@example.com", "old"), ("bob@example.com", "new")]


def test_a_journey_whose_file_is_gone_lets_nobody_in_but_those_inside_go_on(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: order.placed}\nsteps: [{wait: 1d}, {send: hello, on: email}]\n")
    for key in ("ada", "bob"):
        scene.customer(key)
    scene.event("ada", "order.placed")
    scene.run()
    scene.journeys()
    scene.event("bob", "order.placed")
    scene.later(days=1)
    assert scene.sent() == [("ada@example.com", "hello")]


def _hours(n: int):  # type: ignore[no-untyped-def]
    from datetime import timedelta

    return timedelta(hours=n)


def _minutes(n: int):  # type: ignore[no-untyped-def]
    from datetime import timedelta

    return timedelta(minutes=n)


def test_an_event_that_concerns_nobody_inside_gives_a_journey_nothing_to_do(scene: Scene) -> None:
    scene.journeys(hello=GOAL)
    scene.customer("ada")
    scene.event("ada", "order.placed")
    assert scene.run().journeys == []


def test_an_entry_and_its_goal_that_come_in_together_both_count(scene: Scene) -> None:
    scene.journeys(hello=GOAL)
    scene.customer("ada")
    start = scene.now
    scene.now = at("2026-03-02 12:00")
    scene.event("ada", "order.placed", when=start + _minutes(9))
    scene.event("ada", "signed.up", when=start + _minutes(3))
    scene.run()
    assert scene.counts("hello").converted == 1


def test_a_goals_window_may_be_a_calendar_month(scene: Scene) -> None:
    scene.now = at("2026-01-31 12:00")
    scene.journeys(hello=GOAL.replace("within: 10d", "within: 1mo"))
    for key in ("ada", "bob"):
        scene.customer(key)
        scene.event(key, "signed.up")
    scene.run()
    for key, when in (("ada", "2026-02-28 11:59"), ("bob", "2026-02-28 12:01")):
        scene.now = at(when)
        scene.event(key, "order.placed")
        scene.run()
    assert [stay[1] for stay in scene.stays()] == ["converted", "finished"]


def test_a_pass_that_is_days_late_lets_in_the_same_people_as_one_in_time(scene: Scene) -> None:
    scene.journeys(hello=BY_ORDER % ", if: {event: order.placed, first: {after: 2d ago}}")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=1)
    scene.later(days=3)
    assert scene.counts("hello").entered == 1


def test_an_edited_schedule_does_not_make_up_for_slots_before_the_edit(scene: Scene) -> None:
    text = 'enter: {{schedule: "{}", segment: germans}}\nsteps: [{{send: hello, on: email}}]\n'
    scene.customer("ada", country="DE")
    scene.journeys(hello=text.format("0 9 1 * *"))
    scene.until("2026-03-13 12:00", every=_hours(12))
    scene.journeys(hello=text.format("0 9 * * MON"))
    scene.run()
    assert scene.counts("hello").entered == 0
    scene.until("2026-03-16 12:00", every=_hours(6))
    assert scene.templates() == ["hello"]


def test_a_segment_journey_brought_back_does_not_start_those_who_joined_meanwhile(scene: Scene) -> None:
    text = "enter: {segment: germans}\nsteps: [{send: hello, on: email}]\n"
    scene.journeys(hello=text)
    scene.run()
    scene.journeys()
    scene.customer("ada", country="DE")
    scene.later(days=31)
    scene.journeys(hello=text)
    scene.later(hours=1)
    scene.later(hours=1)
    assert scene.counts("hello").entered == 0


@pytest.mark.parametrize("steps", [520])
def test_a_journey_of_very_many_steps_runs(scene: Scene, steps: int) -> None:
    waits = "\n".join("  - wait: 1d" for _ in range(steps))
    scene.journeys(hello=f"enter: {{event: order.placed}}\nsteps:\n{waits}\n")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.later(days=2, minutes=1)
    assert scene.stays()[0][3] == "steps.2"


def test_a_wait_of_decades_holds(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: order.placed}\nsteps: [{wait: 40y}, {send: hello, on: email}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    for _ in range(3):
        scene.later(hours=1)
    assert scene.decisions("ada") == ["entered", "waiting"]


def test_of_one_instant_events_take_effect_in_the_order_in_which_they_were_recorded(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{event: told}}]\n{BY_ORDER % ''}")
    for key, names in (("ada", ("told", "order.placed")), ("bob", ("order.placed", "told"))):
        scene.customer(key)
        for name in names:
            scene.event(key, name)
    scene.run()
    assert {stay[0]: stay[1] for stay in scene.stays()} == {"ada": "inside", "bob": "exited"}


def test_a_late_pass_sees_the_exit_that_came_after_a_missed_slot(scene: Scene) -> None:
    scene.customer("ada", country="DE")
    scene.journeys(
        hello='enter: {schedule: "0 9 * * *", segment: germans}\nexit: [{event: told}]\nsteps: [{wait: 9d}]\n'
    )
    scene.run()
    scene.now = at("2026-03-03 12:00")
    scene.event("ada", "told")
    scene.run()
    assert scene.counts("hello").exited == {"told": 1}


@pytest.mark.parametrize("goal", ["", "goal: {event: order.placed}\n"])
def test_an_event_from_before_a_journey_went_live_starts_nobody_who_is_at_its_door(
    scene: Scene, goal: str
) -> None:
    scene.journeys(hello=goal + BY_ORDER % "")
    scene.customer("ada")
    scene.now = at("2026-03-02 12:00")
    scene.event("ada", "order.placed", "new")
    scene.event("ada", "order.placed", "old", when=at("2026-03-02 09:00"))
    scene.run()
    with scene.store.reading() as connection:
        assert connection.scalars(select(enrollment.c.entered_at)).all() == [scene.now]


REMINDER = """
enter: {event: cart.left, per: cart_id}
exit: [{event: order.placed, same: cart_id}]
steps: [{wait: 3h}, {send: hello, on: email}]
"""


@pytest.mark.parametrize(("cart", "outcome"), [("a", "exited"), ("b", "inside")])
def test_who_has_bought_before_we_heard_of_the_cart_is_not_reminded_of_it(
    scene: Scene, cart: str, outcome: str
) -> None:
    scene.journeys(hello=REMINDER)
    scene.customer("ada")
    left = scene.now
    scene.now = left + _hours(1)
    scene.event("ada", "order.placed", cart_id=cart)
    scene.run()
    scene.now = left + _hours(2)
    scene.event("ada", "cart.left", when=left, cart_id="a")
    scene.run()
    assert [stay[1] for stay in scene.stays()] == [outcome]


def test_what_happened_before_a_cart_we_hear_of_late_does_not_end_its_stay(scene: Scene) -> None:
    scene.journeys(hello=REMINDER)
    scene.customer("ada")
    scene.event("ada", "order.placed", cart_id="a")
    scene.later(hours=1)
    left = scene.now
    scene.now = left + _hours(2)
    scene.event("ada", "cart.left", when=left, cart_id="a")
    scene.run()
    assert [stay[1] for stay in scene.stays()] == ["inside"]


def test_an_event_looked_at_again_for_a_late_stay_starts_no_second_one(scene: Scene) -> None:
    scene.journeys(
        hello="goal: {event: order.placed}\nenter: {event: order.placed, again: always}\nsteps: [{send: hello, on: email}]\n"
    )
    scene.customer("ada")
    start = scene.now
    scene.later(hours=1)
    scene.event("ada", "order.placed")
    scene.run()
    scene.event("ada", "order.placed", when=start)
    scene.later(hours=1)
    assert [stay[1] for stay in scene.stays()] == ["finished", "converted"]


def test_a_stay_that_a_paused_journey_begins_late_ends_by_what_happened_meanwhile(scene: Scene) -> None:
    from treue.store import journeys

    scene.journeys(hello="enter: {date: birthday}\nexit: [{event: told}]\nsteps: [{wait: 9d}]\n")
    scene.customer("ada", birthday="1990-03-03")
    with scene.store.transaction() as connection:
        journeys.pause(connection, "hello", scene.now)
    scene.later(days=2)
    scene.event("ada", "told")
    scene.later(hours=1)
    with scene.store.transaction() as connection:
        journeys.pause(connection, "hello", None)
    scene.later(hours=1)
    assert scene.counts("hello").exited == {"told": 1}


@pytest.mark.parametrize("where", ["enter", "exit", "goal"])
def test_a_length_of_time_in_where_counts_back_from_the_events_own_time(scene: Scene, where: str) -> None:
    fits = "{event: told, where: {since: {after: 1d ago}}}"
    texts = {
        "enter": f"enter: {fits}\nsteps: [{{stop: true}}]",
        "exit": f"enter: {{event: signed.up}}\nexit: [{fits}]\nsteps: [{{wait: 90d}}]",
        "goal": f"enter: {{event: signed.up}}\ngoal: {fits}\nsteps: [{{wait: 90d}}]",
    }
    scene.now = at("2026-03-27 09:00")
    scene.journeys(one=texts[where])
    for key in ("ada", "bob"):
        scene.customer(key)
        scene.event(key, "signed.up")
    scene.run()
    scene.now = at("2026-03-29 10:00")  # the clocks went forward that night: 1d ago is 23 hours ago
    scene.event("ada", "told", since="2026-03-28T08:30:00Z")
    scene.event("bob", "told", since="2026-03-28T09:30:00Z")
    scene.later(days=4)
    with scene.store.reading() as connection:
        stays = select(customer.c.key, enrollment.c.outcome).join(
            customer, customer.c.id == enrollment.c.customer_id
        )
        became = {row.key: row.outcome for row in connection.execute(stays)}
    expected = {"exit": "exited", "goal": "converted"}.get(where, "finished")
    assert became.pop("bob") == expected
    assert became == ({} if where == "enter" else {"ada": "inside"})
