"""When something is due by itself next: what a virtual clock may jump to without missing anything.

What is due because something happens (events, an edit of a customer) is not foreseen; nor is who joins a segment
or leaves because time goes by: whoever jumps looks regularly as well, where journeys ask for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, select

from treue.cohorts.host import host_of
from treue.engine.steps.stages import first_due
from treue.engine.versions.versions import Version
from treue.model.states import MessageState
from treue.model.tables import arrival, message


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
    if (due := first_due(connection, versions, now)) is not None:
        yield due
    journey_ids = sorted({version.journey_id for version in versions})
    queued = _first(message.c.ready_at, now).where(
        message.c.state == MessageState.queued.value, message.c.journey_id.in_(journey_ids)
    )
    coming = _first(arrival.c.effective_at, now).where(arrival.c.journey_id.in_(journey_ids))
    for query in (queued, coming):
        if (found := connection.scalar(query)) is not None:
            yield found


def _first(column: Column[datetime], now: datetime) -> Select[Any]:
    return select(column).where(column > now).order_by(column).limit(1)


def _slots(
    connection: Connection, versions: Sequence[Version], now: datetime, zone: str
) -> Iterator[datetime]:
    """Yield the next time of each live schedule and date trigger."""
    for version in versions:
        trigger = version.plan.entry.trigger
        host = host_of(trigger)
        if version.live and (at := host.next_time(connection, version, trigger, now, zone)) is not None:
            yield at
