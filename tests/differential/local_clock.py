"""Local time as a person would reckon it with a calendar on the wall: the interpreter's own clock.

Written from docs/language.md ("Waits", "Segments") with zoneinfo and nothing of Treue's.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SEVERAL = {"weekdays": WEEKDAYS[:5], "weekend": WEEKDAYS[5:]}
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Length:
    """A duration: months and days are steps on a calendar, seconds are absolute."""

    months: int = 0
    days: int = 0
    seconds: int = 0


def length(text: str) -> Length:
    """Return what `1d 12h` or `2mo` means."""
    months = days = seconds = 0
    for count, unit in re.findall(r"(\d+)(min|mo|[smhdwy])", text):
        n = int(count)
        months += n * {"mo": 1, "y": 12}.get(unit, 0)
        days += n * {"d": 1, "w": 7}.get(unit, 0)
        seconds += n * {"s": 1, "m": 60, "min": 60, "h": 3600}.get(unit, 0)
    return Length(months, days, seconds)


def absolute(text: str) -> timedelta:
    """Return a duration where a day is 24 hours and a month 30 days."""
    found = length(text)
    return timedelta(days=found.months * 30 + found.days, seconds=found.seconds)


def later(start: datetime, text: str, zone: str, sign: int = 1) -> datetime:
    """Return the instant a duration after `start`: first months, then days on the local clock, then seconds."""
    found, moved = length(text), start
    if found.months or found.days:
        wall = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        day = months_later(wall.date(), sign * found.months) + timedelta(days=sign * found.days)
        moved = at_wall(datetime.combine(day, wall.time()), zone)
    return moved + timedelta(seconds=sign * found.seconds)


def earlier(end: datetime, text: str, zone: str) -> datetime:
    """Return the instant a duration before `end`."""
    return later(end, text, zone, -1)


def months_later(day: date, months: int) -> date:
    """Return the same day so many months later, or the last of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def at_wall(wall: datetime, zone: str) -> datetime:
    """Return the instant at which the clocks of a zone show a time.

    Of a time that occurs twice, the first; of one that is skipped, the first minute after.
    """
    there = ZoneInfo(zone)
    while True:
        found = wall.replace(tzinfo=there, fold=0).astimezone(UTC)
        if found.astimezone(there).replace(tzinfo=None) == wall:
            return found
        wall = wall.replace(second=0, microsecond=0) + MINUTE


def local_day(instant: datetime, zone: str) -> date:
    """Return the day it is in a zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def minutes(clock: str) -> int:
    """Return the minute of the day that a clock shows at `HH:MM`."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def clock_of(instant: datetime, zone: str) -> int:
    """Return the minute of the day that local clocks show."""
    local = instant.astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


def midnight(day: date, zone: str) -> datetime:
    """Return when a local day begins."""
    return at_wall(datetime.combine(day, time()), zone)


def next_wall(start: datetime, clock: str, zone: str, days: list[str] | None = None) -> datetime:
    """Return the first time at or after `start` that local clocks show `clock`, on one of `days` if given."""
    hour, minute = map(int, clock.split(":"))
    day = local_day(start, zone)
    days = [day for name in days or [] for day in SEVERAL.get(name, (name,))]
    while True:
        if not days or WEEKDAYS[day.weekday()] in days:
            found = at_wall(datetime.combine(day, time(hour, minute)), zone)
            if found >= start:
                return found
        day += timedelta(days=1)


def slots_between(cron: str, after: datetime, until: datetime, zone: str) -> Iterator[datetime]:
    """Yield a cron line's slots on all local days from one instant to another. Minute and hour are plain numbers."""
    minute, hour, month_day, _, weekday = cron.split()
    day, last = local_day(after, zone), local_day(until, zone)
    while day <= last:
        on_weekday = weekday == "*" or weekday.lower() == WEEKDAYS[day.weekday()]
        if on_weekday and month_day in ("*", str(day.day)):
            yield at_wall(datetime.combine(day, time(int(hour), int(minute))), zone)
        day += timedelta(days=1)


def anniversary(day: date, year: int) -> date:
    """Return a date's anniversary in a year; 29 February falls on 28 February in common years."""
    last = calendar.monthrange(year, day.month)[1]
    return date(year, day.month, min(day.day, last))
