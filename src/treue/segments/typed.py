"""A field of a JSON document as a value of its declared type: NULL where it is missing or of another type.

The only module that knows how each database reads JSON. A wrongly typed value never becomes a database error:
each cast sits behind a look at the value's JSON type.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    ColumnElement,
    Numeric,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ .:-]+")

_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY = (
    "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    f"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_SHAPE = {"date": f"^{_DAY}$", "time": f"^{_DAY}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){{2}}Z$"}
_FORMAT = {"date": "%Y-%m-%d", "time": "%Y-%m-%dT%H:%M:%SZ"}
_JSON_TYPES = {
    "text": ("text",),
    "number": ("integer", "real"),
    "bool": ("true", "false"),
    "list": ("array",),
}
_STORED = {
    "text": "text", "string": "text", "integer": "number", "real": "number", "number": "number", "true": "bool",
    "false": "bool", "boolean": "bool", "array": "list", "object": "record",
}  # fmt: skip
"""What both databases call the types of JSON, and what we do."""
_JSONB_TYPE = {"number": "number", "bool": "boolean", "list": "array"}
_POSTGRES_TYPE: dict[str, TypeEngine[Any]] = {"number": Numeric(), "bool": Boolean(), "list": JSONB()}


def storable(text: str) -> bool:
    """Return whether both databases can hold a text: PostgreSQL has no NUL, neither has lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def typed(document: ColumnElement[Any], name: str, kind: str, dialect: str) -> ColumnElement[Any]:
    """Return the field `name` of a JSON document as text, number, bool, ISO date or time text, or JSON list."""
    if not storable(name):
        return missing(kind, dialect)
    if dialect == "sqlite":
        return _sqlite(document, name, kind)
    return _postgres(document, literal(name, Text), kind)


def stored_as(document: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[str]:
    """Return as what a document has a field: text, number, bool, list or record; NULL where it has none, or null."""
    if not storable(name):
        return cast(null(), Text())
    if dialect != "sqlite":
        item: ColumnElement[Any] = document.op("->", return_type=JSONB())(literal(name, Text))
        return case(_STORED, value=func.jsonb_typeof(item))
    if _PLAIN_NAME.fullmatch(name):
        return case(_STORED, value=func.json_type(document, literal(f'$."{name}"', Text)))
    each = func.json_each(document).table_valued("key", "value", "type")
    return select(case(_STORED, value=each.c.type)).where(each.c.key == literal(name, Text)).scalar_subquery()


def missing(kind: str, dialect: str) -> ColumnElement[Any]:
    """Return a value of a type that is always missing."""
    return null() if dialect == "sqlite" else cast(null(), _POSTGRES_TYPE.get(kind, Text()))


def seconds(value: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return an ISO date (its midnight) or time text in whole seconds since 1970 UTC; NULL for NULL."""
    if dialect == "sqlite":
        return cast(func.strftime("%s", value), BigInteger)
    return cast(func.extract("epoch", cast(value, TIMESTAMP(timezone=True))), BigInteger)


def day_text(since: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return the ISO date, in UTC, of so many seconds since 1970."""
    if dialect == "sqlite":
        return func.strftime("%Y-%m-%d", since, "unixepoch")
    return func.to_char(func.timezone("UTC", func.to_timestamp(since)), "YYYY-MM-DD")


def time_text(since: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return the ISO time, in UTC, of so many seconds since 1970."""
    if dialect == "sqlite":
        return func.strftime("%Y-%m-%dT%H:%M:%SZ", since, "unixepoch")
    return func.to_char(func.timezone("UTC", func.to_timestamp(since)), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')


def _sqlite(document: ColumnElement[Any], name: str, kind: str) -> ColumnElement[Any]:
    if _PLAIN_NAME.fullmatch(name):
        path = literal(f'$."{name}"', Text)
        return _sqlite_guarded(func.json_type(document, path), func.json_extract(document, path), kind)
    # SQLite before 3.45 compares path labels with the document's escaped text, so "größe" is never found.
    each = func.json_each(document).table_valued("key", "value", "type")
    found = _sqlite_guarded(each.c.type, each.c.value, kind)
    return select(found).where(each.c.key == literal(name, Text)).scalar_subquery()


def _sqlite_guarded(
    json_type: ColumnElement[Any], value: ColumnElement[Any], kind: str
) -> ColumnElement[Any]:
    if kind in _FORMAT:
        calendar = func.strftime(_FORMAT[kind], value, "+0 days")  # carries 30 February over to March
        return case((and_(json_type == "text", calendar == value, value >= "0001"), value))
    return case((json_type.in_(_JSON_TYPES[kind]), value))


def _postgres(document: ColumnElement[Any], name: ColumnElement[str], kind: str) -> ColumnElement[Any]:
    item: ColumnElement[Any] = document.op("->", return_type=JSONB())(name)
    text: ColumnElement[str] = document.op("->>", return_type=Text())(name)
    json_type = func.jsonb_typeof(item)
    if kind == "text":
        return case((json_type == "string", text))
    if kind in _SHAPE:
        return case((and_(json_type == "string", text.op("~")(literal(_SHAPE[kind], Text))), text))
    return case((json_type == _JSONB_TYPE[kind], cast(item, _POSTGRES_TYPE[kind])))
