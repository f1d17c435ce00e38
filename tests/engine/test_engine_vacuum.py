"""Old rows are deleted once nothing needs them; what stays says the same, and knows again what comes again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.engine.scene import ZONE, Scene
from treue.channel import DeliveryEvent, DeliveryEventKind
from treue.clock import Duration
from treue.delivery import receipts
from treue.engine.versions.needed import rules
from treue.errors import PlanError
from treue.insight.status import status
from treue.insight.traffic import traffic
from treue.language.retention import Retention
from treue.model import tables
from treue.model.states import EventStatus
from treue.segments.memory import Memory
from treue.store import events
from treue.store.erasures import Erasures
from treue.store.inputs import EventInput
from treue.store.past.recipients import recipient
from treue.store.past.sweep import Stretch
from treue.store.past.vacuum import WALKS, vacuum
from treue.store.store import Store

NOTHING = Memory()
MONTH = Duration(days=30)
SHORT = Retention(MONTH, MONTH, MONTH, MONTH, MONTH, MONTH)
JOURNEY = """
enter: {event: signed.up, again: always}
exit: [{event: consent.withdrawn}]
goal: {event: order.placed, within: 7d}
holdout: 30%
steps:
  - {id: hello, send: hello, on: email}
  - {id: a-day, wait: 1d}
  - id: which
    choose:
      - if: {attribute: country, is: DE}
        steps: [{id: gruss, send: gruss, on: email}]
  - id: half
    split: {one: {weight: 1, steps: [{id: uno, send: uno, on: email}]}, two: {weight: 1, steps: [{id: due, wait: 2d}]}}
  - {id: more, if: {attribute: vip, is: true}, send: more, on: email}
