"""Who is at which journey's door: events, schedules and days become arrivals.

Each function is one transaction, or one a batch, and safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Text,
    and_,
    exists,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from treue import meters
from treue.cohorts.cohort import insert_new
from treue.cohorts.host import all_looked_until, has_looked, host_of, looked_until
from treue.cohorts.player import watcher
from treue.cohorts.scene import NOW
from treue.engine.door.entries import ARRIVAL_OF_EVENT
from treue.engine.passes.attempts import LONGEST_LOOK, Attempts
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.language.steps import Stage
from treue.model.states import ArrivalKind, MessageState, Outcome
from treue.model.tables import arrival, customer, enrollment, event, message, timezone_offset
from treue.model.types import Instant
from treue.segments.needs import event_names
from treue.store import dialect
from treue.store.event_identity import JOURNEY
from treue.store.store import Store

EVENTS_A_BATCH = 5_000
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_waiting = arrival.alias("waiting")


def route_events(
    store: Store, versions: Sequence[Version], now: datetime, unreadable: Collection[int] = ()
) -> int:
    """Show every event not yet routed to the journeys that react to it; return how many were routed.

    Events are claimed row by row, never by remembering the highest id: a transaction with a lower id may commit
    later. What happened before a journey went live does not concern it. All events are kept at the doors of
    journeys whose plans are `unreadable` for now: which of them it reacts to, it says once it can be read.
    """
    total, routed = 0, EVENTS_A_BATCH
    while routed == EVENTS_A_BATCH:
        routed = _route_batch(store, versions, unreadable, now)
        total += routed
    return total


def is_anything_new(store: Store) -> bool:
    """Say whether there is an event that was not routed yet."""
    with store.reading() as connection:
        return connection.scalar(_UNROUTED.limit(1)) is not None


@dataclass(frozen=True)
class _Wanted:
    """What journeys react to: events that let in, and others that concern only those inside; a row each."""

    entry: Sequence[Mapping[str, Any]]
    inside: Sequence[Mapping[str, Any]]


def _wanted(versions: Sequence[Version]) -> _Wanted:
    entry, inside = dict[tuple[int, str], datetime](), set[tuple[int, str]]()
    for version in versions:
        assert version.live_since is not None
        if version.live:
            names = version.plan.entry.trigger.events()
            entry |= dict.fromkeys(((version.journey_id, name) for name in names), version.live_since)
            watched = watching(version).entry_events
            entry |= dict.fromkeys(((version.journey_id, name) for name in watched), _EVER)
        ending = watching(version).exit_events.union(version.plan.ending_events)
        inside |= {(version.journey_id, name) for name in ending}
    return _Wanted(
        [{"journey_id": id_, "name": name, "since": since} for (id_, name), since in sorted(entry.items())],
        [{"journey_id": id_, "name": name, "since": _EVER} for id_, name in sorted(inside)],
    )


_UNROUTED = select(event.c.id).where(event.c.routed_at.is_(None)).limit(EVENTS_A_BATCH)
_CLAIM = update(event).values(routed_at=NOW).returning(event.c.id, event.c.name)
_CLAIM = _CLAIM.where(event.c.id.in_(dialect.claiming(_UNROUTED)))

_Waits = list[tuple[Version, Stage, frozenset[str]]]


def _waits(versions: Sequence[Version]) -> _Waits:
    """Return the stages that wait for events, with the events' names, in the order in which journeys are locked."""
    found = [
        (version, stage, event_names(condition))
        for version in versions
        for stage, condition in watching(version).waits
    ]
    return sorted(found, key=lambda one: (one[0].journey_id, one[0].version_id))


def _route_batch(
    store: Store, versions: Sequence[Version], unreadable: Collection[int], now: datetime
) -> int:
    with store.transaction() as connection:
        claimed = connection.execute(_CLAIM, {"now": now}).all()
        if not claimed:
            return 0
        wanted = _wanted(versions)
        ids, happened = sorted(row.id for row in claimed), {row.name for row in claimed}
        given = {"ids": dialect.listed(connection, ids)}
        for rows, inside in ((wanted.entry, False), (wanted.inside, True)):
            if reacting := [row for row in rows if row["name"] in happened]:
                connection.execute(_showing_to(connection, reacting, inside=inside), given)
        for journey_id in unreadable:
            connection.execute(_showing_all(store.dialect, journey_id), given)
        for version, stage, names_waited_for in _waits(versions):
            if names_waited_for & happened:
                # Who is just falling asleep must not miss what has happened meanwhile.
                store.lock(connection, f"journey {version.journey_id}")
                connection.execute(watcher(stage).wake(version, stage, store.dialect), given)
    return len(ids)


