"""Addresses that nothing is sent to any more, in whatever spelling somebody has them: they are listed by their key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.sql import ColumnElement

from treue.errors import RejectedInput
from treue.model.tables import suppression
from treue.segments.touch import SUPPRESSION
from treue.store import addresses, dialect, touches


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
    keys = sorted({addresses.key_of(channel, given) for given in listed})
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
        for address in keys
    ]
    new = dialect.insert_new(connection, suppression, rows, ("channel", "address"), ("address",))
    _widen(connection, rows, purpose, expires_at)
    touches.of_addresses(connection, SUPPRESSION + channel, channel, keys, now)
    return len(new)


def expire(connection: Connection, now: datetime) -> int:
    """Take off the list what was on it for a time that is over; return how many."""
    over = delete(suppression).where(suppression.c.expires_at <= now)
    gone = connection.execute(over.returning(suppression.c.channel, suppression.c.address)).all()
    for channel in sorted({row.channel for row in gone}):
        keys = [row.address for row in gone if row.channel == channel]
        touches.of_addresses(connection, SUPPRESSION + channel, channel, keys, now)
    return len(gone)


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


def remove(connection: Connection, channel: str, address: str, now: datetime) -> bool:
    """Take the address off the list and say whether it was on it."""
    found = connection.execute(delete(suppression).where(_listed(channel, address))).rowcount > 0
    if found:
        key = addresses.key_of(channel, address)
        touches.of_addresses(connection, SUPPRESSION + channel, channel, [key], now)
    return found


def _listed(channel: str, address: str) -> ColumnElement[bool]:
    return (suppression.c.channel == channel) & (suppression.c.address == addresses.key_of(channel, address))
