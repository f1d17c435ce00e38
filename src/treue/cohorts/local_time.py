"""Durations in SQL: calendar parts follow each customer's clock, across clock changes.

`timezone_offset` has, for each zone customers live in, the stretches of one offset. An instant is turned into
local time by the stretch it lies in, moved, and turned back by the stretch the moved local time lies in; a
local time that a clock change skips becomes the change itself, and of one that occurs twice the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Label,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from treue.clock import DAY, EPOCH, MICROSECONDS, WEEKDAYS, Duration, add_months, micros
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import customer, timezone_offset
from treue.model.types import Instant
from treue.segments.typed import day_text, seconds, typed
from treue.store.dialect import worked_out

_there = timezone_offset.alias("there")
_back = timezone_offset.alias("back")


def absolute(duration: Duration) -> int:
    """Return microseconds, counting a day as 24 hours and a month as 30 days: for spans that need no calendar."""
    return ((duration.months * 30 + duration.days) * 86_400 + duration.seconds) * MICROSECONDS


def later(
    connection: Connection | None,
    rows: FromClause,
    at: ColumnElement[Any],
    duration: Duration,
    zone: str,
    key: ColumnElement[Any],
) -> Select[Any]:
    """Return a query of (key, due): `duration` after `at` for each of `rows`, which has `customer_id`.

    `zone` is the workspace's, for customers without one. Months need the local days that occur, which are
    read first: there are few, however many the customers are (without a connection they are left out).
    """
    instant = type_coerce(at, BigInteger)
    if not (duration.months or duration.days):
        due = instant + literal(duration.seconds * MICROSECONDS, BigInteger)
        return select(key.label("key"), type_coerce(due, Instant).label("due")).select_from(rows)
    return _shifted(connection, _located(rows, key, instant, zone), duration, 1)


def next_time(
    rows: FromClause,
    at: ColumnElement[Any],
    time: str,
    days: Sequence[str],
    zone: str,
    key: ColumnElement[Any],
) -> Select[Any]:
    """Return a query of (key, due): the first `HH:MM` on the customer's clock at or after `at`.

    `days` are the days of the week that count, `mon` to `sun`; none are all of them.
    """
    located = _located(rows, key, type_coerce(at, BigInteger), zone)
    today = _on_day(located, located.c.instant, _day(located), time, "today")
    # Instants are compared, not local times: of an hour that comes twice, the second is past its times.
    first = _day(today) + case((at_wall(today) < today.c.instant, 1), else_=0)
    begun = select(today.c.key, today.c.home, first.label("day")).subquery("begun")
    day = begun.c.day + _days_until(days, begun.c.day)
    chosen = _on_day(begun, null(), day, time, "chosen")
    return select(chosen.c.key, type_coerce(at_wall(chosen), Instant).label("due"))


_MOVABLE = (datetime(400, 1, 1, tzinfo=UTC), datetime(9600, 1, 1, tzinfo=UTC))
"""Between these, a date can be moved by any length that a file may name."""


def own_time(
    connection: Connection | None,
    rows: FromClause,
    attribute: str,
    type_: str,
    duration: Duration,
    sign: int,
    zone: str,
    key: ColumnElement[Any],
    dialect: str,
) -> Select[Any]:
    """Return a query of (key, due): so long after (`sign` 1) or before (-1) what an attribute names, or NULL.

    A `date` is the beginning of that day on the customer's clock, a `time` an instant. What lies at an end of the calendar
    counts as a few centuries nearer, so that no length leads beyond it.
    """
    named = own_instant(attribute, type_, dialect)
    if attribute not in BUILT_IN_ATTRIBUTES:
        first, last = (literal(micros(end), BigInteger) for end in _MOVABLE)
        named = case((named < first, first), (named > last, last), else_=named)
    if type_ == "time":
        return _shifted(connection, _located(rows, key, named, zone), duration, sign)
    days = select(key.label("key"), _home(zone), named.label("wall"))
    located = days.select_from(rows.join(customer, customer.c.id == rows.c.customer_id)).subquery("located")
    return _shifted(connection, located, duration, sign)


def own_day_at(
    connection: Connection | None,
    rows: FromClause,
    attribute: str,
    type_: str,
    duration: Duration,
    sign: int,
    time: str,
    zone: str,
    key: ColumnElement[Any],
    dialect: str,
    since: ColumnElement[Any] | None = None,
) -> Select[Any]:
    """Return a query of (key, due): `HH:MM` on the day that an attribute names, moved by a duration, or NULL.

    With `since`, a column of `rows`, the first such time at or after it at which that day comes round; 29 February does on
    the 28th in common years, and nothing comes round before it was.
    """
    people = worked_out(
        select(
            key.label("key"),
            _home(zone),
            own_day(attribute, type_, zone, dialect).label("named"),
            type_coerce(literal(0) if since is None else since, BigInteger).label("since"),
        ).select_from(rows.join(customer, customer.c.id == rows.c.customer_id)),
        "people",
    )
    if since is None:
        return _shifted(connection, _on(people, people.c.named, time, dialect), duration, sign)
    away = sign * int(duration.roughly.total_seconds())
    year = func.substr(day_text(people.c.since // literal(MICROSECONDS, BigInteger) - away, dialect), 1, 4)
    days = [people.c.named, *(_anniversary(people.c.named, cast(year, Integer) + n) for n in (-1, 0, 1, 2))]
    found = [
        _shifted(connection, _on(people, day, time, dialect, f"round_{n}"), duration, sign, f"moved_{n}")
        for n, day in enumerate(days)
    ]
    coming = union_all(*found).subquery("coming")
    first = func.min(
        case((type_coerce(coming.c.due, BigInteger) >= people.c.since, coming.c.due)), type_=Instant()
    )
    query = select(people.c.key, first.label("due"))
    return query.select_from(people.outerjoin(coming, coming.c.key == people.c.key)).group_by(people.c.key)


def _on(
    people: FromClause, day: ColumnElement[Any], time: str, dialect: str, name: str = "located"
) -> Subquery:
    """Return the local time `HH:MM` on a day of each; NULL where there is none, or where it lies before what was named."""
    hours, minutes = map(int, time.split(":"))
    of_day = literal((hours * 60 + minutes) * 60, BigInteger)
    wall = (seconds(day, dialect) + of_day) * literal(MICROSECONDS, BigInteger)
    return select(people.c.key, people.c.home, case((day >= people.c.named, wall)).label("wall")).subquery(
        name
    )


def _anniversary(named: ColumnElement[Any], year: ColumnElement[int]) -> ColumnElement[str]:
    """Return the ISO date on which a date comes round in a year."""
    is_leap = and_(year % 4 == 0, or_(year % 100 != 0, year % 400 == 0))
    shown = case((and_(func.substr(named, 5) == "-02-29", ~is_leap), "-02-28"), else_=func.substr(named, 5))
    return cast(year, Text).concat(shown)


def own_instant(attribute: str, type_: str, dialect: str) -> ColumnElement[Any]:
    """Return what a customer's attribute names in microseconds since 1970: a time in UTC, a date as its local midnight."""
    if attribute in BUILT_IN_ATTRIBUTES:
        return type_coerce(customer.c[attribute], BigInteger)
    return micros_named(customer.c.attributes, attribute, type_, dialect)


