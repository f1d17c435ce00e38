"""How long answers stand: when time alone may change them next.

Within a stretch of time in which durations lead evenly far back, the instant is exact: a time and the shift. What lies
beyond the end of the stretch is looked at again no later than it can be right, and is exact then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, literal, null, type_coerce

from treue.clock import DAY, Duration, micros
from treue.model.types import Instant
from treue.segments.columns import Facts
from treue.segments.compare import micros_of
from treue.segments.expiry import Expiry
from treue.segments.face import sql_of
from treue.segments.moment import Moment
from treue.segments.needs import leaves
from treue.segments.stretch import stretch_end
from treue.segments.tree import Condition, Leaf

_HORIZON = timedelta(days=366)
"""How far ahead the end of a stretch is looked for."""

_DUSK = datetime.max.replace(tzinfo=UTC)
_NEVER = micros(datetime(9000, 1, 1, tzinfo=UTC))
_TICKS = {"at": (0,), "after": (1,), "both": (0, 1)}


def end_of_stretch(conditions: Sequence[Condition], zone: str, first: datetime) -> datetime:
    """Return the end of the stretch that begins at `first`, in which one statement says how long the answers stand."""
    return _end_of_stretch(tuple(conditions), zone, first)


@lru_cache(maxsize=256)
def _end_of_stretch(conditions: tuple[Condition, ...], zone: str, first: datetime) -> datetime:
    limit = first + _HORIZON if first < _DUSK - _HORIZON else _DUSK
    return stretch_end(conditions, zone, first, limit)


def stands_until(conditions: Sequence[Condition], facts: Facts) -> ColumnElement[datetime]:
    """Return the first instant at which time alone may change an answer, as SQL; NULL where it changes none.

    Leaves that cannot say are left out. `facts` have been gathered with those that say it.
    """
    asked, moment = tuple(conditions), facts.scope.moment
    end = moment.value(
        ("end", repr(asked)), lambda then: micros(end_of_stretch(asked, then.zone, then.now)), BigInteger()
    )
    counted = {
        repr((expiry, None if expiry.fact else leaf)): (leaf, expiry)
        for condition in asked
        for leaf in leaves(condition)
        for expiry in leaf.expiries() or ()
    }
    found = [one for leaf, expiry in counted.values() for one in _instants(leaf, expiry, facts, end)]
    never = literal(_NEVER, BigInteger)
    first = _least([func.coalesce(one, never) for one in found], facts.scope.dialect)
    return type_coerce(cast(null(), BigInteger) if first is None else case((first < never, first)), Instant)


def _instants(leaf: Leaf, expiry: Expiry, facts: Facts, end: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return the instants at which an expiry may change the answer next, in microseconds; NULL where it never does."""
    moment, length = facts.scope.moment, expiry.length
    value = facts[expiry.fact] if expiry.fact else sql_of(leaf).observed(leaf, facts)[0]
    counted = value if expiry.type == "instant" else micros_of(value, facts.scope.dialect)
    since, now = type_coerce(counted, BigInteger), moment.counted_from
    days = DAY if expiry.type == "date" else 0
    slack = literal(_slack(length) + 2 * days, BigInteger)
    rough = since + moment.value(("rough", length), lambda then: _rough(length, then), BigInteger())
    latest = rough + literal(days, BigInteger) + slack
    again = case((rough - slack > end, rough - slack), else_=end)
    if days:  # it changes at the end of a stretch, as these end where local days do
        return [case((latest >= now, again))]
    exact = since + moment.shift(length)
    return [
        case(
            (since.is_(None), null()),
            (and_(exact + tick > now, exact + tick < end), exact + tick),
            (and_(exact + tick <= now, latest < end), null()),
            else_=again,
        )
        for tick in _TICKS[expiry.turns]
    ]


def _slack(length: Duration) -> int:
    """Return by how much at the most so long ago is nearer or farther at another time: by clock changes, months' lengths."""
    if length.months:
        return 6 * DAY
    return 2 * DAY if length.days else 0


def _rough(length: Duration, moment: Moment) -> int:
    """Return how far back a duration leads from the beginning of a stretch, also where a clock change skips that time."""
    return micros(moment.now) - micros(moment.back(length))


def _least(many: Sequence[ColumnElement[Any]], dialect: str) -> ColumnElement[Any] | None:
    if len(many) < 2:
        return many[0] if many else None
    return (func.min if dialect == "sqlite" else func.least)(*many, type_=BigInteger())
