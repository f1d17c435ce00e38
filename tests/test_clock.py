"""Time: durations as people write them, and local time across clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treue.clock import (
    EARLIEST,
    LATEST,
    Duration,
    add_months,
    instant,
    known_zone,
    micros,
    offsets,
    parse_duration,
    parse_instant,
    resolve,
)

BERLIN = "Europe/Berlin"
UNHURRIED = settings(deadline=None)
ZONES = [
    BERLIN,
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Europe/Dublin",
]
STRETCHES = {zone: offsets(zone) for zone in ZONES}

zones = st.sampled_from(ZONES)
walls = st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2059-01-01"))
durations = st.builds(
    Duration, months=st.integers(0, 1200), days=st.integers(0, 36_500), seconds=st.integers(0, 999_999 * 3600)
).filter(bool)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


def after(start: str, duration: str) -> str:
    length = parse_duration(duration)
    assert length is not None
    return length.after(berlin(start), BERLIN).astimezone(ZoneInfo(BERLIN)).isoformat(" ", "minutes")


def before(end: str, duration: str) -> str:
    length = parse_duration(duration)
    assert length is not None
    return length.before(berlin(end), BERLIN).astimezone(ZoneInfo(BERLIN)).isoformat(" ", "minutes")


# --- durations


@pytest.mark.parametrize(
    ("text", "months", "days", "seconds"),
    [
        ("90s", 0, 0, 90),
        ("30m", 0, 0, 1800),
        ("2h", 0, 0, 7200),
        ("3d", 0, 3, 0),
        ("2w", 0, 14, 0),
        ("1mo", 1, 0, 0),
        ("1y", 12, 0, 0),
        ("1d 12h", 0, 1, 43_200),
        ("1y 1mo 1w 1d 1h 1m 1s", 13, 8, 3661),
        ("1d 1d", 0, 2, 0),
        ("  1d   12h ", 0, 1, 43_200),
        ("007d", 0, 7, 0),
    ],
)
def test_a_duration_is_a_sum_of_counted_units(text: str, months: int, days: int, seconds: int) -> None:
    assert parse_duration(text) == Duration(months, days, seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "d",
        "2 d",
        "2 days",
        "1d12h",
        "-2d",
        "+2d",
        "1.5d",
        "2D",
        "2dd",
        "d2",
        "2mo3",
        "9999999d",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@UNHURRIED
@given(durations)
def test_a_duration_reads_back_as_it_is_written(duration: Duration) -> None:
    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (Duration(days=14), "2w"),
        (Duration(days=15), "15d"),
        (Duration(months=18), "1y 6mo"),
        (Duration(seconds=5400), "1h 30m"),
        (Duration(1, 1, 1), "1mo 1d 1s"),
        (Duration(), "0s"),
    ],
)
def test_a_duration_is_written_in_the_largest_units(duration: Duration, written: str) -> None:
    assert str(duration) == written


def test_a_duration_of_nothing_is_false() -> None:
    assert not Duration()
    assert not parse_duration("0d")
    assert Duration(seconds=1)


@UNHURRIED
@given(st.text())
def test_no_text_makes_parsing_a_duration_raise(text: str) -> None:
    found = parse_duration(text)
    assert found is None or isinstance(found, Duration)


# --- the calendar across clock changes: 2027-03-28 02:00 -> 03:00, 2027-10-31 03:00 -> 02:00


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        ("2027-03-27 09:00", "1d", "2027-03-28 09:00+02:00"),
        ("2027-03-27 09:00", "24h", "2027-03-28 10:00+02:00"),
        ("2027-03-25 09:00", "3d", "2027-03-28 09:00+02:00"),
        ("2027-03-21 09:00", "1w", "2027-03-28 09:00+02:00"),
        ("2027-02-28 09:00", "1mo", "2027-03-28 09:00+02:00"),
        ("2026-03-28 09:00", "1y", "2027-03-28 09:00+02:00"),
        ("2027-10-30 09:00", "1d", "2027-10-31 09:00+01:00"),
        ("2027-10-30 09:00", "24h", "2027-10-31 08:00+01:00"),
        ("2027-03-27 23:00", "1d 12h", "2027-03-29 11:00+02:00"),
    ],
)
def test_days_keep_the_local_time_and_hours_do_not(start: str, duration: str, end: str) -> None:
    assert after(start, duration) == end


@pytest.mark.parametrize(("start", "duration"), [("2027-03-27 02:30", "1d"), ("2027-03-14 02:00", "2w")])
def test_a_time_the_clock_skips_becomes_the_first_after_the_gap(start: str, duration: str) -> None:
    assert after(start, duration) == "2027-03-28 03:00+02:00"


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    assert after("2027-10-30 02:30", "1d") == "2027-10-31 02:30+02:00"


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        ("2027-01-31 09:00", "1mo", "2027-02-28 09:00+01:00"),
        ("2028-01-31 09:00", "1mo", "2028-02-29 09:00+01:00"),
        ("2028-02-29 09:00", "1y", "2029-02-28 09:00+01:00"),
        ("2027-11-30 09:00", "3mo", "2028-02-29 09:00+01:00"),
        ("2027-12-31 09:00", "1mo 1d", "2028-02-01 09:00+01:00"),
    ],
)
def test_a_month_ends_where_it_is_shorter(start: str, duration: str, end: str) -> None:
    assert after(start, duration) == end


@pytest.mark.parametrize(
    ("end", "duration", "start"),
    [
        ("2027-03-29 02:30", "1d", "2027-03-28 03:00+02:00"),
        ("2027-03-28 09:00", "1d", "2027-03-27 09:00+01:00"),
        ("2027-03-28 09:00", "24h", "2027-03-27 08:00+01:00"),
        ("2027-03-31 09:00", "1mo", "2027-02-28 09:00+01:00"),
        ("2027-01-15 09:00", "2mo", "2026-11-15 09:00+01:00"),
    ],
)
def test_backwards_it_is_the_same(end: str, duration: str, start: str) -> None:
    assert before(end, duration) == start


@UNHURRIED
@given(walls, zones, st.integers(0, 400))
def test_days_later_it_is_the_same_time_of_day_unless_the_clock_skips_it(
    wall: datetime, zone: str, days: int
) -> None:
    start = resolve(wall, zone)
    local = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    found = Duration(days=days).after(start, zone)
    expected = local + timedelta(days=days)
    shown = found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown == expected or (shown > expected and found == resolve(expected, zone))


@UNHURRIED
@given(walls, zones, st.integers(0, 10**8))
def test_seconds_are_seconds_everywhere(wall: datetime, zone: str, seconds: int) -> None:
    start = wall.replace(tzinfo=UTC)
    assert Duration(seconds=seconds).after(start, zone) - start == timedelta(seconds=seconds)
    assert Duration(seconds=seconds).before(start, zone) + timedelta(seconds=seconds) == start


@UNHURRIED
@given(st.dates(date(1971, 1, 1), date(2100, 12, 31)), st.integers(-600, 600))
def test_months_later_it_is_the_same_day_or_the_month_s_last(day: date, months: int) -> None:
    found = add_months(day, months)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day == day.day or (found.day < day.day and (found + timedelta(days=1)).day == 1)


# --- local times


@pytest.mark.parametrize(
    ("wall", "zone", "utc"),
    [
        ("2027-03-28T01:59:59", BERLIN, "2027-03-28T00:59:59"),
        ("2027-03-28T02:00", BERLIN, "2027-03-28T01:00"),
        ("2027-03-28T02:59:59", BERLIN, "2027-03-28T01:00"),
        ("2027-03-28T03:00", BERLIN, "2027-03-28T01:00"),
        ("2027-10-31T02:00", BERLIN, "2027-10-31T00:00"),
        ("2027-10-31T02:59:59", BERLIN, "2027-10-31T00:59:59"),
        ("2027-10-31T03:00", BERLIN, "2027-10-31T02:00"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00"),  # Samoa left this whole day out
        ("2027-10-03T02:15", "Australia/Lord_Howe", "2027-10-02T15:30"),  # half an hour is skipped
        ("2027-06-01T09:00", "Asia/Kathmandu", "2027-06-01T03:15"),
    ],
)
def test_a_local_time_is_one_instant(wall: str, zone: str, utc: str) -> None:
    assert resolve(datetime.fromisoformat(wall), zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@UNHURRIED
@given(walls, zones)
def test_a_resolved_time_shows_the_same_on_the_clock_or_a_later_one(wall: datetime, zone: str) -> None:
    found = resolve(wall, zone)
    shown = found.astimezone(ZoneInfo(zone))
    assert shown.replace(tzinfo=None) >= wall
    assert shown.fold == 0


@UNHURRIED
@given(walls, st.timedeltas(timedelta(0), timedelta(days=3)), zones)
def test_a_later_local_time_is_never_an_earlier_instant(wall: datetime, more: timedelta, zone: str) -> None:
    assert resolve(wall, zone) <= resolve(wall + more, zone)


# --- stretches of one offset, as the database joins with them


@pytest.mark.parametrize("zone", ZONES)
def test_stretches_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    found = STRETCHES[zone]
    assert [s.utc_from for s in found[1:]] == [s.utc_until for s in found[:-1]]
    assert [s.wall_from for s in found[1:]] == [s.wall_until for s in found[:-1]]
    assert all(s.utc_from < s.utc_until and s.wall_from < s.wall_until for s in found)


@UNHURRIED
@given(walls, zones)
def test_a_stretch_has_the_offset_that_the_zone_has(wall: datetime, zone: str) -> None:
    moment = wall.replace(tzinfo=UTC)
    (stretch,) = [s for s in STRETCHES[zone] if s.utc_from <= micros(moment) < s.utc_until]
    assert timedelta(microseconds=stretch.offset) == moment.astimezone(ZoneInfo(zone)).utcoffset()


@UNHURRIED
@given(walls, zones)
def test_a_local_time_by_its_stretch_is_the_instant_it_resolves_to(wall: datetime, zone: str) -> None:
    clock = micros(wall.replace(tzinfo=UTC))
    (stretch,) = [s for s in STRETCHES[zone] if s.wall_from <= clock < s.wall_until]
    assert instant(max(clock - stretch.offset, stretch.utc_from)) == resolve(wall, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_at_every_change_stretch_and_zone_agree(zone: str) -> None:
    tz = ZoneInfo(zone)
    for stretch in STRETCHES[zone][1:]:
        for moment in (stretch.utc_from - 1_000_000, stretch.utc_from):
            offset = instant(moment).astimezone(tz).utcoffset()
            (found,) = [s.offset for s in STRETCHES[zone] if s.utc_from <= moment < s.utc_until]
            assert timedelta(microseconds=found) == offset
        wall = instant(stretch.wall_from).replace(tzinfo=None)
        assert resolve(wall, zone) >= instant(stretch.utc_from)


# --- instants


@UNHURRIED
@given(st.datetimes())
def test_an_instant_survives_being_a_number(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert instant(micros(moment)) == moment


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2027-03-01T10:00:00Z", BERLIN, "2027-03-01T10:00"),
        ("2027-03-01T10:00:00+02:00", BERLIN, "2027-03-01T08:00"),
        ("2027-03-01 10:00", BERLIN, "2027-03-01T09:00"),
        ("2027-03-01", BERLIN, "2027-02-28T23:00"),
        ("2027-03-28 02:30", BERLIN, "2027-03-28T01:00"),
        (" 2027-03-01T10:00 ", "UTC", "2027-03-01T10:00"),
    ],
)
def test_an_iso_time_is_local_unless_it_says_otherwise(text: str, zone: str, utc: str) -> None:
    assert parse_instant(text, zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "noon", "2027-13-01", "01.03.2027", "2027-03-01T25:00", "Z"])
def test_what_is_no_iso_time_is_none(text: str) -> None:
    assert parse_instant(text) is None


@UNHURRIED
@given(
    st.text(alphabet="0123456789-:TZ+. ", max_size=30) | st.datetimes().map(str),
    st.sampled_from(["UTC", "Pacific/Apia"]),
)
def test_no_text_makes_parsing_a_time_raise(text: str, zone: str) -> None:
    found = parse_instant(text, zone)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize("name", [BERLIN, "UTC", "Asia/Kathmandu"])
def test_a_zone_of_the_database_is_known(name: str) -> None:
    assert known_zone(name) == name


@pytest.mark.parametrize(
    "name", ["", None, "Berlin", "europe/berlin", "../../etc/passwd", "/etc/passwd", "Europe"]
)
def test_anything_else_is_no_zone(name: str | None) -> None:
    assert known_zone(name) is None


@pytest.mark.parametrize("length", ["1d", "100y", "36500d", "2mo", "876000h"])
def test_no_length_leads_beyond_the_calendar(length: str) -> None:
    found = parse_duration(length)
    assert found
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert found.after(LATEST, zone) == LATEST
        assert found.before(EARLIEST, zone) == EARLIEST
        assert LATEST.astimezone(ZoneInfo(zone))
        assert EARLIEST.astimezone(ZoneInfo(zone))
