"""Addresses that nothing is sent to any more.

A suppressed e-mail address is listed in its normal spelling and, where that differs, also in lower case, as
mail systems rarely tell `Ada@` from `ada@`: a look-up by equality finds either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update
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
    *,
    purpose: str = "all",
    expires_at: datetime | None = None,
) -> int:
    """Put addresses on the list and return how many were not on it; the first evidence stands.

    With the purpose `marketing`, transactional messages still go there. What is listed for less, or for a shorter
    time, is listed for more; never the other way round.
    """
    rows = [
        {
            "channel": channel,
            "address": address,
            "reason": reason,
            "since": now,
            "evidence": dict(evidence or {}),
            "purpose": purpose,
            "expires_at": expires_at,
        }
        for address in sorted({s for given in listed for s in spellings(channel, given)})
    ]
    new = dialect.insert_new(connection, suppression, rows, ("channel", "address"), ("address",))
    _widen(connection, rows, purpose, expires_at)
    return len({row.address.lower() if channel == "email" else row.address for row in new})


def expire(connection: Connection, now: datetime) -> int:
    """Take off the list what was on it for a time that is over; return how many."""
    return connection.execute(delete(suppression).where(suppression.c.expires_at <= now)).rowcount


def _widen(
    connection: Connection, rows: list[dict[str, Any]], purpose: str, expires_at: datetime | None
) -> None:
    mine = dialect.among(connection, suppression.c.address, [row["address"] for row in rows])
    listed = (suppression.c.channel == rows[0]["channel"]) & mine if rows else None
    if listed is None:
        return
    if purpose == "all":
        connection.execute(
            update(suppression).where(listed, suppression.c.purpose != "all").values(purpose="all")
        )
    longer: ColumnElement[bool] = suppression.c.expires_at.is_not(None)
    if expires_at is not None:
        longer = longer & (suppression.c.expires_at < expires_at)
    connection.execute(update(suppression).where(listed, longer).values(expires_at=expires_at))


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
