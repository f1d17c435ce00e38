"""How durations count from times near one another, and how long that stays the same.

Customers are asked in batches, each as of a time of its own. Where the clock runs evenly, `1d ago` is for all of them
the same number of microseconds ago, a constant of the statement; where a clock changes, at a month's end, or at
midnight where days count, a new batch begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from treue.clock import EARLIEST, LATEST, TICK, Duration, add_months, clock_changes, micros, resolve
from treue.segments.needs import leaves
from treue.segments.tree import Ahead, Condition, Op, Property, ago

_DAY = timedelta(days=1)
_FOREVER = micros(datetime.max.replace(tzinfo=UTC)) - micros(datetime.min.replace(tzinfo=UTC))
_DAWN = micros(datetime.min.replace(tzinfo=UTC))


class Count(NamedTuple):
    """How a duration counts back from the times of a stretch, in microseconds: to `max(time - shift, floor)`.

    `floor` matters where a clock change skips the local time so long ago: for an hour of times, that is one instant.
    """

    shift: int
    floor: int


def count_back(duration: Duration, zone: str, first: datetime) -> Count:
    """Return how a duration counts back from the stretch of times that begins at `first`."""
    reached = _reached(duration, zone, -1, first)
    if reached is None:
        return Count(_FOREVER, micros(LATEST if duration.is_negative else EARLIEST))
    if _is_skipped(duration, zone, -1, first):
        return Count(_FOREVER, micros(reached))
    return Count(micros(first) - micros(reached), _DAWN)


def stretch_end(
    asked: Iterable[Condition | Property], zone: str, first: datetime, limit: datetime
) -> datetime:
    """Return the end of the longest stretch of times, from `first` to before `limit`, that can be asked in one statement.

    In it every duration that the conditions, or the properties asked of an event, count by leads to a constant time
    before, or to one constant instant, and every day that they look at is one day.
    """
    for question in _questions(asked):
        limit = _end(question, zone, first, limit)
    return limit


class _Question(NamedTuple):
    """A duration that is counted from a time, backwards or (`sign` 1) ahead; `day` where only the local day counts."""

    duration: Duration
    sign: int = -1
    day: bool = False


def _questions(asked: Iterable[Condition | Property]) -> set[_Question]:
    found: set[_Question] = set()
    for one in asked:
        if isinstance(one, Property):
            found |= _of_ops(one.ops, days=one.type == "date")
            continue
        for leaf in leaves(one):
            expiries = leaf.expiries()
            if expiries is None:
                found |= {_Question(length) for length in leaf.lengths()} | _of_ops(leaf.compares())
                continue
            for expiry in expiries:
                found |= {_Question(expiry.length, day=day) for day in {False, expiry.type == "date"}}
    return found


def _of_ops(ops: Iterable[Op], days: bool = True) -> set[_Question]:
    """Return what comparisons count; `30d ago` and `in 3d` are days as well, where a date may be compared with them."""
    ops = tuple(ops)
    found = {_Question(length, day=day) for length in ago(ops) for day in {False, days}}
    for ahead in (value for op in ops for value in op.values if isinstance(value, Ahead)):
        found |= {_Question(Duration(), day=True), _Question(ahead.duration, 1, day=True)}
    return found


def _end(question: _Question, zone: str, first: datetime, limit: datetime) -> datetime:
    """Return where a question's answer ceases to be the one at `first`, at the latest `limit`."""
    answer, end = _answer(question, zone, first), first
    while end < limit and (end == first or _answer(question, zone, end) == answer):
        end = _next_break(question, zone, end, limit)
    return min(end, limit)


def _answer(question: _Question, zone: str, at: datetime) -> object:
    if question.day:
        reached = _reached(question.duration, zone, question.sign, at)
        return reached and _local(reached, zone).date()
    return count_back(question.duration, zone, at)


def _next_break(question: _Question, zone: str, at: datetime, limit: datetime) -> datetime:
    """Return the first instant after another, at the latest `limit`, at which a question's answer may change."""
    duration, sign, _ = question
    if _reached(duration, zone, sign, at) is None or _reached(duration, zone, sign, limit - TICK) is None:
        return _calendar_break(question, zone, at, limit)
    breaks = [limit, *_breaks(duration, zone, sign, at, limit)]
    if question.day and not _is_skipped(duration, zone, sign, at):
        breaks.append(at + _rest_of_day(duration, zone, sign, at))
    return min(breaks)


