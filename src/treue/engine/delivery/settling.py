"""The end of messages, in one transaction: recorded, with its consequences, and believed where a callback came before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from treue.engine.delivery import outbox
from treue.engine.delivery.consequences import follow
from treue.engine.delivery.outbox import Settled
from treue.engine.delivery.receipts import believe


def settle(connection: Connection, settled: Sequence[Settled], now: datetime) -> list[Settled]:
    """Record what became of messages; return those that were still the worker's to record."""
    kept = outbox.record(connection, settled, now)
    follow(connection, kept, now)
    believe(connection, [item.message.id for item in kept if item.doubted], now)
    return kept
