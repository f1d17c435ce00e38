"""What an edit does to those inside, what a plan says of it before, and that both are the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from tests.engine.scene import Scene, at
from treue.engine.versions.application import Files
from treue.engine.what_if.forecast import forecast
from treue.model.tables import enrollment, journey_version, message, trace
from treue.plan.diff import JourneyChange
from treue.store import consents, customers, events, journeys
from treue.store.inputs import ConsentInput, CustomerInput, EventInput

ENTER = "enter: {event: order.placed}\n"
FIRST = f"""{ENTER}
steps:
  - {{id: hello, send: hello, on: email}}
  - {{id: pause, wait: 1d}}
  - {{id: tips, send: tips, on: email}}
  - wait: 1d
  - {{id: survey, wait: 2d}}
  - {{id: last, send: last, on: email}}
"""
SECOND = f"""{ENTER}
moved: {{tips: advice, survey: last}}
steps:
  - {{send: news, on: email}}
  - {{id: hello, send: hello, on: email}}
  - {{id: pause, wait: 1d}}
  - {{id: advice, send: tips, on: email}}
  - wait: 1d
  - {{id: last, send: last, on: email}}
"""
"""The first version, with a step put before, one renamed and one removed."""


def _crowd(scene: Scene, number: int, days: int) -> None:
    """Let customers in, an equal part of them on each of some days, the last of which is today."""
    with scene.store.transaction() as connection:
        people = [
            CustomerInput(f"c{n:05}", f"c{n:05}@example.com", created_at=scene.now) for n in range(number)
        ]
        customers.upsert(connection, people, scene.now)
        consents.give(connection, [ConsentInput(one.key, "email", scene.now) for one in people], scene.now)
    for day in range(days):
        with scene.store.transaction() as connection:
            mine = [EventInput(one.key, "order.placed", scene.now, {}) for one in people[day::days]]
            events.record(connection, mine, scene.now)
        scene.run()
        scene.now += timedelta(days=1)
    scene.now -= timedelta(hours=12)
    scene.run()


def _places(scene: Scene) -> dict[tuple[str, str | None], int]:
    """Return how many stand where, by version's hash and its own id of the step."""
    with scene.store.reading() as connection:
        [state] = journeys.by_name(connection).values()
        steps = journeys.steps(connection, state.journey_id)
        found = Counter[tuple[str, str | None]]()
        for version_id, number, n in journeys.occupancy(connection, state.journey_id):
            ids = {known: id_ for id_, known in steps[version_id].items()}
            found["new" if version_id == state.version_id else "old", ids[number]] += n
    return dict(found)


def _changes(scene: Scene, files: Files) -> JourneyChange:
    [change] = scene.look(files).changes
    return change


def _sent(scene: Scene) -> Counter[tuple[str, str]]:
    return Counter(scene.sent())


@pytest.mark.parametrize("migrate", [False, True], ids=["finish", "migrate"])
def test_ten_thousand_inside_are_where_the_plan_said_and_nobody_is_lost_or_sent_anything_twice(
    scene: Scene, migrate: bool
) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10_000, 5)
    assert _places(scene) == {
        ("new", "pause"): 2_000, ("new", "steps.3"): 2_000, ("new", "survey"): 4_000,
    }  # fmt: skip
    files = scene.files(migrate=migrate, hello=SECOND)
    shown = scene.look(files)
    change = _changes(scene, files)
    told = {(step.change, step.id): (step.inside, step.goes_to(change.in_flight)) for step in change.steps}
    assert change.inside == 8_000
    assert told == {
        ("added", "steps.0"): (0, None),
        ("renamed", "advice"): (0, "advice" if migrate else "tips"),
        ("removed", "survey"): (4_000, "last" if migrate else "survey"),
    }
    expected = forecast(scene.engine, ["email"], lambda store: _applied(scene, store, files), scene.now)
    already = len(scene.sent())

    applied = scene.apply(files, shown)
    assert applied.refused == ()
    assert applied.migrated == ({"hello": 8_000} if migrate else {})
    assert _places(scene) == (
        {("new", "pause"): 2_000, ("new", "steps.4"): 2_000, ("new", "last"): 4_000}
        if migrate
        else {("old", "pause"): 2_000, ("old", "steps.3"): 2_000, ("old", "survey"): 4_000}
    )

    scene.until(_text(scene, hours=24))
    scene.run()
    assert len(scene.sent()) - already == expected.journeys["hello"].sent["email"] > 0
    scene.until(_text(scene, days=5), every=timedelta(hours=6))
    assert scene.counts("hello").finished == 10_000
    assert set(_sent(scene).values()) == {1}
    assert Counter(scene.templates()) == {"hello": 10_000, "tips": 10_000, "last": 10_000}


