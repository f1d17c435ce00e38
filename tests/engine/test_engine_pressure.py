"""Limits and quiet hours: how much a customer bears over all journeys, and when nobody is disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.engine.scene import Scene, at
from treue.channel import Retry
from treue.clock import Duration
from treue.cohorts.draws import place
from treue.engine.passes.attempts import Attempts
from treue.engine.passes.chronology import Chronology, Passed, run_pass
from treue.engine.passes.engine import Engine
from treue.engine.pressure.quiet_hours import SPREAD_SECONDS, widened
from treue.language.pressure import Limit, Pressure, QuietHours
from treue.model.tables import customer, message, trace
from treue.store.store import Store

WEEK, DAY = Duration(days=7), Duration(days=1)
SEND = "enter: {event: order.placed, per: cart_id, again: always}\nsteps: [{send: hello, on: email, valid_for: 9d}]\n"
SMS = "enter: {event: order.placed, per: cart_id, again: always}\nsteps: [{send: hello, on: sms, valid_for: 1d}]\n"
NIGHT = {"sms": QuietHours(20 * 60, 8 * 60)}

Play = Callable[..., Scene]


@pytest.fixture
def play(store: Store, tmp_path: Path) -> Iterator[Play]:
    """Makes a scene with rules."""
    made: list[Scene] = []

    def make(*limits: Limit, quiet: dict[str, QuietHours] | None = None, **more: Any) -> Scene:
        made.append(
            Scene(store, tmp_path / f"state{len(made)}", pressure=Pressure(limits, quiet or {}), **more)
        )
        return made[-1]

    yield make
    for scene in made:
        scene.delivery.close()


def order(scene: Scene, *keys: str) -> None:
    """Let customers order once more, now."""
    for key in keys:
        scene.event(key, "order.placed", cart_id=f"{key}{scene.now}", total=1)


def states(scene: Scene) -> list[tuple[str, str | None]]:
    """Return (state, reason) of all messages."""
    return [row[3:5] for row in scene.messages()]


def noted(scene: Scene, key: str) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Return what was noted where a customer's messages were held or refused."""
    query = (
        select(trace.c.decision, trace.c.reason, trace.c.detail)
        .join(customer, customer.c.id == trace.c.customer_id)
        .where(customer.c.key == key, trace.c.decision.in_(("held", "refused")))
        .order_by(trace.c.id)
    )
    with scene.store.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def column(scene: Scene, of: Any = message.c.ready_at) -> list[datetime]:
    """Return a column of all messages, in the order they were queued."""
    with scene.store.reading() as connection:
        return list(connection.scalars(select(of).order_by(message.c.id)))


# --- limits -------------------------------------------------------------------------------------------------


def test_one_too_many_waits_until_the_window_has_room_and_goes_then(play: Play) -> None:
    scene = play(Limit(2, WEEK))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    for _ in range(3):
        order(scene, "ada")
        scene.later(hours=1)
    assert states(scene) == [("sent", None), ("sent", None), ("queued", "over_limit")]
    assert column(scene)[2] == at("2026-03-09 11:00")
    scene.until("2026-03-09 10:59")
    assert len(scene.sent()) == 2
    scene.later(minutes=1)
    assert len(scene.sent()) == 3
    assert states(scene)[2] == ("sent", None)


@pytest.mark.parametrize("enter", ["{manual: true}", '{schedule: "0 * * * *", segment: germans}'])
def test_a_late_pass_gives_places_away_when_it_runs_whatever_schedules_there_are(
    play: Play, enter: str
) -> None:
    scene = play(Limit(1, WEEK))
    scene.journeys(hello=SEND, other=f"enter: {enter}\nsteps: [{{send: hello, on: email}}]\n")
    scene.customer("ada")
    order(scene, "ada")
    scene.later(days=2)
    assert column(scene, message.c.reserved_at) == column(scene, message.c.queued_at) == [scene.now]


def test_what_is_held_and_why_is_noted_with_the_number_and_the_limit(play: Play) -> None:
    scene = play(Limit(1, WEEK))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    [(decision, reason, detail)] = noted(scene, "ada")
    assert (decision, reason) == ("held", "over_limit")
    assert (detail["had"], detail["limit"], detail["channel"]) == (1, "1 in 1w", "email")
    assert detail["until"] == 1_773_050_400_000_000  # 2026-03-09 10:00 UTC, a week after the first


