"""The door of a journey: arrivals become exits, goals and entries.

Taken in rounds: each round has at most one arrival a customer, whose turn it is, so that whatever one customer did
takes effect in the order it happened, while a round is a handful of statements for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Insert,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from treue import meters
from treue.clock import TICK, Duration
from treue.cohorts.cohort import insert_new
from treue.cohorts.draws import holdout_purpose, place_sql
from treue.cohorts.hindsight import CALLERS, in_their_time
from treue.cohorts.host import host_of
from treue.cohorts.local_time import later
from treue.cohorts.player import follower, watcher
from treue.cohorts.scene import BEFORE, NOW
from treue.cohorts.trace import note
from treue.cohorts.turns import Turns, is_turn_of_arrival, later_of
from treue.engine.door import looks
from treue.engine.door.exits import conditions
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.model.states import ArrivalKind, Dated, Decision, MessageState, Outcome, Reason
from treue.model.tables import arrival, caller, change, customer, enrollment, event, looked, message, trace
from treue.model.types import Instant
from treue.plan.plan import Exit
from treue.segments.sql import Moment, event_fits, members, shared
from treue.segments.stretch import stretch_end
from treue.segments.touch import JOURNEY as TOUCH_OF_STAYS
from treue.segments.tree import Ago, Ahead, Condition, Property
from treue.store import touches
from treue.store.dialect import count_many
from treue.store.event_identity import JOURNEY
from treue.store.store import Store

CALLERS_A_ROUND = 5_000
ARRIVAL_OF_EVENT = ["journey_id", "customer_id", "kind", "event_id", "at", "effective_at", "seq", "caused"]

_ASKING = (
    ArrivalKind.segment.value,
    ArrivalKind.schedule.value,
    ArrivalKind.date.value,
    ArrivalKind.manual.value,
    ArrivalKind.started.value,
)

_OCCURRENCE = case((caller.c.kind == ArrivalKind.date.value, caller.c.detail), else_=literal("", Text))

_before = enrollment.alias("before")
_began = event.alias("began")


def take_in(
    store: Store, versions: Sequence[Version], turns: Turns, now: datetime, zone: str, salt: str
) -> int:
    """Let whoever's turn it is at one journey's door in, out, or turn them away; return how many arrivals were dealt with.

    `versions` are all versions of the journey in use: exits and goals are those of the version a customer is
    in, entry is the live one's.
    """
    total = 0
    while dealt := _round(store, versions, turns, now, zone, salt):
        total += dealt
    return total


def _round(
    store: Store, versions: Sequence[Version], turns: Turns, now: datetime, zone: str, salt: str
) -> int:
    journey_id, moment = versions[0].journey_id, Moment(now, zone)
    with store.transaction() as connection:
        store.lock(connection, f"journey {journey_id}")
        if not (called := _call(connection, journey_id, turns, now)):
            return 0
        errands = _errands(connection)
        with in_their_time(connection, CALLERS):
            entered, watches = _deal(connection, versions, moment, zone, salt, errands)
        if ArrivalKind.touch.value in errands:
            _bring_again(connection, versions, zone)
        connection.execute(_DEALT)
        if watches:
            looks.keep_expiries(connection, journey_id)
    meters.ARRIVALS.labels(versions[0].name).inc(called)
    meters.ENTRIES.labels(versions[0].name).inc(entered)
    return called


def _deal(
    connection: Connection,
    versions: Sequence[Version],
    moment: Moment,
    zone: str,
    salt: str,
    errands: set[str | None],
) -> tuple[int, bool]:
    """Deal with those who were called.

    Return how many stays have begun, and whether it may be known of any of them how long answers about her stand.
    """
    entered, name = 0, versions[0].name
    tells = touches.watched(connection, [TOUCH_OF_STAYS + name])
    noted = connection.scalar(_LAST_NOTE) or 0 if tells else 0
    watches = looks.mark(connection, versions, errands)
    for version in versions:
        _leave(connection, version, moment, errands)
        _convert(connection, version, moment, errands)
        if ArrivalKind.touch.value in errands:
            if version.plan.entry.trigger.follows():
                _run(
                    connection,
                    version.kept.of("moved", partial(_moved, version, zone, connection.dialect.name)),
                )
            _rouse(connection, version, zone)
        if watches and looks.look_at_stays(connection, version, moment):
            _run(connection, version.kept.of("leave by condition", partial(_leaving_by_condition, version)))
            looks.keep_earliest(connection)
    live = next((version for version in versions if version.live), None)
    joined = watches and live is not None and looks.look_at_segment(connection, live, moment)
    if live is not None and (joined or errands & {*_ASKING, *live.plan.entry.trigger.events()}):
        _judge(connection, live, moment)
        entered = _enter(connection, live, zone, salt)
        if looks.look_at_stays(connection, live, moment, entering=True):
            looks.keep_earliest(connection)
            watches = True
    if tells:
        connection.execute(_telling(versions[0].journey_id, name), {"noted": noted})
    return entered, watches


def _bring_again(connection: Connection, versions: Sequence[Version], zone: str) -> None:
    """Bring touched callers anew whose times were looked through before a step changed what they go by."""
    for version in versions:
        trigger = version.plan.entry.trigger
        if version.live and trigger.foretells():
            host_of(trigger).bring_again(connection, version, trigger, zone)


def _rouse(connection: Connection, version: Version, zone: str) -> None:
    """Let those look again who wait for something that what has touched them may have brought about.

    Who waits until a date waits until where it lies now.
    """
    for stage in watching(version).follows:
        for statement in follower(stage).follow(connection, version, stage, zone):
            connection.execute(statement)
    for stage, _ in watching(version).waits:
        connection.execute(watcher(stage).rouse(version, stage))


@lru_cache(maxsize=256)
def _telling(journey_id: int, name: str) -> Executable:
    """Return what tells the journeys that watch for it of the stays that callers have begun or ended, noted after `noted`."""
    stands_otherwise = exists().where(
        trace.c.customer_id == caller.c.customer_id,
        trace.c.journey_id == journey_id,
        trace.c.id > bindparam("noted", type_=BigInteger()),
        trace.c.decision.in_(_STANDS_OTHERWISE),
    )
    found = select(caller.c.customer_id, caller.c.effective_at).where(stands_otherwise)
    return touches.of_stays(name, found)


def _calling() -> Insert:
    first = (
        select(
            arrival.c.id,
            arrival.c.customer_id,
            arrival.c.kind,
            arrival.c.event_id,
            arrival.c.enrollment_id,
            arrival.c.at,
            arrival.c.detail,
            arrival.c.effective_at,
            arrival.c.seq,
            arrival.c.caused,
            arrival.c.at,
        )
        .where(
            arrival.c.journey_id == bindparam("which", type_=BigInteger()),
            arrival.c.effective_at <= NOW,
            is_turn_of_arrival(),
        )
        .order_by(arrival.c.effective_at, arrival.c.id)
        .limit(CALLERS_A_ROUND)
    )
    columns = [
        "arrival_id", "customer_id", "kind", "event_id", "enrollment_id", "at", "detail", "effective_at", "seq", "caused",
        "last_at",
    ]  # fmt: skip
    return insert(caller).from_select(columns, first).execution_options(preserve_rowcount=True)


_CALL = _calling()
_WHAT = case((caller.c.event_id.is_(None), caller.c.kind), else_=event.c.name)
_ERRANDS = select(_WHAT).select_from(caller.outerjoin(event, event.c.id == caller.c.event_id)).distinct()
_LAST_STAY, _LAST_NOTE = select(func.max(enrollment.c.id)), select(func.max(trace.c.id))
_STANDS_OTHERWISE = (Decision.entered.value, Decision.exited.value, Decision.converted.value)
_DEALT = delete(arrival).where(arrival.c.id.in_(select(caller.c.arrival_id)))


def _call(connection: Connection, journey_id: int, turns: Turns, now: datetime) -> int:
    """Take the arrivals whose turn it is, of each customer one; return how many those are."""
    connection.execute(delete(caller))
    called = connection.execute(_CALL, {"which": journey_id, "now": now, **turns.values(journey_id)}).rowcount
    count_many(connection, caller, called)
    return called


_Which = Callable[[], ColumnElement[bool]]


def _is_constant(where: tuple[Property, ...]) -> bool:
    return not any(isinstance(value, Ago | Ahead) for part in where for op in part.ops for value in op.values)


def _errands(connection: Connection) -> set[str | None]:
    """Return what this round's callers came for: names of events, and kinds of the other arrivals."""
    return set(connection.scalars(_ERRANDS))