def _applied(scene: Scene, store: object, files: Files) -> None:
    from treue.engine.versions.application import apply

    assert not apply(store, files, scene.now).refused  # type: ignore[arg-type]


def _text(scene: Scene, **length: float) -> str:
    from zoneinfo import ZoneInfo

    return f"{(scene.now + timedelta(**length)).astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M}"


def test_a_running_timer_keeps_its_due_time(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{id: pause, wait: 2d}}, {{send: a, on: email}}]\n")
    _crowd(scene, 4, 1)
    longer = f"{ENTER}steps: [{{id: pause, wait: 9d}}, {{send: a, on: email}}]\n"
    assert scene.apply(scene.files(migrate=True, hello=longer)).migrated == {"hello": 4}
    scene.later(days=1, hours=11)
    assert scene.sent() == []
    scene.later(hours=1)
    assert len(scene.sent()) == 4


def test_a_step_of_another_kind_under_the_same_id_acts_when_the_timer_has_run_out(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{id: pause, wait: 2d}}, {{send: a, on: email}}]\n")
    _crowd(scene, 4, 1)
    other = f"{ENTER}steps: [{{id: pause, send: b, on: email}}, {{send: a, on: email}}]\n"
    scene.apply(scene.files(migrate=True, hello=other))
    scene.later(days=1)
    assert scene.sent() == []
    scene.later(hours=12)
    assert Counter(scene.templates()) == {"a": 4, "b": 4}


WAITING = "{id: told, wait: {for: {event: %s}, at_most: 7d, then: [{send: yes, on: email}], otherwise: [{send: no, on: email}]}}"


def test_who_waits_for_something_waits_for_what_the_new_version_says_until_the_old_deadline(
    scene: Scene,
) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{WAITING % 'told'}]\n")
    _crowd(scene, 3, 1)
    scene.event("c00000", "signed.up")
    scene.later(hours=1)
    longer = (WAITING % "signed.up").replace("7d", "9d")
    assert scene.apply(scene.files(migrate=True, hello=f"{ENTER}steps: [{longer}]\n")).migrated == {
        "hello": 3
    }
    scene.later(minutes=1)
    assert scene.templates() == ["yes"]
    scene.event("c00001", "signed.up")
    scene.later(hours=1)
    scene.later(days=6, hours=10)
    assert sorted(scene.templates()) == ["no", "yes", "yes"]


def test_who_waited_for_something_that_is_a_wait_now_goes_on_at_the_old_deadline(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{WAITING % 'told'}]\n")
    _crowd(scene, 2, 1)
    plain = f"{ENTER}steps: [{{id: told, wait: 1d}}, {{send: after, on: email}}]\n"
    scene.apply(scene.files(migrate=True, hello=plain))
    scene.later(days=6)
    assert scene.sent() == []
    scene.later(hours=12)
    assert scene.templates() == ["after", "after"]


