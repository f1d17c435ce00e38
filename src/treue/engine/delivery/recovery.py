"""After a crash: what dead workers had in their hands goes back, is recorded as sent, or is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from treue.clock import utc_now
from treue.engine.delivery import outbox
from treue.engine.delivery.acceptance import Fate, is_dead, is_here, read_log, remove_log
from treue.model.states import Decision, MessageState, Reason
from treue.model.tables import message, trace
from treue.store.store import Store


@dataclass
class Recovered:
    """How many abandoned messages were put back, found sent, found refused, and left in doubt."""

    queued: int = 0
    sent: int = 0
    refused: int = 0
    in_doubt: int = 0


def recover(store: Store, state: Path, now: datetime) -> Recovered:
    """Settle what dead workers, or workers past their lease, left behind.

    A message that was on the wire when its worker died is in doubt: never sent again by itself if it is
    marketing, sent again if it is transactional.
    """
    recovered = Recovered()
    with store.transaction() as connection:
        workers = outbox.claiming_workers(connection)
        dead = [worker for worker in workers if is_dead(worker)]
        living = [worker for worker in workers if is_here(worker) and worker not in dead]
        logs: dict[str, dict[str, Fate] | None] = {}
        for row in outbox.abandoned(connection, dead, living, utc_now()):
            if row.worker not in logs:
                logs[row.worker] = read_log(state, row.worker)
            _settle(connection, row, logs[row.worker], recovered, now)
    for worker in dead:
        remove_log(state, worker)
    return recovered


def _settle(
    connection: Connection, row: Row[Any], log: dict[str, Fate] | None, recovered: Recovered, now: datetime
) -> None:
    fate = log.get(str(row.id)) if log is not None else Fate(">")
    back: dict[str, Any] = {"state": MessageState.queued.value, "lease_until": None}
    if fate is None or fate.sign == "~":
        recovered.queued += 1
        values = back
    elif fate.sign == "+":
        recovered.sent += 1
        values = {"state": MessageState.sent.value, "sent_at": now, "provider_id": fate.text or None}
    elif fate.sign == "-":
        recovered.refused += 1
        values = {
            "state": MessageState.refused.value,
            "reason": Reason.rejected_by_provider.value,
            "detail": fate.text,
        }
    elif row.category == "transactional":
        recovered.queued += 1
        values = back
    else:
        recovered.in_doubt += 1
        values = {"state": MessageState.in_doubt.value, "reason": Reason.in_doubt.value}
    connection.execute(
        update(message).where(message.c.id == row.id).values(lease_until=None).values(**values)
    )
    if values is not back:
        _note(connection, row, values, now)


def _note(connection: Connection, row: Row[Any], values: dict[str, Any], now: datetime) -> None:
    decision = {"sent": Decision.sent, "refused": Decision.refused, "in_doubt": Decision.in_doubt}[
        values["state"]
    ]
    connection.execute(
        insert(trace).values(
            customer_id=row.customer_id,
            journey_id=row.journey_id,
            enrollment_id=row.enrollment_id,
            step_id=row.step_id,
            at=now,
            decision=decision.value,
            reason=values.get("reason"),
            detail={"message": row.id, "channel": row.channel, "template": row.template},
        )
    )
