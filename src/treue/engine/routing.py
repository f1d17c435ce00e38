"""Who is at which journey's door: events, joined segments, schedules, and reasons to leave become arrivals.

Each function is one transaction, or one a batch, and safe to repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    cast,
    delete,
    exists,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from treue.engine.statements import insert_new
from treue.engine.versions import Version
from treue.model.states import ArrivalKind, MessageState, Outcome
from treue.model.tables import arrival, cohort, enrollment, event, journey, membership, message
from treue.model.types import Instant
from treue.segments.sql import Moment, members
from treue.segments.tree import Condition
from treue.store import dialect
from treue.store.store import Store

EVENTS_A_BATCH = 5_000

_waiting = arrival.alias("waiting")

_ARRIVAL = ["journey_id", "customer_id", "kind", "event_id", "at", "detail"]


def route_events(store: Store, versions: Sequence[Version], now: datetime) -> int:
    """Show every event not yet routed to the journeys that react to it; return how many were routed.

    Events are claimed row by row, never by remembering the highest id: a transaction with a lower id may commit
    later. What happened before a journey went live does not concern it.
    """
    wanted = _wanted(versions)
    total = 0
    while routed := _route_batch(store, wanted, now):
        total += routed
    return total


@dataclass
class _Wanted:
    """What one journey reacts to: events that let in, and others that concern only those inside."""

    since: datetime
    entry: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)


def _wanted(versions: Sequence[Version]) -> dict[int, _Wanted]:
    wanted: dict[int, _Wanted] = {}
    for version in versions:
        assert version.live_since is not None
        names = wanted.setdefault(version.journey_id, _Wanted(version.live_since))
        if version.live and version.plan.entry.event:
            names.entry.add(version.plan.entry.event)
        names.inside.update(version.plan.event_names)
    return wanted


def _route_batch(store: Store, wanted: dict[int, _Wanted], now: datetime) -> int:
    with store.transaction() as connection:
        unrouted = (
            select(event.c.id).where(event.c.routed_at.is_(None)).order_by(event.c.id).limit(EVENTS_A_BATCH)
        )
        claim = (
            update(event)
            .values(routed_at=now)
            .where(event.c.id.in_(dialect.claiming(unrouted)))
            .returning(event.c.id)
        )
        ids = sorted(connection.scalars(claim))
        for journey_id, names in wanted.items() if ids else ():
            if names.entry:
                _show(connection, journey_id, ids, names.entry, event.c.at >= names.since)
            if names.inside:
                _show(connection, journey_id, ids, names.inside, _concerned(journey_id))
    return len(ids)


def _show(connection: Connection, journey_id: int, ids: Sequence[int], names: set[str], which: Any) -> None:
    """Let a journey know of events."""
    query = select(
        literal(journey_id, BigInteger),
        event.c.customer_id,
        literal(ArrivalKind.event.value),
        event.c.id,
        event.c.at,
        cast(null(), arrival.c.detail.type),
    ).where(
        dialect.among(connection, event.c.id, ids),
        # `name || ''` keeps SQLite from reading every event of these names: the ids are few.
        (event.c.name + "").in_(sorted(names)),
        which,
    )
    connection.execute(insert_new(connection.dialect.name, arrival, _ARRIVAL, query))


def _concerned(journey_id: int) -> Any:
    """Say whose exits and goals a journey must hear of: who is inside, may still convert, or is at the door."""
    same = and_(enrollment.c.journey_id == journey_id, enrollment.c.customer_id == event.c.customer_id)
    open_window = and_(enrollment.c.outcome == Outcome.finished.value, enrollment.c.convert_by >= event.c.at)
    unsent = exists().where(
        message.c.enrollment_id == enrollment.c.id, message.c.state == MessageState.queued.value
    )
    inside = enrollment.c.outcome == Outcome.inside.value
    stays = exists().where(same, or_(inside, open_window, unsent))
    waits = exists().where(_waiting.c.journey_id == journey_id, _waiting.c.customer_id == event.c.customer_id)
    return or_(stays, waits)


def sense(store: Store, versions: Sequence[Version], now: datetime, zone: str) -> None:
    """Look who has joined a segment, whose schedule has come, and who has a reason to leave."""
    for version in versions:
        entry = version.plan.entry
        if version.live and entry.segment is not None and not version.paused:
            with store.transaction() as connection:
                store.lock(connection, f"journey {version.journey_id}")
                if entry.schedule:
                    _open_schedule(connection, version, now, zone)
                else:
                    _detect_joins(connection, version, now, zone)
        if any(exit_.condition is not None for exit_ in version.plan.exits) and not version.paused:
            with store.transaction() as connection:
                store.lock(connection, f"journey {version.journey_id}")
                _detect_leavers(connection, version, now, zone)


def _gather(connection: Connection, condition: Condition, now: datetime, zone: str) -> None:
    """Put everyone in a segment into the cohort, as their own number twice."""
    found = members(condition, Moment(now, zone), connection.dialect.name).subquery("found")
    connection.execute(delete(cohort))
    columns = select(found.c.customer_id, found.c.customer_id)
    connection.execute(insert(cohort).from_select(["enrollment_id", "customer_id"], columns))


def _detect_joins(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    """Record who has joined since the last look. At the first look everybody in the segment was in it before."""
    assert version.plan.entry.segment is not None
    _gather(connection, version.plan.entry.segment, now, zone)
    mine = membership.c.journey_id == version.journey_id
    first = connection.scalar(select(journey.c.sensed_at).where(journey.c.id == version.journey_id)) is None
    known = select(membership.c.customer_id).where(mine)
    joined = select(literal(version.journey_id, BigInteger), cohort.c.customer_id).where(
        cohort.c.customer_id.not_in(known)
    )
    if not first:
        connection.execute(
            insert(arrival).from_select(
                ["journey_id", "customer_id", "kind", "at"],
                joined.add_columns(literal(ArrivalKind.segment.value), literal(now, Instant)),
            )
        )
    connection.execute(
        delete(membership).where(mine, membership.c.customer_id.not_in(select(cohort.c.customer_id)))
    )
    connection.execute(insert(membership).from_select(["journey_id", "customer_id"], joined))
    connection.execute(update(journey).values(sensed_at=now).where(journey.c.id == version.journey_id))


def last_occurrence(cron: str, after: datetime, until: datetime, zone: str) -> datetime | None:
    """Return the latest time of a cron expression in (`after`, `until`], in UTC, or None.

    A missed run happens once, not once for each slot missed. `cronsim` moves a time that a clock change skips
    to the next valid one, and lets one that occurs twice fire once.
    """
    from cronsim import CronSim

    local = until.astimezone(ZoneInfo(zone))
    backwards = CronSim(cron, local.replace(second=0, microsecond=0), reverse=True)
    candidates = [local.replace(second=0, microsecond=0)] if _matches(cron, local) else [next(backwards)]
    found = candidates[0].astimezone(UTC)
    return found if found > after else None


def _matches(cron: str, local: datetime) -> bool:
    from datetime import timedelta

    from cronsim import CronSim

    minute = local.replace(second=0, microsecond=0)
    before = (minute.astimezone(UTC) - timedelta(minutes=1)).astimezone(minute.tzinfo)
    return next(CronSim(cron, before)).astimezone(UTC) == minute.astimezone(UTC)


def _open_schedule(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    entry = version.plan.entry
    assert entry.schedule
    assert entry.segment is not None
    row = connection.execute(
        select(journey.c.scheduled_until, journey.c.live_since).where(journey.c.id == version.journey_id)
    ).one()
    due = last_occurrence(entry.schedule, row.scheduled_until or row.live_since, now, zone)
    if due is None:
        return
    _gather(connection, entry.segment, now, zone)
    query = select(
        literal(version.journey_id, BigInteger),
        cohort.c.customer_id,
        literal(ArrivalKind.schedule.value),
        literal(due, Instant),
    )
    connection.execute(insert(arrival).from_select(["journey_id", "customer_id", "kind", "at"], query))
    connection.execute(update(journey).values(scheduled_until=due).where(journey.c.id == version.journey_id))


def _detect_leavers(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    inside = (
        select(
            enrollment.c.id.label("enrollment_id"),
            enrollment.c.customer_id,
            enrollment.c.entered_at,
            enrollment.c.event_id,
        )
        .where(enrollment.c.version_id == version.version_id, enrollment.c.outcome == Outcome.inside.value)
        .subquery("inside")
    )
    for exit_ in version.plan.exits:
        if exit_.condition is None:
            continue
        found = members(exit_.condition, Moment(now, zone), connection.dialect.name, inside).subquery(
            "leaving"
        )
        pending = exists().where(
            arrival.c.journey_id == version.journey_id,
            arrival.c.customer_id == found.c.customer_id,
            arrival.c.kind == ArrivalKind.leave.value,
        )
        query = select(
            literal(version.journey_id, BigInteger),
            found.c.customer_id,
            literal(ArrivalKind.leave.value),
            literal(now, Instant),
            literal(exit_.name),
        ).where(~pending)
        connection.execute(
            insert(arrival).from_select(["journey_id", "customer_id", "kind", "at", "detail"], query)
        )


def enroll(connection: Connection, journey_id: int, customer_ids: Sequence[int], now: datetime) -> int:
    """Bring customers to a journey's door by hand; return how many."""
    kind = ArrivalKind.manual.value
    rows = [{"journey_id": journey_id, "customer_id": id_, "kind": kind, "at": now} for id_ in customer_ids]
    if rows:
        connection.execute(insert(arrival), rows)
    return len(rows)
