"""Addresses that several customers have: families, shared company mailboxes, and people who are on record twice."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from treue.model.states import ADDRESS_KEY
from treue.model.tables import customer


@dataclass(frozen=True)
class Shared:
    """How many addresses of a channel have more than one customer, and how many customers these are."""

    addresses: int
    customers: int


def count(connection: Connection) -> dict[str, Shared]:
    """Return, of each channel on which addresses are shared, how many are."""
    found = {channel: on(connection, channel) for channel in ADDRESS_KEY}
    return {channel: shared for channel, shared in found.items() if shared.addresses}


def on(connection: Connection, channel: str) -> Shared:
    """Return how many addresses of a channel are shared."""
    key = customer.c[ADDRESS_KEY[channel]]
    several = (
        select(func.count().label("customers")).where(key.is_not(None)).group_by(key).having(func.count() > 1)
    )
    given = several.subquery("several")
    row = connection.execute(select(func.count(), func.sum(given.c.customers)).select_from(given)).one()
    return Shared(row[0], int(row[1] or 0))
