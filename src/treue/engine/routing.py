"""Who is at which journey's door: events, joined segments, schedules, and reasons to leave become arrivals.

Each function is one transaction, or one a batch, and safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    and_,
    bindparam,
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

from treue.engine import dates
from treue.engine.statements import NOW, insert_new, made_once
from treue.engine.versions import Version
from treue.engine.waiting import must_be_looked_at, notice, waking, watching
from treue.model.states import ArrivalKind, MessageState, Outcome
from treue.model.tables import arrival, cohort, enrollment, event, journey, membership, message
from treue.model.types import Instant
from treue.plan.stages import WaitFor
from treue.segments.needs import event_names
from treue.segments.sql import Moment, members, stays
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
    wanted, waits = _wanted(versions), _waits(versions)
    total, routed = 0, EVENTS_A_BATCH
    while routed == EVENTS_A_BATCH:
        routed = _route_batch(store, wanted, waits, now)
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
        names.inside.update(version.plan.ending_events)
    return wanted


_UNROUTED = select(event.c.id).where(event.c.routed_at.is_(None)).order_by(event.c.id).limit(EVENTS_A_BATCH)
_CLAIM = update(event).values(routed_at=NOW).returning(event.c.id, event.c.name)
_CLAIM = _CLAIM.where(event.c.id.in_(dialect.claiming(_UNROUTED)))

_Waits = list[tuple[Version, WaitFor, frozenset[str]]]


def _waits(versions: Sequence[Version]) -> _Waits:
    """Return the stages that wait for events, with the events' names, in the order in which journeys are locked."""
    found = [
        (version, stage, event_names(stage.condition))
        for version in versions
        for stage in version.plan.stages
        if isinstance(stage, WaitFor)
    ]
    return sorted(found, key=lambda one: (one[0].journey_id, one[0].version_id))


def _route_batch(store: Store, wanted: dict[int, _Wanted], waits: _Waits, now: datetime) -> int:
    with store.transaction() as connection:
        claimed = connection.execute(_CLAIM, {"now": now}).all()
        ids, happened = sorted(row.id for row in claimed), {row.name for row in claimed}
        given = {"ids": dialect.listed(connection, ids)}
        for journey_id, names in wanted.items():
            if names.entry & happened:
                since = {"since": names.since}
                connection.execute(
                    _letting_in(store.dialect, journey_id, *sorted(names.entry)), given | since
                )
            if names.inside & happened:
                connection.execute(_concerning(store.dialect, journey_id, *sorted(names.inside)), given)
        for version, stage, names_waited_for in waits:
            if names_waited_for & happened:
                # Who is just falling asleep must not miss what has happened meanwhile.
                store.lock(connection, f"journey {version.journey_id}")
                connection.execute(waking(version, stage, store.dialect), given)
    return len(ids)


@lru_cache(maxsize=512)
def _letting_in(name: str, journey_id: int, *events: str) -> Executable:
    """Return what brings those events to a journey's door that may let somebody in."""
    return _showing(name, journey_id, events, event.c.at >= bindparam("since", type_=Instant()))


@lru_cache(maxsize=512)
def _concerning(name: str, journey_id: int, *events: str) -> Executable:
    """Return what brings those events to a journey's door that may concern somebody inside."""
    return _showing(name, journey_id, events, _concerned(journey_id))


def _showing(name: str, journey_id: int, events: Sequence[str], which: ColumnElement[bool]) -> Executable:
    query = select(
        literal(journey_id, BigInteger),
        event.c.customer_id,
        literal(ArrivalKind.event.value),
        event.c.id,
        event.c.at,
        cast(null(), arrival.c.detail.type),
    ).where(
        dialect.among_listed(name, event.c.id, "ids"),
        # `name || ''` keeps SQLite from reading every event of these names: the ids are few.
        (event.c.name + "").in_(events),
        which,
    )
    return insert_new(name, arrival, _ARRIVAL, query)


def _concerned(journey_id: int) -> Any:
    """Say whose exits and goals a journey must hear of: who is inside, may still convert, or is at the door."""
    same = and_(enrollment.c.journey_id == journey_id, enrollment.c.customer_id == event.c.customer_id)
    open_window = and_(enrollment.c.outcome == Outcome.finished.value, enrollment.c.convert_by >= event.c.at)
    unsent = exists().where(
        message.c.enrollment_id == enrollment.c.id, message.c.state == MessageState.queued.value
    )
    inside = enrollment.c.outcome == Outcome.inside.value
    staying = exists().where(same, or_(inside, open_window, unsent))
    waits = exists().where(_waiting.c.journey_id == journey_id, _waiting.c.customer_id == event.c.customer_id)
    return or_(staying, waits)


def sense(store: Store, versions: Sequence[Version], now: datetime, zone: str) -> None:
    """Look who has joined a segment, whose schedule or day has come, who need wait no longer, who has to leave."""
    _look(store, versions, now, zone, lambda version: (*_slots(version), *_states(version)))


def open_slots(store: Store, versions: Sequence[Version], now: datetime, zone: str) -> None:
    """Look only whose schedule or day has come, which costs little where none has."""
    _look(store, versions, now, zone, _slots)


_Look = Callable[[Connection, Version, datetime, str], None]


def _look(
    store: Store,
    versions: Sequence[Version],
    now: datetime,
    zone: str,
    looks: Callable[[Version], Iterable[_Look]],
) -> None:
    for version in versions:
        for look in looks(version) if not version.paused else ():
            with store.transaction() as connection:
                store.lock(connection, f"journey {version.journey_id}")
                look(connection, version, now, zone)


