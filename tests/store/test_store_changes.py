"""What customers' records said before: a row for whatever changes, none for what is new or stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from treue.clock import micros
from treue.delivery.consequences import bury
from treue.model.tables import change, customer, event
from treue.store import consents, customers, events
from treue.store.erasures import Erasures
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOON = NOW + timedelta(hours=3)
EARLIER = NOW - timedelta(days=1)


def put(store: Store, *rows: CustomerInput, now: datetime = NOW) -> None:
    with store.transaction() as connection:
        customers.merge(connection, rows, now)


def show_events(store: Store) -> None:
    """Let nothing be pending of anybody."""
    with store.transaction() as connection:
        connection.execute(update(event).values(routed_at=NOW))


def say(store: Store, given: bool, at: datetime, now: datetime, channel: str = "email") -> None:
    with store.transaction() as connection:
        verb = consents.give if given else consents.withdraw
        verb(connection, [ConsentInput("ada", channel, at)], now)


def told(store: Store, *columns: str) -> list[tuple[Any, ...]]:
    query = select(*(change.c[name] for name in columns)).order_by(change.c.at, change.c.seq, change.c.name)
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_new_customers_have_no_past_and_what_stays_is_no_change(store: Store) -> None:
    row = CustomerInput(
        "ada", email="ada@x.de", locale="de", attributes={"country": "DE", "size": {"shoe": 38}}
    )
    put(store, row)
    show_events(store)
    put(store, row, now=NOON)
    put(store, CustomerInput("ada", attributes={"never": None}), now=NOON)
    say(store, True, EARLIER, NOW)
    assert told(store, "name") == []


def test_what_stays_is_a_change_of_somebody_who_owes_something(store: Store) -> None:
    """A step of hers that is yet to act, at an earlier time, may write another value: the later word must stand."""
    row = CustomerInput("ada", email="ada@x.de", attributes={"country": "DE"})
    put(store, row)
    put(store, row, now=NOON)
    assert told(store, "name", "before", "at") == [("country", "DE", NOON), ("email", "ada@x.de", NOON)]


def test_each_change_keeps_what_the_record_said_and_when_that_ended(store: Store) -> None:
    put(
        store,
        CustomerInput(
            "ada", email="Ada@x.de", timezone="Europe/Berlin", attributes={"country": "DE", "n": 1}
        ),
    )
    changed = {"country": "AT", "n": None, "vip": True, "email": "hidden by the column"}
    put(store, CustomerInput("ada", email="new@x.de", timezone="", attributes=changed), now=NOON)
    assert told(store, "name", "before", "at", "happened_at") == [
        ("country", "DE", NOON, NOON),
        ("email", "Ada@x.de", NOON, NOON),
        ("n", 1, NOON, NOON),
        ("timezone", "Europe/Berlin", NOON, NOON),
        ("vip", None, NOON, NOON),
    ]


def test_of_one_instant_changes_and_events_are_numbered_in_the_order_given(store: Store) -> None:
    put(store, CustomerInput("ada", attributes={"n": 0}))
    for n in (1, 2):
        put(store, CustomerInput("ada", attributes={"n": n}), now=NOON)
        with store.transaction() as connection:
            events.record(connection, [EventInput("ada", f"seen.{n}", NOON)], NOON)
    with store.reading() as connection:
        seen = connection.execute(select(event.c.name, event.c.seq).where(event.c.at == NOON)).all()
    order = [(seq, before) for before, seq in told(store, "before", "seq")] + [
        (row.seq, row.name) for row in seen
    ]
    assert [what for _, what in sorted(order)] == [0, "seen.1", 1, "seen.2"]


def test_a_consent_that_comes_changes_and_goes_keeps_what_stood_before(store: Store) -> None:
    put(store, CustomerInput("ada"))
    say(store, True, NOW + timedelta(hours=1), NOON)
    say(store, True, NOW, NOON)  # older than what stands
    say(store, False, NOON, NOON + timedelta(hours=1))
    stood = {"given": True, "basis": "consent", "since": micros(NOW + timedelta(hours=1))}
    assert told(store, "name", "before", "at", "happened_at") == [
        ("consent:email", None, NOON, NOW + timedelta(hours=1)),
        ("consent:email", stood, NOON + timedelta(hours=1), NOON),
    ]


def test_words_that_come_together_change_what_stands_one_after_the_other_as_their_events_do(
    store: Store,
) -> None:
    put(store, CustomerInput("ada"))
    names = ("consent.withdrawn", "consent.given")
    words = [
        EventInput("ada", name, NOW + timedelta(hours=2 - n), {"channel": "email"})
        for n, name in enumerate(names)
    ]
    with store.transaction() as connection:
        events.record(connection, words, NOON)
        by_seq = dict(
            connection.execute(select(event.c.seq, event.c.name).where(event.c.effective_at == NOON)).all()
        )
    given, withdrawn = sorted(told(store, "happened_at", "seq", "before"))
    assert (by_seq[given[1]], given[2]) == ("consent.given", None)
    assert (by_seq[withdrawn[1]], withdrawn[2]["given"]) == ("consent.withdrawn", True)


def test_a_dead_push_token_that_is_forgotten_is_a_change(store: Store) -> None:
    put(store, CustomerInput("ada", push_token="token-ada"))
    with store.transaction() as connection:
        id_ = connection.scalar(select(customer.c.id))
        for _ in range(2):
            bury(connection, "push", "token-ada", id_, NOON, {})
    assert told(store, "name", "before", "at") == [("push_token", "token-ada", NOON)]


def test_an_erased_person_leaves_no_past_either(store: Store) -> None:
    put(
        store,
        CustomerInput("ada", attributes={"country": "DE"}),
        CustomerInput("ben", attributes={"country": "DE"}),
    )
    put(store, *(CustomerInput(key, attributes={"country": "AT"}) for key in ("ada", "ben")), now=NOON)
    with store.transaction() as connection:
        Erasures(b"a" * 32).erase(connection, "ada", NOON)
    assert told(store, "before") == [("DE",)]


def test_a_history_is_rewritten_without_a_trace(store: Store) -> None:
    put(store, CustomerInput("ada", email="ada@x.de", attributes={"country": "DE", "vip": True}))
    with store.transaction() as connection:
        id_ = connection.scalar(select(customer.c.id))
        customers.rewrite(
            connection, {id_: {"email": "Old@x.de", "phone": "+49151", "country": None, "n": 2}}
        )
        row = customers.find(connection, "ada")
        assert customers.records(connection, [id_]) == {
            id_: {
                "email": "Old@x.de",
                "phone": "+49151",
                "push_token": None,
                "locale": None,
                "timezone": None,
            }
            | {"vip": True, "n": 2}
        }
    assert (row["email_key"], row["updated_at"]) == ("old@x.de", NOW)
    assert told(store, "name") == []
