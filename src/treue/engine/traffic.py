"""Who has gone which way: the numbers on the arrows of a journey's picture, read from the trace.

The holdout walks the same way and is left out. Steps go by their names, over all versions of the journey.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select

from treue.engine.status import standing
from treue.model.states import Decision
from treue.model.tables import enrollment, journey, step, trace

SKIPPED = "skipped"
"""What the way past a step is called whose `if` did not hold."""

_LEFT = (Decision.exited.value, Decision.converted.value)
_AFTERWARDS = (Decision.sent.value, Decision.failed.value, Decision.in_doubt.value)
_CHOSEN = (Decision.branch.value, Decision.skipped.value)


def traffic(connection: Connection, name: str) -> Mapping[tuple[str, str], int]:
    """Return how many have gone on from each step of a journey, by step and way.

    The way is a branch's or an arm's name, `skipped` past the step, or empty where there is only one way on.
    """
    acted = _by_step(connection, name, trace.c.decision.not_in((*_LEFT, *_AFTERWARDS, *_CHOSEN)))
    left = _by_step(connection, name, trace.c.decision.in_(_LEFT))
    here = standing(connection, name)
    gone = {(at, ""): n - here.get(at, 0) - left.get(at, 0) for at, n in acted.items()}
    return {**gone, **_chosen(connection, name)}


def _by_step(connection: Connection, name: str, which: Any) -> dict[str, int]:
    stays = func.count(trace.c.enrollment_id.distinct())
    query = _rows(select(step.c.name, stays), name).where(which).group_by(step.c.name)
    return {row[0]: row[1] for row in connection.execute(query)}


def _chosen(connection: Connection, name: str) -> dict[tuple[str, str], int]:
    way = trace.c.detail["way"].as_string()
    query = select(step.c.name, trace.c.decision, way, func.count(trace.c.enrollment_id.distinct()))
    query = _rows(query, name).where(trace.c.decision.in_(_CHOSEN))
    found = connection.execute(query.group_by(step.c.name, trace.c.decision, way))
    return {(at, SKIPPED if decision == SKIPPED else taken): n for at, decision, taken, n in found}


def _rows(query: Select[Any], name: str) -> Select[Any]:
    return (
        query.select_from(trace)
        .join(step, step.c.id == trace.c.step_id)
        .join(journey, journey.c.id == trace.c.journey_id)
        .join(enrollment, enrollment.c.id == trace.c.enrollment_id)
        .where(journey.c.name == name, enrollment.c.held_out.is_(False))
    )
