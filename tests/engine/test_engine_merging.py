"""Two records of one person become one while journeys run: what goes on, what ends, and that both keys mean one customer."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy import event as sqlalchemy_event

from tests.engine.census import rows_of, wait_until_somebody_waits_for_a_lock
from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind, Outgoing, Progress, Receipt
from treue.delivery import receipts
from treue.delivery.keys import message_key
from treue.engine.door import merges
from treue.errors import RejectedInput
from treue.insight.status import status
from treue.insight.why import CustomerInquiry
from treue.model.tables import (
    NAMES,
    arrival,
    customer,
    enrollment,
    event,
    mailing,
    message,
    metadata,
    past_event,
    past_message,
    trace,
)
from treue.store import aliases, consent_standing, consents, customers, events
from treue.store.erasures import Erasures
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.merging import Merging, outlook
from treue.store.orphans import orphans

ERASURES = Erasures(b"a" * 32)
WELCOME = "enter: {event: order.placed}\nsteps: [{send: hello, on: email}, {wait: 1d}, {send: more, on: email}, {wait: 9d}]"
CART = "enter: {event: cart.left}\nexit: [{event: order.placed}]\nsteps: [{wait: 1d}, {send: come-back, on: email}, {wait: 1d}]"


def _merge(scene: Scene, kept: str = "ada", merged: str = "bob") -> Merging | None:
    return merges.merge(scene.store, kept, merged, scene.now)


def _number(scene: Scene, key: str) -> int:
    with scene.store.reading() as connection:
        return customers.ids_for_keys(connection, [key])[key]


def _two(scene: Scene) -> None:
    for key in ("ada", "bob"):
        scene.customer(key)


def test_of_two_stays_in_one_journey_the_older_goes_on(scene: Scene) -> None:
    scene.journeys(hello=WELCOME)
    _two(scene)
    scene.event("bob", "order.placed", total=1)
    scene.run()
    scene.now += timedelta(hours=2)
    scene.event("ada", "order.placed", total=1)
    scene.run()
    found = _merge(scene)
    assert found is not None
    assert [(one.journey, one.record) for one in found.ending] == [("hello", "ada")]
    assert [row[:3] for row in scene.stays()] == [("ada", "inside", None), ("ada", "exited", "merged")]
    assert scene.counts("hello").exited == {"merged": 1}
    scene.later(days=1)
    assert scene.templates() == ["hello", "hello", "more"], "one goes on, a day after it began"
    with scene.store.reading() as connection:
        told = CustomerInquiry(connection, _number(scene, "bob"), "UTC", scene.now).trail("hello")
    assert [(one.decision, one.reason) for one in told if one.decision in ("merged", "exited")] == [
        ("exited", "merged"),
        ("merged", None),
    ]
    assert "older stay goes on" in next(one.reason_sentence for one in told if one.reason == "merged")


def test_a_message_of_the_stay_that_ends_does_not_go(scene: Scene) -> None:
    scene.journeys(hello=WELCOME)
    _two(scene)
    scene.engine.delivery = None
    for key in ("bob", "ada"):
        scene.event(key, "order.placed", total=1)
        scene.later(hours=1)
    _merge(scene)
    scene.engine.delivery = scene.delivery
    scene.run()
    assert scene.templates() == ["hello"]
    assert [row[3:5] for row in scene.messages()] == [("sent", None), ("refused", "left_before_send")]


def test_what_the_other_record_did_ends_a_stay(scene: Scene) -> None:
    """Who left a cart as one and bought it as the other is not reminded."""
    scene.journeys(cart=CART)
    _two(scene)
    scene.event("ada", "cart.left")
    scene.run()
    scene.now += timedelta(minutes=10)
    scene.event("bob", "order.placed", total=1)
    scene.run()
    _merge(scene)
    scene.later(days=1)
    assert scene.templates() == []
    assert [row[:3] for row in scene.stays()] == [("ada", "exited", "order.placed")]


def test_what_the_other_record_did_before_ends_no_stay(scene: Scene) -> None:
    scene.journeys(cart=CART)
    _two(scene)
    scene.event("bob", "order.placed", total=1)
    scene.now += timedelta(minutes=10)
    scene.event("ada", "cart.left")
    scene.run()
    _merge(scene)
    scene.later(days=1)
    assert scene.templates() == ["come-back"]


def test_who_waits_for_what_the_other_record_has_done_waits_no_longer(scene: Scene) -> None:
    scene.journeys(
        waits="enter: {event: cart.left}\nsteps: [{wait: {for: {event: order.placed}, at_most: 9d, "
        "then: [{send: thanks, on: email}]}}]"
    )
    _two(scene)
    scene.event("ada", "cart.left")
    scene.later(minutes=5)
    scene.event("bob", "order.placed", total=1)
    scene.later(minutes=5)
    _merge(scene)
    scene.run()
    assert scene.templates() == ["thanks"]


@pytest.mark.parametrize("late", [0, 3])
def test_who_is_in_a_segment_only_together_joins_it_at_the_merge(scene: Scene, late: int) -> None:
    scene.journeys(many="enter: {segment: spenders}\nsteps: [{wait: 1d}]")
    _two(scene)
    scene.run()
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", total=20)
    scene.later(hours=1)
    assert scene.counts("many").entered == 0
    merged_at = scene.now
    _merge(scene)
    scene.later(hours=late)
    with scene.store.reading() as connection:
        assert connection.scalars(select(enrollment.c.entered_at)).all() == [merged_at]


def test_who_was_in_the_segment_as_either_does_not_join_it_anew(scene: Scene) -> None:
    scene.journeys(many="enter: {segment: spenders, again: 1h}\nsteps: [{wait: 1d}]")
    _two(scene)
    scene.run()
    scene.event("bob", "order.placed", total=30)
    scene.later(hours=1)
    scene.later(days=2)
    _merge(scene)
    scene.later(hours=1)
    assert scene.counts("many").entered == 1


def test_a_reason_to_leave_that_holds_only_together_ends_the_stay(scene: Scene) -> None:
    scene.journeys(more="enter: {event: cart.left}\nexit: [{segment: spenders}]\nsteps: [{wait: 9d}]")
    _two(scene)
    scene.event("ada", "cart.left")
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", total=20)
    scene.later(hours=1)
    assert scene.stays()[0][1] == "inside"
    _merge(scene)
    scene.later(minutes=1)
    assert scene.stays()[0][1] == "exited"


def test_both_keys_mean_one_customer_from_then_on(scene: Scene) -> None:
    _two(scene)
    scene.event("bob", "order.placed", "o1", total=1)
    _merge(scene)
    again = EventInput("bob", "order.placed", scene.now, {"total": 1}, "o1")
    other = EventInput("bob", "order.placed", scene.now, {"total": 2}, "o1")
    new = EventInput("bob", "order.placed", scene.now, {"total": 2}, "o2")
    with scene.store.transaction() as connection:
        statuses = events.record(connection, [again, other, new], scene.now).statuses
        assert statuses == ["duplicate", "conflict", "accepted"]
        customers.upsert(connection, [CustomerInput("bob", attributes={"vip": True})], scene.now)
        one, two = customers.upsert(connection, [CustomerInput("ada"), CustomerInput("bob")], scene.now)
        assert one == two == customers.ensure(connection, ["bob"], scene.now)["bob"]
        theirs = select(event.c.key).where(event.c.customer_id == one, event.c.name == "order.placed")
        assert set(connection.scalars(theirs)) == {"o1", "o2"}
    assert scene.attribute("ada", "vip") is True
    assert len(scene.store.engine.connect().execute(select(customer)).all()) == 1


def test_a_receipt_for_a_message_of_the_merged_record_reaches_the_other(scene: Scene) -> None:
    scene.journeys(hello=WELCOME)
    _two(scene)
    scene.event("bob", "order.placed", total=1)
    scene.run()
    _merge(scene)
    with scene.store.transaction() as connection:
        row = connection.execute(select(message)).one()
        key = message_key(row.id, row.queued_at)
        said = DeliveryEvent("u1", DeliveryEventKind.unsubscribed, scene.now, key=key)
        receipts.take(connection, "email", [said], scene.now)
    scene.later(days=1)
    assert [row[:4] for row in scene.messages()][1:] == [("ada", "more", "email", "refused")]
    with scene.store.reading() as connection:
        assert not consents_of(connection)["email"]


def test_a_consent_told_again_under_the_merged_key_lifts_no_withdrawal(scene: Scene) -> None:
    """A shop tells a consent with every change of its record; the person has said no since, as the other record."""
    _two(scene)
    said = ConsentInput("bob", "email", scene.now + timedelta(hours=1), source="shop")
    with scene.store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("ada", "email", scene.now)], scene.now)
        consents.give(connection, [said], scene.now + timedelta(hours=1))
    scene.now += timedelta(hours=2)
    _merge(scene)
    scene.now += timedelta(hours=2)
    with scene.store.transaction() as connection:
        undated = ConsentInput("bob", "email", source="import")
        assert consents.untold(connection, [undated]) == []
        consents.give(connection, [said], scene.now)
        consents.give(
            connection, [ConsentInput("bob", "email", said.at, source="shop", proof={"a": 1})], scene.now
        )
        assert not consents_of(connection)["email"]
        consents.give(connection, [ConsentInput("bob", "email", scene.now, source="shop")], scene.now)
        assert consents_of(connection)["email"], "a later word lifts it"


def consents_of(connection: Connection) -> dict[str, bool]:
    standing = consent_standing.standing(connection, customers.ids_for_keys(connection, ["ada"]).values())
    return {channel: row["given"] for (_, channel), row in standing.items()}


def test_a_mail_on_the_wire_is_recorded_with_the_record_that_stays(scene: Scene) -> None:
    scene.journeys(hello=WELCOME)
    _two(scene)
    scene.event("bob", "order.placed", total=1)
    sink, took = scene.channels["email"], scene.channels["email"].send

    def meanwhile(batch: list[Outgoing], progress: Progress) -> list[Receipt]:
        _merge(scene)
        return took(batch, progress)

    sink.send = meanwhile  # type: ignore[assignment, method-assign]
    scene.run()
    assert [row[:4] for row in scene.messages()] == [("ada", "hello", "email", "sent")]
    assert "sent" in scene.decisions("ada")
    with scene.store.reading() as connection:
        assert orphans(connection) == {}


def test_a_search_of_every_table_finds_nothing_of_the_merged_record_but_its_key(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nsteps:\n"
        "- {send: hello, on: email}\n- {set: {vip: true}}\n"
        "- {split: {a: {weight: 1, steps: [{wait: 1d}]}, b: {weight: 1, steps: [{wait: 2d}]}}}\n- {wait: 9d}\n",
        germans="enter: {segment: germans}\nsteps: [{wait: 1d}]",
        many="enter: {segment: spenders}\nsteps: [{wait: 1d}]",
    )
    for key in ("ada", "bob", "cid"):
        scene.customer(key, country="AT")
    scene.run()
    scene.customer("bob", country="DE")
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", f"{key}-1", total=30)
    scene.run()
    bob = _number(scene, "bob")
    _fill_every_table(scene, bob)
    with scene.store.reading() as connection:
        assert rows_of(connection, bob).keys() == _tables(), "the test no longer reaches every table"
        before = {
            table.name: len(connection.execute(select(table)).all()) for table in metadata.sorted_tables
        }
    _merge(scene)
    with scene.store.reading() as connection:
        assert rows_of(connection, bob) == {}
        assert orphans(connection) == {}
        after = {table.name: len(connection.execute(select(table)).all()) for table in metadata.sorted_tables}
        fewer = {name: before[name] - after[name] for name in before if after[name] < before[name]}
        one = {"customer": 1, "consent": 1, "membership": 1, "change": 1}
        assert fewer == one, "what both have is one, and a record that is gone has no past"
        ada = _number(scene, "ada")
        assert rows_of(connection, ada).keys() >= _tables()
    scene.later(minutes=1)
    with scene.store.reading() as connection:
        assert status(connection, scene.now).healthy


def _tables() -> set[str]:
    """Return the tables that say of a row which customer it is about."""
    return {
        table.name
        for table in metadata.sorted_tables
        if table is customer
        or any(
            column.info.get(NAMES) in ("customer.id", "enrollment.id") or column.references(customer.c.id)
            for column in table.columns
        )
    }


def _fill_every_table(scene: Scene, bob: int) -> None:
    """Let a customer have rows in the tables that her journeys have left empty."""
    _merge(scene, "bob", "cid")
    now = scene.now
    with scene.store.transaction() as connection:
        told = EventInput("bob", "order.placed", now, {"total": 31}, "bob-1")
        assert events.record(connection, [told], now).statuses == ["conflict"]
        consents.withdraw(connection, [ConsentInput("bob", "sms", now)], now)
        customers.merge(connection, [CustomerInput("bob", source="crm", as_of=now)], now)
        row = connection.execute(select(message).where(message.c.customer_id == bob)).one()
        said = DeliveryEvent("d1", DeliveryEventKind.delivered, now, key=message_key(row.id, row.queued_at))
        receipts.take(connection, "email", [said], now)
        connection.execute(insert(mailing).values(digest="d", message_id=row.id, customer_id=bob, at=now))
        connection.execute(insert(past_event).values(identity="i", customer_id=bob))
        past = {"enrollment_id": 1, "step_id": 1, "visit": 0, "channel": "email", "template": "old"}
        connection.execute(insert(past_message).values(id=2**40, customer_id=bob, **past))


@pytest.mark.parametrize("order", list(permutations(("ada", "bob", "merge"))))
@pytest.mark.parametrize("passes", ["after each", "late"])
def test_of_one_instant_a_merge_comes_out_the_same_wherever_it_is_given(
    scene: Scene, order: tuple[str, ...], passes: str
) -> None:
    scene.journeys(many="enter: {segment: spenders}\nsteps: [{wait: 1d}, {send: hello, on: email}]")
    _two(scene)
    scene.run()
    scene.now += timedelta(hours=1)
    instant = scene.now
    for what in order:
        if what == "merge":
            _merge(scene)
        else:
            scene.event(what, "order.placed", total=20)
        if passes == "after each":
            scene.run()
    scene.later(hours=3)
    with scene.store.reading() as connection:
        assert connection.scalars(select(enrollment.c.entered_at)).all() == [instant]
    scene.later(days=1)
    assert scene.templates() == ["hello"]


def test_forgetting_under_either_key_forgets_all(scene: Scene) -> None:
    for key in ("ada", "bob", "cid"):
        scene.customer(key)
    _merge(scene, "bob", "cid")
    _merge(scene, "ada", "bob")
    ada = _number(scene, "cid")
    with scene.store.transaction() as connection:
        assert [one.key for one in aliases.of(connection, ada)] == ["bob", "cid"]
        ERASURES.erase(connection, "cid", scene.now)
        assert rows_of(connection, ada) == {}
        assert customers.ids_for_keys(connection, ["ada", "bob", "cid"]) == {}
        assert len(customers.ensure(connection, ["bob"], scene.now)) == 1, "somebody new"


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("ada", "ada"), "'ada' cannot be merged into itself"),
        (("bob", "bob"), "'bob' cannot be merged into itself"),
        (("bob", "ada"), "'bob' was merged into 'ada' before: they are one record, which keeps the id 'ada'"),
        (
            ("cid", "bob"),
            "'bob' was merged into 'ada' before. To bring all of them together, merge 'ada' into 'cid'",
        ),
        (("ada", "eve"), "no customer 'eve'"),
        (("eve", "ada"), "no customer 'eve'"),
    ],
)
def test_what_are_not_two_records_is_refused(scene: Scene, pair: tuple[str, str], said: str) -> None:
    for key in ("ada", "bob", "cid"):
        scene.customer(key)
    assert _merge(scene) is not None
    assert _merge(scene) is None, "a second time changes nothing"
    with pytest.raises(RejectedInput, match=said):
        _merge(scene, *pair)
    assert _merge(scene, "bob", "cid") is not None, "an alias stands for its record"
    with scene.store.reading() as connection:
        assert set(aliases.standing_for(connection, ["bob", "cid"]).items()) == {
            ("bob", "ada"),
            ("cid", "ada"),
        }


def test_it_is_done_wholly_or_not_at_all(scene: Scene) -> None:
    """Whichever statement it dies at, everything is as it was."""
    scene.journeys(hello=WELCOME, many="enter: {segment: spenders}\nsteps: [{wait: 1d}]")
    _two(scene)
    for key in ("ada", "bob"):
        scene.event(key, "order.placed", total=20)
    scene.run()

    def everything() -> str:
        with scene.store.reading() as connection:
            tables = metadata.sorted_tables
            return repr([sorted(map(repr, connection.execute(select(table)))) for table in tables])

    class DiedError(Exception):
        pass

    before, left = everything(), 0

    def dies(*_args: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise DiedError

    sqlalchemy_event.listen(scene.store.engine, "after_cursor_execute", dies)
    try:
        for statement in range(1, 200):
            left = statement
            try:
                _merge(scene)
            except DiedError:
                left = 0
                assert everything() == before, f"statement {statement}"
            else:
                break
    finally:
        sqlalchemy_event.remove(scene.store.engine, "after_cursor_execute", dies)
    assert statement > 20
    assert everything() != before


def test_a_batch_in_hand_is_waited_for(scene: Scene) -> None:
    """PostgreSQL lets both go on at the same time; SQLite has one writer."""
    if scene.store.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    scene.journeys(hello=WELCOME)
    _two(scene)
    scene.event("bob", "order.placed", total=1)
    scene.run()
    with scene.store.reading() as connection:
        stay = connection.execute(select(enrollment)).one()
    merging = threading.Thread(target=_merge, args=(scene,))
    with scene.store.transaction() as batch:
        scene.store.lock(batch, f"journey {stay.journey_id}")
        merging.start()
        wait_until_somebody_waits_for_a_lock(scene)
        values = {"customer_id": stay.customer_id, "journey_id": stay.journey_id, "enrollment_id": stay.id}
        batch.execute(trace.insert().values(**values, at=scene.now, decision="waiting"))
    merging.join(30)
    with scene.store.reading() as connection:
        assert rows_of(connection, stay.customer_id) == {}
        assert orphans(connection) == {}


def test_nothing_is_lost_beside_passes_intake_and_merges_in_circles(scene: Scene) -> None:
    """A worker runs, both keys are posted to, and two people merge the same records in opposite directions."""
    scene.journeys(
        hello="enter: {event: order.placed, again: 1m}\nsteps: [{wait: 1d}]",
        cart=CART,
        many="enter: {segment: spenders}\nsteps: [{wait: 1d}]",
    )
    pairs, posted = [(f"a{n}", f"b{n}") for n in range(5)], 6
    for pair in pairs:
        for key in pair:
            scene.customer(key)
    scene.run()
    failures: list[BaseException] = []
    refusals: list[str] = []

    def in_a_thread(work: object) -> threading.Thread:
        def safely() -> None:
            try:
                work()  # type: ignore[operator]
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=safely)
        thread.start()
        return thread

    def post() -> None:
        for n in range(posted):
            for pair in pairs:
                for key in pair:
                    scene.event(key, "order.placed", f"o{n}", total=1)

    def merge(forwards: bool) -> None:
        for one, other in pairs:
            try:
                merges.merge(scene.store, *((one, other) if forwards else (other, one)), scene.now)
            except RejectedInput as error:
                refusals.append(str(error))

    def work() -> None:
        for _ in range(6):
            scene.run()

    threads = [in_a_thread(one) for one in (post, post, lambda: merge(True), lambda: merge(False), work)]
    for thread in threads:
        thread.join(120)
    assert not failures, failures
    assert len(refusals) == len(pairs), "of both directions, the second one"
    assert all("one record" in text for text in refusals)
    scene.run()
    with scene.store.reading() as connection:
        assert len(connection.execute(select(customer)).all()) == len(pairs)
        orders = connection.execute(select(event.c.id).where(event.c.name == "order.placed")).all()
        assert len(orders) == len(pairs) * 2 * posted
        assert orphans(connection) == {}
        assert connection.execute(select(arrival.c.id).where(arrival.c.kind != "expiry")).all() == []
        ids = customers.ids_for_keys(connection, [key for pair in pairs for key in pair])
        assert all(ids[one] == ids[other] for one, other in pairs)
    assert scene.counts("hello").adds_up


def test_before_it_is_done_it_is_shown(scene: Scene) -> None:
    _two(scene)
    scene.later(hours=1)
    scene.customer("bob", consent="", vip=True)
    scene.event("bob", "order.placed", total=1)
    with scene.store.reading() as connection:
        shown = outlook(connection, "ada", "bob")
    assert shown == _merge(scene)
    assert shown is not None
    assert [(one.name, one.value) for one in shown.values] == [("vip", True)]
    assert (shown.messages, shown.stays) == (0, 0)
