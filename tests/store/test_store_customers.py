"""Customers: created once, merged, with addresses in one spelling and zones that exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from treue.errors import RejectedInput, UsageError
from treue.model.tables import change, event, timezone_offset
from treue.store import consents, customer_view, customers, events, suppressions, zones
from treue.store.inputs import ConsentInput, CustomerInput, EventInput

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def put(store, *rows: CustomerInput, now: datetime = NOW) -> customers.Merged:
    with store.transaction() as connection:
        return customers.merge(connection, rows, now)


def found(store, key: str):
    with store.reading() as connection:
        return customers.find(connection, key)


def test_a_new_customer_has_normal_addresses_and_one_created_event_with_its_source(store):
    put(store, CustomerInput("c1", email=" Ada@Example.COM ", phone="0049 (0)151 / 234-567", source="shop"))
    row = found(store, "c1")
    assert (row["email"], row["phone"]) == ("Ada@example.com", "+49151234567")
    with store.reading() as connection:
        (created,) = connection.execute(select(event)).all()
    assert (created.name, created.properties, created.at) == ("customer.created", {"source": "shop"}, NOW)
    assert created.routed_at is None


def test_upsert_returns_ids_in_the_order_given_and_the_same_ones_again(store):
    rows = [CustomerInput(key) for key in ("c3", "c1", "c2", "c1")]
    with store.transaction() as connection:
        first = customers.upsert(connection, rows, NOW)
        again = customers.upsert(connection, rows, LATER)
    assert first == again
    assert first[1] == first[3]
    assert len(set(first)) == 3


def test_a_second_upsert_merges_shallowly_and_leaves_what_it_does_not_name(store):
    put(
        store,
        CustomerInput("c1", email="a@x.de", attributes={"city": "Köln", "size": {"shoe": 38}, "old": 1}),
    )
    merged = put(store, CustomerInput("c1", phone="+491512345", attributes={"size": {"hat": 5}, "old": None}))
    row = found(store, "c1")
    assert (merged.created, merged.updated) == (0, 1)
    assert (row["email"], row["phone"]) == ("a@x.de", "+491512345")
    assert row["attributes"] == {"city": "Köln", "size": {"hat": 5}}


def test_an_empty_text_removes_an_address(store):
    put(store, CustomerInput("c1", email="a@x.de"))
    put(store, CustomerInput("c1", email=""))
    assert found(store, "c1")["email"] is None


def test_the_same_customer_again_counts_as_neither_created_nor_updated(store):
    row = CustomerInput("c1", email="a@x.de", attributes={"n": 1.5, "vip": True})
    put(store, row)
    merged = put(store, row, now=LATER)
    assert (merged.created, merged.updated) == (0, 0)
    assert found(store, "c1")["updated_at"] == NOW


def test_a_key_named_twice_in_one_bulk_is_one_customer_with_both_merged(store):
    put(store, CustomerInput("c1", attributes={"a": 1}), CustomerInput("c1", attributes={"b": 2}))
    assert found(store, "c1")["attributes"] == {"a": 1, "b": 2}


def test_the_draw_is_a_stable_31_bit_number_of_the_key_alone(store):
    put(store, CustomerInput("c1"))
    assert found(store, "c1")["draw"] == customers.draw("c1") == 2_001_565_077
    assert all(0 <= customers.draw(f"käufer-{n}") < 2**31 - 1 for n in range(1000))


def test_an_unknown_zone_is_left_out_and_said(store):
    merged = put(
        store, CustomerInput("c1", timezone="Europe/Kölln"), CustomerInput("c2", timezone="Europe/Berlin")
    )
    assert found(store, "c1")["timezone"] is None
    assert found(store, "c2")["timezone"] == "Europe/Berlin"
    assert len(merged.notes) == 1
    assert "'Europe/Kölln' of customer 'c1' is unknown" in merged.notes[0]


def test_a_known_zone_brings_its_offsets_once(store):
    put(store, CustomerInput("c1", timezone="Europe/Berlin"))
    put(store, CustomerInput("c2", timezone="Europe/Berlin"))
    with store.transaction() as connection:
        zones.ensure(connection, ["Europe/Berlin", "Mars/Base"])
        rows = connection.execute(select(timezone_offset).order_by(timezone_offset.c.utc_from)).all()
    assert {row.zone for row in rows} == {"Europe/Berlin"}
    assert all(one.utc_until == other.utc_from for one, other in pairwise(rows))
    assert {row.shift for row in rows[-4:]} == {3_600_000_000, 7_200_000_000}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (CustomerInput(""), "id is missing"),
        (CustomerInput("x" * 300), "longer than 255"),
        (CustomerInput("a\x00b"), "cannot be printed"),
        (CustomerInput("c2", email="not an address"), "not an e-mail address"),
        (CustomerInput("c2", email="a@x.de, b@x.de"), "not an e-mail address"),
        (CustomerInput("c2", email="a@x.de\r\nBcc: v@x.de"), "not an e-mail address"),
        (CustomerInput("c2", phone="call me"), "not a telephone number"),
        (CustomerInput("c2", locale="d\x07"), "locale"),
        (CustomerInput("c2", attributes={"a": "x" * 40_000}), "at most 32768"),
        (CustomerInput("c2", attributes={f"a{n}": n for n in range(201)}), "201 values"),
        (CustomerInput("c2", attributes={"a": "zero\x00"}), "NUL"),
        (CustomerInput("c2", attributes={"a": "\ud800"}), "not JSON in UTF-8"),
        (CustomerInput("c2", attributes={"a": float("nan")}), "not JSON"),
        (CustomerInput("c2", attributes={"a": [[[[[[[[1]]]]]]]]}), "deeper than 8"),
    ],
)
def test_what_no_database_or_mail_should_see_is_rejected_with_its_whole_bulk(store, bad, sentence):
    with pytest.raises(RejectedInput, match=sentence):
        put(store, CustomerInput("c1"), bad)
    assert found(store, "c1") is None
    assert customers.problem(bad)
    assert customers.problem(CustomerInput("c1", email="ä@exämple.de")) is None


def test_ensure_creates_only_the_unknown_and_tells_all_ids(store):
    put(store, CustomerInput("c1"))
    with store.transaction() as connection:
        ids = customers.ensure(connection, ["c1", "c2"], LATER)
        assert customers.ids_for_keys(connection, ["c1", "c2", "c3"]) == ids
    assert found(store, "c2")["created_at"] == LATER
    assert found(store, "c1")["created_at"] == NOW


def test_ten_thousand_customers_go_in_and_change_in_one_bulk(store):
    rows = [CustomerInput(f"c{n}", email=f"c{n}@example.com", attributes={"n": n}) for n in range(10_000)]
    assert put(store, *rows).created == 10_000
    changed = [CustomerInput(f"c{n}", attributes={"n": n + 1}) for n in range(10_000)]
    assert put(store, *changed).updated == 10_000
    assert found(store, "c9999")["attributes"] == {"n": 10_000}


def test_a_suppressed_address_is_found_whatever_its_case_and_counted_once(store):
    with store.transaction() as connection:
        assert suppressions.add(connection, "email", ["Ada@X.de"], "bounce", NOW, {"status": "5.1.1"}) == 1
        assert suppressions.add(connection, "email", ["ada@x.de", "Ada@x.DE"], "complaint", LATER) == 0
        assert suppressions.is_suppressed(connection, "email", "ADA@x.de")
        assert not suppressions.is_suppressed(connection, "email", "eda@x.de")
        assert not suppressions.is_suppressed(connection, "sms", "+49151234567")
        suppressions.add(connection, "sms", ["0049 151 234567"], "stop", NOW)
        assert suppressions.is_suppressed(connection, "sms", "+49151234567")
        assert suppressions.remove(connection, "email", "Ada@x.de", NOW)
        assert not suppressions.is_suppressed(connection, "email", "ada@x.de")
    with store.transaction() as connection, pytest.raises(RejectedInput, match="no channel 'fax'"):
        suppressions.add(connection, "fax", ["1"], "x", NOW)


def test_the_view_shows_addresses_consents_with_proof_and_the_newest_events_first(store):
    put(store, CustomerInput("c1", email="ada@x.de", attributes={"first_name": "Ada"}))
    with store.transaction() as connection:
        consents.give(connection, [ConsentInput("c1", "email", source="form", proof={"text": "Ja"})], NOW)
        events.record(connection, [EventInput("c1", "order.placed", LATER, {"total": 19.9}, "o1")], LATER)
        suppressions.add(connection, "email", ["ada@x.de"], "bounce", LATER)
    with store.reading() as connection:
        seen = customer_view.view(connection, "c1")
        capped = customer_view.view(connection, "c1", newest=1)
    assert seen["addresses"] == {
        "email": {"address": "ada@x.de", "shared_with": [], "suppressed": True, "unsubscribed": None}
    }
    assert seen["consents"] == [
        {
            "channel": "email",
            "given": True,
            "basis": "consent",
            "since": "2026-03-01T09:00:00Z",
            "source": "form",
            "proof": {"text": "Ja"},
        }
    ]
    assert [row["event"] for row in seen["timeline"]] == ["order.placed", "consent.given", "customer.created"]
    assert (seen["enrollments"], seen["messages"]) == ([], [])
    assert len(capped["timeline"]) == 1


def test_the_view_of_nobody_says_so(store):
    with store.reading() as connection, pytest.raises(UsageError, match="no customer 'c9'"):
        customer_view.view(connection, "c9")


def test_a_push_token_belongs_to_who_registered_it_last(store):
    """A telephone that changes hands shows nobody the messages of its former owner."""
    put(store, CustomerInput("ada", push_token="phone-1"), CustomerInput("ben", push_token="phone-2"))
    put(store, CustomerInput("eve", push_token="phone-1"), now=LATER)
    assert [found(store, key)["push_token"] for key in ("ada", "ben", "eve")] == [None, "phone-2", "phone-1"]
    with store.reading() as connection:
        lost = connection.execute(
            select(change).where(change.c.customer_id == found(store, "ada")["id"])
        ).one()
    assert (lost.name, lost.before, lost.at) == ("push_token", "phone-1", LATER)


def test_two_customers_who_change_telephones_in_one_batch_each_have_the_others(store):
    put(store, CustomerInput("ada", push_token="phone-1"), CustomerInput("ben", push_token="phone-2"))
    put(store, CustomerInput("ada", push_token="phone-2"), CustomerInput("ben", push_token="phone-1"))
    assert [found(store, key)["push_token"] for key in ("ada", "ben")] == ["phone-2", "phone-1"]


def test_of_a_batch_that_names_a_push_token_twice_the_last_customer_has_it(store):
    put(store, CustomerInput("ada", push_token="phone-1"))
    put(
        store,
        CustomerInput("ada", attributes={"city": "Köln"}),
        CustomerInput("ben", push_token="phone-1"),
        CustomerInput("eve", push_token="phone-1"),
    )
    assert [found(store, key)["push_token"] for key in ("ada", "ben", "eve")] == [None, None, "phone-1"]
    assert found(store, "ada")["attributes"] == {"city": "Köln"}