@dataclass(frozen=True)
class _Stretch:
    """Some callers, of whose times the lengths that they are asked about lead evenly far back: as from its `moment`."""

    moment: Moment
    which: ColumnElement[bool]


def _stretches(connection: Connection, where: tuple[Property, ...], moment: Moment) -> Iterator[_Stretch]:
    """Yield the stretches of the callers' times in which what is asked of their events is one statement."""
    if _is_constant(where):
        yield _Stretch(moment, true())
        return
    since = connection.scalar(_FIRST, {"since": _EVER})
    while since is not None:
        until = stretch_end(where, moment.zone, since, moment.now + TICK)
        which = and_(caller.c.at >= literal(since, Instant), caller.c.at < literal(until, Instant))
        yield _Stretch(Moment(since, moment.zone), which)
        since = connection.scalar(_FIRST, {"since": until})


_FIRST = select(func.min(caller.c.at, type_=Instant())).where(
    caller.c.at >= bindparam("since", type_=Instant()), caller.c.event_id.is_not(None)
)


def _matching(
    dialect: str, names: Collection[str], where: tuple[Property, ...], stretch: _Stretch
) -> ColumnElement[bool]:
    """Say which callers came with an event of one of these names that fits."""
    fits = event_fits(where, event, dialect, stretch.moment.of(event))
    fitting = exists().where(event.c.id == caller.c.event_id, _is_one_of(names), fits)
    return fitting if _is_constant(where) else and_(fitting, stretch.which)


