"""Who is due at which step, and who for too long: one answer for all who ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, select

from treue.model.tables import enrollment, journey, journey_version, step
from treue.store import journeys
from treue.store.journey_counts import INSIDE


@dataclass(frozen=True)
class DueStep:
    """A step at which customers are due: how many, how many of them for too long, and since when the first of those.

    In a `paused` journey customers are due, and nobody for too long.
    """

    journey: str
    step: str
    customers: int
    late: int = 0
    since: datetime | None = None
    paused: bool = False


def due_steps(connection: Connection, now: datetime, before: datetime) -> list[DueStep]:
    """Return the steps at which customers are due at `now`, and who of them has been so since before a time.

    Times are logical: whom an event that came late has brought in is late only since that took effect. The cost is that of
    who is due: one look into the index for each version and step.
    """
    late = case(
        (
            and_(
                enrollment.c.due_at < before,
                enrollment.c.effective_at < before,
                journey.c.paused_at.is_(None),
            ),
            enrollment.c.due_at,
        )
    )
    place = (journey.c.name, journey.c.paused_at, journey.c.id, enrollment.c.version_id, enrollment.c.step_id)
    query = (
        select(*place, func.count(), func.count(late), func.min(late))
        .select_from(journey)
        .join(journey_version, journey_version.c.journey_id == journey.c.id)
        .join(step, step.c.journey_id == journey.c.id)
        .join(
            enrollment,
            and_(enrollment.c.version_id == journey_version.c.id, enrollment.c.step_id == step.c.id),
        )
        .where(INSIDE, enrollment.c.due_at <= now)
        .group_by(*place)
        .order_by(journey.c.name, enrollment.c.step_id, enrollment.c.version_id)
    )
    found = dict[tuple[str, str], DueStep]()
    for name, paused_at, journey_id, version_id, number, customers, for_too_long, since in connection.execute(
        query
    ):
        ids = {n: id_ for id_, n in journeys.steps(connection, journey_id)[version_id].items()}
        one = found.get((name, ids[number]), DueStep(name, ids[number], 0, paused=paused_at is not None))
        found[name, ids[number]] = DueStep(
            name,
            ids[number],
            one.customers + customers,
            one.late + for_too_long,
            min((at for at in (one.since, since) if at is not None), default=None),
            one.paused,
        )
    return list(found.values())