"""


def clean(scene: Scene, kept: Retention = SHORT, besides: Memory = NOTHING) -> Mapping[str, int]:
    with scene.store.reading() as connection:
        found = rules(connection, kept, [], besides, scene.now, ZONE)
    return vacuum(scene.store, found, scene.now, lambda table, number: None)


def rows(scene: Scene, table: Any) -> list[Any]:
    with scene.store.reading() as connection:
        return list(connection.execute(select(table)).all())


@pytest.fixture
def lived(scene: Scene) -> Scene:
    """Twenty customers have been through a journey, long ago: to the end, to the goal, out of it."""
    scene.journeys(round=JOURNEY)
    for n in range(20):
        country, consent = "DE" if n % 2 else "FR", "email" if n % 7 else ""
        scene.customer(f"c{n}", country=country, vip=n % 3 == 0, consent=consent)
        scene.event(f"c{n}", "signed.up", f"in-{n}")
    scene.run()
    scene.later(hours=2)
    scene.event("c1", "consent.withdrawn", channel="email")
    scene.event("c2", "order.placed", "order-2", total=5)
    scene.later(days=1)
    scene.later(days=2)
    scene.event("c4", "order.placed", "order-4", total=5)
    scene.later(days=9)
    return scene


def told(scene: Scene) -> Any:
    """Return all that status, counts and the flowchart say."""
    with scene.store.reading() as connection:
        found = status(connection, scene.now)
        return (
            {one.name: one.counts for one in found.journeys},
            {key: n for key, n in traffic(connection, "round").items() if n},
            [one.sentence for one in found.checks],
            found.outbox,
        )


def test_all_that_is_over_goes_and_status_and_flowchart_say_the_same(lived: Scene) -> None:
    lived.later(days=60)
    before = told(lived)
    counts = before[0]["round"]
    assert counts.converted
    assert counts.exited
    assert counts.held_out
    assert counts.finished
    assert counts.refused
    assert counts.sent
    deleted = clean(lived)
    for table in (tables.trace, tables.message, tables.enrollment, tables.draw):
        assert rows(lived, table) == []
        assert deleted[table.name]
    assert told(lived) == before
    kept = {row.name for row in rows(lived, tables.event)}
    assert kept == {"consent.given", "consent.withdrawn"}
    assert not any(clean(lived).values())
    assert told(lived) == before


def test_what_comes_after_counts_on_top_of_the_sums(lived: Scene) -> None:
    lived.later(days=60)
    before = lived.counts("round")
    clean(lived)
    lived.event("c3", "signed.up", "again-3")
    lived.run()
    assert lived.counts("round").entered == before.entered + 1
    for _ in range(2):  # a late pass writes messages that are new
        lived.later(days=60)
    again = told(lived)
    clean(lived)
    assert told(lived) == again
    assert rows(lived, tables.enrollment) == []


def test_an_event_told_again_years_later_is_known_already_and_another_one_is_a_conflict(lived: Scene) -> None:
    lived.later(days=800)
    orders = [row for row in rows(lived, tables.event) if row.name == "order.placed"]
    clean(lived)
    same = EventInput("c2", "order.placed", orders[0].at, {"total": 5}, "order-2")
    other = EventInput("c2", "order.placed", orders[0].at, {"total": 6}, "order-2")
    new = EventInput("c2", "order.placed", lived.now, {"total": 5}, "order-9")
    with lived.store.transaction() as connection:
        found = events.record(connection, [same, other, new, same], lived.now)
    status_ = EventStatus
    assert found.statuses == [status_.duplicate, status_.conflict, status_.accepted, status_.duplicate]
    assert len(found.new_ids) == 1
    (aside,) = rows(lived, tables.event_conflict)
    assert (aside.key, aside.properties) == ("order-2", {"total": 6})
    assert [row.key for row in rows(lived, tables.event) if row.name == "order.placed"] == ["order-9"]


def test_numbers_are_never_given_twice(lived: Scene) -> None:
    lived.later(days=60)
    taken = {
        table.name: max(row.id for row in rows(lived, table))
        for table in (tables.event, tables.enrollment, tables.message)
    }
    clean(lived)
    for n in range(20):
        with lived.store.transaction() as connection:
            Erasures(b"a" * 32).erase(connection, f"c{n}", lived.now)
    assert rows(lived, tables.event) == []
    lived.customer("new")
    lived.event("new", "signed.up")
    lived.run()
    for name, number in taken.items():
        assert all(row.id > number for row in rows(lived, getattr(tables, name)))


def test_the_links_of_a_mail_that_is_gone_still_lead_to_its_customer(lived: Scene) -> None:
    went = next(row for row in rows(lived, tables.message) if row.state == "sent")
    with lived.store.reading() as connection:
        before = recipient(connection, went.id)
    lived.later(days=60)
    clean(lived)
    with lived.store.reading() as connection:
        assert tuple(recipient(connection, went.id)) == tuple(before)
        assert recipient(connection, 10_000) is None


def test_a_receipt_told_again_after_it_was_deleted_changes_nothing(lived: Scene) -> None:
    went = next(row for row in rows(lived, tables.message) if row.state == "sent")
    (who,) = (row for row in rows(lived, tables.customer) if row.id == went.customer_id)
    told_ = DeliveryEvent("r1", DeliveryEventKind.unsubscribed, lived.now, provider_id=went.provider_id)
    other = DeliveryEvent("r2", DeliveryEventKind.bounced, lived.now, address="eve@example.com", hard=False)
    with lived.store.transaction() as connection:
        assert receipts.take(connection, "email", [told_, other], lived.now) == 2
    lived.later(days=60)
    clean(lived)
    assert rows(lived, tables.delivery_event) == []
    lived.event(who.key, "consent.given", channel="email")
    with lived.store.transaction() as connection:
        again = [told_, replace(told_, id="r3", provider_id="", address="nobody@example.com")]
        assert receipts.take(connection, "email", again, lived.now) == 1
    assert all(row.given for row in rows(lived, tables.consent) if row.customer_id == who.id)


def test_nothing_goes_by_default_that_a_marketer_would_miss(lived: Scene) -> None:
    lived.later(days=3000)
    before = {
        table.name: len(rows(lived, table)) for table in (tables.event, tables.message, tables.enrollment)
    }
    deleted = clean(lived, Retention())
    assert deleted["trace"]
    assert {name: len(rows(lived, getattr(tables, name))) for name in before} == before


def test_erasing_somebody_reaches_what_stays_of_her_old_rows(lived: Scene) -> None:
    lived.later(days=60)
    clean(lived)
    (who,) = (row for row in rows(lived, tables.customer) if row.key == "c2")
    for table in (tables.past_event, tables.past_message):
        assert any(row.customer_id == who.id for row in rows(lived, table))
    lived.event("c2", "order.placed", "order-2", total=99)
    assert len(rows(lived, tables.event_conflict)) == 1
    with lived.store.transaction() as connection:
        Erasures(b"a" * 32).erase(connection, "c2", lived.now)
    for table in tables.metadata.sorted_tables:
        if "customer_id" in table.c:
            assert not any(row.customer_id == who.id for row in rows(lived, table)), table.name


# --- what is needed stays -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        ("{event: order.placed}", True),
        ("{event: order.placed, within: 90d}", True),
        ("{event: order.placed, within: 20d}", False),
        ("{sum: order.placed.total, above: 3, within: 90d}", True),
        ("{not: {event: order.placed, within: 90d}}", True),
        ("{event: told}", False),
        ("{event: order.placed, last: {before: 9d ago}}", True),
    ],
)
def test_an_event_stays_as_long_as_a_condition_looks_back_to_it(
    scene: Scene, asked: str, stays: bool
) -> None:
    scene.journeys(asks=f"enter: {{manual: true, if: {asked}}}\nsteps: [{{send: hello, on: email}}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed", "o1", total=5)
    scene.run()
    scene.later(days=45)
    clean(scene)
    assert any(row.name == "order.placed" for row in rows(scene, tables.event)) is stays
    if stays:
        scene.later(days=90)
        clean(scene)
        gone = "within" in asked
        assert any(row.name == "order.placed" for row in rows(scene, tables.event)) is not gone


def test_what_a_wait_looks_for_does_not_keep_what_came_before(scene: Scene) -> None:
    scene.journeys(
        waits="enter: {manual: true}\nsteps: [{wait: {for: {event: order.placed}, at_most: 7d}}, {send: hello, on: email}]\n"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed", "o1", total=5)
    scene.run()
    scene.later(days=45)
    clean(scene)
    assert {row.name for row in rows(scene, tables.event)} == {"consent.given"}


def test_events_of_a_stay_inside_stay_with_the_one_that_began_it(scene: Scene) -> None:
    scene.journeys(
        long="enter: {event: signed.up, again: always}\nexit: [{event: told, at_least: 2, since: entry}]\n"
        "steps: [{wait: 90d}, {send: hello, on: email}]\n"
    )
    scene.customer("ada")
    for name in ("signed.up", "told"):
        scene.event("ada", name)
        scene.run()
        scene.later(hours=1)
    scene.later(days=45)
    clean(scene)
    assert {"signed.up", "told"} <= {row.name for row in rows(scene, tables.event)}
    assert rows(scene, tables.trace)
    scene.event("ada", "told")
    scene.run()
    assert scene.stays()[0][1] == "exited"
    scene.later(days=45)
    clean(scene)
    assert {row.name for row in rows(scene, tables.event)} == {"consent.given"}
    assert rows(scene, tables.enrollment) == []


@pytest.mark.parametrize(
    ("again", "after", "may_come"),
    [("never", 300, False), ("90d", 60, False), ("90d", 120, True), ("always", 40, True)],
)
def test_who_may_come_again_is_the_same_with_old_stays_gone(
    scene: Scene, again: str, after: int, may_come: bool
) -> None:
    scene.journeys(once=f"enter: {{event: signed.up, again: {again}}}\nsteps: [{{send: hello, on: email}}]\n")
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=after)
    clean(scene)
    assert bool(rows(scene, tables.enrollment)) is not may_come
    scene.event("ada", "signed.up")
    scene.run()
    assert scene.counts("once").entered == (2 if may_come else 1)


def test_messages_stay_for_conditions_and_stays_for_what_is_asked_of_a_journey(scene: Scene) -> None:
    once = "enter: {event: signed.up, again: always}\nsteps: [{send: hello, on: email}]\n"
    scene.journeys(
        once=once,
        other=once.replace("hello", "other"),
        asks="enter: {manual: true, if: {all: [{message: hello, was: sent}, {journey: other, is: never}]}}\nsteps: [{send: more, on: email}]\n",
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=60)
    clean(scene)
    assert [row.template for row in rows(scene, tables.message)] == ["hello"]
    with scene.store.reading() as connection:
        names = dict(connection.execute(select(tables.journey.c.id, tables.journey.c.name)).all())  # type: ignore[arg-type]
    assert sorted(names[row.journey_id] for row in rows(scene, tables.enrollment)) == ["once", "other"]


def test_what_a_split_learns_from_stays(scene: Scene) -> None:
    scene.journeys(
        learns="enter: {event: signed.up, again: always}\nsteps: [{split: {a: {weight: 1, steps: [{send: hello, on: email}]}, "
        "b: {weight: 1, steps: [{send: more, on: email}]}}, learn: clicked}]\n"
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(days=60)
    clean(scene)
    assert rows(scene, tables.message)
    assert rows(scene, tables.draw)
    assert not rows(scene, tables.trace)


def test_changes_stay_as_long_as_something_pending_may_look_back_to_them(scene: Scene) -> None:
    scene.journeys(
        late="enter: {event: signed.up}\nsteps: [{wait: 1d}, {choose: [{if: {attribute: country, is: DE}, "
        "steps: [{send: gruss, on: email}]}, {else: [{send: hello, on: email}]}]}]\n"
    )
    for key in ("ada", "bob"):
        scene.customer(key, country="DE")
    scene.event("ada", "signed.up")
    scene.run()
    scene.now += timedelta(days=2)
    for key in ("ada", "bob"):
        scene.customer(key, country="FR")
    scene.now += timedelta(days=60)  # and no pass ran
    clean(scene)
    (ada,) = (row.id for row in rows(scene, tables.customer) if row.key == "ada")
    assert {row.customer_id for row in rows(scene, tables.change)} == {ada}
    scene.run()
    assert [row[1] for row in scene.messages()] == ["gruss"]
    scene.later(days=31)  # what was left behind is looked at once more
    clean(scene)
    assert rows(scene, tables.change) == []


def test_what_failed_or_is_in_doubt_stays_with_its_stay_and_its_receipts(lived: Scene) -> None:
    lived.later(days=60)
    went = next(row for row in rows(lived, tables.message) if row.state == "sent")
    with lived.store.transaction() as connection:
        message = tables.message
        connection.execute(
            message.update().where(message.c.id == went.id).values(state="failed", sent_at=None)
        )
    before = told(lived)
    clean(lived)
    stays = [row.id for row in rows(lived, tables.enrollment)]
    assert stays == [went.enrollment_id]
    assert {row.enrollment_id for row in rows(lived, tables.message)} == {went.enrollment_id}
    assert told(lived) == before


def test_where_a_plan_cannot_be_read_nothing_is_deleted(lived: Scene) -> None:
    lived.later(days=60)
    with lived.store.transaction() as connection:
        connection.execute(tables.journey_version.update().values(plan={"format": 99}))
    with pytest.raises(PlanError, match="What round needs of old rows cannot be told, so none are deleted"):
        clean(lived)
    assert rows(lived, tables.trace)


# --- batch by batch -----------------------------------------------------------------------------------------


def test_a_vacuum_that_is_killed_goes_on_where_it_was(lived: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treue.store.past.sweep.ROWS_A_BATCH", 7)
    lived.later(days=60)
    before = told(lived)
    with lived.store.reading() as connection:
        found = rules(connection, SHORT, [], NOTHING, lived.now, ZONE)

    class Killed(BaseException):
        pass

    def die(table: str, number: int) -> None:
        assert told(lived) == before
        if number > reached[table]:
            reached[table] = number
            raise Killed

    reached, deaths = Counter[str](), 0
    while True:
        try:
            vacuum(lived.store, found, lived.now, die)
            break
        except Killed:
            deaths += 1
    assert deaths > 6
    assert told(lived) == before
    assert rows(lived, tables.enrollment) == []


def test_a_night_later_only_what_has_grown_old_since_is_looked_at(lived: Scene) -> None:
    lived.journeys(
        round=JOURNEY,
        asks="enter: {manual: true, if: {event: order.placed}}\nsteps: [{send: hello, on: email}]\n",
    )
    lived.later(days=60)
    looked = Counter[str]()
    with lived.store.reading() as connection:
        found = rules(connection, SHORT, [], NOTHING, lived.now, ZONE)
    vacuum(lived.store, found, lived.now, lambda table, number: looked.update({table: number}))
    assert looked["event"] > 2
    assert any(row.name == "order.placed" for row in rows(lived, tables.event))
    looked.clear()
    vacuum(lived.store, found, lived.now, lambda table, number: looked.update({table: number}))
    assert not any(looked.values())
    lived.journeys(round=JOURNEY)
    clean(lived)
    assert not any(row.name == "order.placed" for row in rows(lived, tables.event))


# --- beside others ------------------------------------------------------------------------------------------


def test_an_event_told_again_at_the_very_moment_its_row_goes_is_known(lived: Scene) -> None:
    lived.later(days=60)
    (order,) = (row for row in rows(lived, tables.event) if row.key == "order-2")
    with lived.store.reading() as connection:
        found = rules(connection, SHORT, [], NOTHING, lived.now, ZONE)
    clean(lived, replace(SHORT, events=None))
    statuses: list[EventStatus] = []

    def tell() -> None:
        again = EventInput("c2", "order.placed", order.at, {"total": 5}, "order-2")
        with lived.store.transaction() as other:
            statuses.extend(events.record(other, [again], lived.now).statuses)

    teller = threading.Thread(target=tell)
    with lived.store.transaction() as connection:
        events_ = next(one for one in WALKS if one.table is tables.event)
        assert events_.prune(connection, Stretch(tables.event, 0, 10**9), found)["event"]
        teller.start()
        if lived.store.dialect == "postgresql":  # SQLite's other writer cannot even begin
            _wait_until_somebody_waits(lived)
    teller.join()
    assert statuses == [EventStatus.duplicate]
    assert not any(row.key == "order-2" for row in rows(lived, tables.event))


def _wait_until_somebody_waits(scene: Scene) -> None:
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    while True:
        with scene.store.reading() as connection:
            if connection.scalar(waits):
                return
        time.sleep(0.01)


# --- nothing becomes of anybody that would not have ----------------------------------------------------------

BUSY = {
    "asks": """