_REACTING: dict[str, Any] = {"journey_id": BigInteger(), "name": Text(), "since": Instant()}


def _showing_to(connection: Connection, rows: Sequence[Mapping[str, Any]], *, inside: bool) -> Executable:
    """Return what brings events to the doors of the journeys that react to them; with `inside`, of those concerned only."""
    wanted = dialect.worked_out(select(dialect.rows_as_table(connection, _REACTING, rows)), "wanted").c
    # `name || ''` keeps SQLite from reading every event of these names: the ids are few.
    reacts = and_((event.c.name + "") == wanted.name, event.c.at >= wanted.since)
    return _showing(
        connection.dialect.name,
        wanted.journey_id,
        and_(reacts, _concerned(wanted.journey_id) if inside else true()),
    )


@lru_cache(maxsize=64)
def _showing_all(name: str, journey_id: int) -> Executable:
    """Return what brings all events to a journey's door."""
    return _showing(name, literal(journey_id, BigInteger), true())


def _showing(name: str, journey_id: ColumnElement[int], which: ColumnElement[bool]) -> Executable:
    query = select(
        journey_id,
        event.c.customer_id,
        literal(ArrivalKind.event.value),
        event.c.id,
        event.c.at,
        event.c.effective_at,
        event.c.seq,
        event.c.source.startswith(JOURNEY),
    ).where(dialect.among_listed(name, event.c.id, "ids"), which)
    return insert_new(name, arrival, ARRIVAL_OF_EVENT, query)


