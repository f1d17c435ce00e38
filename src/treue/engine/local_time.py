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
    home = func.coalesce(customer.c.timezone, literal(zone))
    base = rows.join(customer, customer.c.id == rows.c.customer_id).join(
        _there, (_there.c.zone == home) & (_there.c.utc_from <= instant) & (instant < _there.c.utc_until)
    )
    wall = instant + _there.c.shift + literal(duration.days * DAY, BigInteger)
    if duration.months:
        day = (instant + _there.c.shift) // literal(DAY, BigInteger)
        found = connection.scalars(select(day).select_from(base).distinct()).all() if connection else ()
        if found:
            wall = wall + case({n: _moved(n, duration.months) for n in found}, value=day) * literal(
                DAY, BigInteger
            )
    back = base.join(
        _back, (_back.c.zone == home) & (_back.c.wall_from <= wall) & (wall < _back.c.wall_until)
    )
    moved = wall - _back.c.shift
    landed = case((moved < _back.c.utc_from, _back.c.utc_from), else_=moved)
    due = landed + literal(duration.seconds * MICROSECONDS, BigInteger)
    return select(key.label("key"), type_coerce(due, Instant).label("due")).select_from(back)


def _moved(day: int, months: int) -> int:
    """Return by how many days the calendar moves from a day (counted from 1970) in so many months."""
    start = EPOCH.date().fromordinal(EPOCH.toordinal() + day)
    return (add_months(start, months) - start).days
