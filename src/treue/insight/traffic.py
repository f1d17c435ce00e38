"""Who has gone which way: the numbers on the arrows of a journey's flowchart, read from the trace and its sums by day.

The holdout walks the same way and is left out. Steps go by their names, over all versions of the journey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from treue.model.states import Decision
from treue.model.tables import enrollment, journey, step, step_day, trace
from treue.store import journeys
from treue.store.journey_counts import INSIDE
from treue.store.past.sums import ACTED, AFTERWARDS, WAY, WENT, WHAT

SKIPPED = Decision.skipped.value
"""What the way past a step is called whose `if` did not hold."""


def traffic(connection: Connection, name: str) -> Mapping[tuple[str, str], int]:
    """Return how many have gone on from each step of a journey, by step and way.

    The way is a branch's or an arm's name, `skipped` past the step, or empty where there is only one way on.
    """
    found, here = _done(connection, name), occupancy(connection, name)
    gone = {
        (at, ""): n - here.get(at, 0) - found[at, WENT, ""]
        for (at, what, _), n in found.items()
        if what == ACTED
    }
    chosen = {
        (at, SKIPPED if what == SKIPPED else way): n
        for (at, what, way), n in found.items()
        if what not in (ACTED, WENT)
    }
    return gone | chosen


def occupancy(connection: Connection, name: str) -> dict[str, int]:
    """Return how many customers are at each step of a journey, over all its versions, the holdout left out.

    Steps are called as in the live version; those it does not have as in the customers' own.
    """
    journey_id = journeys.find(connection, name)
    query = (
        select(enrollment.c.version_id, enrollment.c.step_id, func.count())
        .where(enrollment.c.journey_id == journey_id, INSIDE)
        .group_by(enrollment.c.version_id, enrollment.c.step_id)
    )
    found: dict[str, int] = {}
    if journey_id is not None:
        steps = journeys.steps(connection, journey_id)
        shown = steps.get(journeys.latest(connection, journey_id) or 0, {})
        for version_id, number, customers in connection.execute(query):
            ids = {n: id_ for one in (steps[version_id], shown) for id_, n in one.items()}
            found[ids[number]] = found.get(ids[number], 0) + customers
    return found


def _done(connection: Connection, name: str) -> Counter[tuple[str, str, str]]:
    """Return how many stays have done what at each step (see `store/past/sums.py`), and by which way, the holdout left out."""
    stays = func.count(trace.c.enrollment_id.distinct())
    rows = (
        select(step.c.name, WHAT, WAY, stays)
        .select_from(trace)
        .join(step, step.c.id == trace.c.step_id)
        .join(journey, journey.c.id == trace.c.journey_id)
        .join(enrollment, enrollment.c.id == trace.c.enrollment_id)
        .where(journey.c.name == name, enrollment.c.held_out.is_(False), trace.c.decision.not_in(AFTERWARDS))
        .group_by(step.c.name, WHAT, WAY)
    )
    sums = (
        select(step.c.name, step_day.c.what, step_day.c.way, func.sum(step_day.c.stays))
        .join(step, step.c.id == step_day.c.step_id)
        .join(journey, journey.c.id == step_day.c.journey_id)
        .where(journey.c.name == name, step_day.c.held_out.is_(False))
        .group_by(step.c.name, step_day.c.what, step_day.c.way)
    )
    found = Counter[tuple[str, str, str]]()
    for query in (rows, sums):
        for at, what, way, n in connection.execute(query):
            found[at, what, way] += int(n)
    return found