def _calendar_break(question: _Question, zone: str, at: datetime, limit: datetime) -> datetime:
    """Return where a duration begins or ceases to lead out of the calendar; `limit` where it always does."""
    out = _reached(question.duration, zone, question.sign, at) is None
    low, high = at, limit
    while high - low > TICK:
        middle = low + (high - low) // 2
        if (_reached(question.duration, zone, question.sign, middle) is None) == out:
            low = middle
        else:
            high = middle
    return high if out else _next_break(question, zone, at, high)


def _breaks(duration: Duration, zone: str, sign: int, at: datetime, limit: datetime) -> Iterator[datetime]:
    """Yield where so long before or after a time may cease to be evenly far: by a clock change, or a month's length."""
    if not (duration.months or duration.days):
        return
    if (change := _next_change(zone, at, limit)) is not None:
        yield change
    wall, moved = _walls(duration, zone, sign, at)
    yield from (at + (edge - moved) for edge in _edges(zone, moved, moved + (limit - at)))
    if duration.months:
        yield at + (_end_of_distance(duration, sign, wall, wall + (limit - at)) - wall)


def _next_change(zone: str, after: datetime, limit: datetime) -> datetime | None:
    """Return the first clock change after an instant and not after `limit`."""
    for year in range(after.year, limit.year + 1):
        for change in clock_changes(zone, year):
            if change.at > after:
                return change.at
    return None


def _edges(zone: str, after: datetime, limit: datetime) -> Iterator[datetime]:
    """Yield the first local time after another from which on local times are told otherwise in UTC."""
    for year in range((after - _DAY).year, (limit + _DAY).year + 1):
        for change in clock_changes(zone, year):
            skips = change.after > change.before
            for offset in (change.before, change.after) if skips else (change.before,):
                edge = change.at.replace(tzinfo=None) + offset
                if edge > after:
                    yield edge
                    return


def _end_of_distance(duration: Duration, sign: int, wall: datetime, limit: datetime) -> datetime:
    """Return the first local midnight from which the day so many months away is otherwise far away."""
    day = wall.date()
    distance = day - _moved(duration, sign, day)
    while day < limit.date() and day - _moved(duration, sign, day) == distance:
        day += _DAY
    return datetime.combine(day, datetime.min.time()) if day > wall.date() else limit


def _rest_of_day(duration: Duration, zone: str, sign: int, at: datetime) -> timedelta:
    """Return how long the local day lasts that lies so long before or after a time."""
    reached = _reached(duration, zone, sign, at)
    assert reached is not None
    wall = _local(reached, zone)
    midnight = datetime.combine(wall.date() + _DAY, datetime.min.time()) - wall
    change = _next_change(zone, reached, reached + midnight)
    return midnight if change is None else min(midnight, change - reached)


def _reached(duration: Duration, zone: str, sign: int, at: datetime) -> datetime | None:
    """Return the instant so long before or after another; None where that is out of the calendar."""
    try:
        _moved(duration, sign, _local(at, zone).date())
        found = duration.after(at, zone) if sign > 0 else duration.before(at, zone)
        _local(found, zone)
        return found
    except (ValueError, OverflowError):
        return None


def _is_skipped(duration: Duration, zone: str, sign: int, at: datetime) -> bool:
    """Return whether a clock change skips the local time so long before or after another."""
    if not (duration.months or duration.days):
        return False
    _, moved = _walls(duration, zone, sign, at)
    return _local(resolve(moved, zone), zone) != moved


def _walls(duration: Duration, zone: str, sign: int, at: datetime) -> tuple[datetime, datetime]:
    """Return the local time of an instant, and the same time of day so many months and days away."""
    wall = _local(at, zone)
    return wall, datetime.combine(_moved(duration, sign, wall.date()), wall.time())


def _moved(duration: Duration, sign: int, day: date) -> date:
    return add_months(day, sign * duration.months) + timedelta(days=sign * duration.days)


def _local(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
