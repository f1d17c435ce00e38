"""When something is due by itself next: what a virtual clock may jump to without missing anything.

What is due because something happens (events, an edit of a customer) is not foreseen; nor is who joins a segment
or leaves because time goes by: whoever jumps looks regularly as well, where journeys ask for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Connection, Select, select

from treue.engine.dates import next_day
from treue.engine.versions import Version
from treue.model.states import MessageState, Outcome
from treue.model.tables import arrival, enrollment, message


def next_instant(
    connection: Connection, versions: Sequence[Version], now: datetime, zone: str
) -> datetime | None:
    """Return the first instant after `now` at which a pass would find something to do, or None where there is none.

    `zone` is the workspace's. Journeys that are paused do not count. Where nobody's day comes for more than a year,
    a `date` trigger is to be looked at again then.
    """
    found = (next_end(connection, versions, now), next_appointment(connection, versions, now, zone))
    return min((at for at in found if at is not None), default=None)


def next_end(connection: Connection, versions: Sequence[Version], now: datetime) -> datetime | None:
    """Return when after `now` the next wait ends, message is ready or arrival is dealt with, or None."""
    return min(_kept(connection, [version for version in versions if not version.paused], now), default=None)


def next_appointment(
    connection: Connection, versions: Sequence[Version], now: datetime, zone: str
) -> datetime | None:
    """Return the first time after `now` of a live schedule or date trigger, or None; see `next_instant`."""
    running = [version for version in versions if not version.paused]
    return min(_slots(connection, running, now, zone), default=None)


def _kept(connection: Connection, versions: Sequence[Version], now: datetime) -> Iterator[datetime]:
    """Yield when the next wait ends, the next message is ready, the next arrival is dealt with."""
    version_ids = [version.version_id for version in versions]
    journey_ids = sorted({version.journey_id for version in versions})
    inside = _first(enrollment.c.due_at, now).where(
        enrollment.c.outcome == Outcome.inside.value, enrollment.c.version_id.in_(version_ids)
    )
    queued = _first(message.c.ready_at, now).where(
        message.c.state == MessageState.queued.value, message.c.journey_id.in_(journey_ids)
    )
    coming = _first(arrival.c.at, now).where(arrival.c.journey_id.in_(journey_ids))
    for query in (inside, queued, coming):
        if (found := connection.scalar(query)) is not None:
            yield found


def _first(column: Column[datetime], now: datetime) -> Select[Any]:
    return select(column).where(column > now).order_by(column).limit(1)


def _slots(
    connection: Connection, versions: Sequence[Version], now: datetime, zone: str
) -> Iterator[datetime]:
    """Yield the next time of each live schedule and date trigger."""
    for version in versions:
        entry = version.plan.entry
        if version.live and entry.schedule:
            yield _next_slot(entry.schedule, now, zone)
        elif version.live and entry.date:
            yield next_day(connection, version, entry.date, now, zone)


def _next_slot(cron: str, now: datetime, zone: str) -> datetime:
    from cronsim import CronSim

    return next(CronSim(cron, now.astimezone(ZoneInfo(zone)))).astimezone(UTC)
