"""The door of a journey: arrivals become exits, goals and entries.

Taken in rounds: each round has at most one arrival a customer, the earliest, so that whatever one customer did
takes effect in the order it happened, while a round is a handful of statements for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
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
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from treue.clock import HOUR, Duration, instant
from treue.engine.draws import holdout_purpose, place_sql
from treue.engine.local_time import later
from treue.engine.statements import NOW, insert_new, made_once
from treue.engine.versions import Version
from treue.model.states import ArrivalKind, Decision, MessageState, Outcome, Reason
from treue.model.tables import arrival, caller, customer, enrollment, event, message, trace
from treue.model.types import Instant
from treue.plan.stages import Exit
from treue.segments.sql import Moment, event_fits, members, shared
from treue.segments.tree import Ago, Condition, Property
from treue.store.store import Store

CALLERS_A_ROUND = 5_000
LAST = 2**62

_ASKING = (
    ArrivalKind.segment.value,
    ArrivalKind.schedule.value,
    ArrivalKind.date.value,
    ArrivalKind.manual.value,
    ArrivalKind.started.value,
)

_OCCURRENCE = case((caller.c.kind == ArrivalKind.date.value, caller.c.detail), else_=literal("", Text))

_other = arrival.alias("other")
_before = enrollment.alias("before")
_began = event.alias("began")


def take_in(store: Store, versions: Sequence[Version], now: datetime, zone: str, salt: str) -> int:
    """Let everybody at one journey's door in, out, or turn them away; return how many arrivals were dealt with.

    `versions` are all versions of the journey in use: exits and goals are those of the version a customer is
    in, entry is the live one's.
    """
    total = 0
    while dealt := _round(store, versions, now, zone, salt):
        total += dealt
    return total


def _round(store: Store, versions: Sequence[Version], now: datetime, zone: str, salt: str) -> int:
    journey_id, moment = versions[0].journey_id, Moment(now, zone)
    with store.transaction() as connection:
        store.lock(connection, f"journey {journey_id}")
        if not (called := _call(connection, journey_id, now)):
            return 0
        errands = _errands(connection)
        for version in versions:
            _leave(connection, version, moment, errands)
            _convert(connection, version, moment, errands)
        live = next((version for version in versions if version.live), None)
        if live is not None and errands & {*_ASKING, live.plan.entry.event}:
            _judge(connection, live, moment)
            _enter(connection, live, zone, salt)
        connection.execute(_DEALT)
    return called


def _turn(one: Any) -> tuple[ColumnElement[Any], ...]:
    """Return what arrivals are ordered by: of one instant, events come first, in the order of their recording."""
    return one.at, func.coalesce(one.event_id, literal(LAST, BigInteger)), one.id


def _calling() -> Insert:
    earlier = exists().where(
        _other.c.journey_id == arrival.c.journey_id,
        _other.c.customer_id == arrival.c.customer_id,
        _other.c.at <= arrival.c.at,
        tuple_(*_turn(_other.c)) < tuple_(*_turn(arrival.c)),
    )
    first = (
        select(
            arrival.c.id,
            arrival.c.customer_id,
            arrival.c.kind,
            arrival.c.event_id,
            arrival.c.enrollment_id,
            arrival.c.at,
            arrival.c.detail,
        )
        .where(arrival.c.journey_id == bindparam("which"), arrival.c.at <= NOW, ~earlier)
        .order_by(*_turn(arrival.c))
        .limit(CALLERS_A_ROUND)
    )
    columns = ["arrival_id", "customer_id", "kind", "event_id", "enrollment_id", "at", "detail"]
    return insert(caller).from_select(columns, first).execution_options(preserve_rowcount=True)


_CALL = _calling()
_WHAT = case((caller.c.event_id.is_(None), caller.c.kind), else_=event.c.name)
_ERRANDS = select(_WHAT).select_from(caller.outerjoin(event, event.c.id == caller.c.event_id)).distinct()
_LAST_STAY = select(func.max(enrollment.c.id))
_DEALT = delete(arrival).where(arrival.c.id.in_(select(caller.c.arrival_id)))


def _call(connection: Connection, journey_id: int, now: datetime) -> int:
    """Take each customer's earliest arrival."""
    connection.execute(delete(caller))
    return connection.execute(_CALL, {"which": journey_id, "now": now}).rowcount


