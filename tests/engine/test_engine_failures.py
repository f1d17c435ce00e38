"""What fails for one journey costs that journey alone, is named, left alone for longer and longer, and forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, literal, select, text, update

from tests.engine.breaking import SAID, broken
from tests.engine.scene import ZONE, Scene
from treue.engine.passes import attempts, chores
from treue.engine.passes.attempts import JourneysFailed
from treue.engine.passes.engine import Engine
from treue.insight.status import Status, status
from treue.model.tables import arrival, cohort, customer, event, failure, journey, journey_version, membership
from treue.store import customers, failures, heartbeat
from treue.store.dialect import count_many
from treue.store.inputs import CustomerInput
from treue.store.store import Store
from treue.vocabulary.steps.emit.sql import EmitPlayer

HELLO = "enter: {event: signed.up}\nsteps: [{send: hello, on: email}]"
ILL = {
    "segment": "enter: {segment: celebrating}\nsteps: [{id: never, send: never, on: email}]",
    "schedule": "enter: {segment: germans, schedule: '* * * * *'}\n"
    "steps: [{id: never, send: never, on: email}]",
    "date": "enter: {date: birthday, at: '10:00'}\nsteps: [{id: never, send: never, on: email}]",
    "waits": "enter: {event: cart.left}\n"
    "steps: [{wait: {for: {segment: celebrating}, at_most: 9d}}, {id: never, send: never, on: email}]",
    "exits": "enter: {event: cart.left}\nexit: [{all: [{attribute: vip, is: true}, {segment: celebrating}]}]\n"
    "steps: [{wait: 1h}, {id: never, send: never, on: email}]",
    "enter": "enter: {event: signed.up}\nsteps: [{id: never, send: never, on: email}]",
    "step never": "enter: {event: signed.up}\nsteps: [{id: never, send: never, on: email}]",
    "deliver": "enter: {event: signed.up}\nsteps: [{id: never, send: never, on: email}]",
}
"""A journey of which the work can be broken, by the work."""

BROKEN = {
    "segment": ("chore", "UPDATE OF done_until", "NEW.journey_id = {id} AND NEW.work = 'segment'"),
    "schedule": ("journey", "UPDATE OF scheduled_until", "NEW.id = {id}"),
    "date": ("arrival", "INSERT", "NEW.journey_id = {id}"),
    "waits": ("enrollment", "UPDATE OF due_at", "NEW.journey_id = {id}"),
    "exits": ("arrival", "INSERT", "NEW.journey_id = {id} AND NEW.kind = 'leave'"),
    "enter": ("enrollment", "INSERT", "NEW.journey_id = {id}"),
    "step never": ("message", "INSERT", "NEW.journey_id = {id}"),
    "deliver": ("message", "UPDATE OF state", "NEW.journey_id = {id}"),
}


def number(scene: Scene, name: str) -> int:
    with scene.store.reading() as connection:
        found: int = connection.execute(select(journey.c.id).where(journey.c.name == name)).scalar_one()
    return found


def failing(scene: Scene) -> dict[str, tuple[str, int]]:
    """Return (work, times) of what fails by journey."""
    with scene.store.reading() as connection:
        return {one.journey: (one.work, one.times) for one in failures.find(connection)}


def looked(scene: Scene) -> Status:
    with scene.store.reading() as connection:
        return status(connection, scene.now)


def run(scene: Scene, **length: float) -> Any:
    """Move the clock and run a pass; return what failed in it."""
    scene.now += timedelta(**length)
    try:
        scene.run()
    except JourneysFailed as failed:
        return [(one.journey, one.work) for one in failed.failed]
    return []


def lived_in(scene: Scene, work: str) -> None:
    """Make a journey that will fail at some work and one that will not, and let customers be inside."""
    scene.journeys(ill=ILL[work], well=HELLO)
    scene.customer("ada", country="DE", birthday="1990-06-02")
    scene.event("ada", "cart.left")
    assert run(scene) == []
    with (
        scene.store.transaction() as connection
    ):  # somebody has joined and somebody has to leave, if anybody asks
        connection.execute(membership.delete())
        connection.execute(
            text("UPDATE customer SET attributes = :now"),
            {"now": '{"vip": true, "country": "DE", "birthday": "1990-03-02"}'},
        )
    scene.event("ada", "signed.up")


@pytest.mark.parametrize("work", ILL)
def test_what_fails_for_one_journey_stops_no_other_and_is_named(scene: Scene, work: str) -> None:
    if work == "date":
        scene.now -= timedelta(minutes=30)
    lived_in(scene, work)
    table, doing, where = BROKEN[work]
    with broken(scene.store, table, doing, where.format(id=number(scene, "ill"))):
        assert run(scene, minutes=45) == [("ill", work)]
        assert scene.templates() == ["hello"], "the other journey's mail went out"
        assert failing(scene) == {"ill": (work, 1)}
        assert looked(scene).healthy, "once may be a restart of the database"
        (sentence,) = looked(scene).health.notes
        assert sentence.startswith("ill: ")
        assert [run(scene, minutes=n) for n in (1, 2)] == [[("ill", work)]] * 2
        assert looked(scene).health.notes == []
        (sentence,) = looked(scene).health.sentences
        assert sentence.startswith("ill: ")
        assert "has failed 3 times in a row" in sentence
        assert SAID in sentence
    assert run(scene, minutes=20) == []
    assert failing(scene) == {}
    assert looked(scene).healthy


def test_failing_work_is_left_alone_for_longer_each_time_and_tried_at_once_in_a_new_version(
    scene: Scene,
) -> None:
    scene.journeys(ill=ILL["segment"])
    run(scene)
    scene.now += timedelta(hours=1)
    with broken(scene.store, *BROKEN["segment"][:2], "NEW.work = 'segment'"):
        seen = [bool(run(scene, seconds=15)) for _ in range(40)]
        assert [n for n, failed in enumerate(seen) if failed] == [0, 3, 8, 17, 34], (
            "after 30 s, 1, 2, 4 minutes"
        )
        assert failing(scene) == {"ill": ("segment", 5)}
        scene.journeys(ill=ILL["segment"].replace("never", "ever"))
        assert failing(scene) == {}
        assert run(scene, seconds=15) == [("ill", "segment")]
    for _ in range(3):
        run(scene, seconds=15)
    assert failing(scene) == {}


def test_who_may_have_to_leave_is_written_to_only_once_that_is_known(scene: Scene) -> None:
    """Where reasons to leave cannot be looked at, the journey stands still."""
    lived_in(scene, "exits")
    with broken(scene.store, *BROKEN["exits"][:2], BROKEN["exits"][2].format(id=number(scene, "ill"))):
        run(scene, minutes=70)
        run(scene, seconds=15)
    scene.now += timedelta(minutes=2)
    scene.run(sense=False)
    assert scene.templates() == ["hello"], (
        "a pass that does not look at reasons to leave does not know better"
    )
    run(scene, seconds=15)
    assert scene.templates() == ["hello"]
    assert sum(scene.counts("ill").exited.values()) == 1


def test_a_stage_that_fails_keeps_no_other_step_and_no_message_of_its_journey(scene: Scene) -> None:
    scene.journeys(
        ill="enter: {event: signed.up}\nsteps:\n"
        "  - {id: first, send: hello, on: email}\n"
        "  - wait: 1h\n"
        "  - {id: second, set: {vip: true}}\n"
        "  - {id: third, send: bye, on: email}\n"
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    run(scene)
    scene.now += timedelta(hours=1)
    scene.customer("bob")
    scene.event("bob", "signed.up")
    with broken(scene.store, "customer", "UPDATE OF attributes", "NEW.key = 'ada'"):
        assert run(scene, minutes=1) == [("ill", "step second")]
    assert scene.sent() == [("ada@example.com", "hello"), ("bob@example.com", "hello")]
    run(scene, minutes=1)
    assert scene.templates() == ["hello", "hello", "bye"]


def test_a_plan_that_cannot_be_read_holds_its_journey_and_keeps_what_happens_at_its_door(
    scene: Scene,
) -> None:
    scene.journeys(ill=HELLO.replace("hello", "late"), well=HELLO)
    scene.customer("ada")
    mine = journey_version.c.journey_id == number(scene, "ill")
    with scene.store.transaction() as connection:
        (plan,) = connection.scalars(select(journey_version.c.plan).where(mine))
        connection.execute(update(journey_version).where(mine).values(plan={"words": "of another Treue"}))
    scene.event("ada", "signed.up")
    assert run(scene, minutes=1) == [("ill", "plan")]
    assert scene.templates() == ["hello"]
    assert "ill: reading its plan has failed" in looked(scene).health.notes[0]
    files = scene.files(ill=HELLO.replace("hello", "late"), well=HELLO)
    assert scene.look(files).changes == (), "the next worker starts all the same"
    with scene.store.transaction() as connection:
        kept = select(event.c.name).join(arrival, arrival.c.event_id == event.c.id)
        assert "signed.up" in set(connection.scalars(kept))
        connection.execute(update(journey_version).where(mine).values(plan=plan))
    run(scene, seconds=1)
    assert scene.templates() == ["hello", "late"]
    assert looked(scene).healthy


def test_a_look_that_waits_for_a_lock_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a session at psql was left open in a transaction. Only PostgreSQL locks rows."""
    if scene.store.dialect == "sqlite":
        pytest.skip("SQLite locks no rows")
    monkeypatch.setattr(chores, "LONGEST_LOOK", 0.3)
    lived_in(scene, "segment")
    held = select(literal(number(scene, "ill")), customer.c.id)
    with scene.store.transaction() as another:
        another.execute(insert(membership).from_select(["journey_id", "customer_id"], held))
        assert run(scene, hours=1) == [("ill", "segment")]
    assert scene.templates() == ["hello"]
    assert "statement_timeout" in looked(scene).health.failing[0].reason