def test_what_would_have_to_wait_longer_than_it_is_good_for_is_refused_at_once(play: Play) -> None:
    scene = play(Limit(1, Duration(days=10)))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert states(scene) == [("sent", None), ("refused", "over_limit")]
    assert [entry[:2] for entry in noted(scene, "ada")] == [("refused", "over_limit")]


def test_a_limit_that_drops_refuses_at_once_though_another_would_let_it_wait(play: Play) -> None:
    scene = play(Limit(1, WEEK), Limit(1, DAY, when_over="drop"))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert states(scene) == [("sent", None), ("refused", "over_limit")]
    assert noted(scene, "ada")[0][2]["limit"] == "1 in 1d"


def test_of_two_journeys_in_one_pass_the_one_of_higher_priority_is_sent(play: Play) -> None:
    scene = play(Limit(1, DAY, when_over="drop"))
    scene.journeys(
        alpha=f"priority: 20\n{SEND}".replace("hello", "low"),
        beta=f"priority: 80\n{SEND}".replace("hello", "high"),
    )
    scene.customer("ada")
    order(scene, "ada")
    scene.run()
    assert sorted(row[1:5] for row in scene.messages()) == [
        ("high", "email", "sent", None),
        ("low", "email", "refused", "lower_priority"),
    ]


def test_the_first_takes_the_place_where_both_are_as_important(play: Play) -> None:
    scene = play(Limit(1, WEEK))
    scene.journeys(alpha=SEND, beta=SEND)
    scene.customer("ada")
    order(scene, "ada")
    scene.run()
    assert states(scene) == [("sent", None), ("queued", "over_limit")]


def test_a_limit_of_a_category_lets_the_others_go_on(play: Play) -> None:
    scene = play(Limit(1, WEEK, category="promotional"))
    relation = f"category: relational\nbasis: consent\n{SEND}".replace("hello", "tips")
    scene.journeys(sales=SEND, relation=relation)
    scene.customer("ada")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert sorted(scene.templates()) == ["hello", "tips", "tips"]


def test_a_limit_of_a_channel_counts_only_that_channel(play: Play) -> None:
    scene = play(Limit(1, WEEK, channel="sms"))
    scene.journeys(mail=SEND, text=SMS)
    scene.customer("ada", "email sms")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert (len(scene.sent("email")), len(scene.sent("sms"))) == (2, 1)


def test_several_messages_of_one_customer_in_one_batch_are_counted_one_after_the_other(play: Play) -> None:
    scene = play(Limit(2, DAY), Limit(1, WEEK, channel="push", when_over="drop"))
    everywhere = "{send: hello, on: [email, sms, push], all: true, valid_for: 9d}"
    scene.journeys(
        hello=f"enter: {{event: order.placed, per: cart_id, again: always}}\nsteps: [{everywhere}]\n"
    )
    scene.customer("ada", "email sms push")
    scene.customer("bob", "push")
    order(scene, "ada", "bob")
    scene.now += timedelta(seconds=1)
    order(scene, "ada", "bob")
    scene.run()
    by_customer = {key: [row[2:5] for row in scene.messages() if row[0] == key] for key in ("ada", "bob")}
    sent = [row[2] for row in scene.messages() if row[0] == "ada" and row[3] == "sent" and row[5] < scene.now]
    assert sorted(sent) == ["email", "sms"]  # both of the first order
    assert sum(state == "queued" for _, state, _ in by_customer["ada"]) == 4
    assert sorted(row for row in by_customer["bob"] if row[0] == "push") == [
        ("push", "refused", "over_limit"),
        ("push", "sent", None),
    ]


def test_transactional_messages_are_neither_limited_nor_counted_nor_quiet(play: Play) -> None:
    scene = play(Limit(1, WEEK), quiet={"email": QuietHours(0, 23 * 60)})
    bill = f"category: transactional\n{SEND}".replace("hello", "bill")
    scene.journeys(bill=bill, hello=SEND)
    scene.now = at("2026-03-02 23:10")
    scene.customer("ada", timezone="Europe/Berlin")
    for _ in range(3):
        order(scene, "ada")
        scene.later(minutes=5)
    scene.until("2026-03-03 12:00")
    order(scene, "ada")
    scene.run()
    assert scene.templates().count("bill") == 4
    assert scene.templates().count("hello") == 1