def _is_one_of(names: Collection[str]) -> ColumnElement[bool]:
    return event.c.name == next(iter(names)) if len(names) == 1 else event.c.name.in_(names)


def _leaving(dialect: str, reason: Exit, name: str, stretch: _Stretch) -> ColumnElement[bool]:
    """Say which callers came with an event that ends a stay: any stay, or the one that the `same` event began."""
    which = _matching(dialect, (name,), reason.where, stretch)
    if reason.same is None:
        return which
    alike = shared(reason.same, event, _began, dialect)
    same = exists().where(event.c.id == caller.c.event_id, _began.c.id == enrollment.c.event_id, alike)
    return and_(which, same)


def _ending(
    version: Version,
    outcome: Outcome,
    which: ColumnElement[bool],
    reason: ColumnElement[str],
    stays: ColumnElement[bool],
) -> list[Executable]:
    """Return what notes and ends the stays of callers whose arrival came after they entered."""
    # Compared with the entry event too: an event must not end the very stay it starts.
    # `version_id + 0` has the stays looked up by the callers, who are few, and not all read that are inside a version.
    concerned = and_(
        enrollment.c.journey_id == version.journey_id,
        enrollment.c.version_id + 0 == version.version_id,
        enrollment.c.customer_id == caller.c.customer_id,
        enrollment.c.effective_at <= caller.c.effective_at,
        or_(
            enrollment.c.event_id.is_(None),
            caller.c.event_id.is_(None),
            enrollment.c.event_id != caller.c.event_id,
        ),
        stays,
        which,
    )
    ended = note(
        customer=enrollment.c.customer_id,
        journey=version.journey_id,
        enrollment=enrollment.c.id,
        step=enrollment.c.step_id,
        at=caller.c.effective_at,
        decision=Decision.converted if outcome is Outcome.converted else Decision.exited,
        reason=reason,
        where=(concerned,),
    )
    left = {"outcome": outcome.value, "reason": reason, "left_at": caller.c.effective_at, "step_id": None}
    return [ended, update(enrollment).values(left).where(concerned)]


