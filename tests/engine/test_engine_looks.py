"""Who joins a segment and who has a reason to leave: at the instant of what made it so, however late it is seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from tests.engine.scene import Scene, at
from treue.channel import DeliveryEvent, DeliveryEventKind, Unknown
from treue.delivery import doubts, receipts
from treue.delivery.keys import message_key
from treue.insight.status import standing
from treue.model.tables import arrival, chore, customer, enrollment, journey, membership, message, watch
from treue.store import chores, consents, suppressions
from treue.store.inputs import ConsentInput
from treue.web.metrics import metrics

JOINS = "enter: {segment: %s, again: always}\nsteps: [{send: hello, on: email}]\n"


def entered(scene: Scene) -> list[tuple[str, str]]:
    """Return who has entered, and when by the clock of the workspace."""
    query = (
        select(customer.c.key, enrollment.c.entered_at)
        .join(customer, customer.c.id == enrollment.c.customer_id)
        .order_by(enrollment.c.entered_at)
    )
    with scene.store.reading() as connection:
        return [(row.key, told(row.entered_at)) for row in connection.execute(query)]


def told(moment: object) -> str:
    return f"{moment.astimezone(at('2026-01-01 00:00').tzinfo):%m-%d %H:%M:%S.%f}"  # type: ignore[attr-defined]


def left(scene: Scene) -> list[tuple[str | None, object]]:
    """Return why and when stays ended."""
    with scene.store.reading() as connection:
        query = select(enrollment.c.reason, enrollment.c.left_at).order_by(enrollment.c.id)
        return [(row.reason, row.left_at) for row in connection.execute(query)]


def test_a_join_that_a_late_pass_sees_has_the_instant_of_what_made_it_true(scene: Scene) -> None:
    scene.journeys(hello=JOINS % "germans")
    scene.customer("ada", country="FR")
    scene.run()
    scene.now = at("2026-03-02 11:00")
    scene.customer("ada", country="DE")
    scene.now = at("2026-03-02 12:00")
    scene.customer("ada", country="FR")
    scene.now = at("2026-03-02 13:00")
    scene.customer("ada", country="DE")
    scene.later(hours=9)
    utc = "UTC is an hour behind"
    assert entered(scene) == [("ada", "03-02 10:00:00.000000"), ("ada", "03-02 12:00:00.000000")], utc


def test_a_time_that_runs_out_lets_in_at_that_very_instant(scene: Scene) -> None:
    scene.journeys(hello=JOINS % "lapsed")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=5)
    scene.run()
    scene.later(days=200)
    assert entered(scene) == [("ada", "08-29 08:00:00.000000")], "180 days later on the clock: summer time"


def test_an_order_at_the_very_instant_keeps_from_joining(scene: Scene) -> None:
    scene.journeys(hello=JOINS % "lapsed")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=5)
    scene.run()
    scene.now = at("2026-08-29 10:00")
    scene.event("ada", "order.placed", total=5)
    scene.later(days=1)
    assert entered(scene) == []


def test_an_exit_by_a_condition_has_the_instant_of_what_made_it_true(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: signed.up}\nexit: [{segment: germans}]\nsteps: [{wait: 2d}, {set: {visits: 9}}]"
    )
    scene.customer("ada", country="FR")
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-03 11:00")
    scene.customer("ada", country="DE")
    scene.now = at("2026-03-03 12:00")
    scene.customer("ada", country="FR")
    scene.later(days=3)
    assert left(scene) == [("segment germans", at("2026-03-03 11:00"))]
    assert scene.attribute("ada", "visits") is None


def test_an_exit_by_a_time_that_runs_out_has_that_instant(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: signed.up}\nexit: [{not: {event: order.placed, within: 1d}}]\nsteps: [{wait: 9d}]"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed", total=5)
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 20:00")
    scene.event("ada", "order.placed", total=5)
    scene.later(days=5)
    assert left(scene) == [("condition", at("2026-03-03 20:00"))]


def test_what_happened_between_going_live_and_the_first_pass_lets_in(scene: Scene) -> None:
    scene.customer("old", country="DE")
    scene.customer("new", country="FR")
    scene.now = at("2026-03-02 11:00")
    scene.journeys(hello=JOINS % "germans")
    scene.now = at("2026-03-02 12:00")
    scene.customer("new", country="DE")
    scene.customer("old", country="FR")
    scene.now = at("2026-03-02 13:00")
    scene.customer("old", country="DE")
    scene.later(hours=1)
    assert [key for key, _ in entered(scene)] == ["new", "old"]


REACHED = "enter: {event: signed.up}\nexit: [{not: {reachable: email}}]\nsteps: [{wait: 9d}]"


@pytest.mark.parametrize(
    "how", ["withdrawn", "withdrawn by another of the same mailbox", "listed", "given up"]
)
def test_whatever_ends_that_somebody_is_reached_is_a_touch(scene: Scene, how: str) -> None:
    scene.journeys(hello=REACHED)
    scene.customer("ada", email="home@example.com")
    scene.customer("bob", email="HOME@example.com")
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 11:00")
    with scene.store.transaction() as connection:
        if how == "listed":
            suppressions.add(connection, "email", ["Home@example.com"], "test", scene.now)
        elif how.startswith("withdrawn"):
            who = "bob" if "another" in how else "ada"
            consents.withdraw(connection, [ConsentInput(who, "email", scene.now)], scene.now)
    if how == "given up":
        scene.customer("ada", email="")
    scene.later(hours=9)
    assert left(scene) == [("condition", at("2026-03-02 11:00"))]


def test_an_address_off_the_list_again_is_a_touch(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: signed.up}\nexit: [{reachable: email}]\nsteps: [{wait: 9d}]")
    scene.customer("ada")
    with scene.store.transaction() as connection:
        suppressions.add(
            connection, "email", ["ada@example.com"], "test", scene.now, expires_at=at("2026-03-02 11:00")
        )
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 12:00")
    with scene.store.transaction() as connection:
        assert suppressions.expire(connection, scene.now) == 1
    scene.later(hours=1)
    assert left(scene) == [("condition", at("2026-03-02 12:00"))]


def test_what_another_journey_has_come_to_is_a_touch(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: signed.up}\nsteps: [{wait: 1h}]",
        second="enter: {event: signed.up}\nexit: [{journey: first, is: finished}]\nsteps: [{wait: 9d}]",
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.later(days=1)
    assert ("condition", at("2026-03-02 11:00")) in left(scene)


def test_what_became_of_a_message_is_a_touch(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: signed.up}\nsteps: [{send: hello, on: email}]",
        second="enter: {event: signed.up}\nexit: [{message: hello, was: sent}]\nsteps: [{wait: 9d}]",
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    assert ("condition", scene.now) in left(scene)


FAILED = "enter: {event: signed.up}\nexit: [{not: {message: hello, was: failed}}]\nsteps: [{wait: 9d}]"


def test_a_failed_message_that_is_to_go_again_is_a_touch(scene: Scene) -> None:
    scene.journeys(first="enter: {event: order.placed}\nsteps: [{send: hello, on: email}]", second=FAILED)
    scene.customer("ada")
    scene.event("ada", "order.placed", total=5)
    scene.run()
    with scene.store.transaction() as connection:
        failed = {"state": "failed", "failed_at": scene.now, "sent_at": None}
        connection.execute(update(message).values(failed))
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 12:00")
    with scene.store.transaction() as connection:
        assert doubts.retry(connection, scene.now) == 1
    scene.later(hours=1)
    assert ("condition", at("2026-03-02 12:00")) in left(scene)


def test_a_message_that_was_heard_of_before_it_was_in_doubt_is_a_touch(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: order.placed}\nsteps: [{send: hello, on: email}]",
        second="enter: {event: order.placed}\nexit: [{message: hello, was: sent}]\nsteps: [{wait: 9d}]",
    )
    sink, took = scene.channels["email"], scene.channels["email"].send

    def heard_first(batch: Any, progress: Any) -> Any:
        with scene.store.transaction() as connection:
            told = DeliveryEvent("1", DeliveryEventKind.accepted, scene.now, key=batch[0].key)
            receipts.take(connection, "email", [told], scene.now)
            connection.execute(delete(arrival))  # another worker's pass has looked meanwhile
        return took(batch, progress)

    sink.answers, sink.send = [Unknown("the answer was lost")], heard_first  # type: ignore[method-assign]
    scene.customer("ada")
    scene.event("ada", "order.placed", total=5)
    scene.run()
    assert ("condition", scene.now) in left(scene)


def test_what_becomes_of_a_message_is_a_touch_of_whoever_would_have_got_its_copy(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: order.placed}\nsteps: [{send: hello, on: email}]",
        second="enter: {event: order.placed}\nexit: [{message: hello, was: clicked}]\nsteps: [{wait: 9d}]",
    )
    for key in ("ada", "bob"):
        scene.customer(key, email="home@example.com")
        scene.event(key, "order.placed", total=5)
    scene.run()
    scene.now = at("2026-03-02 12:00")
    with scene.store.transaction() as connection:
        sent = connection.execute(select(message).where(message.c.state == "sent")).one()
        assert connection.scalar(select(message.c.copy_of).where(message.c.state != "sent")) == sent.id
        key = message_key(sent.id, sent.queued_at)
        told = DeliveryEvent("1", DeliveryEventKind.clicked, scene.now, key=key)
        receipts.take(connection, "email", [told], scene.now)
    scene.later(hours=1)
    assert left(scene).count(("condition", at("2026-03-02 12:00"))) == 2


def test_what_a_step_sets_is_a_touch(scene: Scene) -> None:
    scene.journeys(
        first="enter: {event: signed.up}\nsteps: [{wait: 1h}, {set: {country: DE}}]",
        second="enter: {event: signed.up}\nexit: [{segment: germans}]\nsteps: [{wait: 9d}]",
    )
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.later(days=1)
    assert ("segment germans", at("2026-03-02 11:00")) in left(scene)


def test_nothing_comes_to_doors_where_nobody_watches_for_it(scene: Scene) -> None:
    scene.journeys(hello="enter: {event: signed.up}\nexit: [{segment: germans}]\nsteps: [{wait: 9d}]")
    scene.customer("ada", country="FR")
    scene.run()
    scene.customer("ada", country="AT")
    scene.customer("ada", vip=True)
    with scene.store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(arrival)) == 0, "she is not inside"
        assert sorted(connection.scalars(select(watch.c.name))) == ["country", "merged:"]


def test_the_night_compares_repairs_and_counts(scene: Scene) -> None:
    scene.journeys(hello=JOINS % "germans")
    for key in ("ada", "bob", "cem"):
        scene.customer(key, country="DE")
    scene.run()
    with scene.store.transaction() as connection:
        ada = select(customer.c.id).where(customer.c.key == "ada").scalar_subquery()
        connection.execute(delete(membership).where(membership.c.customer_id == ada))
        connection.execute(
            update(customer).values(attributes={"country": "FR"}).where(customer.c.key == "bob")
        )
    scene.later(hours=3)
    assert len(entered(scene)) == 3
    scene.now = at("2026-03-03 03:01")
    scene.run()
    assert len(entered(scene)) == 4
    with scene.store.reading() as connection:
        (one,) = chores.find(connection)
        known = standing(connection, scene.now)
    assert (one.work, one.repaired, one.next_at) == ("segment", 2, at("2026-03-04 03:00"))
    assert known.repaired == {"hello": 2}
    assert any(
        "hello: the last look over everybody found that 2 customers" in note for note in known.health.notes
    )
    assert b'treue_segment_repaired{journey="hello"} 2.0' in metrics(known, {})
    scene.now = at("2026-03-04 03:01")
    scene.run()
    with scene.store.reading() as connection:
        assert [one.repaired for one in chores.find(connection)] == [0]
        assert standing(connection, scene.now).repaired == {}


def test_in_a_backtest_nobody_compares_what_nothing_can_have_changed_unnoticed(scene: Scene) -> None:
    scene.engine.compares = False
    scene.journeys(hello=JOINS % "germans", party=JOINS % "celebrating")
    scene.run()
    scene.now = at("2026-03-03 03:01")
    scene.run()
    with scene.store.reading() as connection:
        names = select(journey.c.name).join(chore, chore.c.journey_id == journey.c.id)
        assert connection.scalars(names).all() == ["party"], "time changes that at no instant known before"


def test_a_chore_that_another_worker_has_is_left_to_it_until_its_lease_is_over(scene: Scene) -> None:
    scene.journeys(hello=JOINS % "celebrating")
    scene.customer("ada", birthday="1990-06-04")
    scene.run()
    scene.now = at("2026-03-02 10:01")
    with scene.store.transaction() as connection:
        lease = {"next_at": scene.now, "lease_until": scene.now + timedelta(minutes=5)}
        connection.execute(update(chore).values(lease))
        connection.execute(update(customer).values(attributes={"birthday": "1990-03-03"}))
    scene.run()
    assert entered(scene) == []
    scene.later(minutes=5)
    assert [key for key, _ in entered(scene)] == ["ada"]
    with scene.store.reading() as connection:
        (one,) = chores.find(connection)
    assert one.done_at == scene.now


def test_who_is_moved_to_a_new_version_is_looked_at_for_its_exits(scene: Scene) -> None:
    old = "enter: {event: signed.up}\nsteps: [{id: rest, wait: 9d}]"
    scene.journeys(hello=old)
    scene.customer("ada", country="DE")
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 11:00")
    scene.apply(scene.files(migrate=True, hello=f"exit: [{{segment: germans}}]\n{old}"))
    scene.later(hours=1)
    assert left(scene) == [("segment germans", at("2026-03-02 11:00"))]


WAITS = "enter: {event: signed.up}\nsteps: [{wait: {for: %s, at_most: 9d, then: [{set: {visits: 1}}]}}]"


@pytest.mark.parametrize(
    ("condition", "when"),
    [
        ("{attribute: vip, is: true}", "2026-03-03 11:00"),
        ("{not: {consent: email}}", "2026-03-03 13:00"),
        ("{not: {event: order.placed, within: 1d, since: entry}}", "2026-03-02 10:00"),
        ("{event: order.placed, last: {before: 2d ago}}", "2026-03-04 14:00"),
    ],
)
def test_a_wait_for_more_than_events_ends_at_the_instant_of_what_ends_it(
    scene: Scene, condition: str, when: str
) -> None:
    scene.journeys(hello=WAITS % condition)
    scene.customer("ada")
    scene.event("ada", "signed.up")
    scene.run()
    scene.now = at("2026-03-02 14:00")
    scene.event("ada", "order.placed")
    scene.now = at("2026-03-03 11:00")
    scene.customer("ada", vip=True)
    scene.now = at("2026-03-03 13:00")
    with scene.store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("ada", "email", scene.now)], scene.now)
    scene.later(days=4)
    with scene.store.reading() as connection:
        (ended,) = connection.scalars(select(enrollment.c.left_at))
    assert abs(ended - at(when)) <= timedelta(microseconds=1)


def test_a_journey_that_watches_its_own_stays_is_told_of_each_once(scene: Scene) -> None:
    steps = "steps: [{wait: 1d}, {send: hello, on: email}]"
    scene.journeys(
        hello=f"enter: {{event: order.placed}}\nexit: [{{journey: hello, is: converted}}]\n{steps}\n"
    )
    scene.customer("ada")
    scene.event("ada", "order.placed")
    assert scene.run().arrivals == 2  # the order, and that she has come in
    scene.later(days=1)
    assert scene.templates() == ["hello"]