enter: {event: signed.up, if: {any: [{event: told, within: 5d}, {not: {event: order.placed, within: 9d}}]}, again: 6d}
exit: [{event: told, at_least: 2, since: entry}]
goal: {event: order.placed, within: 4d}
steps:
  - {send: hello, on: email}
  - wait: {for: {event: order.placed}, at_most: 3d, then: [{send: thanks, on: email}]}
  - choose:
      - if: {message: hello, was: sent, within: 8d}
        steps: [{send: gruss, on: email}]
""",
    "carts": """
enter: {event: cart.left, per: cart_id, again: always}
exit: [{event: order.placed, same: cart_id}]
steps:
  - {wait: 2d}
  - choose:
      - if: {sum: order.placed.total, above: 12, within: 7d}
        steps: [{send: salut, on: email}]
  - {emit: told, data: {why: cart}}
""",
    "once": "enter: {event: order.placed, if: {journey: asks, is: finished}}\nsteps: [{send: once, on: email}]\n",
}
DAILY = Retention(*[Duration(days=1)] * 6)


def test_passes_do_the_same_with_old_rows_deleted_every_day(scene: Scene, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'beside.db'}", create=True)
    try:
        both = [scene, Scene(store, tmp_path / "beside")]
        for one in both:
            one.journeys(**BUSY)
        deleted = Counter[str]()
        random_ = random.Random(17)
        for n in range(6):
            for one in both:
                one.customer(f"c{n}")
        for _ in range(45):
            for n in range(6):
                name = random_.choice(["signed.up", "order.placed", "cart.left", "told", ""])
                cart, total = f"k{random_.randrange(3)}", random_.randrange(9)
                for one in both if name else ():
                    one.event(f"c{n}", name, cart_id=cart, total=total, why="", source="")
            for one in both:
                one.later(hours=24)
            deleted.update(clean(scene, DAILY))
        assert all(deleted[name] for name in ("trace", "message", "event", "enrollment"))
        assert sorted(scene.sent()) == sorted(both[1].sent())
        for name in BUSY:
            assert scene.counts(name) == both[1].counts(name)
    finally:
        both[1].delivery.close()
        store.close()
