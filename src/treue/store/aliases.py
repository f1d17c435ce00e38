"""Aliases: the keys of records that were merged into another; whoever names one means the record that goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Subquery, select, union_all

from treue.model.tables import alias, customer
from treue.store import dialect

KEYS = "keys"
"""The lock of what keys mean: shared by who reads it in order to write, alone by who changes it."""


def hold(connection: Connection) -> None:
    """Let keys mean the same records until the transaction ends; before it has hold of any row of a customer or message."""
    dialect.share_lock(connection, KEYS)


def named(connection: Connection, keys: Iterable[str]) -> Subquery:
    """Return the records that these keys name as a table: `key` as given, `id` the customer's number."""
    listed = list(keys)
    own = select(customer.c.key, customer.c.id).where(dialect.among(connection, customer.c.key, listed))
    merged = select(alias.c.key, alias.c.customer_id).where(dialect.among(connection, alias.c.key, listed))
    return union_all(own, merged).subquery("named")


def standing_for(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    """Return of those keys that are aliases the keys of the records that go on."""
    query = (
        select(alias.c.key, customer.c.key.label("record"))
        .join(customer, customer.c.id == alias.c.customer_id)
        .where(dialect.among(connection, alias.c.key, keys))
    )
    return {row.key: row.record for row in connection.execute(query)}


def of(connection: Connection, customer_id: int) -> list[Row[Any]]:
    """Return what was merged into a record: each `key` and when (`merged_at`), the oldest first."""
    query = select(alias.c.key, alias.c.merged_at).where(alias.c.customer_id == customer_id)
    return list(connection.execute(query.order_by(alias.c.merged_at, alias.c.key)))
