"""The date trigger: whose day has come. The days of a window are few, and so are zones; customers are found in SQL."""

from __future__ import annotations

from bisect import bisect_right
from calendar import isleap
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
)

from treue.clock import Duration, add_months, resolve
from treue.cohorts.hindsight import everybody, in_their_time
from treue.cohorts.local_time import home_zone, own_day
from treue.cohorts.scene import Version
from treue.model.states import ArrivalKind
from treue.model.tables import arrival, change, customer, timezone_offset
from treue.model.types import Instant
from treue.store.dialect import rows_as_table, worked_out
from treue.vocabulary.triggers.date.word import OnDate

ONE_DAY = timedelta(days=1)
_AHEAD = (2 * ONE_DAY, 40 * ONE_DAY, 400 * ONE_DAY)
"""How far is looked ahead, first in small steps: with many customers, somebody's day is always near."""


@dataclass(frozen=True)
class DateOccurrence:
    """A day in one zone, and the instant at which it lets in the customers whose attribute shows it.

    `shown` is what an attribute shows of the day: all of it, or of an anniversary month and day.
    """

    zone: str
    day: date
    at: datetime
    shown: str


def zones_in_use(connection: Connection, zone: str) -> list[str]:
    """Return the time zones customers live in, the workspace's `zone` included."""
    found = connection.scalars(select(timezone_offset.c.zone).distinct())
    return sorted({zone, *found})


def occurrences(
    on: OnDate, zones: Iterable[str], after: datetime, until: datetime
) -> Iterator[DateOccurrence]:
    """Yield the days that begin in (`after`, `until`] in at least one of the zones."""
    for day in _days(on, after, until):
        for zone in zones:
            at = moment(on, day, zone)
            if after < at <= until:
                yield from (DateOccurrence(zone, day, at, shown) for shown in _shown(on, day))


def moment(on: OnDate, day: date, zone: str) -> datetime:
    """Return when somebody who lives in `zone` enters for a day that the attribute names or comes round to."""
    length, sign = _moved(on)
    moved = add_months(day, sign * length.months) + timedelta(days=sign * length.days)
    assert on.at is not None
    at = resolve(datetime.combine(moved, time.fromisoformat(on.at)), zone)
    return at + timedelta(seconds=sign * length.seconds)


def _moved(on: OnDate) -> tuple[Duration, int]:
    return (on.before, -1) if on.before else (on.after or Duration(), 1)


def _days(on: OnDate, after: datetime, until: datetime) -> Iterator[date]:
    """Yield the days that may begin in a window: one more on either side for the zones, more where months count."""
    length, sign = _moved(on)
    slack = timedelta(days=4 if length.months else 1)
    back = timedelta(days=-sign * length.days, seconds=-sign * length.seconds)
    first, last = (add_months((end + back).date(), -sign * length.months) for end in (after, until))
    day = first - slack
    while day <= last + slack:
        yield day
        day += ONE_DAY


def _shown(on: OnDate, day: date) -> list[str]:
    """Return what attributes show that come round to a day: in common years, 29 February comes a day early."""
    if not on.yearly:
        return [day.isoformat()]
    found = [day.isoformat()[5:]]
    return [*found, "02-29"] if found == ["02-28"] and not isleap(day.year) else found


