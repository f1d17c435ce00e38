"""A standstill of months or years: days that were missed are worked off in stretches, times of a schedule come once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from tests.engine.scene import Scene, at
from treue.model.tables import customer, enrollment, journey

BIRTHDAYS = "enter: {date: birthday}\nsteps: [{send: hello, on: email, valid_for: 2d}]\n"
ORDERS = "category: transactional\nenter: {event: order.placed}\nsteps: [{send: thanks, on: email}]\n"


def entered(scene: Scene) -> list[tuple[str, datetime]]:
    query = (
        select(customer.c.key, enrollment.c.entered_at)
        .join(customer, customer.c.id == enrollment.c.customer_id)
        .order_by(enrollment.c.entered_at, customer.c.key)
    )
    with scene.store.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def looked(scene: Scene, name: str) -> datetime | None:
    with scene.store.reading() as connection:
        return connection.scalar(select(journey.c.scheduled_until).where(journey.c.name == name))


def years(scene: Scene) -> None:
    """Let nobody run a pass for eight years."""
    for month in range(1, 13):
        scene.customer(f"m{month:02}", birthday=f"1990-{month:02}-15")
    scene.journeys(birthdays=BIRTHDAYS, orders=ORDERS)
    scene.run()
    scene.now = at("2034-03-02 10:00")


def test_the_days_of_years_come_out_as_if_passes_had_been_daily(scene: Scene) -> None:
    years(scene)
    passed = scene.run()
    assert not passed.behind
    assert entered(scene) == [
        (f"m{day.month:02}", day)
        for year in range(2026, 2035)
        for month in range(1, 13)
        if at("2026-03-02 10:00") < (day := at(f"{year}-{month:02}-15 09:00")) <= scene.now
    ]
    assert {row[3] for row in scene.messages()} == {"refused"}, "all are stale by now"
    assert looked(scene, "birthdays") == scene.now


def test_in_a_worker_other_work_does_not_wait_for_the_days_and_each_stretch_is_kept(scene: Scene) -> None:
    years(scene)
    scene.delivery.slice_seconds = 0.0
    scene.customer("ada")
    scene.event("ada", "order.placed")
    said: list[str] = []
    scene.engine.said = said.append
    passed = scene.run()
    assert passed.behind
    assert scene.templates() == ["thanks"], "the order's mail has gone with the first pass"
    assert said == ["Days that were missed since the last pass are done until 2026-05-02."]
    passes, before = 1, looked(scene, "birthdays")
    while passed.behind:
        passed, passes = scene.run(), passes + 1
        assert before is not None
        after = looked(scene, "birthdays")
        assert after is not None
        assert before < after <= before + timedelta(days=61)
        before = after
    assert passes == 48
    assert len(entered(scene)) == 96 + 1


def test_days_that_fail_in_the_middle_are_gone_on_with_where_they_were(scene: Scene) -> None:
    years(scene)
    scene.delivery.slice_seconds = 0.0
    scene.run()
    kept = looked(scene, "birthdays")
    with scene.store.transaction() as connection:
        connection.execute(text("ALTER TABLE timezone_offset RENAME TO elsewhere"))
    with pytest.raises(Exception, match="timezone_offset"):
        scene.run()
    assert looked(scene, "birthdays") == kept
    with scene.store.transaction() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO timezone_offset"))
    scene.delivery.slice_seconds = None
    scene.run()
    assert len(entered(scene)) == 96


@pytest.mark.parametrize(
    ("cron", "slots"),
    [
        (
            "0 9 * * *",
            ["2027-02-22 09:00", *(f"2027-02-{day} 09:00" for day in range(23, 29)), "2027-03-01 09:00"],
        ),
        ("0 9 * * MON", ["2027-02-22 09:00", "2027-03-01 09:00"]),
        ("0 9 1 * *", ["2027-02-01 09:00", "2027-03-01 09:00"]),
        ("0 9 1 1 *", ["2027-01-01 09:00"]),
    ],
)
def test_times_of_a_schedule_that_were_missed_for_long_come_once_and_those_of_a_week_each(
    scene: Scene, cron: str, slots: list[str]
) -> None:
    scene.customer("ada", country="DE")
    scene.journeys(
        news=f'enter: {{schedule: "{cron}", segment: germans, each: run}}\nsteps: [{{send: hello, on: email}}]\n'
    )
    scene.run()
    scene.now = at("2027-03-01 10:00")
    scene.run()
    assert [when for _, when in entered(scene)] == [at(slot) for slot in slots]
    assert len(scene.messages()) == len(slots)
