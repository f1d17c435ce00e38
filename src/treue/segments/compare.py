"""One comparison as SQL. NULL stands for a missing value, and in the answer for "no"."""

from __future__ import annotations

import json
import math
from calendar import isleap
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Numeric,
    TableValuedAlias,
    Text,
    and_,
    cast,
    column,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from treue.clock import MICROSECONDS
from treue.segments.functions import matches, month_and_day
from treue.segments.moment import Moment
from treue.segments.tree import Ago, Ahead, Op, Scalar
from treue.segments.typed import seconds, storable

_SECOND = timedelta(seconds=1)


def ordered(name: str, value: Any, first: Any, last: Any) -> Any:
    """Return how a value lies to the stretch from `first` to `last`; None where the comparison is no order."""
    match name:
        case "is":
            return value == first if first is last else and_(value >= first, value <= last)
        case "before" | "below":
            return value < first
        case "after" | "above":
            return value > last
        case "at_least":
            return value >= first
        case "at_most":
            return value <= last
    return None


def all_fit(
    value: ColumnElement[Any], kind: str, ops: Iterable[Op], moment: Moment, dialect: str
) -> ColumnElement[bool]:
    """Return whether a value of a type fits every comparison; NULL means no.

    `kind` is a declared type, or `instant` for a column of microseconds.
    """
    return and_(true(), *(fits(value, kind, op, moment, dialect) for op in ops))


def fits(value: ColumnElement[Any], kind: str, op: Op, moment: Moment, dialect: str) -> ColumnElement[bool]:
    """Return whether a value of a type fits one comparison; NULL means no.

    A comparison that the type does not know holds for nobody, and its negation for everybody.
    """
    match op.name:
        case "exists":
            return value.is_not(null()) if op.values[0] else value.is_(null())
        case "not":
            return _negated(fits(value, kind, Op("is", op.values), moment, dialect))
        case "not_in":
            return _negated(fits(value, kind, Op("in", op.values), moment, dialect))
        case "in":
            return _any_of(value, kind, op.values, moment, dialect)
        case "between":
            low, high = op.values
            bounds = (Op("at_least", (low,)), Op("at_most", (high,)))
            return all_fit(value, kind, bounds, moment, dialect)
    return _compared(value, kind, op.name, op.values[0], moment, dialect)


def rules_out_zero(op: Op) -> bool:
    """Return whether 0 fails a comparison that a missing value fails as well."""
    numbers = [one for one in op.values if isinstance(one, int | float)]
    match op.name:
        case "in":
            return 0 not in numbers
        case "between":
            return len(numbers) == 2 and not numbers[0] <= 0 <= numbers[1]
    return len(numbers) == 1 and ordered(op.name, 0, numbers[0], numbers[0]) is False


