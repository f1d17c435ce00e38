"""Letting everyone out of a journey: the set-based verb behind `treue stop`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, literal, select, update

from treue.cohorts.trace import note
from treue.model.states import Decision, MessageState, Outcome, Reason
from treue.model.tables import arrival, enrollment, journey, message
from treue.model.types import Instant
from treue.store import journeys, touches
from treue.store.store import Store

STOPPED, NEW_VERSION = "stopped", "new version"
"""The reasons with which those inside leave."""


@dataclass(frozen=True)
class Stopped:
    """How many customers were let out, and how many queued messages were called back."""

    left: int
    called_back: int


def stop(store: Store, name: str, now: datetime) -> Stopped | None:
    """Let everyone out of a journey and let nobody in any more; None where there is no such journey.

    What is queued is called back; a message a worker already has is caught by its last look. The journey is
    also paused, so that publishing the files again does not start it by itself. Safe to repeat.
    """
    with store.transaction() as connection:
        journey_id = journeys.find(connection, name)
        if journey_id is None:
            return None
        store.lock(connection, "journeys", f"journey {journey_id}")
        called_back = _call_back(connection, journey_id, now)
        left = _let_out(connection, journey_id, STOPPED, now)
        connection.execute(delete(arrival).where(arrival.c.journey_id == journey_id))
        journeys.retire(connection, name)
        journeys.pause(connection, name, now)
    return Stopped(left, called_back)


def inside(connection: Connection, name: str) -> int:
    """Return how many customers `stop` would let out of a journey, the holdout among them."""
    stays = (
        select(func.count()).select_from(enrollment).join(journey, journey.c.id == enrollment.c.journey_id)
    )
    query = stays.where(journey.c.name == name, enrollment.c.outcome == Outcome.inside.value)
    return connection.scalar(query) or 0


def let_out(connection: Connection, journey_id: int, but: int, now: datetime) -> int:
    """Let everyone out of a journey who is not in the version `but`; return how many. What is queued is called back."""
    stays = enrollment.c.version_id != but
    of = select(enrollment.c.id).where(
        enrollment.c.journey_id == journey_id, enrollment.c.outcome == Outcome.inside.value, stays
    )
    _call_back(connection, journey_id, now, message.c.enrollment_id.in_(of))
    return _let_out(connection, journey_id, NEW_VERSION, now, stays)


def _let_out(
    connection: Connection, journey_id: int, reason: str, now: datetime, *which: ColumnElement[bool]
) -> int:
    inside = (enrollment.c.journey_id == journey_id, enrollment.c.outcome == Outcome.inside.value, *which)
    exited = note(
        customer=enrollment.c.customer_id,
        journey=enrollment.c.journey_id,
        enrollment=enrollment.c.id,
        step=enrollment.c.step_id,
        at=now,
        decision=Decision.exited,
        reason=reason,
        where=inside,
    )
    connection.execute(exited)
    name = connection.scalar(select(journey.c.name).where(journey.c.id == journey_id))
    connection.execute(
        touches.of_stays(name or "", select(enrollment.c.customer_id, literal(now, Instant)).where(*inside))
    )
    values = {"outcome": Outcome.exited.value, "reason": reason, "left_at": now, "step_id": None}
    return connection.execute(update(enrollment).values(values).where(*inside)).rowcount


def _call_back(connection: Connection, journey_id: int, now: datetime, *which: ColumnElement[bool]) -> int:
    queued = (message.c.journey_id == journey_id, message.c.state == MessageState.queued.value, *which)
    reason = Reason.left_before_send.value
    refused = note(
        customer=message.c.customer_id,
        journey=message.c.journey_id,
        enrollment=message.c.enrollment_id,
        step=message.c.step_id,
        at=now,
        decision=Decision.refused,
        reason=reason,
        where=queued,
    )
    connection.execute(refused)
    values = {"state": MessageState.refused.value, "reason": reason}
    return connection.execute(update(message).values(values).where(*queued)).rowcount
