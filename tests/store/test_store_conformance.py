"""Attributes that came before they were declared are brought to their types; what cannot be read so stays and is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from treue.model.tables import change
from treue.segments.unfit import unfit
from treue.store import conformance, customers
from treue.store.conformance import Conformed, conform
from treue.store.inputs import CustomerInput
from treue.store.store import Store

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TYPES = {
    "visits": "number",
    "vip": "bool",
    "birthday": "date",
    "city": "text",
    "tags": "list",
    "email": "text",
}
CAME: dict[str, dict[str, Any]] = {
    "a": {"visits": "12", "vip": "ja", "birthday": "31.12.1990", "city": 1010, "tags": "x;y", "other": "7"},
    "b": {"visits": "1.234,5", "vip": 1, "city": "Graz"},
    "c": {"visits": "many", "vip": "perhaps", "birthday": "soon"},
    "d": {"visits": 4, "vip": True},
}


def _put(store: Store) -> None:
    with store.transaction() as connection:
        rows = [CustomerInput(key, attributes=values) for key, values in CAME.items()]
        customers.upsert(connection, rows, NOW)


def _said(store: Store) -> dict[str, Any]:
    with store.reading() as connection:
        found = {key: customers.find(connection, key) for key in CAME}
    return {key: row["attributes"] for key, row in found.items() if row is not None}


@pytest.mark.parametrize("at_a_time", [1, 5_000])
def test_what_can_be_read_as_its_type_is_brought_over(
    store: Store, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(conformance, "AT_A_TIME", at_a_time)
    _put(store)
    found = conform(store, TYPES, NOW, zone="Europe/Berlin", locale="de")
    assert _said(store) == {
        "a": {
            "visits": 12,
            "vip": True,
            "birthday": "1990-12-31",
            "city": "1010",
            "tags": ["x", "y"],
            "other": "7",
        },
        "b": {"visits": 1234.5, "vip": True, "city": "Graz"},
        "c": CAME["c"],
        "d": CAME["d"],
    }
    assert {name: (one.written, one.left) for name, one in found.items()} == {
        "visits": (2, 1), "vip": (2, 1), "birthday": (1, 1), "city": (1, 0), "tags": (1, 0),
    }  # fmt: skip
    assert found["vip"].reasons == ["customer c: 'perhaps' is neither true nor false."]
    with store.reading() as connection:
        assert [(one.attribute, one.heads) for one in unfit(connection, TYPES)] == [
            ("visits", 1),
            ("vip", 1),
            ("birthday", 1),
        ]
        kept = connection.execute(select(change.c.name, change.c.before).where(change.c.name == "visits"))
        assert {row.before for row in kept} == {"12", "1.234,5"}, "what held before is known"


def test_a_second_time_finds_only_what_stays(store: Store) -> None:
    _put(store)
    conform(store, TYPES, NOW, zone="UTC", locale="de")
    again = conform(store, TYPES, NOW, zone="UTC", locale="de")
    assert {name: (one.written, one.left) for name, one in again.items()} == {
        "visits": (0, 1), "vip": (0, 1), "birthday": (0, 1),
    }  # fmt: skip
    assert conform(store, {"other": "text"}, NOW, zone="UTC", locale="de") == {}


def test_of_many_that_stay_the_first_are_named_and_all_are_counted(store: Store) -> None:
    with store.transaction() as connection:
        rows = [CustomerInput(f"c{n:02}", attributes={"visits": "none"}) for n in range(30)]
        customers.upsert(connection, rows, NOW)
    found = conform(store, TYPES, NOW, zone="UTC", locale="en")["visits"]
    assert isinstance(found, Conformed)
    assert (found.written, found.left, len(found.reasons)) == (0, 30, conformance.NAMED)
