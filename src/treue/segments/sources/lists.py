"""The lists of addresses that speak against writing, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Table

from treue.model.tables import customer
from treue.segments.reach import is_on
from treue.segments.sources.source import Scope


def listed(table: Table, channel: str, scope: Scope) -> Select[Any]:
    """Return the query for the customers whose address on a channel is on a list, and since when."""
    rows = scope.rows(customer.join(table, is_on(table, channel)), customer.c.id)
    return rows.query.add_columns(table.c.since.label("n0")).where(table.c.since <= rows.moment.present)
