"""The two functions that PostgreSQL has and SQLite lacks: regular expressions, and days on a local clock."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Boolean, ColumnElement, Float, Text, cast, func, literal, type_coerce
from sqlalchemy.dialects.postgresql import TIMESTAMP

from treue.clock import MICROSECONDS, instant
from treue.segments.pattern import for_postgresql, matcher

_FOUR_CENTURIES = timedelta(days=146_097)
"""After which the calendar repeats itself."""


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a SQLite connection what conditions call."""
    connection.create_function("treue_matches", 2, _matches, deterministic=True)
    connection.create_function("treue_month_and_day", 2, _month_and_day, deterministic=True)


def matches(text: ColumnElement[str], pattern: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a pattern fits somewhere in a text; NULL where there is none."""
    if dialect == "sqlite":
        return func.treue_matches(text, literal(pattern, Text), type_=Boolean)
    return text.bool_op("~")(literal(for_postgresql(pattern), Text))


def month_and_day(moment: ColumnElement[object], kind: str, zone: str, dialect: str) -> ColumnElement[str]:
    """Return `MM-DD` of an ISO date or time, or of an `instant` in microseconds, as a zone's calendar has it."""
    if kind == "date":
        return func.substr(moment, 6, 5)
    stored = type_coerce(moment, BigInteger) if kind == "instant" else moment
    if dialect == "sqlite":
        return func.treue_month_and_day(stored, literal(zone, Text), type_=Text)
    at = (
        func.to_timestamp(cast(stored, Float) / MICROSECONDS)
        if kind == "instant"
        else cast(stored, TIMESTAMP(timezone=True))
    )
    return func.to_char(func.timezone(literal(zone, Text), at), "MM-DD", type_=Text)


def _matches(text: str | None, pattern: str) -> bool | None:
    return None if text is None else matcher(pattern).fits(text)


def _month_and_day(moment: str | int | None, zone: str) -> str | None:
    if moment is None:
        return None
    at = instant(moment) if isinstance(moment, int) else datetime.fromisoformat(moment)
    try:
        return f"{at.astimezone(ZoneInfo(zone)):%m-%d}"
    except OverflowError:
        near = at + _FOUR_CENTURIES if at.year < 1000 else at - _FOUR_CENTURIES
        return f"{near.astimezone(ZoneInfo(zone)):%m-%d}"