def test_a_statement_that_takes_too_long_is_given_up(store: Store) -> None:
    endless = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
    with store.transaction() as connection:
        limited = pytest.raises(Exception, match=r"interrupt|statement timeout")
        with limited, store.limited(connection, 0.2):
            connection.execute(endless)
    with store.transaction() as connection, store.limited(connection, 60):
        assert connection.scalar(text("SELECT 1")) == 1


def test_the_limit_of_the_roles_own_is_kept(scene: Scene) -> None:
    if scene.store.dialect == "sqlite":
        pytest.skip("SQLite has no roles")
    with scene.store.transaction() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '7s'"))
        with scene.store.limited(connection, 60):
            assert connection.scalar(text("SHOW statement_timeout")) == "7s"
    with scene.store.transaction() as connection, scene.store.limited(connection, 60):
        assert connection.scalar(text("SHOW statement_timeout")) == "1min"
    with scene.store.transaction() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "0"


# --- health -----------------------------------------------------------------------------------------------


def test_where_no_pass_has_ever_succeeded_it_says_how_to_start_one(scene: Scene) -> None:
    scene.journeys(well=HELLO)
    assert looked(scene).health.sentences == [
        "No pass has ever succeeded; start `treue up` or `treue worker`."
    ]
    run(scene)
    assert looked(scene).healthy


