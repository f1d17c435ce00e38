"""Erasing a person: nothing is left but hashes, and those still keep marketing away."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from treue.errors import RejectedInput
from treue.model.tables import forgotten, metadata
from treue.store import consents, customers, events, suppressions
from treue.store.erasures import Erasures
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MARK = "Qwxyzzy"
ERASURES = Erasures(b"a" * 32)


def _ada(store: Store) -> None:
    email = f"{MARK}@example.com"
    with store.transaction() as connection:
        given = CustomerInput(
            MARK, email=email, phone="+4915100000042", attributes={"name": MARK}, created_at=NOW
        )
        customers.upsert(
            connection, [given, CustomerInput("bob", email="bob@example.com", created_at=NOW)], NOW
        )
        customers.upsert(connection, [CustomerInput(MARK, attributes={"name": "Ada"})], NOW)
        consents.give(connection, [ConsentInput(MARK, "email", NOW, proof={"form": MARK})], NOW)
        events.record(connection, [EventInput(MARK, "order.placed", NOW, {"gift": MARK})], NOW)
        suppressions.add(connection, "email", [email], "bounced", NOW, {"said": MARK})


def _everything(store: Store) -> str:
    with store.reading() as connection:
        rows = [connection.execute(select(table)).all() for table in metadata.sorted_tables]
    return repr(rows)


def test_nothing_of_the_person_is_left_in_any_table(store: Store) -> None:
    _ada(store)
    assert MARK in _everything(store)
    with store.transaction() as connection:
        assert ERASURES.erase(connection, MARK, NOW) == 2
    left = _everything(store)
    assert MARK.lower() not in left.lower()
    assert "15100000042" not in left
    assert "bob@example.com" in left


def test_the_hashes_know_the_addresses_again_in_any_spelling_and_for_what(store: Store) -> None:
    _ada(store)
    with store.transaction() as connection:
        assert ERASURES.among(connection, "email", [f"{MARK}@example.com"]) == {}
        ERASURES.erase(connection, MARK, NOW)
        asked = [f"{MARK.upper()}@example.com", "bob@example.com", ""]
        assert ERASURES.among(connection, "email", asked) == {asked[0]: "all"}
        assert ERASURES.among(connection, "sms", ["+4915100000042"]) == {"+4915100000042": "marketing"}
        assert ERASURES.among(connection, "sms", [f"{MARK}@example.com"]) == {}
        assert Erasures(b"b" * 32).among(connection, "sms", ["+4915100000042"]) == {}, (
            "without the key, nothing"
        )
        assert {len(digest) for digest in connection.scalars(select(forgotten.c.digest))} == {64}


def test_nobody_is_erased_by_a_name_that_is_none(store: Store) -> None:
    with store.transaction() as connection, pytest.raises(RejectedInput, match="no customer 'nobody'"):
        ERASURES.erase(connection, "nobody", NOW)


def test_not_even_the_bytes_of_a_sqlite_file_remember_the_person(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    _ada(store)
    with store.transaction() as connection:
        ERASURES.erase(connection, MARK, NOW)
    store.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    files = [one for one in path.parent.iterdir() if one.name.startswith(path.name)]
    assert [one.name for one in files if MARK.encode() in one.read_bytes()] == []


def test_what_nothing_may_reach_stays_so_when_the_person_is_erased_a_second_time(store: Store) -> None:
    _ada(store)
    email = f"{MARK}@example.com"
    for _ in range(2):
        with store.transaction() as connection:
            customers.upsert(connection, [CustomerInput(MARK, email=email, created_at=NOW)], NOW)
            ERASURES.erase(connection, MARK, NOW)
            assert ERASURES.among(connection, "email", [email]) == {email: "all"}
