"""Birthdays and other dates, and everyone at every run."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.engine.scene import Scene, at

DAY = timedelta(days=1)
HELLO = "steps: [{send: hello, on: email, valid_for: 90d}]\n"


def journey(scene: Scene, enter: str, start: str) -> None:
    """Let a journey with this trigger go live."""
    scene.now = at(start)
    scene.journeys(hello=f"enter: {{{enter}}}\n{HELLO}")


def due(scene: Scene) -> list[datetime]:
    """Return when the messages were due."""
    return [row[-1] for row in scene.messages()]


@pytest.mark.parametrize(
    ("enter", "value", "expected"),
    [
        ("date: birthday", "1990-03-05", ["2026-03-05 09:00", "2027-03-05 09:00"]),
        ('date: birthday, at: "18:30"', "1990-03-05", ["2026-03-05 18:30", "2027-03-05 18:30"]),
        ("date: birthday, before: 3d", "1990-03-05", ["2026-03-02 09:00", "2027-03-02 09:00"]),
        ("date: birthday, after: 1w", "1990-03-05", ["2026-03-12 09:00", "2027-03-12 09:00"]),
        ("date: birthday, before: 1mo", "1990-04-30", ["2026-03-30 09:00", "2027-03-30 09:00"]),
        ("date: birthday, after: 1mo", "1990-01-31", ["2027-02-28 09:00"]),
        ("date: birthday, before: 1d", "1990-01-01", ["2026-12-31 09:00"]),
        ("date: birthday, every: once", "2026-03-05", ["2026-03-05 09:00"]),
        ("date: birthday, every: once", "1990-03-05", []),
        ("date: birthday", "2027-03-05", ["2027-03-05 09:00"]),
        ("date: trial_ends, before: 3d", "2026-03-05", ["2026-03-02 09:00"]),
        ("date: trial_ends, after: 1y", "2025-03-05", ["2026-03-05 09:00"]),
        ("date: trial_ends, every: year", "2020-12-24", ["2026-12-24 09:00"]),
        ("date: seen_at", "2026-03-04T23:30:00Z", ["2026-03-05 09:00"]),
        ("date: seen_at, before: 1h", "2026-03-05T14:00:30Z", ["2026-03-05 14:00:30"]),
        ("date: seen_at, after: 48h", "2026-03-05T14:00:00Z", ["2026-03-07 15:00"]),
        ("date: seen_at, before: 24h", "2026-03-29T10:00:00Z", ["2026-03-28 11:00"]),  # the clocks go forward
        ("date: seen_at, before: 1h", "2026-02-30T10:00:00Z", []),
        ("date: seen_at, every: year", "2020-07-04T22:30:00Z", ["2026-07-05 09:00"]),
        ("date: birthday", "1990-02-30", []),
        ("date: birthday", None, []),
    ],
)
def test_a_day_of_ones_own_lets_in(scene: Scene, enter: str, value: str | None, expected: list[str]) -> None:
    journey(scene, enter, "2026-03-01 10:00")
    scene.customer("ada", **{enter.split(": ")[1].split(",")[0]: value})
    scene.until("2026-03-16 10:00", every=DAY)
    scene.until("2027-03-31 10:00", every=timedelta(days=25))
    assert due(scene) == [at(one) for one in expected]


def test_who_was_born_on_29_february_has_a_birthday_every_year(scene: Scene) -> None:
    journey(scene, "date: birthday", "2026-02-27 10:00")
    scene.customer("ada", birthday="2004-02-29")
    scene.customer("bob", birthday="2004-02-28")
    for year in ("2026", "2027", "2028"):
        scene.now = at(f"{year}-02-27 10:00")
        scene.until(f"{year}-03-01 10:00", every=DAY)
    assert [row[-1] for row in scene.messages() if row[0] == "ada"] == [
        at("2026-02-28 09:00"),
        at("2027-02-28 09:00"),
        at("2028-02-29 09:00"),
    ]
    assert len([row for row in scene.messages() if row[0] == "bob"]) == 3


def test_nine_in_the_morning_is_everybodys_own(scene: Scene) -> None:
    journey(scene, "date: birthday", "2026-12-30 00:00")
    zones = {
        "auckland": "Pacific/Auckland",
        "berlin": "Europe/Berlin",
        "honolulu": "Pacific/Honolulu",
        "none": None,
    }
    for key, zone in zones.items():
        scene.customer(key, timezone=zone, birthday="1980-01-01")
    scene.until("2027-01-03 00:00")
    assert {row[0]: row[-1] for row in scene.messages()} == {
        "auckland": at("2026-12-31 21:00"),
        "berlin": at("2027-01-01 09:00"),
        "none": at("2027-01-01 09:00"),
        "honolulu": at("2027-01-01 20:00"),
    }


@pytest.mark.parametrize("day", ["2027-03-28", "2027-10-31"])
def test_one_message_a_person_and_date_when_clocks_change(scene: Scene, day: str) -> None:
    journey(scene, 'date: birthday, at: "02:30"', f"{day} 00:00")
    scene.customer("ada", birthday=f"1990{day[4:]}")
    scene.until(f"{day} 04:30", every=timedelta(minutes=3))
    assert due(scene) == [at(f"{day} {'03:00' if day < '2027-06' else '02:30'}")]


def test_what_a_standstill_missed_happens_once_with_its_own_time(scene: Scene) -> None:
    journey(scene, "date: birthday", "2026-03-01 10:00")
    for key, birthday in (("ada", "1990-03-02"), ("bob", "1990-03-04"), ("cem", "1990-03-05")):
        scene.customer(key, birthday=birthday)
    scene.run()
    scene.later(days=3)
    scene.later(minutes=1)
    assert [(row[0], row[-1]) for row in scene.messages()] == [
        ("ada", at("2026-03-02 09:00")),
        ("bob", at("2026-03-04 09:00")),
    ]


def test_days_before_the_journey_went_live_start_nobody(scene: Scene) -> None:
    scene.customer("ada", birthday="1990-03-01")
    journey(scene, "date: birthday", "2026-03-01 09:30")
    scene.later(hours=1)
    scene.later(days=1)
    assert due(scene) == []


def test_a_day_before_we_knew_the_customer_starts_nobody(scene: Scene) -> None:
    journey(scene, "date: birthday", "2026-03-01 08:00")
    scene.now = at("2026-03-01 10:00")
    scene.customer("ada", birthday="1990-03-01")
    scene.later(minutes=1)
    assert due(scene) == []


def test_a_date_that_is_put_off_lets_in_again(scene: Scene) -> None:
    journey(scene, "date: trial_ends", "2026-03-01 10:00")
    for ends, until in (("2026-03-05", "2026-03-06 10:00"), ("2026-03-10", "2026-03-11 10:00")):
        scene.customer("ada", trial_ends=ends)
        scene.until(until, every=DAY)
    assert due(scene) == [at("2026-03-05 09:00"), at("2026-03-10 09:00")]


@pytest.mark.parametrize("every", [timedelta(minutes=20), DAY])
def test_an_hour_before_is_an_hour_before_what_was_known_then(scene: Scene, every: timedelta) -> None:
    journey(scene, "date: seen_at, before: 1h", "2026-03-01 10:00")
    for key in ("ada", "bob", "cem"):
        scene.customer(key, seen_at="2026-03-02T12:00:00Z")
    scene.run()
    for when, key, seen_at in (
        ("2026-03-01 11:00", "ada", "2026-03-02T15:00:00Z"),  # put off in time, then again too late
        ("2026-03-02 10:00", "bob", None),
        ("2026-03-02 15:30", "ada", "2026-03-02T15:10:00Z"),
    ):
        scene.until(when, every=every) if every < DAY else None
        scene.now = at(when)
        scene.customer(key, seen_at=seen_at)
    scene.until("2026-03-03 10:00", every=every)
    assert sorted((row[0], row[-1]) for row in scene.messages()) == [
        ("ada", at("2026-03-02 15:00")),
        ("cem", at("2026-03-02 12:00")),
    ]


@pytest.mark.parametrize("every", [timedelta(hours=5), timedelta(days=60)])
@pytest.mark.parametrize(
    ("enter", "first", "second", "stays"),
    [
        ("date: trial_ends, before: 1d", "2026-03-05", "2026-03-12", ["exited date_moved", "finished None"]),
        ("date: trial_ends, before: 1d", "2026-03-05", "2026-03-05", ["finished None"]),
        ("date: trial_ends, before: 1d", "2026-03-05", None, ["exited date_moved"]),
        (
            "date: trial_ends, before: 1d",
            "2026-03-05",
            "2026-03-04",
            ["exited date_moved"],
        ),  # its time is past
        ("date: trial_ends, every: year", "2020-03-05", "2019-03-05", ["finished None"]),
        ("date: trial_ends, every: year", "2020-03-05", "2020-03-09", ["exited date_moved", "finished None"]),
        ("date: trial_ends, every: year", "2020-03-05", "2026-03-09", ["exited date_moved", "finished None"]),
        ("date: birthday, after: 5d", "2004-02-29", "2004-02-28", ["finished None"]),
        (
            "date: seen_at, before: 2h",
            "2026-03-05T10:00:00Z",
            "2026-03-09T10:00:00Z",
            ["exited date_moved", "finished None"],
        ),
        ("date: seen_at, before: 1d", "2026-03-05T10:00:00Z", "2026-03-05T12:00:00Z", ["finished None"]),
    ],
)
def test_a_date_that_moves_ends_its_stay_and_lets_in_for_the_new_one(
    scene: Scene, enter: str, first: str, second: str | None, stays: list[str], every: timedelta
) -> None:
    scene.now = at("2026-02-26 10:00")
    scene.journeys(
        hello=f"enter: {{{enter}, again: always}}\nsteps: [{{wait: 3d}}, {{send: hello, on: email, valid_for: 90d}}]\n"
    )
    name = enter.split(": ")[1].split(",")[0]
    scene.customer("ada", **{name: first})
    scene.run()
    while scene.now + every < at("2026-03-05 15:00"):
        scene.later(seconds=every.total_seconds())
    scene.now = at("2026-03-05 15:00")
    scene.customer("ada", **{name: second})
    scene.until("2026-03-20 10:00", every=every)
    assert [f"{outcome} {reason}" for _, outcome, reason, _ in scene.stays()] == stays
    assert len(due(scene)) == sum(stay == "finished None" for stay in stays)


def test_a_date_that_moves_back_and_forth_lets_in_once_for_each_occurrence(scene: Scene) -> None:
    journey(scene, "date: seen_at, before: 1h, again: always", "2026-03-01 10:00")
    for when, hour in (
        ("2026-03-02 08:00", 12),
        ("2026-03-02 11:30", 15),
        ("2026-03-02 11:40", 12),
        ("2026-03-02 12:30", 15),
    ):
        scene.until(when, every=timedelta(minutes=30))
        scene.customer("ada", seen_at=f"2026-03-02T{hour}:00:00Z")
        scene.run()
    scene.until("2026-03-03 10:00")
    assert due(scene) == [at("2026-03-02 12:00"), at("2026-03-02 15:00")]


EXTENDED = {
    "extended": "enter: {event: signed.up}\nsteps: [{wait: 1d}, {set: {trial_ends: %s}}]\n",
    "hello": "enter: {date: %s}\nsteps: [{send: hello, on: email, valid_for: 90d}]\n",
}


@pytest.mark.parametrize("every", [timedelta(hours=1), timedelta(days=20)])
@pytest.mark.parametrize(
    ("name", "before", "then", "expected"),
    [
        ("trial_ends", "2026-03-04", "2026-03-06", ["2026-03-06 09:00"]),
        ("trial_ends", "2026-03-09", "2026-03-06", ["2026-03-06 09:00"]),
        ("trial_ends", None, "2026-03-06", ["2026-03-06 09:00"]),
        ("trial_ends", "2026-03-06", "2026-02-06", []),
        ("seen_at, before: 1h", "2026-03-04T12:00:00Z", "2026-03-06T12:00:00Z", ["2026-03-06 12:00"]),
        ("seen_at, before: 1h", "2026-03-06T12:00:00Z", "2027-03-06T12:00:00Z", []),
    ],
)
def test_a_date_that_a_step_sets_counts_from_that_step_on(
    scene: Scene, every: timedelta, name: str, before: str | None, then: str, expected: list[str]
) -> None:
    attribute = name.split(",")[0]
    scene.now = at("2026-03-01 10:00")
    set_ = EXTENDED["extended"].replace("trial_ends", attribute) % f'"{then}"'
    scene.journeys(extended=set_, hello=EXTENDED["hello"] % name)
    scene.customer("ada", **{attribute: before})
    scene.customer(
        "bob", **{attribute: "2026-03-05" if attribute == "trial_ends" else "2026-03-05T12:00:00Z"}
    )
    scene.event("ada", "signed.up")
    scene.until("2026-03-21 10:00", every=every)
    bobs = at("2026-03-05 09:00" if attribute == "trial_ends" else "2026-03-05 12:00")
    assert due(scene) == [bobs, *(at(one) for one in expected)]


def test_the_if_of_enter_is_asked_of_those_whose_day_has_come(scene: Scene) -> None:
    journey(scene, "date: birthday, if: {attribute: vip, is: true}", "2026-03-01 10:00")
    scene.customer("ada", birthday="1990-03-02", vip=True)
    scene.customer("bob", birthday="1990-03-02")
    scene.later(days=1)
    assert [row[0] for row in scene.messages()] == ["ada"]
    assert scene.decisions("bob") == ["turned_away"]


@pytest.mark.parametrize(("each", "expected"), [("", 1), (", each: run", 3)])
def test_each_run_lets_everyone_in_at_every_run(scene: Scene, each: str, expected: int) -> None:
    scene.customer("ada", country="DE")
    journey(scene, f'schedule: "0 9 * * *", segment: germans{each}', "2026-03-02 10:00")
    scene.until("2026-03-05 12:00", every=timedelta(hours=6))
    assert len(due(scene)) == expected
