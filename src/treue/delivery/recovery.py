"""After a crash: what dead workers had in their hands goes back, is recorded as sent, or is in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from treue.channel import Receipt, Unknown
from treue.clock import EPOCH as LONG_AGO
from treue.clock import utc_now
from treue.delivery import outbox, policy
from treue.delivery.acceptance import AcceptanceLog, lives, read_log, remove_log
from treue.delivery.keys import message_key
from treue.delivery.outbox import Settled
from treue.delivery.settling import settle
from treue.store import suppressions
from treue.store.store import Store


@dataclass
class Recovered:
    """How many abandoned messages were put back, found sent, found refused, set aside, and left in doubt."""

    queued: int = 0
    sent: int = 0
    refused: int = 0
    failed: int = 0
    in_doubt: int = 0


def recover(
    store: Store, state: Path, now: datetime, windows: Mapping[str, float] | None = None
) -> Recovered:
    """Settle what dead workers, or workers past their lease, left behind.

    A message that was on the wire when its worker died is in doubt, unless a second copy cannot come of sending it
    again: `windows` are the channels' de-duplication windows in seconds.
    """
    with store.transaction() as connection:
        suppressions.expire(connection, now)
        workers = {worker: lives(state, worker) for worker in outbox.claiming_workers(connection)}
        dead = [worker for worker, there in workers.items() if there is False]
        living = [worker for worker, there in workers.items() if there]
        kept = _settled(
            connection, state, outbox.abandoned(connection, dead, living, utc_now()), now, windows
        )
    _remove_logs(store, state, dead)
    return _counted(kept)


def take_back(
    store: Store, state: Path, log: AcceptanceLog, now: datetime, windows: Mapping[str, float] | None = None
) -> Recovered:
    """Settle what a worker that lives still has in its hands, as it was stopped before it could record it.

    Call it for the worker of the same thread, between two batches.
    """
    with store.transaction() as connection:
        rows = outbox.abandoned(connection, [log.worker], [], LONG_AGO)
        kept = _settled(connection, state, rows, now, windows)
    log.forget()
    return _counted(kept)


def _settled(
    connection: Connection,
    state: Path,
    rows: Sequence[Row[Any]],
    now: datetime,
    windows: Mapping[str, float] | None,
) -> list[Settled]:
    logs = {worker: read_log(state, worker) for worker in {row.worker for row in rows}}
    settled = [_fate(row, logs[row.worker], now, (windows or {}).get(row.channel, 0.0)) for row in rows]
    return settle(connection, settled, now)


def _fate(row: Row[Any], log: Mapping[str, Receipt] | None, now: datetime, window: float) -> Settled:
    if log is None:
        return policy.settled(row, Unknown("Its worker has not been heard of."), now, window)
    said = log.get(message_key(row.id, row.queued_at))
    return policy.settled(row, said, now, window) if said else policy.abandoned(row, now, row.crashes)


def _remove_logs(store: Store, state: Path, dead: Sequence[str]) -> None:
    """Remove the logs of the dead but for those that another process is just settling."""
    with store.reading() as connection:
        left = outbox.claiming_workers(connection) if dead else []
    for worker in dead:
        if worker not in left:
            remove_log(state, worker)


def _counted(settled: list[Settled]) -> Recovered:
    counts = Recovered()
    for item in settled:
        setattr(counts, item.state.value, getattr(counts, item.state.value) + 1)
    return counts