def _once(version: Version, key: Any, make: Callable[[], Any], *, constant: bool = True) -> Any:
    """Return what `make` makes, made once for each version where it is constant."""
    if not constant:
        return make()
    if key not in version.memo:
        version.memo[key] = make()
    return version.memo[key]


def _is_constant(where: tuple[Property, ...]) -> bool:
    return not any(isinstance(value, Ago) for part in where for op in part.ops for value in op.values)


def _errands(connection: Connection) -> set[str | None]:
    """Return what this round's callers came for: names of events, and kinds of the other arrivals."""
    return set(connection.scalars(_ERRANDS))


def _matching(dialect: str, name: str, where: tuple[Property, ...], moment: Moment) -> ColumnElement[bool]:
    """Say which callers came with an event of this name that fits."""
    fits = event_fits(where, event, dialect, moment)
    return exists().where(event.c.id == caller.c.event_id, event.c.name == name, fits)


def _leaving(dialect: str, reason: Exit, name: str, moment: Moment) -> ColumnElement[bool]:
    """Say which callers came with an event that ends a stay: any stay, or the one that the `same` event began."""
    which = _matching(dialect, name, reason.where, moment)
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
    concerned = and_(
        enrollment.c.journey_id == version.journey_id,
        enrollment.c.version_id == version.version_id,
        enrollment.c.customer_id == caller.c.customer_id,
        enrollment.c.entered_at <= caller.c.at,
        or_(
            enrollment.c.event_id.is_(None),
            caller.c.event_id.is_(None),
            enrollment.c.event_id != caller.c.event_id,
        ),
        stays,
        which,
    )
    decision = Decision.converted if outcome is Outcome.converted else Decision.exited
    noted = select(
        enrollment.c.customer_id,
        literal(version.journey_id, BigInteger),
        enrollment.c.id,
        enrollment.c.step_id,
        caller.c.at,
        literal(decision.value),
        reason,
    ).where(concerned)
    columns = ["customer_id", "journey_id", "enrollment_id", "step_id", "at", "decision", "reason"]
    left = {"outcome": outcome.value, "reason": reason, "left_at": caller.c.at, "step_id": None}
    return [insert(trace).from_select(columns, noted), update(enrollment).values(left).where(concerned)]


def _leave(connection: Connection, version: Version, moment: Moment, errands: set[str | None]) -> None:
    inside = enrollment.c.outcome == Outcome.inside.value
    dialect = connection.dialect.name
    for n, exit_ in enumerate(version.plan.exits):
        if exit_.event is None or exit_.event not in errands:
            continue

        def by_event(exit_: Exit = exit_, name: str = exit_.event) -> list[Executable]:
            which = _leaving(dialect, exit_, name, moment)
            return _ending(version, Outcome.exited, which, literal(exit_.name, Text), inside)

        _run(connection, _once(version, ("exit", n), by_event, constant=_is_constant(exit_.where)))

        def call_back(exit_: Exit = exit_, name: str = exit_.event) -> list[Executable]:
            return [_calling_back(version, _leaving(dialect, exit_, name, moment))]

        _run(connection, _once(version, ("call back", n), call_back, constant=_is_constant(exit_.where)))
    if ArrivalKind.leave.value in errands:
        asked, why = caller.c.enrollment_id == enrollment.c.id, type_coerce(caller.c.detail, Text)
        _run(
            connection, _once(version, "leave", lambda: _ending(version, Outcome.exited, asked, why, inside))
        )


