"""Waits until a time, until a date, and for something to happen."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene, at
from treue.model.tables import customer, message

MINUTE = timedelta(minutes=1)
EVER = "valid_for: 90d"


def waiting(scene: Scene, wait: str, key: str = "ada", **customer: object) -> None:
    """Put a customer into a journey that waits, then says hello."""
    scene.journeys(
        hello=f"enter: {{event: signed.up}}\nsteps: [{{wait: {wait}}}, {{send: hello, on: email, {EVER}}}]\n"
    )
    scene.customer(key, **customer)
    scene.event(key, "signed.up")
    scene.run()


def due(scene: Scene) -> list[datetime]:
    """Return when the messages were due."""
    return [row[-1] for row in scene.messages()]


# --- until a time of the day --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "wait", "expected"),
    [
        ("2026-03-02 08:59", '"09:00"', "2026-03-02 09:00"),
        ("2026-03-02 09:00", '"09:00"', "2026-03-02 09:00"),
        ("2026-03-02 09:01", '"09:00"', "2026-03-03 09:00"),
        ("2026-03-02 10:00", '"09:00", on: [mon]', "2026-03-09 09:00"),
        ("2026-03-02 08:00", '"09:00", on: [mon]', "2026-03-02 09:00"),
        ("2026-03-02 10:00", '"09:00", on: [sun, thu]', "2026-03-05 09:00"),
        ("2026-03-06 10:00", '"00:00", on: [mon, tue]', "2026-03-09 00:00"),
        # The night of 2027-03-28 has no 02:30, that of 2027-10-31 has two.
        ("2027-03-28 01:00", '"02:30"', "2027-03-28 03:00"),
        ("2027-03-28 03:00", '"02:30"', "2027-03-28 03:00"),
        ("2027-03-28 03:10", '"02:30"', "2027-03-29 02:30"),
        ("2027-03-27 12:00", '"09:00"', "2027-03-28 09:00"),
        ("2027-10-31 01:00", '"02:30"', "2027-10-31 02:30"),
        ("2027-10-31 04:00", '"02:30"', "2027-11-01 02:30"),
        ("2027-10-30 12:00", '"09:00", on: [sun]', "2027-10-31 09:00"),
    ],
)
def test_the_next_local_time_ends_a_wait(scene: Scene, start: str, wait: str, expected: str) -> None:
    scene.now = at(start)
    waiting(scene, f"{{until: {wait}}}")
    scene.until(f"{at(start) + timedelta(days=9):%Y-%m-%d %H:%M}", every=timedelta(hours=7))
    assert due(scene) == [at(expected)]


def test_the_second_of_two_equal_hours_is_past_its_times(scene: Scene) -> None:
    scene.now = at("2027-10-31 02:15") + timedelta(hours=1)
    waiting(scene, '{until: "02:30"}')
    scene.until("2027-11-02 00:00")
    assert due(scene) == [at("2027-11-01 02:30")]


def test_each_customer_waits_on_their_own_clock(scene: Scene) -> None:
    zones = ("Pacific/Auckland", "Europe/Berlin", "Pacific/Honolulu")
    scene.journeys(
        hello='enter: {event: signed.up}\nsteps: [{wait: {until: "09:00"}}, {send: hello, on: email}]\n'
    )
    for zone in zones:
        scene.customer(zone.split("/")[1].lower(), timezone=zone)
        scene.event(zone.split("/")[1].lower(), "signed.up")
    scene.run()
    scene.until("2026-03-04 00:00", every=timedelta(minutes=30))
    assert {row[0]: row[-1] for row in scene.messages()} == {
        "auckland": at("2026-03-02 21:00"),
        "berlin": at("2026-03-03 09:00"),
        "honolulu": at("2026-03-02 20:00"),
    }


def test_who_need_not_wait_goes_on_at_once_and_the_trace_says_so(scene: Scene) -> None:
    waiting(scene, '{until: "10:00"}')
    assert scene.decisions("ada") == ["entered", "at_once", "queued", "finished", "sent"]


@pytest.mark.parametrize(("wait", "expected"), [("24h", "2027-03-28 10:00"), ("1d", "2027-03-28 09:00")])
def test_a_day_is_the_same_local_time_and_24_hours_are_24_hours(
    scene: Scene, wait: str, expected: str
) -> None:
    scene.now = at("2027-03-27 09:00")
    waiting(scene, wait)
    scene.until("2027-03-29 00:00")
    assert due(scene) == [at(expected)]


# --- until a date -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "value", "expected"),
    [
        ("{attribute: trial_ends}", "2026-03-10", "2026-03-10 00:00"),
        ("{attribute: trial_ends, before: 2d}", "2026-03-10", "2026-03-08 00:00"),
        ("{attribute: trial_ends, after: 1d 12h}", "2026-03-10", "2026-03-11 12:00"),
        ("{attribute: trial_ends, before: 1mo}", "2026-04-05", "2026-03-05 00:00"),
        ("{attribute: trial_ends, after: 1d}", "2026-03-28", "2026-03-29 00:00"),
        ("{attribute: trial_ends, after: 1d 3h}", "2026-03-28", "2026-03-29 04:00"),
        ("{attribute: seen_at}", "2026-03-10T11:30:00Z", "2026-03-10 12:30"),
        ("{attribute: seen_at, before: 1d}", "2026-03-30T07:00:00Z", "2026-03-29 09:00"),
        ("{attribute: seen_at, after: 2h}", "2026-03-10T11:30:00Z", "2026-03-10 14:30"),
        ('{attribute: trial_ends, before: 2d, at: "09:00"}', "2026-03-10", "2026-03-08 09:00"),
        ('{attribute: seen_at, at: "09:00"}', "2026-03-10T23:30:00Z", "2026-03-11 09:00"),
        ("{attribute: trial_ends}, every: year", "1990-03-10", "2026-03-10 00:00"),
        ('{attribute: trial_ends, at: "09:00"}, every: year', "2024-02-29", "2027-02-28 09:00"),
        ('{attribute: trial_ends, at: "10:00"}, every: year', "1990-03-02", "2026-03-02 10:00"),
        ('{attribute: trial_ends, at: "09:59"}, every: year', "1990-03-02", "2027-03-02 09:59"),
        ("{attribute: trial_ends, before: 1mo}, every: year", "1990-04-30", "2026-03-30 00:00"),
        ("{attribute: trial_ends, before: 1d}, every: year", "1990-01-01", "2026-12-31 00:00"),
        ("{attribute: trial_ends, after: 18mo}, every: year", "1990-11-05", "2026-05-05 00:00"),
        ("{attribute: trial_ends}, every: year", "2028-05-01", "2028-05-01 00:00"),
        ("{attribute: seen_at}, every: year", "2020-03-09T23:30:00Z", "2026-03-10 00:00"),
    ],
)
def test_a_date_of_ones_own_ends_a_wait(scene: Scene, wait: str, value: str, expected: str) -> None:
    name = "seen_at" if "seen_at" in wait else "trial_ends"
    waiting(scene, f"{{until: {wait}}}", **{name: value})
    scene.until("2026-04-02 00:00", every=timedelta(days=2, hours=5))
    if at(expected) > scene.now:
        scene.until("2028-05-02 00:00", every=timedelta(days=30))
    assert due(scene) == [at(expected)]


@pytest.mark.parametrize(
    ("passed", "decisions"),
    [
        ("skip", ["entered", "at_once", "skipped", "finished"]),
        ("go_on", ["entered", "at_once", "queued", "finished", "sent"]),
        ("stop", ["entered", "at_once", "finished"]),
    ],
)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"trial_ends": "2026-02-30"},
        {"trial_ends": 5},
        {"trial_ends": "1961-05-04"},
        {"trial_ends": "2026-03-02"},
    ],
)
def test_without_a_date_to_come_its_moment_has_passed(
    scene: Scene, values: dict[str, object], passed: str, decisions: list[str]
) -> None:
    waiting(scene, f"{{until: {{attribute: trial_ends, passed: {passed}}}}}", **values)
    assert scene.decisions("ada") == decisions


def test_a_moment_that_is_just_now_has_not_passed(scene: Scene) -> None:
    waiting(scene, "{until: {attribute: seen_at}}", seen_at=f"{scene.now:%Y-%m-%dT%H:%M:%SZ}")
    assert due(scene) == [scene.now]


@pytest.mark.parametrize("every", [timedelta(hours=2), timedelta(days=9)])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("2026-03-05 12:00", "2026-03-20")], ["2026-03-18 00:00"]),
        ([("2026-03-05 12:00", "2026-03-08")], ["2026-03-06 00:00"]),
        ([("2026-03-05 12:00", "2026-03-07")], []),  # two days before is past
        ([("2026-03-05 00:00", "2026-03-07")], ["2026-03-05 00:00"]),  # and just now is not
        ([("2026-03-05 12:00", None)], []),
        ([("2026-03-05 12:00", None), ("2026-03-06 12:00", "2026-03-20")], []),
        ([("2026-03-05 12:00", "2026-03-20"), ("2026-03-06 12:00", "2026-03-10")], ["2026-03-08 00:00"]),
        (
            [("2026-03-08 00:00", "2026-03-20")],
            ["2026-03-18 00:00"],
        ),  # what comes from outside goes before steps
    ],
)
def test_a_wait_follows_its_date_however_passes_fall(
    scene: Scene, changes: list[tuple[str, str | None]], expected: list[str], every: timedelta
) -> None:
    waiting(scene, "{until: {attribute: trial_ends, before: 2d}}", trial_ends="2026-03-10")
    for when, value in changes:
        while scene.now + every < at(when):
            scene.later(seconds=every.total_seconds())
        scene.now = at(when)
        scene.customer("ada", trial_ends=value)
    scene.until("2026-03-28 00:00", every=every)
    assert due(scene) == [at(one) for one in expected]


SKIPPING = """\
enter: {event: signed.up}
steps:
  - wait: {until: {attribute: trial_ends, before: 3d}}
  - send: hello
    on: email
  - set: {visits: 1}
  - choose:
      - if: {attribute: country, is: DE}
        steps: [{send: more, on: email}]
  - %s
  - send: bye
    on: email
