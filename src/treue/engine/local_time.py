"""Durations in SQL: calendar parts follow each customer's clock, across clock changes.

`timezone_offset` has, for each zone customers live in, the stretches of one offset. An instant is turned into
local time by the stretch it lies in, moved, and turned back by the stretch the moved local time lies in; a
local time that a clock change skips becomes the change itself, and of one that occurs twice the first counts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    case,
    func,
    literal,
    select,
    type_coerce,
)

from treue.clock import DAY, EPOCH, MICROSECONDS, Duration, add_months
from treue.model.tables import customer, timezone_offset
from treue.model.types import Instant

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
    located = _located(rows, key, instant, zone)
    wall = located.c.wall + literal(duration.days * DAY, BigInteger)
    if duration.months:
        found = connection.scalars(select(_day(located)).distinct()).all() if connection else ()
        if found:
            wall += case({n: _moved(n, duration.months) for n in found}, value=_day(located)) * literal(
                DAY, BigInteger
            )
    moved = select(located.c.key, located.c.home, wall.label("wall")).subquery("moved")
    due = at_wall(moved) + literal(duration.seconds * MICROSECONDS, BigInteger)
    return select(moved.c.key, type_coerce(due, Instant).label("due"))


def _located(rows: FromClause, key: ColumnElement[Any], instant: ColumnElement[Any], zone: str) -> Subquery:
    """Return each row's zone and the local time there of its instant. One look into an index a row."""
    home = func.coalesce(customer.c.timezone, literal(zone))
    where = select(key.label("key"), instant.label("instant"), home.label("home"))
    homes = where.select_from(rows.join(customer, customer.c.id == rows.c.customer_id)).subquery("homes")
    wall = homes.c.instant + shift_at(homes.c.home, homes.c.instant)
    return select(homes.c.key, homes.c.home, wall.label("wall")).subquery("located")


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


def at_wall(moved: Subquery) -> ColumnElement[Any]:
    """Return the instant of the local time `wall` in the zone `home`: a skipped one is the clock change itself, of a double one the first."""
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