def test_people_whom_the_new_version_has_no_place_for_are_not_moved_and_listed(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    lacking = SECOND.replace(", survey: last", "")
    applied = scene.apply(scene.files(migrate=True, hello=lacking))
    assert [sentence.partition(",")[0] for sentence in applied.refused] == [
        "4 customers stand at survey of hello"
    ]
    assert "`moved: {survey: ID}`" in applied.refused[0]
    assert {version for version, _ in _places(scene)} == {"new"}
    assert scene.apply(scene.files(hello=lacking)).refused == ()


def test_in_flight_of_the_file_does_without_the_flag(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    assert scene.apply(scene.files(hello=f"in_flight: migrate\n{SECOND}")).migrated == {"hello": 8}


def test_in_flight_exit_lets_those_inside_out_and_calls_back_what_is_queued(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    applied = scene.apply(scene.files(migrate=True, hello=f"in_flight: exit\n{SECOND}"))
    assert applied.let_out == {"hello": 8}
    assert scene.counts("hello").exited == {"new version": 8}
    scene.later(days=9)
    assert "last" not in scene.templates()[:-2]


def test_moving_is_noted_and_the_trail_tells_each_part_in_its_versions_words(scene: Scene) -> None:
    from treue.insight.why import CustomerInquiry

    scene.journeys(hello=FIRST)
    _crowd(scene, 1, 1)
    scene.apply(scene.files(migrate=True, hello=SECOND))
    scene.until(_text(scene, days=3), every=timedelta(hours=6))
    with scene.store.reading() as connection:
        found = customers.find(connection, "c00000")
        assert found is not None
        trail = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
    assert [(entry.decision, entry.step) for entry in trail if entry.decision in ("migrated", "queued")] == [
        ("queued", "hello"), ("migrated", "pause"), ("queued", "advice"), ("queued", "last"),
    ]  # fmt: skip
    assert next(entry.values for entry in trail if entry.decision == "migrated") == {"was": "pause"}


def test_going_back_to_an_older_version_is_the_older_version(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    scene.apply(scene.files(migrate=True, hello=SECOND))
    [back] = scene.look(scene.files(migrate=True, hello=FIRST)).changes
    assert {(step.change, step.id) for step in back.steps} == {
        ("added", "survey"), ("renamed", "tips"), ("removed", "steps.0"),
    }  # fmt: skip
    assert scene.apply(scene.files(migrate=True, hello=FIRST)).migrated == {"hello": 8}
    scene.until(_text(scene, days=6), every=timedelta(hours=6))
    assert scene.counts("hello").finished == 10
    assert set(_sent(scene).values()) == {1}


def test_those_left_behind_on_an_older_version_can_be_moved_later(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    scene.apply(scene.files(hello=SECOND))
    assert scene.look(scene.files(hello=SECOND)).nothing
    [change] = scene.look(scene.files(migrate=True, hello=SECOND)).changes
    assert (change.change, change.inside) == ("unchanged", 8)
    assert scene.apply(scene.files(migrate=True, hello=SECOND)).migrated == {"hello": 8}
    assert {version for version, _ in _places(scene)} == {"new"}


def test_the_holdout_stays_held_out(scene: Scene) -> None:
    half = f"holdout: 50%\n{FIRST}"
    scene.journeys(hello=half)
    _crowd(scene, 40, 1)
    before = scene.counts("hello").held_out
    scene.apply(scene.files(migrate=True, hello=f"holdout: 10%\n{SECOND}"))
    scene.until(_text(scene, days=6), every=timedelta(hours=6))
    assert 0 < before == scene.counts("hello").held_out
    assert len(scene.sent()) == 3 * (40 - before)


def test_a_goal_that_is_new_counts_from_entry_for_those_moved(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 2, 1)
    scene.apply(scene.files(migrate=True, hello=f"goal: {{event: signed.up, within: 2d}}\n{SECOND}"))
    scene.event("c00000", "signed.up")
    scene.later(hours=1)
    scene.now += timedelta(days=3)
    scene.event("c00001", "signed.up")
    scene.run()
    assert (scene.counts("hello").converted, scene.counts("hello").finished) == (1, 1)


# --- refusing -----------------------------------------------------------------------------------------------


def test_nothing_is_applied_that_was_not_shown(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    shown = scene.look(scene.files(hello=SECOND))
    assert scene.apply(scene.files(hello=SECOND.replace("1d", "3d")), shown).refused == (
        "The file of hello is not as it was.",
    )
    with scene.store.transaction() as connection:
        journeys.pause(connection, "hello", scene.now)
    assert scene.apply(scene.files(hello=SECOND), shown).refused == ("hello has been paused.",)
    with scene.store.transaction() as connection:
        journeys.resume(connection, "hello", scene.now)
    assert scene.apply(scene.files(hello=SECOND), shown).refused == ()
    assert scene.apply(scene.files(hello=SECOND), shown).refused == ("Another version of hello runs by now.",)


def test_people_walking_on_do_not_stand_in_the_way_unless_they_are_to_be_moved(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)
    finish, migrate = scene.files(hello=SECOND), scene.files(migrate=True, hello=SECOND)
    shown = scene.look(finish)
    scene.later(days=2, hours=13)
    [sentence] = scene.apply(migrate, shown).refused
    assert sentence == "2 customers stand at survey of hello, not 4."
    assert scene.apply(finish, shown).refused == ()


def test_a_plan_writes_nothing(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _crowd(scene, 10, 5)

    def rows() -> list[int]:
        with scene.store.reading() as connection:
            return [
                connection.scalar(select(func.count()).select_from(table)) or 0
                for table in (enrollment, message, trace)
            ]

    before, sent = rows(), len(scene.sent())
    scene.look(scene.files(hello=SECOND))
    forecast(
        scene.engine, ["email"], lambda store: _applied(scene, store, scene.files(hello=SECOND)), scene.now
    )
    assert rows() == before
    assert len(scene.sent()) == sent
    assert {version for version, _ in _places(scene)} == {"new"}


def test_a_journey_without_a_file_lets_nobody_in_and_those_inside_finish(scene: Scene) -> None:
    scene.journeys(hello=FIRST, other=FIRST)
    _crowd(scene, 10, 5)
    files = scene.files(other=FIRST)
    change = _changes(scene, files)
    assert (change.name, change.change, change.inside) == ("hello", "removed", 8)
    assert {step.id: step.goes_to("finish") for step in change.steps if step.inside}["survey"] == "survey"
    assert scene.apply(files).refused == ()
    scene.customer("late")
    scene.event("late", "order.placed")
    scene.until(_text(scene, days=6), every=timedelta(hours=6))
    assert (scene.counts("hello").entered, scene.counts("hello").finished) == (10, 10)
    assert scene.counts("other").entered == 11


def test_a_stopped_journey_stays_stopped_until_it_is_resumed(scene: Scene) -> None:
    from treue.engine.versions.stop import stop

    scene.journeys(hello=FIRST)
    stop(scene.store, "hello", scene.now)
    assert scene.look(scene.files(hello=FIRST)).nothing
    scene.journeys(hello=FIRST)
    _crowd(scene, 2, 1)
    assert scene.counts("hello").entered == 0
    with scene.store.transaction() as connection:
        journeys.resume(connection, "hello", scene.now)
    scene.customer("late")
    scene.event("late", "order.placed")
    scene.run()
    assert scene.counts("hello").entered == 1
    assert at("2026-03-02 10:00") < scene.now


def test_a_step_that_comes_after_people_who_have_had_it_is_not_done_again_and_the_trace_says_so(
    scene: Scene,
) -> None:
    hello, pause = "{id: hello, send: a, on: email}", "{id: pause, wait: 1d}"
    scene.journeys(hello=f"{ENTER}steps: [{hello}, {pause}]\n")
    _crowd(scene, 2, 1)
    files = scene.files(migrate=True, hello=f"{ENTER}steps: [{pause}, {hello}]\n")
    assert [(step.change, step.id) for step in _changes(scene, files).steps] == [("moved", "pause")]
    scene.apply(files)
    scene.later(days=1)
    assert set(_sent(scene).values()) == {1}
    with scene.store.reading() as connection:
        reasons = connection.scalars(select(trace.c.reason).where(trace.c.decision == "refused")).all()
    assert reasons == ["already_queued"] * 2


def test_a_plan_that_an_earlier_treue_wrote_with_fewer_words_is_still_the_same_version(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    with scene.store.transaction() as connection:
        row = connection.execute(select(journey_version.c.id, journey_version.c.plan)).one()
        before = {key: value for key, value in row.plan.items() if key != "moved"}
        connection.execute(update(journey_version).values(plan=before, hash="written before"))
    assert scene.look(scene.files(hello=FIRST)).nothing
    scene.journeys(hello=FIRST)
    assert [version.hash for version in scene.engine.versions()] == ["written before"]


# --- exits that are asked from now on -----------------------------------------------------------------------


def _heads(change: JourneyChange) -> list[tuple[bool, int, int, int, str]]:
    return [(one.is_new, one.inside, one.turned_away, one.among, one.coming) for one in change.exits]


STAYING = "steps: [{wait: 9d}, {send: last, on: email}]\n"
GERMAN = "exit: [{attribute: country, is: DE}]\n"
OFTEN = "exit: [{event: order.placed, at_least: 2}]\n"


def _some(scene: Scene) -> None:
    """Let in three customers who have ordered once, twice and three times before and with the order that lets them in."""
    for n, key in enumerate(("ada", "ben", "cem")):
        scene.customer(key, country="DE" if n else "FR")
    for n, key in enumerate(("ada", "ben", "cem")):
        for _ in range(n):
            scene.event(key, "order.placed")
    scene.later(hours=1)
    scene.event("ada", "signed.up")
    scene.event("ben", "signed.up")
    scene.event("cem", "signed.up")
    scene.run()
    scene.later(hours=1)
    scene.event("ben", "order.placed")
    scene.later(hours=1)


def test_a_new_exit_tells_who_inside_meets_it_and_who_met_it_when_they_came(scene: Scene) -> None:
    enter = "enter: {event: signed.up}\n"
    scene.journeys(welcome=enter + STAYING)
    _some(scene)
    change = _changes(scene, scene.files(welcome=enter + OFTEN + STAYING, migrate=True))
    assert _heads(change) == [(True, 2, 1, 3, "recent")]
    applied = scene.files(welcome=enter + OFTEN + STAYING, migrate=True)
    scene.apply(applied)
    scene.later(days=10)
    assert sorted(row[:2] for row in scene.stays()) == [
        ("ada", "finished"), ("ben", "exited"), ("cem", "exited"),
    ]  # fmt: skip


def test_an_exit_that_passes_only_noticed_is_told_when_it_is_asked_with_whom_it_concerns(
    scene: Scene,
) -> None:
    enter = "enter: {event: signed.up}\n"
    new = scene.files(welcome=enter + GERMAN + STAYING)
    [plan] = new.plans
    old = replace(plan, exits=tuple(replace(one, asked=False) for one in plan.exits))
    scene.apply(Files((old,), {}, new.zone))
    for key, country in (("ada", "FR"), ("ben", "DE")):
        scene.customer(key, country=country)
        scene.event(key, "signed.up")
    scene.run()
    change = _changes(scene, new)
    assert (change.change, change.parts) == ("changed", ())
    assert _heads(change)[0][0] is False
    assert _heads(change)[0][2:] == (1, 2, "recent")
    scene.apply(new)
    assert scene.look(new).nothing


@pytest.mark.parametrize(
    "enter", ["enter: {segment: germans}\n", 'enter: {schedule: "0 9 * * *", segment: germans}\n']
)
def test_of_a_segment_those_are_told_whom_the_door_would_let_in_but_for_the_exit(
    scene: Scene, enter: str
) -> None:
    for n, key in enumerate(("ada", "ben", "cem", "dan")):
        scene.customer(key, country="DE" if n else "FR")
    for key in ("ada", "ben", "ben"):
        scene.event(key, "order.placed")
    scene.event("cem", "order.placed")
    scene.later(hours=1)
    change = _changes(scene, scene.files(welcome=enter + OFTEN + STAYING))
    assert (change.change, _heads(change)) == ("added", [(True, 0, 1, 3, "segment")])


def test_exits_that_were_asked_before_and_bare_events_are_not_told(scene: Scene) -> None:
    enter = "enter: {event: signed.up}\n"
    scene.journeys(welcome=enter + GERMAN + STAYING)
    both = GERMAN.replace("[", "[{event: order.placed}, ")
    assert _heads(_changes(scene, scene.files(welcome=enter + both + STAYING))) == []