"""


@pytest.mark.parametrize(
    ("after", "templates"),
    [
        ("wait: 1h", ["bye"]),
        ("stop: true\n    if: {attribute: vip, is: true}", []),
        ("wait: 1h\n    if: {attribute: vip, is: true}", []),
    ],
)
def test_nothing_is_sent_until_the_next_wait_and_all_else_acts(
    scene: Scene, after: str, templates: list[str]
) -> None:
    scene.journeys(hello=SKIPPING % after)
    scene.customer("ada", country="DE")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(hours=2)
    assert [row[1] for row in scene.messages()] == templates
    assert scene.attribute("ada", "visits") == 1


@pytest.mark.parametrize(
    ("between", "sent"),
    [
        ("{wait: 1h}", False),
        ('{wait: {until: "12:00"}}', False),
        ('{wait: 1h}, {wait: {until: "12:00"}}', False),
        ("{set: {visits: 1}}, {wait: 1h}", True),
        ("{wait: {for: {event: told}, at_most: 1h}}", True),
        ("{wait: {until: {attribute: seen_at}}}", True),
        ("{wait: 1h}, {set: {visits: 1}}, {wait: 1h}", True),
    ],
)
def test_a_wait_that_follows_at_once_carries_the_skipping_on(scene: Scene, between: str, sent: bool) -> None:
    date, send = "{wait: {until: {attribute: trial_ends}}}", "{send: hello, on: email}"
    scene.journeys(hello=f"enter: {{event: signed.up}}\nsteps: [{date}, {between}, {send}]\n")
    scene.customer("ada", seen_at="2026-03-02T12:00:00Z")
    scene.event("ada", "signed.up")
    scene.until("2026-03-03 00:00", every=timedelta(hours=1))
    assert len(due(scene)) == sent


def happens(
    scene: Scene, when: str, name: str = "order.placed", key: str = "ada", **properties: object
) -> None:
    """Let something happen later on, without a pass."""
    scene.now = at(when)
    scene.event(key, name, **properties)


# --- for something ------------------------------------------------------------------------------------------

FOR = """\
enter: {event: signed.up}
steps:
  - wait: {for: %s, at_most: %s, then: [{send: thanks, on: email, valid_for: 90d}], otherwise: [{send: voucher, on: email, valid_for: 90d}]}
  - {send: after, on: email, valid_for: 90d}
