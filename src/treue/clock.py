"""Time: instants, durations, and local time across clock changes.

Inside the engine an instant is an aware `datetime` in UTC; in the database it is a count of microseconds
since 1970-01-01 UTC. The present is always an argument: only the outermost layer calls `utc_now`.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
HOUR = 3_600 * MICROSECONDS
DAY = 24 * HOUR
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+)(min|mo|[smhdwy])")


def utc_now() -> datetime:
    """Return the present in UTC. Called at the edge only (commands, web, runtimes)."""
    return datetime.now(UTC)


def micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC of an aware instant."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    """Return the aware UTC instant of a count of microseconds since 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


EARLIEST = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
"""The first and the last instant there is; each has a local time in every zone."""

YEARS = range(1970, 2200)
"""The years in which a clock may be set: a virtual clock looks at each day up to its end."""

TICK = timedelta(microseconds=1)
"""The shortest time there is: instants are kept in microseconds."""


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour, in UTC, in which an instant lies."""
    return instant(micros(moment) // HOUR * HOUR)


@dataclass(frozen=True)
class Duration:
    """A length of time in three parts that do not convert into each other.

    `months` and `days` follow the customer's calendar and clock (3 days after 09:00 is 09:00, also across
    a clock change); `seconds` are absolute. All are of one sign: so long before is a negative length after.
    """

    months: int = 0
    days: int = 0
    seconds: int = 0

    @property
    def roughly(self) -> timedelta:
        """The length of time; a month counts as 30 days."""
        return timedelta(days=self.months * 30 + self.days, seconds=self.seconds)

    def __bool__(self) -> bool:
        return bool(self.months or self.days or self.seconds)

    def __neg__(self) -> Duration:
        return Duration(-self.months, -self.days, -self.seconds)

    @property
    def is_negative(self) -> bool:
        """Whether it leads the other way."""
        return min(self.months, self.days, self.seconds) < 0

    def __str__(self) -> str:
        years, months = divmod(self.months, 12)
        weeks, days = divmod(self.days, 7) if self.days % 7 == 0 else (0, self.days)
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        parts = zip(
            (years, months, weeks, days, hours, minutes, seconds),
            ("y", "mo", "w", "d", "h", "m", "s"),
            strict=True,
        )
        return " ".join(f"{n}{unit}" for n, unit in parts if n) or "0s"

    def after(self, start: datetime, zone: str) -> datetime:
        """Return the instant this long after `start`, for somebody who lives in `zone`."""
        return self._shift(start, zone, 1)

    def before(self, end: datetime, zone: str) -> datetime:
        """Return the instant this long before `end`, for somebody who lives in `zone`."""
        return self._shift(end, zone, -1)

    def _shift(self, start: datetime, zone: str, sign: int) -> datetime:
        moved = start
        try:
            if self.months or self.days:
                wall = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
                day = add_months(wall.date(), sign * self.months) + timedelta(days=sign * self.days)
                moved = resolve(datetime.combine(day, wall.time()), zone)
            return min(max(moved + timedelta(seconds=sign * self.seconds), EARLIEST), LATEST)
        except (OverflowError, ValueError):  # beyond the calendar, which ends with the year 9999
            return LATEST if (sign > 0) is not self.is_negative else EARLIEST


def parse_duration(text: str) -> Duration | None:
    """Return the duration that `2d`, `1d 12h`, `30min` or `1mo` means, or None where the text is none."""
    words = text.split()
    if not words:
        return None
    months = days = seconds = 0
    for word in words:
        match = _PART.fullmatch(word)
        if not match or len(match[1]) > 6:
            return None
        count, unit = int(match[1]), match[2]
        if unit in ("mo", "y"):
            months += count * (12 if unit == "y" else 1)
        elif unit in ("d", "w"):
            days += count * (7 if unit == "w" else 1)
        else:
            seconds += count * _UNITS[unit]
    return Duration(months, days, seconds)


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def resolve(wall: datetime, zone: str) -> datetime:
    """Return the UTC instant of a naive local time.

    A time that a clock change skips becomes the first one after the gap; of a time that occurs twice, the
    first counts.
    """
    tz = ZoneInfo(zone)
    found = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if found.astimezone(tz).replace(tzinfo=None) == wall:
        return found
    before = wall.replace(tzinfo=tz, fold=0).utcoffset()
    after = wall.replace(tzinfo=tz, fold=1).utcoffset()
    assert before is not None
    assert after is not None
    return _transition(
        wall.replace(tzinfo=UTC) - max(before, after), wall.replace(tzinfo=UTC) - min(before, after), tz
    )


def _transition(low: datetime, high: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant between two at which the offset of `tz` changes, to the second."""
    offset = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


class ClockChange(NamedTuple):
    """An instant at which a zone's distance from UTC changes, and the distances before and after."""

    at: datetime
    before: timedelta
    after: timedelta


@cache
def clock_changes(zone: str, year: int) -> tuple[ClockChange, ...]:
    """Return the clock changes of a zone in a year of UTC, in order; none in years that the calendar does not hold."""
    if not 1 < year < 9999:
        return ()
    tz, found = ZoneInfo(zone), list[ClockChange]()
    first = datetime(year, 1, 1, tzinfo=UTC)
    for day in (first + timedelta(days=n) for n in range(366 if calendar.isleap(year) else 365)):
        before, after = (one.astimezone(tz).utcoffset() for one in (day, day + timedelta(days=1)))
        assert before is not None
        assert after is not None
        if before != after:
            found.append(ClockChange(_transition(day, day + timedelta(days=1), tz), before, after))
    return tuple(found)


@dataclass(frozen=True)
class Offset:
    """A stretch of time in which a zone keeps one distance from UTC. All in microseconds.

    `utc_from <= t < utc_until` in UTC, `wall_from <= w < wall_until` on the local clock; a local time that a
    clock change skips lies in no stretch's own hours and is given to the later one, at its start.
    """

    utc_from: int
    utc_until: int
    wall_from: int
    wall_until: int
    offset: int


def offsets(zone: str, first: int = 1970, last: int = 2060) -> list[Offset]:
    """Return the stretches of one offset each in `zone` from the year `first` to the year `last`."""
    tz = ZoneInfo(zone)
    start, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC)
    changes = [start]
    day = start
    while day < end:
        following = day + timedelta(days=7)
        if day.astimezone(tz).utcoffset() != following.astimezone(tz).utcoffset():
            changes.append(_transition(day, following, tz))
        day = following
    changes.append(end)
    stretches: list[Offset] = []
    for begin, until in pairwise(changes):
        offset = begin.astimezone(tz).utcoffset()
        assert offset is not None
        shift = offset // timedelta(microseconds=1)
        wall_from = stretches[-1].wall_until if stretches else micros(begin) + shift
        stretches.append(Offset(micros(begin), micros(until), wall_from, micros(until) + shift, shift))
    return stretches


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str | None) -> str | None:
    """Return `name` if it is an IANA time zone, else None."""
    if not name or name not in _zones():
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
    return name


def parse_instant(text: str, zone: str = "UTC") -> datetime | None:
    """Return the UTC instant that an ISO 8601 text means, local to `zone` where it names no offset."""
    try:
        found = datetime.fromisoformat(
            text.strip().replace("Z", "+00:00") if text.strip().endswith("Z") else text.strip()
        )
    except ValueError:
        return None
    try:
        return found.astimezone(UTC) if found.tzinfo else resolve(found, zone)
    except OverflowError:
        return None