@pytest.mark.parametrize(("every", "well", "ill"), [(15, 45, 46), (3600, 3 * 3600, 3 * 3600 + 1)])
def test_three_ticks_without_a_pass_that_succeeded_are_too_many(
    scene: Scene, every: int, well: int, ill: int
) -> None:
    scene.journeys(well=HELLO)
    scene.engine.every = timedelta(seconds=every)
    run(scene)
    began = scene.now
    scene.now = began + timedelta(seconds=well)
    assert looked(scene).healthy
    scene.now = began + timedelta(seconds=ill + 1)
    (sentence,) = looked(scene).health.sentences
    assert "No pass has succeeded for" in sentence
    assert "is `treue up` or `treue worker` running?" in sentence


def test_passes_that_fail_are_counted_with_the_reason_until_one_succeeds(scene: Scene) -> None:
    scene.journeys(well=HELLO)
    scene.engine.every = timedelta(seconds=15)
    run(scene)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    with broken(scene.store, "event", "UPDATE OF routed_at", "NEW.routed_at IS NOT NULL"):
        for _ in range(5):
            scene.now += timedelta(seconds=15)
            with pytest.raises(Exception, match=SAID):
                scene.run()
        (sentence,) = looked(scene).health.sentences
        assert "No pass has succeeded for 1 min; 5 have failed" in sentence
        assert SAID in sentence
    run(scene, seconds=15)
    assert looked(scene).healthy