def test_holdouts_take_no_places(play: Play) -> None:
    scene = play(Limit(1, WEEK))
    scene.journeys(aside=f"priority: 90\nholdout: 100%\n{SEND}".replace("hello", "aside"), hello=SEND)
    scene.customer("ada")
    order(scene, "ada")
    scene.run()
    assert scene.templates() == ["hello"]


def test_what_a_provider_refuses_gives_its_place_back(play: Play) -> None:
    from treue.channel import Refused

    scene = play(Limit(1, WEEK))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    scene.channels["email"].answers = [Refused("554 no")]
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert states(scene) == [("refused", "rejected_by_provider"), ("sent", None)]


def test_what_may_have_been_sent_keeps_its_place(play: Play) -> None:
    from treue.channel import Unknown

    scene = play(Limit(1, WEEK))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    scene.channels["email"].answers = [Unknown("no answer")]
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    assert states(scene) == [("in_doubt", "in_doubt"), ("queued", "over_limit")]


def test_who_has_left_takes_no_place_from_others(play: Play) -> None:
    scene = play(Limit(1, DAY))
    leaving = SEND.replace("hello", "leaving").replace("steps: [", "steps: [") + "exit: [{event: told}]\n"
    leaving = leaving.replace("valid_for: 9d}]", "valid_for: 9d}, {wait: 30d}]")
    scene.journeys(
        first=f"priority: 90\n{SEND}", leaving=f"priority: 80\n{leaving}", last=SEND.replace("hello", "last")
    )
    scene.customer("ada")
    order(scene, "ada")
    scene.run()
    assert [row[1] for row in scene.messages() if row[3] == "queued"] == ["leaving", "last"]
    scene.event("ada", "told", why="enough")
    scene.later(days=1)
    assert scene.templates() == ["hello", "last"]


def test_what_was_sent_before_there_were_limits_counts(play: Play) -> None:
    before = play()
    before.journeys(hello=SEND)
    before.customer("ada")
    order(before, "ada")
    before.run()
    after = play(Limit(1, WEEK))
    after.now = before.now + timedelta(hours=1)
    order(after, "ada")
    after.run()
    assert states(after) == [("sent", None), ("queued", "over_limit")]


def test_where_the_limits_are_taken_away_what_is_held_goes_when_its_time_comes(play: Play) -> None:
    scene = play(Limit(1, DAY))
    scene.journeys(hello=SEND)
    scene.customer("ada")
    for _ in range(2):
        order(scene, "ada")
        scene.later(hours=1)
    free = play()
    free.now = scene.now + timedelta(days=1)
    free.run()
    assert states(free) == [("sent", None)] * 2


