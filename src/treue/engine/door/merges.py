"""Merging two records of one person while journeys run.

What the one did since the other's stays began, which would have ended them, ends them now: to journeys, both have been one
person all along, heard of as such at the instant of the merge. All that journeys watch is asked anew as of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, Executable, and_, exc, literal, or_, select

from treue.cohorts.cohort import insert_new
from treue.engine.door.entries import ARRIVAL_OF_EVENT, ending_events, is_since_entry
from treue.engine.versions.versions import Version, Versions
from treue.model.states import ArrivalKind, Outcome
from treue.model.tables import arrival, enrollment, event
from treue.model.types import Instant
from treue.store import merging
from treue.store.event_identity import JOURNEY
from treue.store.merging import Merging
from treue.store.seclusion import seclude
from treue.store.store import Store

_TRIES = 5
_DEADLOCK = "40P01"


def merge(store: Store, kept: str, merged: str, now: datetime) -> Merging | None:
    """Merge one record into another, in a transaction of its own; return what that was, None where it had been done before.

    Whoever shows an event that came just now to journeys may have hold of it and wait for what we have: PostgreSQL then
    ends one of both, and we begin anew. Raises RejectedInput where these are not two records.
    """
    for left in reversed(range(_TRIES)):
        try:
            with store.transaction() as connection:
                return _merge(connection, kept, merged, now)
        except exc.OperationalError as error:
            if not left or getattr(error.orig, "sqlstate", None) != _DEADLOCK:
                raise
    raise AssertionError("the last try returns or raises")


def _merge(connection: Connection, kept: str, merged: str, now: datetime) -> Merging | None:
    seclude(connection, [kept, merged])
    found = merging.outlook(connection, kept, merged)
    if found is not None:
        _end_by_what_the_other_did(connection, found, Versions().load(connection), now)
        merging.carry_out(connection, found, now)
    return found


def _end_by_what_the_other_did(
    connection: Connection, found: Merging, versions: Sequence[Version], now: datetime
) -> None:
    """Bring to the doors of journeys what one of both did since the other's stay began and that may end it."""
    for version in versions:
        if ending_events(version):
            connection.execute(_telling(connection.dialect.name, version, found, now))


def _telling(dialect: str, version: Version, found: Merging, now: datetime) -> Executable:
    one, other = found.kept["id"], found.merged["id"]
    open_window = and_(enrollment.c.outcome == Outcome.finished.value, enrollment.c.convert_by >= event.c.at)
    query = (
        select(
            literal(version.journey_id, BigInteger),
            literal(one, BigInteger),
            literal(ArrivalKind.known.value),
            event.c.id,
            event.c.at,
            literal(now, Instant),
            event.c.seq,
            event.c.source.startswith(JOURNEY),
        )
        .join(enrollment, enrollment.c.customer_id != event.c.customer_id)
        .where(
            event.c.customer_id.in_((one, other)),
            enrollment.c.customer_id.in_((one, other)),
            event.c.name.in_(sorted(ending_events(version))),
            enrollment.c.journey_id == version.journey_id,
            enrollment.c.version_id == version.version_id,
            or_(enrollment.c.outcome == Outcome.inside.value, open_window),
            is_since_entry(),
        )
    )
    return insert_new(dialect, arrival, ARRIVAL_OF_EVENT, query)