def test_a_long_pass_under_way_is_no_dead_worker_while_it_gives_signs_of_life(scene: Scene) -> None:
    scene.engine.every = timedelta(seconds=15)
    run(scene)
    scene.now += timedelta(seconds=15)
    with scene.store.transaction() as connection:
        heartbeat.begin(connection, scene.now, scene.engine.every)
    for _ in range(9):
        scene.now += timedelta(minutes=1)
        assert "was last heard of 1 min ago" in looked(scene).health.sentences[0], "its worker was killed"
        with scene.store.transaction() as connection:
            heartbeat.beat(connection, scene.now)
        assert looked(scene).healthy
    scene.now += timedelta(seconds=50)
    with scene.store.transaction() as connection:
        heartbeat.beat(connection, scene.now)
    assert looked(scene).health.sentences == [
        "No pass has succeeded for 10 min; one has been under way for 9 min and goes on."
    ]


def test_the_first_pass_of_all_is_waited_for_while_it_gives_signs_of_life(scene: Scene) -> None:
    with scene.store.transaction() as connection:
        heartbeat.begin(connection, scene.now, timedelta(seconds=15))
    assert looked(scene).healthy
    scene.now += timedelta(seconds=46)
    (sentence,) = looked(scene).health.sentences
    assert sentence.startswith("No pass has succeeded yet; one began 46 s ago and was last heard of 46 s ago")


def test_a_pass_that_goes_on_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "SIGNS_OF_LIFE", 0.0)
    heard: list[datetime] = []
    beat = heartbeat.beat
    monkeypatch.setattr(heartbeat, "beat", lambda c, now: (heard.append(now), beat(c, now)))
    scene.journeys(well=HELLO)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    run(scene)
    assert len(heard) > 3, "at each round, step and batch"
    assert heard == sorted(heard)
    with scene.store.reading() as connection:
        found = heartbeat.find(connection)
    assert found is not None
    assert found.alive_at == heard[-1]
    assert not found.under_way


def test_a_pass_over_one_journey_says_nothing_of_how_passes_go(scene: Scene) -> None:
    scene.engine.every = timedelta(seconds=15)
    scene.journeys(well=HELLO, other=HELLO)
    run(scene)
    scene.now += timedelta(minutes=5)
    scene.engine.every = timedelta(hours=1)
    scene.run(names=["well"])
    (sentence,) = looked(scene).health.sentences
    assert sentence.endswith("min; is `treue up` or `treue worker` running?")


def test_customers_who_are_due_for_too_long_are_counted_by_step(scene: Scene) -> None:
    scene.engine.every = timedelta(seconds=15)
    scene.journeys(well="enter: {event: signed.up}\nsteps: [{id: pause, wait: 1h}, {send: hello, on: email}]")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    run(scene)

    def late(minutes: int) -> list[tuple[str, str, int]]:
        scene.now += timedelta(minutes=minutes)
        with scene.store.transaction() as connection:
            heartbeat.succeed(connection, scene.now)
        found = looked(scene)
        assert found.healthy is not bool(found.health.late)
        return [(one.journey, one.step, one.late) for one in found.health.late]

    assert late(69) == []
    assert late(2) == [("well", "pause", 1)]
    with scene.store.transaction() as connection:
        connection.execute(update(journey).values(paused_at=scene.now))
    assert late(0) == [], "a paused journey is meant to stand still"


def test_whom_an_event_that_comes_late_brings_in_is_not_late(scene: Scene) -> None:
    scene.engine.every = timedelta(seconds=15)
    scene.journeys(well=HELLO)
    run(scene)
    scene.customer("ada")
    scene.now += timedelta(hours=5)
    run(scene)
    scene.event("ada", "signed.up", when=scene.now - timedelta(hours=2))
    versions = scene.engine.versions()
    scene.engine.route(versions, scene.now)
    assert looked(scene).healthy, "it has only just come to the door"
    scene.now += timedelta(minutes=11)
    assert "events have waited for too long" in " ".join(looked(scene).health.sentences)