def _leave(connection: Connection, version: Version, moment: Moment, errands: set[str | None]) -> None:
    inside = enrollment.c.outcome == Outcome.inside.value
    dialect = connection.dialect.name
    for n, exit_ in enumerate(version.plan.exits):
        if exit_.event is None or exit_.event not in errands:
            continue

        constant = _is_constant(exit_.where)
        for stretch in _stretches(connection, exit_.where, moment):
            which = partial(_leaving, dialect, exit_, exit_.event, stretch)
            name = literal(exit_.name, Text)

            def by_event(which: _Which = which, name: ColumnElement[str] = name) -> list[Executable]:
                return _ending(version, Outcome.exited, which(), name, inside)

            def call_back(which: _Which = which) -> list[Executable]:
                return [_calling_back(version, which())]

            _run(connection, version.kept.of(("exit", n), by_event, constant=constant))
            _run(connection, version.kept.of(("call back", n), call_back, constant=constant))
    if ArrivalKind.leave.value in errands:
        asked, why = caller.c.enrollment_id == enrollment.c.id, type_coerce(caller.c.detail, Text)
        _run(
            connection, version.kept.of("leave", lambda: _ending(version, Outcome.exited, asked, why, inside))
        )


def _leaving_by_condition(version: Version) -> list[Executable]:
    """Return what ends the stays that have a reason to leave, each for the first in the order of the file."""
    named = {n: literal(exit_.name, Text) for n, (exit_, _) in enumerate(watching(version).exits)}
    which = and_(looked.c.enrollment_id == enrollment.c.id, looked.c.branch.is_not(None))
    inside = enrollment.c.outcome == Outcome.inside.value
    return _ending(version, Outcome.exited, which, case(named, value=looked.c.branch), inside)


def _moved(version: Version, zone: str, dialect: str) -> list[Executable]:
    """Return what ends the stays of touched callers that are for a date which is theirs no longer."""
    trigger = version.plan.entry.trigger
    stands = host_of(trigger).stands(trigger, enrollment, zone, dialect)
    which = and_(
        caller.c.kind == ArrivalKind.touch.value,
        enrollment.c.per != "",
        ~exists().where(customer.c.id == enrollment.c.customer_id, stands),
    )
    inside = enrollment.c.outcome == Outcome.inside.value
    return _ending(version, Outcome.exited, which, literal(Dated.date_moved.value, Text), inside)


def _calling_back(version: Version, which: ColumnElement[bool]) -> Executable:
    """Return what takes the messages of finished stays out of the outbox again, for an exit that comes that late."""
    finished = exists().where(
        enrollment.c.id == message.c.enrollment_id,
        enrollment.c.version_id == version.version_id,
        enrollment.c.outcome == Outcome.finished.value,
        enrollment.c.effective_at <= caller.c.effective_at,
        caller.c.customer_id == message.c.customer_id,
        which,
    )
    gone = {"state": MessageState.refused.value, "reason": Reason.left_before_send.value}
    waiting = and_(message.c.journey_id == version.journey_id, message.c.state == MessageState.queued.value)
    return update(message).where(waiting, finished).values(gone)


def _convert(connection: Connection, version: Version, moment: Moment, errands: set[str | None]) -> None:
    goal = version.plan.goal
    if goal is None or goal.event not in errands:
        return

    def by_goal(stretch: _Stretch) -> list[Executable]:
        stays: ColumnElement[bool] = enrollment.c.outcome == Outcome.inside.value
        if goal.within:
            counted = enrollment.c.outcome.in_((Outcome.inside.value, Outcome.finished.value))
            stays = and_(counted, enrollment.c.convert_by >= caller.c.at)
        which = _matching(connection.dialect.name, (goal.event,), goal.where, stretch)
        return _ending(version, Outcome.converted, which, literal(goal.event, Text), stays)

    for stretch in _stretches(connection, goal.where, moment):
        make = partial(by_goal, stretch)
        _run(connection, version.kept.of("goal", make, constant=_is_constant(goal.where)))


