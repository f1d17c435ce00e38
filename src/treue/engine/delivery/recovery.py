"""After a crash: what dead workers had in their hands goes back, is recorded as sent, or is in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from treue.channel import Receipt, Unknown
from treue.clock import utc_now
from treue.engine.delivery import outbox, policy
from treue.engine.delivery.acceptance import is_dead, is_here, read_log, remove_log
from treue.engine.delivery.consequences import follow
from treue.engine.delivery.keys import message_key
from treue.engine.delivery.outbox import Settled
from treue.model.states import MessageState
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
        workers = outbox.claiming_workers(connection)
        dead = [worker for worker in workers if is_dead(worker)]
        living = [worker for worker in workers if is_here(worker) and worker not in dead]
        logs: dict[str, dict[str, Receipt] | None] = {}
        settled: list[Settled] = []
        for row in outbox.abandoned(connection, dead, living, utc_now()):
            if row.worker not in logs:
                logs[row.worker] = read_log(state, row.worker)
            log = logs[row.worker]
            fate = (
                log.get(message_key(row.id, row.queued_at))
                if log is not None
                else Unknown("Its worker has not been heard of.")
            )
            if fate is None:
                settled.append(policy.abandoned(row, now, row.crashes))
            else:
                settled.append(policy.settled(row, fate, now, (windows or {}).get(row.channel, 0.0)))
        kept = outbox.record(connection, settled, now)
        follow(connection, kept, now)
    for worker in dead:
        remove_log(state, worker)
    return _counted(kept)


def _counted(settled: list[Settled]) -> Recovered:
    counts = Recovered()
    for item in settled:
        name = MessageState.queued if item.state is MessageState.claimed else item.state
        setattr(counts, name.value, getattr(counts, name.value) + 1)
    return counts
