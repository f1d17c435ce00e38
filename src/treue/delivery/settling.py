"""The end of messages, in one transaction: recorded, with its consequences, and believed where a callback came before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from treue.delivery import mailboxes, outbox
from treue.delivery.consequences import follow
from treue.delivery.outbox import Settled
from treue.delivery.receipts import believe
from treue.model.states import MessageState


def settle(connection: Connection, settled: Sequence[Settled], now: datetime) -> list[Settled]:
    """Record what became of messages; return those that were still the worker's to record."""
    kept = outbox.record(connection, settled, now)
    follow(connection, kept, now)
    believe(connection, [item.message.id for item in kept if item.doubted], now)
    mailboxes.echo(connection, [item.message.id for item in kept], now)
    mailboxes.free(connection, [item.message.id for item in kept if _goes_to_nobody(item)], now)
    return kept


def _goes_to_nobody(item: Settled) -> bool:
    """Say whether a message ends unsent though its address is good: another record's copy of it may go."""
    ended = item.state in (MessageState.refused, MessageState.failed)
    return ended and not item.dead and item.copy_of is None and item.message.doubted_at is None