"""


def watched(scene: Scene, condition: str = "{event: order.placed}", at_most: str = "7d") -> None:
    scene.journeys(hello=FOR % (condition, at_most))
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()


def sent(scene: Scene) -> list[tuple[str, datetime]]:
    """Return (template, due) of all messages."""
    return [(row[1], row[-1]) for row in scene.messages()]


def test_what_happens_ends_the_wait_at_its_own_time(scene: Scene) -> None:
    watched(scene)
    scene.later(hours=5)
    happens(scene, "2026-03-03 12:10")
    scene.until("2026-03-12 00:00", every=timedelta(hours=7))
    assert sent(scene) == [("thanks", at("2026-03-03 12:10")), ("after", at("2026-03-03 12:10"))]


def test_where_nothing_happens_the_wait_ends_otherwise(scene: Scene) -> None:
    watched(scene)
    scene.until("2026-03-12 00:00", every=timedelta(hours=7))
    assert sent(scene) == [("voucher", at("2026-03-09 10:00")), ("after", at("2026-03-09 10:00"))]
    assert scene.decisions("ada")[:3] == ["entered", "waiting", "branch"]


def test_what_happened_before_arrival_does_not_count(scene: Scene) -> None:
    scene.journeys(hello=FOR % ("{event: order.placed}", "1d"))
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=2)
    assert [template for template, _ in sent(scene)] == ["voucher", "after"]


def test_since_entry_counts_what_happened_on_the_way(scene: Scene) -> None:
    text = FOR % ("{event: order.placed, since: entry}", "1d")
    scene.journeys(hello=text.replace("steps:\n", "steps:\n  - wait: 1d\n"))
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    happens(scene, "2026-03-02 20:00")
    scene.later(days=3)
    assert sent(scene)[0] == ("thanks", at("2026-03-03 10:00"))


@pytest.mark.parametrize(("when", "expected"), [("10:00", "thanks"), ("10:01", "voucher")])
def test_an_event_at_the_very_deadline_counts(scene: Scene, when: str, expected: str) -> None:
    watched(scene, at_most="1d")
    happens(scene, f"2026-03-03 {when}")
    scene.later(days=3)
    assert sent(scene)[0][0] == expected


@pytest.mark.parametrize("late", ["no", "a day", "a week"])
def test_a_late_pass_chooses_as_one_in_time(scene: Scene, late: str) -> None:
    watched(scene, "{event: order.placed, at_least: 2}", "3d")
    for hour in (5, 6, 7):
        happens(scene, f"2026-03-03 {hour:02}:20")
        if late == "no":
            scene.run()
    scene.until("2026-03-10 10:00", every=timedelta(days=7 if late == "a week" else 1))
    assert sent(scene) == [("thanks", at("2026-03-03 06:20")), ("after", at("2026-03-03 06:20"))]


def test_an_event_that_comes_after_the_wait_has_ended_changes_nothing(scene: Scene) -> None:
    watched(scene, at_most="1d")
    scene.until("2026-03-04 10:00")
    scene.event("ada", "order.placed", when=at("2026-03-03 06:20"))
    scene.later(days=1)
    assert [template for template, _ in sent(scene)] == ["voucher", "after"]


def test_all_of_it_in_one_late_pass(scene: Scene) -> None:
    scene.journeys(hello=FOR % ("{event: order.placed, at_least: 2}", "3d"))
    scene.customer("ada")
    scene.event("ada", "signed.up")
    for hour in (5, 6, 7):
        happens(scene, f"2026-03-03 {hour:02}:20")
    scene.now = at("2026-03-20 10:00")
    scene.run()
    assert sent(scene) == [("thanks", at("2026-03-03 06:20")), ("after", at("2026-03-03 06:20"))]


def test_only_events_that_fit_end_the_wait(scene: Scene) -> None:
    watched(scene, "{event: order.placed, where: {total: {above: 50}}}")
    for hour, total in ((12, 20), (13, 60), (14, 70)):
        happens(scene, f"2026-03-02 {hour}:00", total=total)
    scene.later(days=1)
    assert sent(scene)[0] == ("thanks", at("2026-03-02 13:00"))


def test_the_same_cart_ends_the_wait_and_another_does_not(scene: Scene) -> None:
    scene.journeys(
        hello=(FOR % ("{event: order.placed, same: cart_id}", "2d")).replace(
            "signed.up", "cart.abandoned, per: cart_id"
        )
    )
    scene.customer("ada")
    for cart in ("one", "two"):
        scene.event("ada", "cart.abandoned", cart_id=cart)
    scene.run()
    scene.later(hours=2)
    scene.event("ada", "order.placed", cart_id="two")
    scene.later(days=3)
    assert sorted(template for template, _ in sent(scene)) == ["after", "after", "thanks", "voucher"]


def test_an_attribute_ends_the_wait_when_it_is_written(scene: Scene) -> None:
    watched(scene, "{attribute: vip, is: true}")
    scene.later(days=1)
    scene.customer("ada", vip=True)
    scene.later(hours=1)
    assert sent(scene)[0] == ("thanks", at("2026-03-03 10:00"))


def test_time_going_by_ends_the_wait_at_the_instant_at_which_it_does(scene: Scene) -> None:
    scene.journeys(hello=FOR % ("{sum: order.placed.total, below: 10, within: 1d}", "7d"))
    scene.customer("ada")
    scene.event("ada", "order.placed", total=50)
    scene.event("ada", "signed.up")
    ordered = scene.now
    scene.later(hours=1)
    scene.later(hours=25)
    assert sent(scene)[0] == ("thanks", ordered + timedelta(days=1))


def test_a_late_pass_ends_a_wait_when_time_did(scene: Scene) -> None:
    watched(scene, "{event: order.placed, first: {before: 1d ago}}")
    happens(scene, "2026-03-02 12:00")
    scene.later(days=2)
    assert sent(scene)[0] == ("thanks", at("2026-03-03 12:00") + timedelta(microseconds=1))


def test_what_holds_already_needs_no_wait(scene: Scene) -> None:
    scene.journeys(hello=FOR % ("{attribute: vip, is: true}", "7d"))
    scene.customer("ada", vip=True)
    scene.event("ada", "signed.up")
    scene.run()
    assert sent(scene)[0] == ("thanks", at("2026-03-02 10:00"))
    assert scene.decisions("ada")[:2] == ["entered", "branch"]


def test_either_of_two_things_ends_the_wait(scene: Scene) -> None:
    watched(scene, "{any: [{event: order.placed}, {attribute: vip, is: true}]}")
    scene.later(days=1)
    scene.event("ada", "order.placed", when=at("2026-03-03 09:30"))
    scene.run()
    assert sent(scene)[0] == ("thanks", at("2026-03-03 10:00"))  # when it was heard of


def test_an_exit_ends_the_stay_of_those_who_wait(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{event: told}}]\n{FOR % ('{event: order.placed}', '7d')}")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    happens(scene, "2026-03-02 11:00", "told")
    happens(scene, "2026-03-02 12:00")
    scene.later(days=8)
    assert sent(scene) == []
    assert scene.counts("hello").exited == {"told": 1}


def test_an_event_that_a_step_records_ends_a_wait_in_the_same_pass(scene: Scene) -> None:
    scene.journeys(
        hello=FOR % ("{event: told}", "7d"),
        teller="enter: {event: order.placed}\nsteps: [{emit: told, data: {why: order}}]\n",
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(hours=1)
    scene.event("ada", "order.placed")
    scene.run()
    assert sent(scene)[0] == ("thanks", at("2026-03-02 11:00"))


def test_a_wait_whose_if_does_not_hold_is_passed_by(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: signed.up}\nsteps:\n"
        "  - {wait: {for: {event: order.placed}, at_most: 7d, then: [{send: thanks, on: email}]}, if: {attribute: vip, is: true}}\n"
        "  - {send: after, on: email}\n"
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    assert [template for template, _ in sent(scene)] == ["after"]


# --- conditions as of one's own time ------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_a_late_pass_takes_the_branch_one_in_time_would_have_taken(scene: Scene, late: bool) -> None:
    scene.journeys(
        hello="enter: {event: signed.up}\nsteps:\n"
        "  - wait: 2d\n"
        "  - choose:\n"
        "      - if: {event: order.placed, within: 1d}\n"
        "        steps: [{send: thanks, on: email, valid_for: 90d}]\n"
        "      - else: [{send: voucher, on: email, valid_for: 90d}]\n"
    )
    for key in ("ada", "bob", "cem"):
        scene.customer(key)
        scene.event(key, "signed.up")
    scene.run()
    for key, when in (("cem", "2026-03-02 20:00"), ("ada", "2026-03-03 20:00"), ("bob", "2026-03-04 20:00")):
        if not late:
            scene.until(when)
        happens(scene, when, key=key)
    scene.until("2026-03-20 10:00", every=timedelta(days=18) if late else timedelta(hours=1))
    assert {row[0]: row[1] for row in scene.messages()} == {
        "ada": "thanks",
        "bob": "voucher",
        "cem": "voucher",
    }


@pytest.mark.parametrize(
    ("until", "waiting"),
    [
        ("{attribute: trial_ends, before: 99y, passed: go_on}", {"last"}),
        ("{attribute: trial_ends, after: 90y, passed: go_on}", {"last"}),
        ("{attribute: trial_ends, after: 36000d, passed: go_on}", {"last"}),
        ("{attribute: trial_ends, after: 800000h, passed: go_on}", {"last"}),
    ],
)
def test_a_date_at_an_end_of_the_calendar_keeps_nobody_else_waiting(
    scene: Scene, until: str, waiting: set[str]
) -> None:
    scene.journeys(
        hello=f"enter: {{event: signed.up}}\nsteps: [{{wait: {{until: {until}}}}}, {{send: hello, on: email}}]\n"
    )
    ends = {"first": "0001-01-01", "last": "9999-12-31", "ada": "1900-01-01", "ben": None}
    for key, day in ends.items():
        scene.customer(key, **({"trial_ends": day} if day else {}))
        scene.event(key, "signed.up")
    scene.later(hours=1)
    with scene.store.reading() as connection:
        gone = set(
            connection.scalars(select(customer.c.key).join(message, message.c.customer_id == customer.c.id))
        )
    assert gone == set(ends) - waiting
