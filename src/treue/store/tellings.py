"""As of when sources have told of customers: deliveries come in any order, and what is older changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, case, select

from treue.model.tables import telling
from treue.store import dialect

Told = tuple[int, str]
"""A customer's number, and the name of the source that tells of them."""


def outdated(connection: Connection, coming: Mapping[Told, datetime]) -> set[Told]:
    """Return those of what comes, with the times as of which it is told, that are older than what is known."""
    if not coming:
        return set()
    mine = dialect.among(connection, telling.c.customer_id, {customer_id for customer_id, _ in coming})
    query = select(telling.c.customer_id, telling.c.source, telling.c.as_of).where(mine)
    known = {(row.customer_id, row.source): row.as_of for row in connection.execute(query)}
    return {told for told, as_of in coming.items() if told in known and as_of < known[told]}


def keep(connection: Connection, told: Mapping[Told, datetime]) -> None:
    """Remember as of when sources have told of customers, each the latest time."""
    rows = [
        {"customer_id": customer_id, "source": source, "as_of": as_of}
        for (customer_id, source), as_of in sorted(told.items())
    ]
    for start in range(0, len(rows), dialect.BATCH):
        statement = dialect.insert_rows(connection, telling, rows[start : start + dialect.BATCH])
        given = statement.excluded.as_of
        latest = case((given > telling.c.as_of, given), else_=telling.c.as_of)
        key = ["customer_id", "source"]
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_={"as_of": latest}))
