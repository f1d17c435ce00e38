"""How many customers an exit concerns that is asked at the door and at each step from now on: what `treue plan` tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, case, exists, func, literal, null, select, type_coerce

from treue.clock import TICK
from treue.cohorts.cohort import asked_of
from treue.model.states import Outcome
from treue.model.tables import LAST, enrollment
from treue.model.types import Instant
from treue.plan.diff import AskedExit, Coming
from treue.plan.plan import Plan
from treue.segments.needs import needs
from treue.segments.sql import Moment, branches, members
from treue.segments.stretch import stretch_end
from treue.segments.tree import All, Condition

RECENTLY = timedelta(days=30)
"""How far back entries lie from which is told whom an exit would turn away."""

_NO_ID = type_coerce(null(), BigInteger)


@dataclass(frozen=True)
class Heads:
    """Counts customers of one journey as of `now`; `target` is the version the new plan is kept as already, if any."""

    connection: Connection
    plan: Plan
    journey_id: int | None
    target: int | None
    now: datetime
    zone: str

    def of(self, exits: Sequence[AskedExit]) -> tuple[AskedExit, ...]:
        """Return the exits with their numbers. Who meets several counts for the first."""
        asked = [one.exit.condition for one in exits if one.exit.condition is not None]
        if not asked:
            return ()
        moment = Moment(self.now, self.zone)
        inside = self._met(asked, moment, self._inside())
        coming: Coming = "segment" if self.plan.entry.trigger.segments() else "recent"
        came = self._met(asked, moment, self._members(moment)) if coming == "segment" else self._recent(asked)
        return tuple(
            replace(one, inside=inside[n], coming=coming, turned_away=came[n], among=came.total())
            for n, one in enumerate(exits)
        )

    def _met(self, asked: Sequence[Condition], moment: Moment, among: Select[Any]) -> Counter[int | None]:
        """Return how many rows meet which condition first, and under None how many none."""
        found = branches(asked, moment, self.connection.dialect.name, among.subquery("among")).subquery()
        query = select(found.c.branch, func.count().label("number")).group_by(found.c.branch)
        return Counter({row.branch: row.number for row in self.connection.execute(query)})

    def _inside(self) -> Select[Any]:
        """Return the stays of those inside on other versions, asked as of now."""
        now = literal(self.now, Instant)
        later = case((enrollment.c.effective_at > now, enrollment.c.effective_at), else_=now)
        inside = enrollment.c.outcome == Outcome.inside.value
        query = select(*asked_of(enrollment, now, later)).where(
            enrollment.c.journey_id == (self.journey_id or 0), inside
        )
        return query if self.target is None else query.where(enrollment.c.version_id != self.target)

    def _members(self, moment: Moment) -> Select[Any]:
        """Return those in the trigger's segments whom `if` and `again` would let in, as if they came now."""
        entry = self.plan.entry
        parts = [condition for _, condition in entry.trigger.segments()]
        if entry.when is not None and not needs(entry.when):
            parts.append(entry.when)
        found = members(All(tuple(parts)), moment, self.connection.dialect.name).subquery("coming")
        been = exists().where(
            enrollment.c.journey_id == (self.journey_id or 0), enrollment.c.customer_id == found.c.customer_id
        )
        if entry.again is not None:
            been = been.where(enrollment.c.outcome == Outcome.inside.value)
        now = literal(self.now, Instant)
        times = [now.label(name) for name in ("at", "effective_at", "entered_at", "entered_effective_at")]
        last = literal(LAST, BigInteger).label("entered_seq")
        return select(found.c.customer_id, *times, last, _NO_ID.label("event_id")).where(~been)

    def _recent(self, asked: Sequence[Condition]) -> Counter[int | None]:
        """Return what those met who entered lately, each asked as of that entry, with the attributes of today."""
        found = Counter[int | None]()
        for since, until in self._stretches(asked):
            these = _entries(self.journey_id or 0, since, until)
            found.update(self._met(asked, Moment(since, self.zone), these))
        return found

    def _stretches(self, asked: Sequence[Condition]) -> Iterator[tuple[datetime, datetime]]:
        since, limit = self.now - RECENTLY, self.now + TICK
        while since < limit:
            until = stretch_end(asked, self.zone, since, limit)
            yield since, until
            since = until


def _entries(journey_id: int, since: datetime, until: datetime) -> Select[Any]:
    """Return the entries from one time to before another, as they were asked at the door."""
    by_event = enrollment.c.event_id.is_not(None)
    columns = asked_of(enrollment, enrollment.c.entered_at, enrollment.c.effective_at)
    last_at = case((by_event, enrollment.c.entered_at), else_=enrollment.c.effective_at)
    last_seq = case((by_event, enrollment.c.seq), else_=literal(LAST, BigInteger))
    return select(*columns, last_at.label("last_at"), last_seq.label("last_seq")).where(
        enrollment.c.journey_id == journey_id,
        enrollment.c.entered_at >= literal(since, Instant),
        enrollment.c.entered_at < literal(until, Instant),
    )
