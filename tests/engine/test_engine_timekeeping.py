"""What comes next by itself."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.engine.scene import ZONE, Scene, at
from treue.engine.passes.next_instants import next_instant


def following(scene: Scene) -> datetime | None:
    """Return what comes next after the scene's present."""
    versions = scene.engine.versions()
    with scene.store.reading() as connection:
        return next_instant(connection, versions, scene.now, ZONE)


def test_nothing_comes_where_nobody_waits(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: signed.up}\nsteps: [{wait: 2d}, {send: hello, on: email}]\n")
    assert following(scene) is None


def test_the_next_wait_to_end_comes_next(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: signed.up}\nsteps: [{wait: 2d}, {send: hello, on: email}]\n")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    assert following(scene) == at("2026-03-04 10:00")


def test_the_deadline_of_a_wait_for_something_comes_next(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: signed.up}\nsteps: [{wait: {for: {event: told}, at_most: 3d}}]\n")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    assert following(scene) == at("2026-03-05 10:00")


@pytest.mark.parametrize(
    ("enter", "expected"),
    [
        ('schedule: "30 7 * * TUE", segment: germans', "2026-03-03 07:30"),
        ("date: birthday", "2026-03-03 21:00"),
        ('date: birthday, after: 1d, at: "21:00"', "2026-03-05 09:00"),
        ("date: seen_at, after: 12h", "2026-03-05 00:30"),
        ("date: birthday, before: 1w", "2027-02-24 21:00"),
        ("date: birthday, every: once", "2027-04-06 11:00"),
    ],
)
def test_the_next_time_of_a_trigger_comes_next(scene: Scene, enter: str, expected: str) -> None:
    scene.journeys(hello=f"enter: {{{enter}}}\nsteps: [{{send: hello, on: email}}]\n")
    scene.customer("ada", timezone="Pacific/Auckland", birthday="1990-03-04", seen_at="2026-03-04T11:30:00Z")
    assert following(scene) == at(expected)


def test_jumping_from_instant_to_instant_misses_nothing(scene: Scene) -> None:
    scene.journeys(
        hello='enter: {date: birthday}\nsteps: [{wait: {until: "18:00"}}, {send: hello, on: email}, {wait: 1d}]\n'
    )
    scene.customer("ada", birthday="1990-03-04", timezone="America/New_York")
    while (moment := following(scene)) is not None and moment < at("2026-03-07 00:00"):
        scene.now = moment
        scene.run()
    assert [row[-1] for row in scene.messages()] == [at("2026-03-05 00:00")]
    assert scene.counts("hello").finished == 1
