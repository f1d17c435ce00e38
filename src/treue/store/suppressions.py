"""Addresses that nothing is sent to any more.

A suppressed e-mail address is listed in its normal spelling and, where that differs, also in lower case, as
mail systems rarely tell `Ada@` from `ada@`: a look-up by equality finds either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.sql import ColumnElement

from treue.errors import RejectedInput
from treue.model.tables import suppression
from treue.store import addresses, dialect


def spellings(channel: str, address: str) -> list[str]:
    """Return how the address is written in the list; raise RejectedInput where it fits the channel not."""
    normalise = addresses.BY_CHANNEL.get(channel)
    if normalise is None:
        known = ", ".join(addresses.BY_CHANNEL)
        raise RejectedInput(f"There is no channel {channel!r} to suppress on; there are {known}.")
    normal = normalise(address)
    return sorted({normal, normal.lower()} if channel == "email" else {normal})


def add(
    connection: Connection,
    channel: str,
    listed: Iterable[str],
    reason: str,
    now: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Put addresses on the list and return how many were not on it; the first evidence stands."""
    rows = [
        {
            "channel": channel,
            "address": address,
            "reason": reason,
            "since": now,
            "evidence": dict(evidence or {}),
        }
        for address in sorted({s for given in listed for s in spellings(channel, given)})
    ]
    new = dialect.insert_new(connection, suppression, rows, ("channel", "address"), ("address",))
    return len({row.address.lower() if channel == "email" else row.address for row in new})


def is_suppressed(connection: Connection, channel: str, address: str) -> bool:
    """Say whether the address is on the list. An address that is none is not."""
    try:
        where = _listed(channel, address)
    except RejectedInput:
        return False
    return connection.execute(select(suppression.c.id).where(where).limit(1)).first() is not None


def remove(connection: Connection, channel: str, address: str) -> bool:
    """Take the address off the list and say whether it was on it."""
    return connection.execute(delete(suppression).where(_listed(channel, address))).rowcount > 0


def _listed(channel: str, address: str) -> ColumnElement[bool]:
    found = suppression.c.address.in_(spellings(channel, address))
    return (suppression.c.channel == channel) & found