def test_messages_that_do_not_go_out_are_late_but_not_on_a_paused_channel(scene: Scene) -> None:
    from treue.delivery import gates

    scene.engine.every = timedelta(seconds=15)
    scene.journeys(well=HELLO)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    with broken(scene.store, "message", "UPDATE OF state", "NEW.state = 'claimed'"):
        run(scene)
    for minutes, ready in ((15, []), (1, ["Messages by email have been ready for up to 16 min"])):
        scene.now += timedelta(minutes=minutes)
        with scene.store.transaction() as connection:
            connection.execute(failure.delete())
            heartbeat.succeed(connection, scene.now)
        said = [one.partition(" and do not go out")[0] for one in looked(scene).health.sentences]
        assert said == ready
    with scene.store.transaction() as connection:
        gates.failed(connection, "email", scene.now, 90.0, "429")
    assert looked(scene).healthy
    assert scene.messages()[0][3] == "queued"


# --- temporary tables -------------------------------------------------------------------------------------


def test_two_hundred_idle_passes_leave_the_temporary_tables_as_large_as_one(scene: Scene) -> None:
    """Nothing vacuums them on PostgreSQL: what is deleted there stays in the file for as long as the connection does."""
    if scene.store.dialect == "sqlite":
        pytest.skip("SQLite takes freed pages again at once")
    scene.journeys(idle="enter: {segment: germans}\nsteps: [{send: never, on: email}]")
    with scene.store.transaction() as connection:
        people = [CustomerInput(f"c{n}", attributes={"country": "DE"}) for n in range(2_000)]
        customers.upsert(connection, people, scene.now)
    run(scene)
    after_one = _sizes(scene.store)
    for _ in range(200):
        run(scene, seconds=15)
    assert set(after_one) == {"cohort", "caller", "judged", "looked"}
    assert {name: size for name, size in _sizes(scene.store).items() if size > 2 * after_one[name]} == {}


def _sizes(store: Store) -> dict[str, int]:
    """Return how many bytes the temporary tables of the store's connection take, indexes included."""
    query = text(
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
        "WHERE relpersistence = 't' AND relkind = 'r' AND relnamespace = pg_my_temp_schema()"
    )
    with store.reading() as connection:
        return {row.relname: row[1] for row in connection.execute(query)}


@pytest.mark.parametrize("number", [0, 5_000])
def test_a_temporary_table_filled_with_many_rows_is_counted(store: Store, number: int) -> None:
    if store.dialect == "sqlite":
        pytest.skip("SQLite is told once how large they are")
    guess = text("EXPLAIN (FORMAT JSON) SELECT * FROM cohort WHERE customer_id > 0")
    with store.transaction() as connection:
        rows = [{"enrollment_id": n, "customer_id": n} for n in range(1, number + 1)]
        for start in range(0, len(rows), 1_000):
            connection.execute(insert(cohort), rows[start : start + 1_000])
        count_many(connection, cohort, number)
        (plan,) = connection.scalars(guess).one()
        if number:
            assert plan["Plan"]["Plan Rows"] == number
        mine = "schemaname = (SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema())"
        counted = f"SELECT count(*) FROM pg_stats WHERE tablename = 'cohort' AND {mine}"
        assert bool(connection.scalar(text(counted))) is bool(number)


@pytest.mark.parametrize("condition", ["", ", if: {attribute: vip, is: true}"])
def test_a_word_that_keeps_whom_it_takes_fails_and_is_named(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    steps = "steps: [{id: tells, emit: told" + condition + "}]"
    scene.journeys(ill=f"enter: {{event: signed.up}}\n{steps}", well=HELLO)
    scene.customer("ada", vip=True)
    scene.customer("bob", vip=False)
    scene.event("ada", "signed.up")
    scene.event("bob", "signed.up")
    with monkeypatch.context() as patched:
        patched.setattr(EmitPlayer, "go_on", lambda *_: [])
        assert run(scene) == [("ill", "step tells")]
    assert scene.templates() == ["hello", "hello"], "the other journey's mail went out"
    (sentence,) = looked(scene).health.notes
    assert "The word `emit` keeps customers at the step `tells`" in sentence
    assert {stay for stay in scene.stays() if stay[1] == "inside"} == {
        ("ada", "inside", None, "tells"),
        ("bob", "inside", None, "tells"),
    }
    scene.engine = Engine(scene.store, ZONE, "salt", scene.delivery)  # with the word corrected
    assert run(scene, minutes=20) == []
    assert {stay[1] for stay in scene.stays()} == {"finished"}