def _run(connection: Connection, statements: Sequence[Executable], before: int = 0) -> None:
    for statement in statements:
        connection.execute(statement, {"before": before})


# --- entries ------------------------------------------------------------------------------------------------


def _judge(connection: Connection, version: Version, moment: Moment) -> None:
    """Give each caller who asks to enter a verdict: `enter`, or why not."""
    entry, trigger = version.plan.entry, version.plan.entry.trigger

    def asking(stretch: _Stretch) -> list[Executable]:
        asks: ColumnElement[bool] = caller.c.kind.in_(_ASKING)
        if names := trigger.events():
            begins = _matching(connection.dialect.name, names, trigger.properties(), stretch)
            # The same event may be an exit or the goal, for which one from before the journey went live counts.
            new = caller.c.kind == ArrivalKind.event.value
            asks = or_(asks, and_(new, caller.c.at >= literal(version.live_since, Instant), begins))
        return [update(caller).values(verdict="enter", per=_OCCURRENCE).where(asks)]

    for stretch in _stretches(connection, trigger.properties(), moment):
        make = partial(asking, stretch)
        _run(connection, version.kept.of("asking", make, constant=_is_constant(trigger.properties())))
    if trigger.per:
        _set_per(connection, trigger.per)
    _run(connection, version.kept.of("loops", lambda: _loops(version)))
    if entry.when is not None:
        _turn_away(connection, version, entry.when, moment, "if", unless=True)
    again = lambda: _again(connection, version, entry.again, moment.zone)  # noqa: E731
    _run(connection, version.kept.of("again", again, constant=not (entry.again and entry.again.months)))
    for n, (_, condition) in enumerate(conditions(version.plan)):
        _turn_away(connection, version, condition, moment, "exit", n)


_WANTS = caller.c.verdict == "enter"
_REST = and_(_WANTS, caller.c.at >= bindparam("since", type_=Instant()))
_THESE = and_(_REST, caller.c.at < BEFORE)
_NEXT = select(func.min(caller.c.at, type_=Instant())).where(_REST)
_EVER = datetime(1, 1, 1, tzinfo=UTC)


def _loops(version: Version) -> list[Executable]:
    """Return what turns away whom a step brings back into a journey at the instant at which she entered it."""
    entered = exists().where(
        _before.c.journey_id == version.journey_id,
        _before.c.customer_id == caller.c.customer_id,
        _before.c.effective_at == caller.c.effective_at,
    )
    return [update(caller).values(verdict="loop").where(_WANTS, caller.c.caused, entered)]


def _turn_away(
    connection: Connection,
    version: Version,
    condition: Condition,
    moment: Moment,
    verdict: str,
    n: int = 0,
    *,
    unless: bool = False,
) -> None:
    """Turn away those for whom a condition holds, or `unless` it does: each asked as of when they came."""
    make = partial(_turning_away, condition, verdict, connection.dialect.name, unless)
    since = connection.scalar(_NEXT, {"since": _EVER})
    while since is not None:
        until = stretch_end([condition], moment.zone, since, moment.now + TICK)
        then = Moment(since, moment.zone)
        statement, values = version.kept.asking(("away", verdict, n), [condition], then, make)
        connection.execute(statement, {**values, "since": since, "until": until})
        since = connection.scalar(_NEXT, {"since": until})


def _turning_away(condition: Condition, verdict: str, dialect: str, unless: bool, then: Moment) -> Executable:
    asked = select(
        caller.c.arrival_id,
        caller.c.customer_id,
        caller.c.event_id,
        caller.c.at,
        caller.c.effective_at,
        caller.c.at.label("entered_at"),
        caller.c.effective_at.label("entered_effective_at"),
        caller.c.seq.label("entered_seq"),
        *looks.sight(),
    )
    found = members(condition, then, dialect, asked.where(_THESE).subquery("asked")).subquery("found")
    holds = caller.c.customer_id.in_(select(found.c.customer_id))
    return update(caller).values(verdict=verdict).where(_THESE, ~holds if unless else holds)