def _calling_back(version: Version, which: ColumnElement[bool]) -> Executable:
    """Return what takes the messages of finished stays out of the outbox again, for an exit that comes that late."""
    finished = exists().where(
        enrollment.c.id == message.c.enrollment_id,
        enrollment.c.version_id == version.version_id,
        enrollment.c.outcome == Outcome.finished.value,
        enrollment.c.entered_at <= caller.c.at,
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

    def by_goal() -> list[Executable]:
        stays: ColumnElement[bool] = enrollment.c.outcome == Outcome.inside.value
        if goal.within:
            counted = enrollment.c.outcome.in_((Outcome.inside.value, Outcome.finished.value))
            stays = and_(counted, enrollment.c.convert_by >= caller.c.at)
        which = _matching(connection.dialect.name, goal.event, goal.where, moment)
        return _ending(version, Outcome.converted, which, literal(goal.event, Text), stays)

    _run(connection, _once(version, "goal", by_goal, constant=_is_constant(goal.where)))


def _run(connection: Connection, statements: Sequence[Executable], before: int = 0) -> None:
    for statement in statements:
        connection.execute(statement, {"before": before})


# --- entries ------------------------------------------------------------------------------------------------


def _judge(connection: Connection, version: Version, moment: Moment) -> None:
    """Give each caller who asks to enter a verdict: `enter`, or why not."""
    entry = version.plan.entry

    def asking() -> list[Executable]:
        asks: ColumnElement[bool] = caller.c.kind.in_(_ASKING)
        if entry.event:
            begins = _matching(connection.dialect.name, entry.event, entry.where, moment)
            # The same event may be an exit or the goal, for which one from before the journey went live counts.
            new = caller.c.kind == ArrivalKind.event.value
            asks = or_(asks, and_(new, caller.c.at >= literal(version.live_since, Instant), begins))
        return [update(caller).values(verdict="enter", per=_OCCURRENCE).where(asks)]

    _run(connection, _once(version, "asking", asking, constant=_is_constant(entry.where)))
    if entry.per:
        _set_per(connection, entry.per)
    if entry.when is not None:
        _ask(connection, version, entry.when, moment)
    again = lambda: _again(connection, version, entry.again, moment.zone)  # noqa: E731
    _run(connection, _once(version, "again", again, constant=not (entry.again and entry.again.months)))


_WANTS = caller.c.verdict == "enter"
_hour = type_coerce(caller.c.at, BigInteger) // literal(HOUR, BigInteger)
_HOURS = select(_hour).where(_WANTS).distinct()
_THESE = and_(_WANTS, _hour == bindparam("hour", type_=BigInteger))


def _ask(connection: Connection, version: Version, condition: Condition, moment: Moment) -> None:
    """Turn away those for whom the entry's `if` does not hold.

    Asked as of the hour in which each of them came: a pass that is days late finds the same people as one in time.
    """
    make = partial(_turning_away, condition, connection.dialect.name)
    for hour in sorted(connection.scalars(_HOURS)):
        then = Moment(min(moment.now, instant((hour + 1) * HOUR)), moment.zone)
        statement, values = made_once(version, "if", [condition], then, make)
        connection.execute(statement, {"hour": hour, **values})


def _turning_away(condition: Condition, dialect: str, then: Moment) -> Executable:
    stay = (caller.c.at.label("entered_at"), caller.c.event_id)
    candidates = select(caller.c.customer_id, *stay).where(_THESE).subquery("candidates")
    holds = members(condition, then, dialect, candidates).subquery("found")
    outside = caller.c.customer_id.not_in(select(holds.c.customer_id))
    return update(caller).values(verdict="if").where(_THESE, outside)


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


def _enter(connection: Connection, version: Version, zone: str, salt: str) -> None:
    before = connection.scalar(_LAST_STAY) or 0
    entering = _once(version, "enter", lambda: [_entering(connection.dialect.name, version, salt)])
    _run(connection, entering)
    goal = version.plan.goal
    if goal and goal.within:
        within = goal.within
        window = lambda: [_window(connection, version, within, zone, before)]  # noqa: E731
        _run(connection, _once(version, "window", window, constant=not within.months), before)
    _run(connection, _once(version, "verdicts", lambda: _verdicts(version)), before)
    if version.plan.ending_events:
        _run(connection, _once(version, "since", lambda: [_since(connection.dialect.name, version)]), before)


def _entering(dialect: str, version: Version, salt: str) -> Executable:
    plan = version.plan
    held_out = place_sql(customer.c.draw, holdout_purpose(salt, version.name), 10_000) < plan.holdout
    query = (
        select(
            literal(version.journey_id, BigInteger),
            literal(version.version_id, BigInteger),
            caller.c.customer_id,
            caller.c.event_id,
            caller.c.per,
            held_out,
            caller.c.at,
            literal(version.number(plan.first), BigInteger),
            caller.c.at,
            caller.c.at,
            literal(Outcome.inside.value),
        )
        .join(customer, customer.c.id == caller.c.customer_id)
        .where(caller.c.verdict == "enter")
    )
    columns = [
        "journey_id", "version_id", "customer_id", "event_id", "per", "held_out", "entered_at", "step_id",
        "arrived_at", "due_at", "outcome",
    ]  # fmt: skip
    return insert_new(dialect, enrollment, columns, query)


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


def _window(connection: Connection, version: Version, within: Duration, zone: str, before: int) -> Executable:
    """Return what sets until when reaching the goal counts, on each customer's own calendar."""
    new = (
        select(enrollment.c.id, enrollment.c.customer_id, enrollment.c.entered_at)
        .join(caller, _newcomers(version))
        .subquery("new")
    )
    if within.months:
        new = new.select().params(before=before).subquery("new")
    until = later(connection, new, new.c.entered_at, within, zone, new.c.id).subquery("until")
    return update(enrollment).values(convert_by=until.c.due).where(enrollment.c.id == until.c.key)


def _since(dialect: str, version: Version) -> Executable:
    """Return what brings back to the door the events since entry that may end a stay which has only begun now.

    They had been shown to the journey when nobody was inside whom they concerned: the stay began late, by an event
    that came late, or by another journey's step in a late pass.
    """
    query = (
        select(
            literal(version.journey_id, BigInteger),
            event.c.customer_id,
            literal(ArrivalKind.known.value),
            event.c.id,
            event.c.at,
        )
        .join(enrollment, enrollment.c.customer_id == event.c.customer_id)
        .join(caller, _newcomers(version))
        .where(
            # `name || ''` keeps SQLite from reading every event of these names: the newcomers are few.
            (event.c.name + "").in_(sorted(version.plan.ending_events)),
            event.c.at > enrollment.c.entered_at,
            event.c.routed_at.is_not(None),
        )
    )
    return insert_new(dialect, arrival, ["journey_id", "customer_id", "kind", "event_id", "at"], query)


_NOTED = ["customer_id", "journey_id", "enrollment_id", "at", "decision", "reason"]


def _verdicts(version: Version) -> list[Executable]:
    """Return what notes who came in, and who was turned away and why."""
    journey_id = literal(version.journey_id, BigInteger)
    entered = select(
        caller.c.customer_id,
        journey_id,
        enrollment.c.id,
        caller.c.at,
        literal(Decision.entered.value),
        caller.c.kind,
    ).join(enrollment, _newcomers(version))
    away = select(
        caller.c.customer_id,
        journey_id,
        cast(null(), BigInteger),
        caller.c.at,
        literal(Decision.turned_away.value),
        caller.c.verdict,
    ).where(caller.c.verdict.in_(("if", "again")))
    return [insert(trace).from_select(_NOTED, query) for query in (entered, away)]