def exactly(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return whether a column of names holds this one; a name that no database can hold is nowhere."""
    return column == literal(name, Text) if storable(name) else false()


def _negated(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return not_(func.coalesce(condition, false()))


def _any_of(
    value: ColumnElement[Any], kind: str, wanted: Iterable[Scalar | Ago | Ahead], moment: Moment, dialect: str
) -> ColumnElement[bool]:
    if kind == "text":
        return value.in_([one for one in wanted if isinstance(one, str) and storable(one)])
    return or_(false(), *(fits(value, kind, Op("is", (one,)), moment, dialect) for one in wanted))


def _compared(
    value: ColumnElement[Any],
    kind: str,
    name: str,
    wanted: Scalar | Ago | Ahead,
    moment: Moment,
    dialect: str,
) -> ColumnElement[bool]:
    match wanted:
        case Ahead():
            return _anniversary(value, kind, wanted, moment, dialect)
        case str() if name == "matches":
            return _matches(value, kind, wanted, dialect)
    match kind, wanted:
        case "list", str() | bool() | int() | float():
            return _member(value, wanted, dialect) if name == "contains" else false()
        case "bool", bool():
            return value == literal(wanted, Boolean) if name == "is" else false()
        case "text", str():
            return _text(value, name, wanted, dialect) if storable(wanted) else false()
        case "number", int() | float():
            return _number(value, name, wanted, dialect)
        case "date" | "time" | "instant", str() | Ago():
            return _time(value, kind, name, wanted, moment, dialect)
    return false()


def _text(value: ColumnElement[Any], name: str, wanted: str, dialect: str) -> ColumnElement[bool]:
    sought = literal(wanted, Text)
    sqlite = dialect == "sqlite"
    if name == "contains":
        return (func.instr if sqlite else func.strpos)(value, sought) > 0
    if name == "starts_with":
        return func.substr(value, 1, len(wanted)) == sought
    if name == "ends_with":
        start = func.length(value) - (len(wanted) - 1)
        return and_(start > 0, func.substr(value, start) == sought)
    return _ordered(value if name == "is" else _bytewise(value, dialect), name, sought, sought)


def _matches(value: ColumnElement[Any], kind: str, pattern: str, dialect: str) -> ColumnElement[bool]:
    if kind == "text":
        return matches(value, pattern, dialect)
    if kind != "list":
        return false()
    text: ColumnElement[str]
    if dialect == "sqlite":
        each = func.json_each(value).table_valued("value", "type")
        text, is_text = each.c.value, each.c.type == "text"
    else:
        each = func.jsonb_array_elements(value).table_valued(column("value", JSONB))
        text = each.c.value.op("#>>", return_type=Text())(cast(literal("{}", Text), ARRAY(Text)))
        is_text = func.jsonb_typeof(each.c.value) == "string"
    return select(each.c.value).where(is_text, matches(text, pattern, dialect)).exists()


def _anniversary(
    value: ColumnElement[Any], kind: str, ahead: Ahead, moment: Moment, dialect: str
) -> ColumnElement[bool]:
    """Return whether a month and day comes round in the days ahead; 29 February on the 28th where there is none."""
    if kind not in ("date", "time", "instant"):
        return false()
    first, last = moment.ahead(ahead.duration)
    if (last - first).days >= 365:
        return value.is_not(null())
    day = _bytewise(month_and_day(value, kind, moment.zone, dialect), dialect)
    start, end = (literal(f"{bound:%m-%d}", Text) for bound in (first, last))
    inside = day.between(start, end) if first.year == last.year else or_(day >= start, day <= end)
    leap = any(first <= _end_of_february(year) <= last for year in (first.year, last.year))
    return or_(inside, day == "02-29") if leap else inside


def _end_of_february(year: int) -> date:
    return date(year, 2, 29 if isleap(year) else 28)


def _number(value: ColumnElement[Any], name: str, wanted: int | float, dialect: str) -> ColumnElement[bool]:
    if isinstance(wanted, bool) or not math.isfinite(wanted):
        return false()
    sought = _sqlite_number(wanted) if dialect == "sqlite" else _exact(wanted)
    return _ordered(value, name, sought, sought)


def _sqlite_number(number: int | float) -> ColumnElement[Any]:
    if isinstance(number, int) and abs(number) < 2**63:
        return literal(number, BigInteger)
    return literal(float(number), Float)


def _exact(number: int | float) -> ColumnElement[Any]:
    return cast(literal(Decimal(repr(number)), Numeric), Numeric)


def _time(
    value: ColumnElement[Any], kind: str, name: str, wanted: str | Ago, moment: Moment, dialect: str
) -> ColumnElement[bool]:
    if moment.span(wanted) is None:
        return false()
    if isinstance(wanted, Ago) and kind != "date":
        since = moment.since(wanted.duration)
        return _ordered(value if kind == "instant" else micros_of(value, dialect), name, since, since)
    type_ = value.type if kind == "instant" else Text()
    first, last = (
        moment.value((wanted, kind, end), partial(_end, wanted, kind, end), type_) for end in (0, 1)
    )
    return _ordered(value if kind == "instant" else _bytewise(value, dialect), name, first, last)


def _end(wanted: str | Ago, kind: str, end: int, moment: Moment) -> datetime | str:
    """Return where a stretch of time begins (`end` 0) or ends (1), as values of this kind are kept."""
    span = moment.span(wanted)
    assert span is not None
    if kind == "instant":
        return span[end]
    if kind == "date":
        return moment.local(span[end]).date().isoformat()
    return _iso(span.last if end else _whole_second(span.first))


def micros_of(text: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return an ISO date (its midnight in UTC) or time text in microseconds since 1970 UTC; NULL for NULL."""
    return seconds(text, dialect) * literal(MICROSECONDS, BigInteger)


def _whole_second(instant: datetime) -> datetime:
    return instant + _SECOND - timedelta(microseconds=1) if instant.microsecond else instant


def _iso(instant: datetime) -> str:
    return f"{instant.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _ordered(
    value: ColumnElement[Any], name: str, first: ColumnElement[Any], last: ColumnElement[Any]
) -> ColumnElement[bool]:
    found: ColumnElement[bool] | None = ordered(name, value, first, last)
    return false() if found is None else found


def _bytewise(text: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Order texts by their bytes, as SQLite does, whatever language the database was set up in."""
    return text if dialect == "sqlite" else text.collate("C")


def _member(items: ColumnElement[Any], wanted: Scalar, dialect: str) -> ColumnElement[bool]:
    if isinstance(wanted, str) and not storable(wanted):
        return false()
    if isinstance(wanted, float) and not math.isfinite(wanted):
        return false()
    if dialect != "sqlite":
        return items.bool_op("@>")(cast(literal(json.dumps(wanted), Text), JSONB))
    each = func.json_each(items).table_valued("value", "type")
    return select(each.c.value).where(_sqlite_item(each, wanted)).exists()


def _sqlite_item(each: TableValuedAlias, wanted: Scalar) -> ColumnElement[bool]:
    if isinstance(wanted, bool):
        return each.c.type == json.dumps(wanted)
    if isinstance(wanted, str):
        return and_(each.c.type == "text", each.c.value == literal(wanted, Text))
    return and_(each.c.type.in_(("integer", "real")), each.c.value == _sqlite_number(wanted))