def _set_per(connection: Connection, name: str) -> None:
    value = event.c.properties[name].as_string()
    query = select(func.coalesce(value, "")).where(event.c.id == caller.c.event_id).scalar_subquery()
    connection.execute(update(caller).values(per=query).where(caller.c.event_id.is_not(None)))


def _again(connection: Connection, version: Version, again: Duration | None, zone: str) -> list[Executable]:
    """Return what turns away those who are inside, or who were and may not come again yet."""
    same = and_(
        _before.c.journey_id == version.journey_id,
        _before.c.customer_id == caller.c.customer_id,
        _before.c.per == caller.c.per,
    )
    wants = caller.c.verdict == "enter"
    inside = exists().where(same, _before.c.outcome == Outcome.inside.value)
    found: list[Executable] = [update(caller).values(verdict="inside").where(wants, inside)]
    if version.plan.entry.trigger.follows():
        once = and_(wants, caller.c.per != "", exists().where(same))
        found.append(update(caller).values(verdict="again").where(once))
    if again is None:
        found.append(update(caller).values(verdict="again").where(wants, exists().where(same)))
    elif again:
        stays = (
            select(_before.c.id, _before.c.customer_id, _before.c.left_at, caller.c.at, caller.c.arrival_id)
            .join(caller, same)
            .where(wants, _before.c.left_at.is_not(None))
            .subquery("stays")
        )
        until = later(connection, stays, stays.c.left_at, again, zone, stays.c.arrival_id).subquery("until")
        soon = exists().where(until.c.key == caller.c.arrival_id, until.c.due > caller.c.at)
        found.append(update(caller).values(verdict="again").where(wants, soon))
    return found


def _enter(connection: Connection, version: Version, zone: str, salt: str) -> int:
    before, goal = connection.scalar(_LAST_STAY) or 0, version.plan.goal
    within = goal.within if goal else None
    entering = lambda: [_entering(connection, version, within, zone, salt)]  # noqa: E731
    _run(connection, version.kept.of("enter", entering, constant=not (within and within.months)))
    noted, turned_away = version.kept.of("verdicts", lambda: _verdicts(version))
    entered: int = connection.execute(noted, {"before": before}).rowcount
    connection.execute(turned_away)
    if ending_events(version):
        _run(connection, version.kept.of("since", lambda: [_since(connection.dialect.name, version)]), before)
    if entered and watching(version).of_those_inside:
        _run(connection, version.kept.of("changed", lambda: [_changed(version)]), before)
    return entered


_NEW = (
    select(caller.c.arrival_id, caller.c.customer_id, caller.c.at)
    .where(caller.c.verdict == "enter")
    .subquery("new")
)


def _entering(
    connection: Connection, version: Version, within: Duration | None, zone: str, salt: str
) -> Executable:
    """Return what begins the stays; `within` is how long after, on each customer's own calendar, a goal counts."""
    plan, source = version.plan, caller.join(customer, customer.c.id == caller.c.customer_id)
    held_out = place_sql(customer.c.draw, holdout_purpose(salt, version.name), 10_000) < plan.holdout
    values: dict[str, ColumnElement[Any]] = {
        "journey_id": literal(version.journey_id, BigInteger),
        "version_id": literal(version.version_id, BigInteger),
        "customer_id": caller.c.customer_id,
        "event_id": caller.c.event_id,
        "per": caller.c.per,
        "held_out": held_out,
        "entered_at": caller.c.at,
        "step_id": literal(version.number(plan.first), BigInteger),
        "arrived_at": caller.c.at,
        "due_at": caller.c.at,
        "outcome": literal(Outcome.inside.value),
        "effective_at": caller.c.effective_at,
        "seq": caller.c.seq,
    }
    if within:
        until = later(connection, _NEW, _NEW.c.at, within, zone, _NEW.c.arrival_id).subquery("until")
        source = source.join(until, until.c.key == caller.c.arrival_id)
        values["convert_by"] = until.c.due
    query = select(*values.values()).select_from(source).where(caller.c.verdict == "enter")
    # Stays are numbered in the order in which they began: who is due at one time goes on in this order.
    query = query.order_by(caller.c.effective_at, caller.c.at, caller.c.seq, caller.c.arrival_id)
    return insert_new(connection.dialect.name, enrollment, list(values), query)


