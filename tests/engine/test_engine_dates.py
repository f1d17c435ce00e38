"""Birthdays and other dates, and everyone at every run."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from scene import Scene, at

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
        ("date: birthday, after: 12h", "1990-03-05", ["2026-03-05 21:00", "2027-03-05 21:00"]),
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
