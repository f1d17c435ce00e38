"""Rows that name what is not there are counted: a foreign key watches only what others than the engine write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, select

from treue.model.tables import NAMES, customer, metadata, trace
from treue.store import customers
from treue.store.inputs import CustomerInput
from treue.store.orphans import named, orphans
from treue.store.store import Store

OF_THE_PAST = {"past_message"}
"""Tables that keep the numbers of rows that are gone."""
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def ada(store: Store) -> int:
    with store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("ada", created_at=NOW)], NOW)
        found = connection.scalar(select(customer.c.id))
    assert found is not None
    return found


def _note(connection: Connection, **values: int) -> None:
    connection.execute(insert(trace).values(at=NOW, decision="entered", **values))


def test_what_names_nothing_is_counted_by_table_and_column(store: Store, ada: int) -> None:
    with store.transaction() as connection:
        assert orphans(connection) == {}
        _note(connection, customer_id=ada, journey_id=7)
        _note(connection, customer_id=ada + 1, journey_id=7, enrollment_id=9)
        assert orphans(connection) == {
            "trace.customer_id": 1,
            "trace.journey_id": 2,
            "trace.enrollment_id": 1,
        }


def test_every_column_called_after_a_table_is_checked_by_the_database_or_by_night() -> None:
    checked = {(column.table.name, column.name) for column in named()}
    for table in metadata.sorted_tables:
        for column in table.columns if table.name not in OF_THE_PAST else ():
            target = {"version_id": "journey_version"}.get(column.name, column.name.removesuffix("_id"))
            if column.name.endswith("_id") and target in metadata.tables:
                assert column.foreign_keys or (table.name, column.name) in checked
                assert column.foreign_keys or column.info[NAMES] == f"{target}.id"