def micros_named(
    document: ColumnElement[Any], attribute: str, type_: str, dialect: str
) -> ColumnElement[Any]:
    """Return what an attribute in a JSON document names in microseconds since 1970: a time in UTC, a date as its local midnight."""
    return seconds(typed(document, attribute, type_, dialect), dialect) * literal(MICROSECONDS, BigInteger)


def own_day(attribute: str, type_: str, zone: str, dialect: str) -> ColumnElement[Any]:
    """Return the ISO date of the day that a customer's attribute names; of a time, the day on the customer's clock."""
    if type_ == "date":
        return typed(customer.c.attributes, attribute, type_, dialect)
    instant = own_instant(attribute, type_, dialect)
    wall = instant + func.coalesce(shift_at(_home(zone), instant), 0)
    return day_text(wall // literal(MICROSECONDS, BigInteger), dialect)


def home_zone(zone: str) -> ColumnElement[Any]:
    """Return the customer's time zone, `zone` where none is known."""
    return func.coalesce(customer.c.timezone, literal(zone))


def _home(zone: str) -> Label[Any]:
    return home_zone(zone).label("home")


def _shifted(
    connection: Connection | None, located: Subquery, duration: Duration, sign: int, name: str = "moved"
) -> Select[Any]:
    """Move local times by a duration, and turn them into instants."""
    wall = located.c.wall + literal(sign * duration.days * DAY, BigInteger)
    if duration.months:
        found = connection.scalars(select(_day(located)).distinct()).all() if connection else ()
        by_day = {n: _moved(n, sign * duration.months) for n in found if n is not None}
        if by_day:
            wall += case(by_day, value=_day(located)) * literal(DAY, BigInteger)
    moved = worked_out(select(located.c.key, located.c.home, wall.label("wall")), name)
    due = at_wall(moved) + literal(sign * duration.seconds * MICROSECONDS, BigInteger)
    return select(moved.c.key, type_coerce(due, Instant).label("due"))


def _located(rows: FromClause, key: ColumnElement[Any], instant: ColumnElement[Any], zone: str) -> Subquery:
    """Return each row's zone and the local time there of its instant. One look into an index a row."""
    where = select(key.label("key"), instant.label("instant"), _home(zone))
    homes = where.select_from(rows.join(customer, customer.c.id == rows.c.customer_id)).subquery("homes")
    wall = homes.c.instant + shift_at(homes.c.home, homes.c.instant)
    return select(homes.c.key, homes.c.home, homes.c.instant, wall.label("wall")).subquery("located")


def shift_at(home: ColumnElement[Any], instant: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return by how many microseconds the clocks of a zone are ahead of UTC at an instant."""
    return (
        select(_there.c.shift)
        .where(_there.c.zone == home, _there.c.utc_from <= instant)
        .order_by(_there.c.utc_from.desc())
        .limit(1)
        .scalar_subquery()
    )


def _day(located: Subquery) -> ColumnElement[Any]:
    return located.c.wall // literal(DAY, BigInteger)


def _on_day(
    rows: Subquery, instant: ColumnElement[Any], day: ColumnElement[Any], time: str, name: str
) -> Subquery:
    """Return each row with the local time `HH:MM` on a day (counted from 1970)."""
    hours, minutes = map(int, time.split(":"))
    wall = day * literal(DAY, BigInteger) + literal((hours * 60 + minutes) * 60 * MICROSECONDS, BigInteger)
    columns = (rows.c.key, rows.c.home, instant.label("instant"), wall.label("wall"))
    return select(*columns).subquery(name)


def _days_until(days: Sequence[str], day: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return how many days it is from a day to the next that counts. Day 0, 1970-01-01, was a Thursday."""
    if not days:
        return literal(0, BigInteger)
    wanted = [WEEKDAYS.index(one) for one in days]
    ahead = {n: min((one - n) % 7 for one in wanted) for n in range(7)}
    return case(ahead, value=(day + literal(3, BigInteger)) % literal(7, BigInteger))


def at_wall(moved: FromClause) -> ColumnElement[Any]:
    """Return the instant of the local time `wall` in the zone `home`.

    A skipped one is the clock change itself, of a double one the first.
    """
    plain = moved.c.wall - _back.c.shift
    return (
        select(case((plain < _back.c.utc_from, _back.c.utc_from), else_=plain))
        .where(_back.c.zone == moved.c.home, _back.c.wall_from <= moved.c.wall)
        .order_by(_back.c.wall_from.desc())
        .limit(1)
        .scalar_subquery()
    )


def _moved(day: int, months: int) -> int:
    """Return by how many days the calendar moves from a day (counted from 1970) in so many months."""
    start = EPOCH.date().fromordinal(EPOCH.toordinal() + day)
    return (add_months(start, months) - start).days