def _newcomers(version: Version) -> Any:
    """Return what joins callers with the stays just begun: those numbered above the last one before.

    By number, since a database that has not yet counted a fresh table's values may look for them the slow way.
    """
    return and_(
        enrollment.c.id > bindparam("before", type_=BigInteger),
        enrollment.c.version_id == version.version_id,
        enrollment.c.customer_id == caller.c.customer_id,
        enrollment.c.per == caller.c.per,
        caller.c.verdict == "enter",
    )


def ending_events(version: Version) -> frozenset[str]:
    """Return the events that may end a stay: by themselves, or as a condition of `exit` counts them."""
    return watching(version).exit_events.union(version.plan.ending_events)


def _since(dialect: str, version: Version) -> Executable:
    """Return what brings back to the door the events since entry that may end a stay which has only begun now.

    They had been shown to the journey when nobody was inside whom they concerned: the stay began late, by an event
    that came late, or by another journey's step in a late pass. What happened after the event that began the stay, but
    was heard of before it, takes effect with the stay.
    """
    query = (
        select(
            literal(version.journey_id, BigInteger),
            event.c.customer_id,
            literal(ArrivalKind.known.value),
            event.c.id,
            event.c.at,
            later_of(event.c.effective_at, enrollment.c.effective_at),
            event.c.seq,
            event.c.source.startswith(JOURNEY),
        )
        .join(enrollment, enrollment.c.customer_id == event.c.customer_id)
        .join(caller, _newcomers(version))
        .where(
            # `name || ''` keeps SQLite from reading every event of these names: the newcomers are few.
            (event.c.name + "").in_(sorted(ending_events(version))),
            is_since_entry(),
        )
    )
    return insert_new(dialect, arrival, ARRIVAL_OF_EVENT, query)


def _changed(version: Version) -> Executable:
    """Return what brings back to the door the changes of records since the entry of a stay which has only begun now.

    They had not been brought there, as nobody knew of a stay whom they concerned: a date or a time let her in, late.
    """
    query = (
        select(
            literal(version.journey_id, BigInteger),
            change.c.customer_id,
            literal(ArrivalKind.touch.value),
            change.c.happened_at,
            change.c.at,
            change.c.seq,
            false(),
        )
        .join(enrollment, enrollment.c.customer_id == change.c.customer_id)
        .join(caller, _newcomers(version))
        .where(
            change.c.at > enrollment.c.effective_at,
            (change.c.name + "").in_(sorted(watching(version).of_those_inside)),
        )
        .distinct()
    )
    names = ["journey_id", "customer_id", "kind", "at", "effective_at", "seq", "caused"]
    return insert(arrival).from_select(names, query, include_defaults=False)


def is_since_entry() -> ColumnElement[bool]:
    """Say whether an event that has been shown to journeys came after the one that began a stay."""
    came_later = tuple_(event.c.effective_at, event.c.at, event.c.seq) > tuple_(
        enrollment.c.effective_at, enrollment.c.entered_at, enrollment.c.seq
    )
    return and_(or_(event.c.at > enrollment.c.entered_at, came_later), event.c.routed_at.is_not(None))


def _verdicts(version: Version) -> tuple[Executable, Executable]:
    """Return what notes who came in, and who was turned away and why."""
    entered = note(
        customer=caller.c.customer_id,
        journey=version.journey_id,
        enrollment=enrollment.c.id,
        at=caller.c.at,
        decision=Decision.entered,
        reason=caller.c.kind,
        of=caller.join(enrollment, _newcomers(version)),
    )
    away = note(
        customer=caller.c.customer_id,
        journey=version.journey_id,
        at=caller.c.at,
        decision=Decision.turned_away,
        reason=caller.c.verdict,
        where=(caller.c.verdict.in_(("if", "again", "inside", "exit", "loop")),),
    )
    return entered.execution_options(preserve_rowcount=True), away