def _slots(version: Version) -> Iterator[_Look]:
    if version.live and version.plan.entry.schedule:
        yield _open_schedule
    if version.live and version.plan.entry.date:
        yield _open_days


def _states(version: Version) -> Iterator[_Look]:
    entry = version.plan.entry
    if version.live and entry.segment is not None and not entry.schedule:
        yield _detect_joins
    if any(must_be_looked_at(stage) for stage in watching(version)):
        yield _notice
    if any(exit_.condition is not None for exit_ in version.plan.exits):
        yield _detect_leavers


def _notice(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    for stage in watching(version):
        if must_be_looked_at(stage):
            notice(connection, version, stage, now, zone)


def _looked_until(connection: Connection, version: Version) -> datetime:
    """Return until when a journey's schedule or days have been looked through."""
    query = select(journey.c.scheduled_until, journey.c.live_since).where(journey.c.id == version.journey_id)
    row = connection.execute(query).one()
    looked: datetime = max(row.scheduled_until or row.live_since, row.live_since)
    return looked


def _has_looked(connection: Connection, version: Version, until: datetime) -> None:
    connection.execute(
        update(journey).values(scheduled_until=until).where(journey.c.id == version.journey_id)
    )


def _open_days(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    on, looked = version.plan.entry.date, _looked_until(connection, version)
    assert on is not None
    if dates.bring(connection, version, on, looked, now, zone) or now - looked > dates.ONE_DAY:
        _has_looked(connection, version, now)


_CLEAR = delete(cohort)
_WHICH = bindparam("which", type_=BigInteger())
_KNOWN = select(membership.c.customer_id).where(membership.c.journey_id == _WHICH)
_JOINED = select(_WHICH, cohort.c.customer_id).where(cohort.c.customer_id.not_in(_KNOWN))
_CALL = insert(arrival).from_select(
    ["journey_id", "customer_id", "kind", "at"],
    _JOINED.add_columns(literal(ArrivalKind.segment.value), NOW),
)
_FORGET = delete(membership).where(
    membership.c.journey_id == _WHICH, membership.c.customer_id.not_in(select(cohort.c.customer_id))
)
_REMEMBER = insert(membership).from_select(["journey_id", "customer_id"], _JOINED)
_SENSED = select(journey.c.sensed_at).where(journey.c.id == _WHICH)
_SENSE = update(journey).values(sensed_at=NOW).where(journey.c.id == _WHICH)


def _gather(connection: Connection, version: Version, condition: Condition, moment: Moment) -> None:
    """Put everyone in the segment that lets in into the cohort, as their own number twice."""
    make = partial(_gathering, condition, connection.dialect.name)
    statement, values = made_once(version, "segment", [condition], moment, make)
    connection.execute(_CLEAR)
    connection.execute(statement, values)


def _gathering(condition: Condition, name: str, moment: Moment) -> Executable:
    found = members(condition, moment, name).subquery("found")
    columns = select(found.c.customer_id, found.c.customer_id)
    return insert(cohort).from_select(["enrollment_id", "customer_id"], columns)


def _detect_joins(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    """Record who has joined since the last look. At the first look everybody in the segment was in it before."""
    assert version.plan.entry.segment is not None
    _gather(connection, version, version.plan.entry.segment, Moment(now, zone))
    values = {"which": version.journey_id, "now": now}
    first = connection.scalar(_SENSED, values) is None
    for statement in (_FORGET, _REMEMBER, _SENSE) if first else (_CALL, _FORGET, _REMEMBER, _SENSE):
        connection.execute(statement, values)


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
    due = last_occurrence(entry.schedule, _looked_until(connection, version), now, zone)
    if due is None:
        return
    _gather(connection, version, entry.segment, Moment(due, zone))
    query = select(
        literal(version.journey_id, BigInteger),
        cohort.c.customer_id,
        literal(ArrivalKind.schedule.value),
        literal(due, Instant),
    )
    connection.execute(insert(arrival).from_select(["journey_id", "customer_id", "kind", "at"], query))
    _has_looked(connection, version, due)


def _detect_leavers(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    """Bring to the door, to leave, each stay for which a condition of `exit` holds; the first that does is the reason."""
    for n, exit_ in enumerate(version.plan.exits):
        if exit_.condition is None:
            continue
        make = partial(_leaving, version, exit_.condition, exit_.name, connection.dialect.name)
        statement, values = made_once(version, ("leavers", n), [exit_.condition], Moment(now, zone), make)
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
    )
    columns = ["journey_id", "customer_id", "enrollment_id", "kind", "at", "detail"]
    return insert(arrival).from_select(columns, query)


def _staying(version: Version) -> FromClause:
    """Return the stays inside a version, but for those that are at the door to leave."""
    leaves = exists().where(arrival.c.enrollment_id == enrollment.c.id)
    return (
        select(
            enrollment.c.id.label("enrollment_id"),
            enrollment.c.customer_id,
            enrollment.c.entered_at,
            enrollment.c.event_id,
        )
        .where(
            enrollment.c.version_id == version.version_id,
            enrollment.c.outcome == Outcome.inside.value,
            ~leaves,
        )
        .subquery("inside")
    )


def enroll(connection: Connection, journey_id: int, customer_ids: Sequence[int], now: datetime) -> int:
    """Bring customers to a journey's door by hand; return how many."""
    kind = ArrivalKind.manual.value
    rows = [{"journey_id": journey_id, "customer_id": id_, "kind": kind, "at": now} for id_ in customer_ids]
    if rows:
        connection.execute(insert(arrival), rows)
    return len(rows)
