"""Attributes and properties held against the declared schema, and kept within bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from treue.clock import parse_instant
from treue.errors import RejectedInput
from treue.store.addresses import shown

MAX_BYTES = 32_768
MAX_DEPTH = 8
MAX_KEYS = 200
MAX_NAME = 100
MAX_KEY = 255
MAX_NUMBER = 2**53

_SCALARS = frozenset({str, int, float, bool, type(None)})
_PLAIN = _SCALARS - {float}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?")
_TRUE, _FALSE = {"true", "yes", "1", "ja", "y", "t"}, {"false", "no", "0", "nein", "n", "f"}


class Misfit(RejectedInput):
    """A value does not fit its type; the text says what it should be."""


def fit(value: Any, kind: str, zone: str = "UTC") -> Any:
    """Return `value` as the type `kind` keeps it; raise Misfit with what it should have been.

    `date` is kept as YYYY-MM-DD and `time` as YYYY-MM-DDTHH:MM:SSZ; times without an offset are local to
    `zone`. A None stays None: it removes the value.
    """
    return None if value is None else _FITTERS[kind](value, zone)


def conform(
    values: Mapping[str, Any], declared: Mapping[str, str], zone: str = "UTC"
) -> tuple[dict[str, Any], list[str]]:
    """Return the values in their normal form, and a sentence for each that does not fit its declared type.

    What is not declared is kept as it is.
    """
    if _deeper(values, MAX_DEPTH):
        return {}, [f"The values are nested deeper than {MAX_DEPTH} levels."]
    kept: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in values.items():
        kind = declared.get(name)
        try:
            kept[name] = plain(value) if kind is None else fit(value, kind, zone)
        except Misfit as misfit:
            problems.append(f"{name}: {misfit}")
    return kept, problems


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: dates and times as ISO texts, decimals as numbers, NaN as None."""
    if type(value) in _PLAIN:
        return value
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | str() | bool() | int():
            return value
        case Decimal():
            return _exact(value)
        case datetime():
            return _second(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(inner) for inner in value]
    return str(value)


def bounded(values: Mapping[str, Any], what: str) -> str | None:
    """Return a sentence where a record is too large, too deep, or holds what no database takes; else None."""
    if len(values) > MAX_KEYS:
        return f"{what} has {len(values)} values; at most {MAX_KEYS} are kept."
    if _deeper(values, MAX_DEPTH):
        return f"{what} is nested deeper than {MAX_DEPTH} levels."
    try:
        written = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):  # UnicodeEncodeError is a ValueError
        return f"{what} holds something that is not JSON in UTF-8."
    if len(written) > MAX_BYTES:
        return f"{what} is {len(written)} bytes long; at most {MAX_BYTES} are kept."
    if b"\\u0000" in written and _has_nul(values):
        return f"{what} holds a NUL character."
    return None


def key_problem(key: Any, what: str) -> str | None:
    """Return a sentence where an identifier from outside is empty, too long, or not plain text; else None."""
    if not isinstance(key, str) or not key.strip():
        return f"{what} is missing."
    if len(key) > MAX_KEY:
        return f"{what} is longer than {MAX_KEY} characters."
    if not key.isprintable():
        return f"{what} {shown(key)} holds characters that cannot be printed."
    return None


def _text(value: Any, _zone: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | Mapping | list | tuple):
        raise Misfit(f"{shown(str(value))} is not text.")
    found = plain(value)
    return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found)


def _number(value: Any, _zone: str) -> int | float:
    if isinstance(value, str) and len(value) <= MAX_NAME and _NUMBER.fullmatch(value.strip()):
        return _exact(Decimal(value.strip()))
    if isinstance(value, Decimal):
        return _exact(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _exact(value)
    raise Misfit(f"{shown(str(value))} is not a number; write it like 1234.50.")


def _exact(value: int | float | Decimal) -> int | float:
    """Return a whole number as int, any other as float; both databases keep whole ones exactly up to 2**53."""
    whole = isinstance(value, int) or (isinstance(value, Decimal) and _is_whole(value))
    kept: int | float = int(value) if whole else float(value)
    if abs(kept) > MAX_NUMBER if whole else not math.isfinite(kept):
        raise Misfit("The number is too large to be kept exactly.")
    return kept


def _is_whole(value: Decimal) -> bool:
    return value.is_finite() and value == value.to_integral_value()


def _bool(value: Any, _zone: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise Misfit(f"{shown(str(value))} is neither true nor false.")
    return word in _TRUE


def _date(value: Any, zone: str) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(ZoneInfo(zone)) if value.tzinfo else value).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    written = value.strip() if isinstance(value, str) else ""
    try:
        if _DAY.fullmatch(written):
            return date.fromisoformat(written).isoformat()
        if _DAY.match(written) and (found := parse_instant(written, zone)):
            return found.astimezone(ZoneInfo(zone)).date().isoformat()
    except ValueError:
        pass
    raise Misfit(f"{shown(str(value))} is not a date; write it like 2026-03-31.")


def _time(value: Any, zone: str) -> str:
    return _second(moment(value, zone))


def moment(value: Any, zone: str = "UTC") -> datetime:
    """Return the UTC instant of a datetime, a date or an ISO 8601 text, local to `zone` without an offset."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    written = value.isoformat() if isinstance(value, date) else value
    if isinstance(written, str) and _DAY.match(written.strip()) and (found := parse_instant(written, zone)):
        return found
    raise Misfit(f"{shown(str(value))} is not a time; write it like 2026-03-31T09:30:00+02:00.")


def _second(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _list(value: Any, _zone: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if not isinstance(value, str):
        raise Misfit(f"{shown(str(value))} is not a list.")
    return _listed(value.strip())


def _listed(written: str) -> list[Any]:
    """Read a list out of one cell: a JSON array, or words between `;`, `|` or commas."""
    if written.startswith("["):
        try:
            return list(json.loads(written))
        except (ValueError, RecursionError):
            raise Misfit(f'{shown(written)} is not a list; write it like ["a", "b"] or a;b.') from None
    separator = next((mark for mark in ";|," if mark in written), ";")
    return [item.strip() for item in written.split(separator) if item.strip()]


_FITTERS: dict[str, Callable[[Any, str], Any]] = {
    "text": _text,
    "number": _number,
    "bool": _bool,
    "date": _date,
    "time": _time,
    "list": _list,
}


def _deeper(value: Mapping[str, Any] | list[Any] | tuple[Any, ...], levels: int) -> bool:
    """Say whether a mapping or list is nested deeper than so many levels, itself being one."""
    inner = value.values() if isinstance(value, Mapping) else value
    nested = [
        item for item in inner if type(item) not in _SCALARS and isinstance(item, Mapping | list | tuple)
    ]
    return levels == 0 or any(_deeper(item, levels - 1) for item in nested)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any("\0" in str(name) or _has_nul(inner) for name, inner in value.items())
    return isinstance(value, list | tuple) and any(_has_nul(inner) for inner in value)
