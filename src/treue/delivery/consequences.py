"""What the end of a message means beyond the message: dead addresses, and a channel's hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, update

from treue.clock import HOUR, instant, micros
from treue.delivery.outbox import Settled
from treue.model.states import MessageState
from treue.model.tables import channel_hour, customer
from treue.store import addresses, changes, dialect, sequence, suppressions

PUSH = "push"


def follow(connection: Connection, settled: Sequence[Settled], now: datetime) -> None:
    """Draw the consequences of recorded messages, in the same transaction."""
    for item in sorted(settled, key=lambda item: item.message.address):
        if item.dead and item.message.channel in addresses.BY_CHANNEL:
            evidence = {"message": item.message.id, "said": (item.detail or "")[:200]}
            bury(
                connection,
                item.message.channel,
                item.message.address,
                item.customer_id,
                now,
                evidence,
            )
    taken = Counter(item.message.channel for item in settled if item.state is MessageState.sent)
    dead = Counter(item.message.channel for item in settled if item.dead)
    for channel in sorted(taken | dead):  # last, as receipts do: two could else wait for each other
        count(connection, channel, now, sent=taken[channel] + dead[channel], bounced=dead[channel])


def bury(
    connection: Connection,
    channel: str,
    address: str,
    customer_id: int,
    now: datetime,
    evidence: Mapping[str, Any],
) -> None:
    """Let nothing go to a customer's dead address any more: a push token is forgotten, all others are suppressed."""
    if channel == PUSH:
        same = and_(customer.c.id == customer_id, customer.c.push_token == address)
        gone = {"push_token": None, "push_key": None, "updated_at": now}
        if connection.execute(update(customer).where(same).values(gone)).rowcount:
            said, gone_at = {"push_token": address}, sequence.take()
            told = changes.between(customer_id, said, {"push_token": None}, now, gone_at)
            changes.record(connection, told)
    else:
        suppressions.add(connection, channel, [address], "bounced", now, evidence)


def count(
    connection: Connection,
    channel: str,
    now: datetime,
    *,
    sent: int = 0,
    bounced: int = 0,
    complained: int = 0,
) -> None:
    """Add to the numbers of a channel's hour, which the brakes look at."""
    hour = instant(micros(now) // HOUR * HOUR)
    added = {"sent": sent, "bounced": bounced, "complained": complained}
    dialect.add_up(connection, channel_hour, {"channel": channel, "hour": hour}, added)