def test_two_journeys_at_once_never_slip_under_a_limit_together(store: Store, tmp_path: Path) -> None:
    """Three workers, each with its own connections, run three journeys over the same customers at the same time."""
    rules = Pressure((Limit(1, WEEK, when_over="drop"),))
    scene = Scene(store, tmp_path / "state", pressure=rules)
    names = ["alpha", "beta", "gamma"]
    scene.journeys(**dict.fromkeys(names, SEND))
    keys = [f"c{n}" for n in range(300)]
    for key in keys:
        scene.customer(key)
    order(scene, *keys)
    Chronology(scene.engine, Attempts(scene.store, scene.now), scene.now, None, Passed()).doors()
    start, faults = threading.Barrier(len(names)), []

    def work() -> None:
        own = Store.open(store.url.render_as_string(hide_password=False))
        engine = Engine(own, "Europe/Berlin", "salt", pressure=rules)
        try:
            start.wait()
            run_pass(engine, scene.now)
        except Exception as error:
            faults.append(error)
        finally:
            own.close()

    workers = [threading.Thread(target=work) for _ in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert faults == []
    query = (
        select(func.count())
        .select_from(message)
        .where(message.c.reserved_at.is_not(None))
        .group_by(message.c.customer_id)
    )
    with store.reading() as connection:
        assert connection.scalars(query).all() == [1] * len(keys)
    assert len(scene.messages()) == len(names) * len(keys)
    scene.delivery.close()


# --- quiet hours --------------------------------------------------------------------------------------------


def test_what_comes_in_the_night_waits_for_the_morning_and_a_little_longer_each_in_turn(play: Play) -> None:
    scene = play(quiet=NIGHT, start="2026-03-02 21:00")
    scene.journeys(hello=SMS)
    keys = [f"c{n}" for n in range(40)]
    for key in keys:
        scene.customer(key, "sms", timezone="Europe/Berlin")
    order(scene, *keys)
    scene.run()
    assert set(states(scene)) == {("queued", "quiet_hours")}
    when = column(scene)
    assert all(at("2026-03-03 08:00") <= moment < at("2026-03-03 08:30") for moment in when)
    assert len(set(when)) > 30
    scene.until("2026-03-03 07:59", timedelta(minutes=30))
    assert scene.sent("sms") == []
    scene.until("2026-03-03 08:30", timedelta(minutes=1))
    assert len(scene.sent("sms")) == 40
    assert column(scene, message.c.sent_at) == [
        moment.replace(second=0, microsecond=0) + timedelta(minutes=bool(moment.second)) for moment in when
    ]


def test_each_customer_has_the_same_place_in_every_morning(play: Play) -> None:
    scene = play(quiet=NIGHT, start="2026-03-02 21:00")
    scene.journeys(hello=SMS)
    scene.customer("ada", "sms", timezone="Europe/Berlin")
    for _ in range(2):
        order(scene, "ada")
        scene.run()
        scene.now += timedelta(days=1)
    first, second = column(scene)
    assert second - first == timedelta(days=1)
    with scene.store.reading() as connection:
        draw = connection.scalar(select(customer.c.draw))
    assert draw is not None
    assert first == at("2026-03-03 08:00") + timedelta(seconds=place(draw, "quiet\x1fsalt", SPREAD_SECONDS))


@pytest.mark.parametrize(
    ("zone", "now", "held"),
    [
        ("Europe/Berlin", "2026-03-02 19:59", False),
        ("Europe/Berlin", "2026-03-02 20:00", True),
        ("Europe/Berlin", "2026-03-03 07:59", True),
        ("Europe/Berlin", "2026-03-03 08:00", False),
        ("America/New_York", "2026-03-02 21:00", False),
        ("America/New_York", "2026-03-03 08:30", True),
        (None, "2026-03-02 18:59", False),
        (None, "2026-03-02 19:00", True),
        (None, "2026-03-03 08:59", True),
        (None, "2026-03-03 09:00", False),
    ],
)
def test_the_customers_own_clock_counts_and_an_unknown_zone_is_spared_longer(
    play: Play, zone: str | None, now: str, held: bool
) -> None:
    scene = play(quiet=NIGHT, start=now)
    scene.journeys(hello=SMS)
    scene.customer("ada", "sms", timezone=zone)
    order(scene, "ada")
    scene.run()
    assert states(scene) == [("queued", "quiet_hours") if held else ("sent", None)]


@pytest.mark.parametrize(
    ("now", "hours", "first", "last"),
    [
        # the night of 28 March is an hour shorter, 02:30 is not there: quiet until the clock says 03:00
        ("2027-03-28 01:00", "22:00-02:30", "2027-03-28 03:00", "2027-03-28 03:30"),
        ("2027-03-27 23:00", "20:00-08:00", "2027-03-28 08:00", "2027-03-28 08:30"),
        # that of 31 October an hour longer
        ("2027-10-30 23:00", "20:00-08:00", "2027-10-31 08:00", "2027-10-31 08:30"),
    ],
)
def test_quiet_hours_end_by_the_local_clock_across_its_changes(
    play: Play, now: str, hours: str, first: str, last: str
) -> None:
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    scene = play(quiet={"sms": QuietHours(start, end)}, start=now)
    scene.journeys(hello=SMS)
    scene.customer("ada", "sms", timezone="Europe/Berlin")
    order(scene, "ada")
    scene.run()
    with scene.store.reading() as connection:
        until = connection.scalar(select(message.c.ready_at))
    assert until is not None
    assert at(first) <= until < at(last)


def test_an_hour_that_comes_twice_is_quiet_both_times(play: Play) -> None:
    scene = play(quiet={"sms": QuietHours(22 * 60, 2 * 60 + 30)}, start="2027-10-31 01:00")
    scene.journeys(hello=SMS)
    scene.customer("ada", "sms", timezone="Europe/Berlin")
    order(scene, "ada")
    second = at("2027-10-31 03:00") - timedelta(minutes=45)  # 02:15 for the second time, now in winter time
    scene.now = second
    scene.run()
    assert states(scene) == [("queued", "quiet_hours")]
    with scene.store.reading() as connection:
        until = connection.scalar(select(message.c.ready_at))
    assert until is not None
    assert second + timedelta(minutes=15) <= until < second + timedelta(minutes=45)


def test_nothing_is_held_longer_than_it_is_good_for(play: Play) -> None:
    scene = play(quiet=NIGHT, start="2026-03-02 21:00")
    scene.journeys(short=SMS.replace("1d", "10h"), exact=SMS.replace("1d", "11h"))
    keys = [f"c{n}" for n in range(5)]
    for key in keys:
        scene.customer(key, "sms", timezone="Europe/Berlin")
    order(scene, *keys)
    scene.run()
    assert states(scene) == [("queued", "quiet_hours")] * 5 + [("refused", "stale")] * 5
    assert set(column(scene)[:5]) == {at("2026-03-03 08:00")}
    scene.until("2026-03-03 08:00")
    assert len(scene.sent("sms")) == 5


def test_a_message_that_had_its_place_gives_it_back_when_the_night_comes_before_it_could_go(
    play: Play,
) -> None:
    scene = play(Limit(1, Duration(days=2)), quiet=NIGHT, start="2026-03-02 19:50")
    scene.journeys(hello=SMS, mail=SEND)
    scene.customer("ada", "sms email", timezone="Europe/Berlin")
    scene.channels["sms"].answers = [Retry("busy", after=900)]
    order(scene, "ada")
    scene.run()
    scene.later(minutes=20)
    assert [row[1:5] for row in scene.messages()] == [
        ("hello", "sms", "queued", "quiet_hours"),
        ("hello", "email", "queued", "over_limit"),
    ]
    order(scene, "ada")
    scene.later(minutes=1)
    assert len(scene.sent("email")) == 1


def test_limits_are_asked_when_the_quiet_hours_are_over(play: Play) -> None:
    scene = play(Limit(1, WEEK, when_over="drop"), quiet=NIGHT, start="2026-03-02 21:00")
    scene.journeys(hello=SMS, mail=f"priority: 80\n{SEND}")
    scene.customer("ada", "sms email", timezone="Europe/Berlin")
    order(scene, "ada")
    scene.run()
    assert len(scene.sent("email")) == 1
    scene.until("2026-03-03 09:00")
    assert [row[2:5] for row in scene.messages() if row[2] == "sms"] == [("sms", "refused", "lower_priority")]
    assert [entry[:2] for entry in noted(scene, "ada")] == [
        ("held", "quiet_hours"),
        ("refused", "lower_priority"),
    ]


def test_who_came_first_goes_first_among_those_of_one_journey(play: Play) -> None:
    scene = play(Limit(1, DAY), quiet=NIGHT, start="2026-03-02 21:00")
    scene.journeys(hello=SMS)
    scene.customer("ada", "sms", timezone="Europe/Berlin")
    order(scene, "ada")
    scene.run()
    scene.now = at("2026-03-03 09:00")
    order(scene, "ada")
    scene.run()
    assert states(scene) == [("sent", None), ("queued", "over_limit")]


def test_quiet_hours_of_nearly_a_day_leave_some_of_it_also_where_the_zone_is_not_known() -> None:
    assert widened(QuietHours(20 * 60, 8 * 60)) == (19 * 60, 9 * 60)
    assert widened(QuietHours(0, 23 * 60)) == (0, 23 * 60)
    assert widened(QuietHours(0, 6 * 60)) == (23 * 60, 7 * 60)
