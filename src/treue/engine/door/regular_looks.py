"""Regular looks: conditions of those inside that cannot say when time changes their answers, asked of all of them.

What such a look finds takes effect when it finds it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import BigInteger, Connection, Executable, FromClause, exists, insert, literal, select

from treue.cohorts.cohort import asked_of
from treue.cohorts.player import watcher
from treue.cohorts.scene import NOW
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.model.states import ArrivalKind, Outcome
from treue.model.tables import arrival, enrollment
from treue.segments.needs import unforeseen
from treue.segments.sql import Moment, stays
from treue.segments.tree import Condition


def notice(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    """Let those go on who wait for such a condition that has come to hold."""
    for stage, _ in watching(version).waits:
        if watcher(stage).must_be_looked_at(stage):
            watcher(stage).notice(connection, version, stage, now, zone)


def detect_leavers(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    """Bring to the door, to leave, each stay for which such a condition of `exit` holds; the first that does is the reason."""
    for n, (exit_, condition) in enumerate(watching(version).exits):
        if not unforeseen(condition):
            continue
        make = partial(_leaving, version, condition, exit_.name, connection.dialect.name)
        statement, values = version.kept.asking(("leavers", n), [condition], Moment(now, zone), make)
        connection.execute(statement, {"now": now, **values})


def _leaving(version: Version, condition: Condition, reason: str, name: str, moment: Moment) -> Executable:
    found = stays(condition, moment, name, _staying(version)).subquery("leaving")
    query = select(
        literal(version.journey_id, BigInteger),
        found.c.customer_id,
        found.c.enrollment_id,
        literal(ArrivalKind.leave.value),
        NOW,
        literal(reason),
        NOW,
    )
    columns = ["journey_id", "customer_id", "enrollment_id", "kind", "at", "detail", "effective_at"]
    return insert(arrival).from_select(columns, query)


def _staying(version: Version) -> FromClause:
    """Return the stays inside a version, but for those that are at the door to leave."""
    leaves = exists().where(arrival.c.enrollment_id == enrollment.c.id)
    return (
        select(*asked_of(enrollment, NOW, NOW))
        .where(
            enrollment.c.version_id == version.version_id,
            enrollment.c.outcome == Outcome.inside.value,
            ~leaves,
        )
        .subquery("inside")
    )