def _concerned(journey_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Say whose exits and goals a journey must hear of: who is inside, may still convert, or is at the door."""
    same = and_(enrollment.c.journey_id == journey_id, enrollment.c.customer_id == event.c.customer_id)
    open_window = and_(enrollment.c.outcome == Outcome.finished.value, enrollment.c.convert_by >= event.c.at)
    unsent = exists().where(
        message.c.enrollment_id == enrollment.c.id, message.c.state == MessageState.queued.value
    )
    inside = enrollment.c.outcome == Outcome.inside.value
    staying = exists().where(same, or_(inside, open_window, unsent))
    # `+ 0` has SQLite look up the few rows of the customer, not all at the journey's door.
    here = _waiting.c.journey_id + 0 == journey_id
    comes = _waiting.c.kind != ArrivalKind.expiry.value
    waits = exists().where(here, _waiting.c.customer_id == event.c.customer_id, comes)
    return or_(staying, waits)


def bring_days(
    store: Store, attempts: Attempts, versions: Sequence[Version], now: datetime, zone: str
) -> datetime:
    """Look whose day has come; return until when that is told now: after a long standstill not yet until `now`.

    All journeys come as far together, so that what is brought can be done in its order before the next stretch.
    """
    looked = _days_to_look_at(store, attempts, versions, now, zone)
    some = [version for version in versions if version.live and version.journey_id in looked]
    until = min([now, *(_reach(version, looked[version.journey_id], now) for version in some)])
    some = [version for version in some if looked[version.journey_id] < until]
    _look(store, attempts, some, until, zone, partial(_slots, everybody=False))
    return until


def _reach(version: Version, since: datetime, now: datetime) -> datetime:
    """Return until when a journey's missed times are looked through at once."""
    stretch = host_of(version.plan.entry.trigger).stretch
    return now if stretch is None else min(now, since + stretch)


def _days_to_look_at(
    store: Store, attempts: Attempts, versions: Sequence[Version], now: datetime, zone: str
) -> dict[int, datetime]:
    """Return the journeys at whose door somebody's time may have come, with until when that was looked at.

    Asked once for all journeys: one that nobody's time comes for costs nothing.
    """
    found = [
        (version, host_of(version.plan.entry.trigger))
        for version in versions
        if not version.paused and any(_slots(version, everybody=False))
    ]
    tried = [(version, host) for version, host in found if attempts.may(version.journey_id, host.work)]
    if not tried:
        return {}
    with store.reading() as connection:
        looked, zones = all_looked_until(connection), list(connection.scalars(_ZONES))
    return {
        version.journey_id: since
        for version, host in tried
        if host.next_look(
            version, version.plan.entry.trigger, since := looked[version.journey_id], zones, zone
        )
        <= now
    }


_ZONES = select(timezone_offset.c.zone).distinct().order_by(timezone_offset.c.zone)


def pass_over(
    store: Store, attempts: Attempts, versions: Sequence[Version], now: datetime, zone: str
) -> None:
    """Let the times of schedules that were missed for long come once, not once each."""

    def passing_over(version: Version) -> Iterator[tuple[str, _Look]]:
        for work, _ in _slots(version, everybody=True):
            yield work, _pass_over

    _look(store, attempts, versions, now, zone, passing_over)


def _pass_over(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    trigger, looked = version.plan.entry.trigger, looked_until(connection, version)
    begin = host_of(trigger).pass_over(trigger, looked, now, zone)
    if begin > looked:
        has_looked(connection, version, begin)


def bring_slot(
    store: Store, attempts: Attempts, versions: Sequence[Version], now: datetime, zone: str
) -> None:
    """Bring everybody in the segments of the schedules whose time is `now`."""
    _look(store, attempts, versions, now, zone, partial(_slots, everybody=True))


def next_slot(
    store: Store, versions: Sequence[Version], zone: str
) -> tuple[datetime | None, Sequence[Version]]:
    """Return the first time of a schedule that has not been looked at yet, in the past or to come, and whose it is.

    Without schedules, None.
    """
    asking = [one for one in versions if not one.paused and any(_slots(one, everybody=True))]
    if not asking:
        return None, ()
    with store.reading() as connection:
        looked = all_looked_until(connection)
        found = [
            host_of(trigger := version.plan.entry.trigger).next_time(
                connection, version, trigger, looked[version.journey_id], zone
            )
            for version in asking
        ]
    first = min((at for at in found if at is not None), default=None)
    return first, [version for version, at in zip(asking, found, strict=True) if at == first]


_Look = Callable[[Connection, Version, datetime, str], None]


def _look(
    store: Store,
    attempts: Attempts,
    versions: Sequence[Version],
    now: datetime,
    zone: str,
    looks: Callable[[Version], Iterable[tuple[str, _Look]]],
) -> None:
    """Look for one journey after the other, each time in a transaction of its own that may fail by itself."""

    def one(version: Version, work: str, look: _Look) -> None:
        with store.transaction() as connection:
            store.lock(connection, f"journey {version.journey_id}")  # for as long as another pass has it
            with (
                store.limited(connection, LONGEST_LOOK),
                meters.LOOK_SECONDS.labels(version.name, work).time(),
            ):
                look(connection, version, now, zone)

    for version in versions:
        for work, look in looks(version) if not version.paused else ():
            attempts.make(version.journey_id, version.name, work, partial(one, version, work, look))


def _slots(version: Version, *, everybody: bool) -> Iterator[tuple[str, _Look]]:
    host = host_of(version.plan.entry.trigger)
    if version.live and host.comes_by == "time" and host.asks_everybody is everybody:
        yield host.work, _bring


def _bring(connection: Connection, version: Version, now: datetime, zone: str) -> None:
    trigger = version.plan.entry.trigger
    host_of(trigger).bring(connection, version, trigger, now, zone)


def enroll(connection: Connection, journey_id: int, customer_ids: Sequence[int], now: datetime) -> int:
    """Bring customers to a journey's door by hand; return how many."""
    which = dialect.among(connection, customer.c.id, customer_ids)
    query = select(
        literal(journey_id, BigInteger),
        customer.c.id,
        literal(ArrivalKind.manual.value),
        literal(now, Instant),
        literal(now, Instant),
    ).where(which)
    query = query.with_for_update(read=True, key_share=True)  # nobody is erased meanwhile
    into = insert(arrival).from_select(["journey_id", "customer_id", "kind", "at", "effective_at"], query)
    return connection.execute(into.execution_options(preserve_rowcount=True)).rowcount