def is_occurrence(on: OnDate, per: ColumnElement[str], zone: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a day that a stay is for is the one that a customer's attribute names, or comes round to."""
    named = own_day(on.attribute, on.type, zone, dialect)
    if not on.yearly:
        return named == per
    year = cast(func.substr(per, 1, 4), Integer)
    is_leap = and_(year % 4 == 0, or_(year % 100 != 0, year % 400 == 0))
    shown, day = func.substr(named, 6), func.substr(per, 6)
    early = and_(shown == "02-29", day == "02-28", ~is_leap)
    return and_(or_(shown == day, early), named <= per)


def bring(
    connection: Connection,
    version: Version,
    on: OnDate,
    after: datetime,
    until: datetime,
    zone: str,
    whose: Subquery | None = None,
) -> None:
    """Create arrivals for the customers whose day comes in a window, as known then; the day is the arrival's detail.

    `whose` are those that it is about, each with the instant since when.
    """
    some = change.c.customer_id.in_(select(whose.c.customer_id)) if whose is not None else None
    found = list(occurrences(on, zones_in_use(connection, zone), after, until))
    names = (on.attribute, "timezone")
    for same in _between_changes(connection, found, names):
        with in_their_time(connection, everybody(same[0].at, names, some)):
            query = _whose(connection, version, on, same, zone, whose)
            columns = ["journey_id", "customer_id", "kind", "at", "detail", "effective_at"]
            connection.execute(insert(arrival).from_select(columns, query))


def _between_changes(
    connection: Connection, found: Sequence[DateOccurrence], names: Collection[str]
) -> Iterator[list[DateOccurrence]]:
    """Yield days in the order of their instants, those together between whose instants no record says anything else."""
    if not found:
        return
    days = sorted(found, key=lambda one: one.at)
    since = and_(change.c.at > days[0].at, change.c.at <= days[-1].at, change.c.name.in_(sorted(names)))
    changed = sorted(connection.scalars(select(change.c.at).where(since).distinct()))
    for _, together in groupby(days, key=lambda one: bisect_right(changed, one.at)):
        yield list(together)


def next_beginning(version: Version, on: OnDate, after: datetime, zones: Sequence[str]) -> datetime:
    """Return the first instant after another at which a day begins in any of the zones, whoever's day that is.

    It is kept with the version until it is past.
    """

    def look() -> tuple[Sequence[str], datetime, datetime]:
        ahead = (occurrences(on, zones, after, after + days) for days in _AHEAD)
        first = next((min(one.at for one in found) for days in ahead if (found := list(days))), None)
        return zones, after, first or after + _AHEAD[-1]

    def is_good(found: tuple[Sequence[str], datetime, datetime]) -> bool:
        known, since, first = found
        return known == zones and since <= after < first

    return version.kept.while_good("next beginning", look, is_good)[-1]


def next_day(connection: Connection, version: Version, on: OnDate, now: datetime, zone: str) -> datetime:
    """Return the first instant after `now` at which anybody's day comes; where that is far off, when to look again.

    What was found is kept with the version until it is past or customers have changed.
    """
    known = connection.execute(_CUSTOMERS).one()

    def look() -> tuple[Any, datetime, datetime]:
        return known, now, _next_day(connection, version, on, now, zone)

    def is_good(found: tuple[Any, datetime, datetime]) -> bool:
        seen, since, first = found
        return seen == known and since <= now < first

    _, _, first = version.kept.while_good("next day", look, is_good)
    return first


_CUSTOMERS = select(func.count(), func.max(customer.c.updated_at)).select_from(customer)


def _next_day(connection: Connection, version: Version, on: OnDate, now: datetime, zone: str) -> datetime:
    named = own_day(on.attribute, on.type, zone, connection.dialect.name)
    anybody = connection.scalar(select(customer.c.id).where(named.is_not(None)).limit(1))
    zones = zones_in_use(connection, zone)
    for days in _AHEAD if anybody is not None else ():
        found = list(occurrences(on, zones, now, now + days))
        whose = _whose(connection, version, on, found, zone).subquery("whose")
        first: datetime | None = connection.scalar(select(type_coerce(func.min(whose.c.at), Instant)))
        if first is not None:
            return first
    return now + _AHEAD[-1]


def _whose(
    connection: Connection,
    version: Version,
    on: OnDate,
    found: list[DateOccurrence],
    zone: str,
    whose: Subquery | None = None,
) -> Select[Any]:
    types: dict[str, Any] = {"zone": Text(), "shown": Text(), "at": Instant(), "day": Text()}
    rows = [{"zone": one.zone, "shown": one.shown, "at": one.at, "day": one.day.isoformat()} for one in found]
    days = worked_out(select(rows_as_table(connection, types, rows)), "days")  # once, not for each customer
    named = own_day(on.attribute, on.type, zone, connection.dialect.name)
    known = select(
        customer.c.id,
        customer.c.created_at,
        home_zone(zone).label("zone"),
        named.label("named"),
        (func.substr(named, 6) if on.yearly else named).label("shown"),
    ).where(named.is_not(None))
    if whose is not None:
        known = known.join(whose, whose.c.customer_id == customer.c.id).add_columns(whose.c.since)
    # SQLite finds the days of each by columns, but compares every day with everybody by expressions.
    people = worked_out(known, "people")
    query = (
        select(
            literal(version.journey_id, BigInteger),
            people.c.id,
            literal(ArrivalKind.date.value),
            days.c.at,
            days.c.day,
            days.c.at.label("effective_at"),
        )
        .join_from(days, people, and_(days.c.zone == people.c.zone, days.c.shown == people.c.shown))
        .where(
            people.c.named <= days.c.day,  # nothing comes round before it was
            people.c.created_at <= days.c.at,
        )
    )
    return query if whose is None else query.where(days.c.at > people.c.since)
