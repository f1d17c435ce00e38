"""Events and consents: once for ever, and whatever their order, the same word stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select, update

from treue.errors import RejectedInput
from treue.model.states import EventStatus
from treue.model.tables import consent, customer, event, event_conflict, metadata
from treue.store import consents, customers, events
from treue.store.erasures import Erasures
from treue.store.inputs import ConsentInput, CustomerInput, EventInput

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NEW, SEEN, OTHER = EventStatus.accepted, EventStatus.duplicate, EventStatus.conflict
FACTS = {"sale": "o1", "similar_goods": True, "notice": "Sie können jederzeit widersprechen."}


def record(store, *given: EventInput, now: datetime = NOW, routed: bool = False) -> events.Recorded:
    with store.transaction() as connection:
        return events.record(connection, given, now, routed)


def rows(store, table, *where):
    with store.reading() as connection:
        return connection.execute(select(table).where(*where).order_by(table.c.id)).all()


def standing(store) -> list[tuple[str, bool, str]]:
    return [(row.channel, row.given, row.basis) for row in rows(store, consent)]


def order(total: float, customer: str = "c1", **changed) -> EventInput:
    return replace(EventInput(customer, "order.placed", NOW, {"total": total}, "o1"), **changed)


def test_an_event_seen_before_changes_nothing_in_the_same_bulk_or_a_later_one(store):
    first = record(store, order(1), order(1))
    again = record(store, order(1.0), now=NOW + DAY)
    (kept,) = rows(store, event, event.c.name == "order.placed")
    assert (len(first.new_ids), first.duplicates, again.new_ids, again.duplicates) == (1, 1, [], 1)
    assert (kept.properties, kept.id) == ({"total": 1}, first.new_ids[0])
    assert rows(store, event_conflict) == []


def test_an_id_is_unique_by_source_name_and_customer(store):
    given = [order(1), order(1, name="order.shipped"), order(1, "c2"), order(1, source="shop")]
    assert record(store, *given).statuses == [NEW] * 4
    assert record(store, *reversed(given), now=NOW + DAY).statuses == [SEEN] * 4
    assert len(rows(store, event, event.c.key == "o1")) == 4


def test_an_id_stays_taken_by_the_customers_key_as_first_given_whatever_became_of_it(store):
    record(store, order(1))
    with store.transaction() as connection:
        (other,) = customers.upsert(connection, [CustomerInput("c2")], NOW)
        connection.execute(update(event).where(event.c.key == "o1").values(customer_id=other))
    assert record(store, order(1)).statuses == [SEEN]
    assert record(store, order(1, "c2")).statuses == [NEW]


def test_another_content_under_a_used_id_is_set_aside_whole_and_once(store):
    first = record(store, order(1), order(2))
    later = record(store, order(2), order(3, at=None), order(4, dated=False), order(1), now=NOW + DAY)
    assert (first.statuses, later.statuses) == ([NEW, OTHER], [OTHER, OTHER, OTHER, SEEN])
    assert [row.properties for row in rows(store, event, event.c.key == "o1")] == [{"total": 1}]
    aside = {row.properties["total"]: row for row in rows(store, event_conflict)}
    assert {total: (row.at, row.received_at) for total, row in aside.items()} == {
        2: (NOW, NOW),
        3: (None, NOW + DAY),
        4: (None, NOW + DAY),
    }
    (kept,) = rows(store, event, event.c.key == "o1")
    assert {(row.key, row.scope, row.customer_id, row.name, row.source) for row in aside.values()} == {
        (kept.key, kept.scope, kept.customer_id, kept.name, kept.source)
    }


@pytest.mark.parametrize(
    ("first", "again", "status"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1.0, {"c": 2.0}], "a": 1}, SEEN),
        ({"a": 1}, {"a": True}, OTHER),
        ({"a": 1}, {"a": "1"}, OTHER),
        ({"a": 0.1}, {"a": 0.1000000001}, OTHER),
        ({"a": None}, {}, OTHER),
        ({"a": [1, 2]}, {"a": [2, 1]}, OTHER),
        ({"a": "é"}, {"a": "é"}, SEEN),
        ({"a": 2**53 + 1}, {"a": 2**53}, OTHER),
    ],
)
def test_contents_are_compared_by_what_they_say(store, first, again, status):
    record(store, order(0, properties=first))
    assert record(store, order(0, properties=again)).statuses == [status]


def test_a_time_counts_only_where_the_sender_gave_it(store):
    record(store, order(1, at=None))
    assert record(store, order(1, at=None), now=NOW + DAY).statuses == [SEEN]
    record(store, order(1, "c2", dated=False))
    assert record(store, order(1, "c2", at=NOW - DAY, dated=False)).statuses == [SEEN]
    record(store, order(1, "c3"))
    assert record(store, order(1, "c3", at=NOW - DAY)).statuses == [OTHER]


def test_an_event_from_before_contents_were_kept_is_known_by_its_properties(store):
    record(store, order(1, properties={"total": 2.0, "items": ["é"]}))
    with store.transaction() as connection:
        connection.execute(update(event).values(content=None))
    same = order(1, properties={"items": ["é"], "total": 2}, at=NOW - DAY)
    assert record(store, same, order(1)).statuses == [SEEN, OTHER]


def test_a_withdrawal_counts_even_under_a_used_id_and_a_consent_does_not(store):
    def said(name: str, channel: str) -> EventInput:
        return EventInput("c1", name, NOW, {"channel": channel}, "o1")

    record(store, *(replace(said("consent.given", "sms"), key="o0"), said("consent.withdrawn", "push")))
    later = [said("consent.given", "push"), said("consent.given", "email"), said("consent.withdrawn", "sms")]
    assert record(store, *later, now=NOW + DAY).statuses == [NEW, OTHER, OTHER]
    assert {row.channel: row.given for row in rows(store, consent)} == {"sms": False, "push": False}


def test_a_conflict_goes_with_its_customer(store):
    record(store, order(1), order(2))
    with store.transaction() as connection:
        Erasures(b"secret").erase(connection, "c1", NOW)
    assert rows(store, event_conflict) == []


def test_an_id_from_outside_takes_no_place_of_a_journeys_own_event(store):
    given = [order(1, key="emit:1:2"), order(2, key="emit:1:2", source="journey:welcome")]
    assert record(store, *given).statuses == [NEW, NEW]


def test_ids_of_new_events_come_in_the_order_given(store):
    record(store, EventInput("c1", "a", NOW, key="m"))
    new = record(store, *[EventInput("c1", "a", NOW, key=key) for key in ("z", "m", "a")]).new_ids
    names = {row.id: row.key for row in rows(store, event)}
    assert [names[id_] for id_ in new] == ["z", "a"]


def test_events_without_a_key_are_all_different(store):
    assert len(record(store, *[EventInput("c1", "page.viewed")] * 3).new_ids) == 3


def test_an_unknown_customer_is_created_now_but_from_history_at_the_first_event(store):
    long_ago = NOW - 300 * DAY
    record(store, EventInput("live", "order.placed", long_ago))
    record(
        store,
        EventInput("old", "order.placed", NOW - DAY, source="import"),
        EventInput("old", "order.placed", long_ago, source="import"),
    )
    created = {row.key: row.created_at for row in rows(store, customer)}
    assert created == {"live": NOW, "old": long_ago}
    (told,) = rows(store, event, event.c.key == "treue:customer.created:old")
    assert (told.at, told.properties) == (long_ago, {"source": "import"})


def test_a_new_event_touches_its_customer_and_a_duplicate_does_not(store):
    record(store, EventInput("c1", "a", NOW, key="1"), EventInput("c2", "a", NOW, key="2"))
    record(store, EventInput("c1", "a", NOW, key="3"), EventInput("c2", "a", NOW, key="2"), now=NOW + DAY)
    assert {row.key: row.updated_at for row in rows(store, customer)} == {"c1": NOW + DAY, "c2": NOW}


def test_events_wait_to_be_routed_unless_told_otherwise(store):
    record(store, EventInput("c1", "seen", NOW, key="1"))
    record(store, EventInput("c1", "history", NOW, key="2"), routed=True)
    found = {row.name: row.routed_at for row in rows(store, event, event.c.name != "customer.created")}
    assert found == {"seen": None, "history": NOW}


def test_a_clock_a_little_ahead_means_now_and_one_far_ahead_is_rejected(store):
    record(store, EventInput("c1", "near", NOW + timedelta(minutes=5)))
    assert [row.at for row in rows(store, event, event.c.name == "near")] == [NOW]
    with pytest.raises(RejectedInput, match="lies in the future"):
        record(store, EventInput("c1", "far", NOW + timedelta(minutes=5, seconds=1)))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (EventInput("", "a"), "customer_id is missing"),
        (EventInput("c1", ""), "name is missing"),
        (EventInput("c1", "a", key=""), "id is missing"),
        (EventInput("c1", "a", datetime(2026, 1, 1)), "without a UTC offset"),  # noqa: DTZ001
        (EventInput("c1", "a", properties={"x": "y" * 40_000}), "at most 32768"),
        (EventInput("c1", "consent.given", properties={"channel": "fax"}), "one of email, sms, push"),
        (EventInput("c1", "consent.given", properties={"channel": "sms", "basis": "hope"}), "basis 'hope'"),
    ],
)
def test_a_bulk_with_one_bad_event_is_kept_not_at_all_and_the_event_is_named(store, bad, sentence):
    with pytest.raises(RejectedInput, match=rf"Event 2 of 2: .*{sentence}"):
        record(store, EventInput("c1", "fine"), bad)
    assert rows(store, customer) == []


def test_ten_thousand_events_of_a_thousand_customers_go_in_at_once(store):
    given = [
        EventInput(f"c{n % 1000}", "order.placed", NOW, {"total": n / 10}, f"o{n}") for n in range(10_000)
    ]
    recorded = record(store, *given)
    assert (len(recorded.new_ids), recorded.duplicates) == (10_000, 0)
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(customer)) == 1_000


def test_a_consent_event_from_outside_stands_with_what_it_tells_as_proof(store):
    record(
        store,
        EventInput("c1", "consent.given", NOW, {"channel": "email", "form": "/newsletter"}, "e1", "shop"),
    )
    (row,) = rows(store, consent)
    assert (row.channel, row.given, row.since, row.source) == ("email", True, NOW, "shop")
    assert row.proof == {"form": "/newsletter"}


def test_the_same_event_replayed_does_not_bring_back_a_withdrawn_consent(store):
    given = EventInput("c1", "consent.given", NOW - DAY, {"channel": "email"}, "e1")
    record(store, given)
    with store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("c1", "email")], NOW)
    record(store, given, now=NOW + DAY)
    assert standing(store) == [("email", False, "consent")]


def test_giving_the_same_word_again_records_nothing_and_a_new_proof_is_recorded(store):
    word = ConsentInput("c1", "email", source="form", proof={"text": "Ja"})
    other = ConsentInput("c1", "email", source="form", proof={"text": "Ja, gerne"})
    with store.transaction() as connection:
        assert consents.give(connection, [word], NOW) == 1
        assert consents.give(connection, [word], NOW + DAY) == 0
        assert consents.give(connection, [other], NOW + DAY) == 1
    told = rows(store, event, event.c.name == "consent.given")
    assert [row.properties["proof"]["text"] for row in told] == ["Ja", "Ja, gerne"]


def test_withdrawing_twice_is_one_event_but_a_consent_from_between_does_not_come_back(store):
    with store.transaction() as connection:
        assert consents.withdraw(connection, [ConsentInput("c1", "email")], NOW) == 1
        assert consents.withdraw(connection, [ConsentInput("c1", "email")], NOW + 2 * DAY) == 0
        consents.give(connection, [ConsentInput("c1", "email", NOW + DAY)], NOW + 3 * DAY)
    assert standing(store) == [("email", False, "consent")]
    assert len(rows(store, event, event.c.name == "consent.withdrawn")) == 1


def test_of_two_withdrawals_said_together_the_one_that_is_later_than_the_consent_counts(store):
    with store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("c1")], NOW - 3 * DAY)
        consents.give(connection, [ConsentInput("c1", "email", NOW - DAY)], NOW)
        both = [ConsentInput("c1", "email", NOW), ConsentInput("c1", "email", NOW - 2 * DAY)]
        assert consents.withdraw(connection, both, NOW) == 2
        row = connection.execute(select(consent)).one()
    assert (row.given, row.since) == (False, NOW)


def test_an_older_word_is_kept_as_proof_but_does_not_change_what_stands(store):
    with store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("c1", "email")], NOW)
        assert consents.give(connection, [ConsentInput("c1", "email", NOW - DAY)], NOW) == 1
    assert standing(store) == [("email", False, "consent")]
    assert len(rows(store, event, event.c.name == "consent.given")) == 1


WORDS = [
    ("consent.given", NOW - 3 * DAY, "consent"),
    ("consent.withdrawn", NOW - 2 * DAY, "consent"),
    ("consent.given", NOW - 2 * DAY, "consent"),
    ("consent.given", NOW - DAY, "existing_customer"),
]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_whatever_order_words_arrive_in_the_withdrawal_stands(sqlite_url, order):
    from treue.store.store import Store

    store = Store.open(sqlite_url)
    for number in order:
        name, at, basis = WORDS[number]
        told = {"channel": "email", "basis": basis}
        record(store, EventInput("c1", name, at, told, f"e{number}"))
    assert standing(store) == [("email", False, "consent")]
    store.close()


def test_words_in_one_bulk_and_one_by_one_come_to_the_same(store):
    told = [EventInput("c1", name, at, {"channel": "email", "basis": basis}) for name, at, basis in WORDS]
    record(store, *reversed(told))
    assert standing(store) == [("email", False, "consent")]


def test_an_existing_customer_takes_its_facts_and_never_outranks_an_objection_or_a_consent(store):
    def existing(at: datetime, **proof) -> int:
        with store.transaction() as connection:
            word = ConsentInput("c1", "email", at, "existing_customer", "shop", proof)
            return consents.give(connection, [word], NOW)

    with pytest.raises(RejectedInput, match="lacks similar_goods, notice"):
        existing(NOW, sale="o1")
    existing(NOW, **FACTS)
    assert standing(store) == [("email", True, "existing_customer")]
    with store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("c1", "email", NOW - DAY)], NOW)
    existing(NOW, **FACTS, order="o2")
    assert standing(store) == [("email", False, "consent")]
    with store.transaction() as connection:
        consents.give(connection, [ConsentInput("c1", "email")], NOW)
    existing(NOW, **FACTS, order="o3")
    assert standing(store) == [("email", True, "consent")]


def test_deleting_a_customer_takes_everything_about_them_along(store):
    record(store, EventInput("c1", "consent.given", NOW, {"channel": "sms"}))
    with store.transaction() as connection:
        connection.execute(customer.delete().where(customer.c.key == "c1"))
        left = [
            connection.scalar(select(func.count()).select_from(table)) for table in metadata.sorted_tables
        ]
    assert sum(left) == 0


def test_a_failed_transaction_leaves_nothing(store):
    def fail() -> None:
        with store.transaction() as connection:
            customers.upsert(connection, [CustomerInput("c1")], NOW)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert rows(store, customer) == []
    assert rows(store, event) == []
