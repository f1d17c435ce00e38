"""How long durations count back evenly: against asking the clock about every instant by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treue.clock import EARLIEST, Duration, instant, micros
from treue.segments.stretch import count_back, stretch_end
from treue.segments.tree import Ago, Ahead, Condition, Op, Property
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.event.word import Happened

TICK = timedelta(microseconds=1)
ZONES = (
    "Europe/Berlin",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "UTC",
)
LENGTHS = [Duration(days=n) for n in (1, 2, 7, 30, 90, 180)]
LENGTHS += [Duration(months=n) for n in (1, 6, 12, 48)] + [Duration(months=1, days=1), Duration(seconds=7200)]
LENGTHS += [Duration(days=1, seconds=5400), Duration(months=12 * 9000), Duration(months=12 * 2020)]


def when(year: int, *rest: int) -> datetime:
    return datetime(year, *rest, tzinfo=UTC)  # type: ignore[arg-type]


NEAR = {
    "Europe/Berlin": [when(2026, 3, 29, 1), when(2026, 10, 25, 1)],
    "America/Santiago": [when(2026, 4, 5, 3), when(2026, 9, 6, 4)],
    "Australia/Lord_Howe": [when(2026, 4, 4, 15), when(2026, 10, 3, 15, 30)],
    "Asia/Kathmandu": [when(1985, 12, 31, 18, 30), when(2026, 3, 1)],
    "America/Sao_Paulo": [when(2018, 11, 4, 3), when(2019, 2, 17, 2)],
    "UTC": [when(2028, 2, 29), when(2026, 3, 31)],
}


def within(length: Duration) -> Condition:
    return Happened("order.placed", within=length)


def on_a_day(length: Duration) -> Condition:
    return Attribute("renewal", "date", (Op("before", (Ago(length),)),))


def comes_round(length: Duration) -> Condition:
    return Attribute("birthday", "date", (Op("anniversary_in", (Ahead(length),)),))


def back(length: Duration, zone: str, at: datetime) -> datetime:
    try:
        return length.before(at, zone)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def day(at: datetime, zone: str) -> object:
    return at.astimezone(ZoneInfo(zone)).date() if at.year > 1 else None


def ahead(length: Duration, zone: str, at: datetime) -> object:
    try:
        return day(at, zone), day(length.after(at, zone), zone)
    except (ValueError, OverflowError):
        return day(at, zone), None


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Duration, datetime, datetime]:
    """A time so long after a clock change or a month's end, give or take; or anywhere."""
    zone, length = draw(st.sampled_from(ZONES)), draw(st.sampled_from(LENGTHS))
    start = draw(st.sampled_from(NEAR[zone]))
    if draw(st.booleans()) and length.months < 600:
        start = length.after(start, zone)
    start += timedelta(minutes=draw(st.integers(-60, 60)) * draw(st.sampled_from([1, 30, 600])))
    start += draw(st.sampled_from([-TICK, timedelta(), TICK, timedelta(seconds=17)]))
    return zone, length, start, start + timedelta(hours=draw(st.sampled_from([1, 6, 30, 500, 9000])))


def inside(first: datetime, end: datetime) -> list[datetime]:
    """The beginning, the last instant, and many between, most of them at odd times."""
    length = end - first
    return [first, end - TICK, *(first + length * n // 97 for n in range(97))]


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(case=cases())
def test_what_is_counted_back_within_a_stretch_is_what_the_clock_says(
    case: tuple[str, Duration, datetime, datetime],
) -> None:
    zone, length, first, limit = case
    end = stretch_end([within(length)], zone, first, limit)
    assert first < end <= limit
    shift, floor = count_back(length, zone, first)
    for at in inside(first, end):
        assert max(micros(at) - shift, floor) == micros(back(length, zone, at))
    if end < limit:
        assert count_back(length, zone, end) != (shift, floor)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(case=cases())
def test_within_a_stretch_a_day_is_one_day(case: tuple[str, Duration, datetime, datetime]) -> None:
    zone, length, first, limit = case
    end = stretch_end([on_a_day(length)], zone, first, limit)
    assert first < end <= limit
    assert len({day(back(length, zone, at), zone) for at in inside(first, end)}) == 1
    end = stretch_end([comes_round(length)], zone, first, limit)
    assert first < end <= limit
    assert len({ahead(length, zone, at) for at in inside(first, end)}) == 1


def test_a_stretch_is_as_long_as_the_clock_runs_evenly() -> None:
    berlin, limit = "Europe/Berlin", when(2027, 1, 1)
    assert stretch_end([within(Duration(days=1))], berlin, when(2026, 1, 1), limit) == when(2026, 3, 29, 1)
    assert stretch_end([within(Duration(seconds=60))], berlin, when(2026, 1, 1), limit) == limit
    assert stretch_end([], berlin, when(2026, 1, 1), limit) == limit
    july = [within(Duration(months=1))]
    assert stretch_end(july, berlin, when(2026, 7, 5), limit) == when(
        2026, 7, 30, 22
    )  # the 31st is as far as the 30th


def test_the_hour_that_a_clock_change_skips_is_one_stretch() -> None:
    berlin, limit = "Europe/Berlin", when(2026, 4, 2)
    first = when(2026, 3, 30, 0)  # 02:00, a day after the clocks went from 02:00 to 03:00
    assert stretch_end([within(Duration(days=1))], berlin, first, limit) == when(2026, 3, 30, 1)
    assert count_back(Duration(days=1), berlin, first).floor == micros(when(2026, 3, 29, 1))


def test_days_that_are_compared_end_a_stretch_at_midnight() -> None:
    berlin, limit = "Europe/Berlin", when(2027, 1, 1)
    midnight = when(2026, 7, 5, 22)
    for condition in (on_a_day(Duration(days=30)), comes_round(Duration(days=3))):
        assert stretch_end([condition], berlin, when(2026, 7, 5, 3), limit) == midnight
    halfway = comes_round(Duration(seconds=43_200))
    assert stretch_end([halfway], berlin, when(2026, 7, 5, 3), limit) == when(2026, 7, 5, 10)


def test_a_property_of_an_event_is_counted_from_as_a_condition_is() -> None:
    lately = Property("paid", "time", (Op("after", (Ago(Duration(days=1)),)),))
    first, limit = when(2026, 3, 29, 0), when(2026, 3, 30)
    assert stretch_end([lately], "Europe/Berlin", first, limit) == when(2026, 3, 29, 1)


@pytest.mark.parametrize("hours", [0, -1])
def test_a_stretch_never_goes_beyond_its_limit(hours: int) -> None:
    first = when(2026, 3, 28)
    limit = first + timedelta(hours=hours)
    assert stretch_end([within(Duration(days=1))], "Europe/Berlin", first, limit) == limit


def test_out_of_the_calendar_everything_counts_in_one_stretch() -> None:
    first, limit = when(2026, 1, 1), when(2027, 1, 1)
    ever = Duration(months=12 * 9000)
    assert stretch_end([within(ever)], "Europe/Berlin", first, limit) == limit
    shift, floor = count_back(ever, "Europe/Berlin", first)
    assert instant(max(micros(limit) - shift, floor)) == EARLIEST
