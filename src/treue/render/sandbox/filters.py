"""The filters a template may use. None returns markup, so what is printed into HTML is escaped exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import wraps
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from treue.render.problem import Fault
from treue.render.sandbox import formats
from treue.render.sandbox.values import PRINTABLE, AnyValue, MadeUp, Missing, SampleText

LONGEST = 100_000
"""Characters a text made inside an expression may have."""
_STATE = "treue state"
_FORMAT_STEPS = 100
_DEEPEST_PATH = 8
"""Names in an `attribute='…'`: data is nested no deeper."""
_LONGEST_PATH = 200


def text(value: Any) -> str:
    """Return a value as plain text; stops the rendering at lists, records and missing values."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (*PRINTABLE, Undefined)):
        return str(value)
    raise Fault("wrong-type", "A list or a record cannot be used as text; name one of its parts.")


def spend(context: Context, steps: int) -> None:
    """Count work that is about to be done."""
    context.parent[_STATE].spend(steps)


def count_text(context: Context, length: int) -> None:
    """Count the length of a text before it is made, and stop the rendering where it would be too long."""
    if length > LONGEST:
        raise Fault("too-much", f"A text in a message may have at most {LONGEST:,} characters.")
    spend(context, 1 + length // 8)


def counted_text(context: Context, made: str) -> str:
    """Count a text after it was made, where its input bounds its length, and return it."""
    count_text(context, len(made))
    return made


def weigh(context: Context, *values: Any) -> None:
    """Count what it takes to look through values to their last part.

    A list counts as often as it is met: lists that share their parts are as heavy as if written out.
    """
    state = context.parent[_STATE]
    rest = list(values)
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            state.spend(1 + len(value) // 8)
        elif isinstance(value, (list, tuple, dict, range)):
            state.spend(1 + len(value))
            if isinstance(value, dict):
                rest += value.keys()
                rest += value.values()
            elif not isinstance(value, range):
                rest += value
        else:
            state.spend(1)


def sized(value: Any) -> Any:
    """Return a number unless it is too large to mean anything in a message."""
    if isinstance(value, (int, float, Decimal)) and not Decimal(value).copy_abs() <= formats.LARGEST:
        raise Fault("too-much", "A number in a message may have at most 18 digits before the point.")
    return value


def _textual(function: Callable[..., str]) -> Callable[..., str]:
    @pass_context
    @wraps(function)
    def counted(context: Context, value: Any, *arguments: Any, **named: Any) -> str:
        given = text(value)
        spend(context, 1 + len(given) // 8)
        made = counted_text(context, function(given, *arguments, **named))
        return SampleText(made) if isinstance(value, SampleText) else made

    return counted


@_textual
def _replace(value: str, old: Any, new: Any, count: int = -1) -> str:
    """Stops before a text is made that is too long."""
    old, new = text(old), text(new)
    found = len(value) + 1 if not old else value.count(old)
    if len(value) + found * max(0, len(new) - len(old)) > LONGEST:
        raise Fault("too-much", f"A text in a message may have at most {LONGEST:,} characters.")
    return value.replace(old, new, count)


@_textual
def _truncate(value: str, length: int = 255, killwords: bool = False, end: Any = "…") -> str:
    """Cut at a word's end, or with `killwords` anywhere, to at most `length` characters."""
    ending = text(end)
    length = max(0, int(length))
    if len(value) <= length:
        return value
    kept = value[: max(0, length - len(ending))]
    whole = kept if killwords or " " not in kept else kept.rsplit(" ", 1)[0]
    return whole.rstrip() + ending


@_textual
def _urlencode(value: str) -> str:
    return quote(value, safe="")


@_textual
def _escape(value: str) -> str:
    """What is printed into HTML is escaped anyway, and text needs none."""
    return value


@_textual
def _title(value: str) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in value.split(" "))


def _default(value: Any, instead: Any = "", boolean: bool = False) -> Any:
    """Also an empty text is replaced: a customer whose name is "" has none."""
    if isinstance(value, Undefined) or value is None or value == "" or (boolean and not value):
        return instead
    return value


def _listed(value: Any) -> Sequence[Any] | dict[Any, Any]:
    if isinstance(value, Undefined):
        return ()
    if isinstance(value, AnyValue):
        return (value,)
    if isinstance(value, (list, tuple, range, dict)):
        return value
    raise Fault("wrong-type", "This filter works on a list.")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(_listed(value))


def _first(value: Any) -> Any:
    return next(iter(value if isinstance(value, str) else _listed(value)), Missing("first"))


def _last(value: Any) -> Any:
    return next(reversed(value if isinstance(value, str) else _listed(value)), Missing("last"))


@pass_context
def _join(context: Context, value: Any, between: Any = "", attribute: Any = "") -> str:
    items, path, glue = _listed(value), _path(attribute), text(between)
    spend(context, len(items) * (1 + len(path)))
    parts = [text(_part(item, path)) for item in items]
    count_text(context, sum(map(len, parts)) + len(glue) * len(parts))
    return glue.join(parts)


def _path(attribute: Any) -> list[str]:
    """Return the names of an `attribute='…'`, outermost first."""
    if not isinstance(attribute, str):
        raise Fault("wrong-type", "attribute is a name, or names with dots between them.")
    names = attribute.split(".") if attribute else []
    if len(attribute) > _LONGEST_PATH or len(names) > _DEEPEST_PATH:
        raise Fault("too-much", f"attribute may have at most {_DEEPEST_PATH} names.")
    return names


def _part(item: Any, path: Sequence[str]) -> Any:
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
        if item is None:
            return Missing(".".join(path))
    return item


@pass_context
def _sort(context: Context, value: Any, reverse: bool = False, attribute: Any = "") -> list[Any]:
    """Sort a list, or by a part of its records. Texts regardless of case, missing parts last."""
    items, path = _listed(value), _path(attribute)
    spend(context, len(items) * (20 + len(path)))
    keys = [_sort_key(context, _part(item, path)) for item in items]
    order = sorted(range(len(keys)), key=keys.__getitem__, reverse=bool(reverse))
    listed = list(items)
    return [listed[at] for at in order]


def _sort_key(context: Context, part: Any) -> tuple[int, Any]:
    if isinstance(part, Undefined):
        return 2, 0
    if isinstance(part, str):
        spend(context, 2 * len(part))
        return 1, part.casefold()
    if not isinstance(part, PRINTABLE):
        raise Fault(
            "wrong-type", "Lists and records have no order; name a part of theirs: sort(attribute='…')."
        )
    return 0, part


def _round(value: Any, digits: int = 0) -> Any:
    """Round half up, as people do; without digits the result is whole."""
    if type(digits) is not int or not 0 <= digits <= 10:
        raise Fault("wrong-type", "The digits of `round` go from 0 to 10.")
    rounded = formats.decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    if not digits:
        return int(rounded)
    return rounded if isinstance(value, Decimal) else float(rounded)


def _int(value: Any, default: int = 0) -> int:
    return int(_number_or(value, default))


def _float(value: Any, default: float = 0.0) -> float:
    return float(_number_or(value, default))


def _number_or(value: Any, default: Any) -> Any:
    if isinstance(value, Undefined):
        return default
    try:
        number = Decimal(int(value)) if isinstance(value, AnyValue) else Decimal(formats.short(text(value)))
    except (InvalidOperation, ValueError):
        return default
    return sized(number) if number.is_finite() else default


@pass_context
def _money(context: Context, amount: Any, currency: Any = "EUR") -> str:
    state = context.parent[_STATE]
    state.spend(_FORMAT_STEPS)
    return formats.money(amount, currency, state.locales)


@pass_context
def _date(context: Context, value: Any, format: Any = "long") -> str:  # noqa: A002
    state = context.parent[_STATE]
    state.spend(_FORMAT_STEPS)
    return formats.day(value, format, state.zone, state.locales)


@pass_context
def _number(context: Context, value: Any, digits: Any = None) -> str:
    state = context.parent[_STATE]
    state.spend(_FORMAT_STEPS)
    return formats.number(value, digits, state.locales)


@pass_context
def _utm(
    context: Context, url: Any, campaign: Any = "", source: Any = "treue", medium: Any = "", content: Any = "",
    term: Any = "",
) -> str:  # fmt: skip
    """Campaign is the journey, medium the channel and content the template unless the template says otherwise."""
    state = context.parent[_STATE]
    address = text(url)
    given = {
        "source": source, "medium": medium or state.channel, "campaign": campaign or state.journey,
        "content": content or state.template, "term": term,
    }  # fmt: skip
    parameters = {name: text(value) for name, value in given.items() if value}
    state.spend(_FORMAT_STEPS + len(address) + sum(map(len, parameters.values())))
    made = counted_text(context, formats.utm(address, parameters))
    return SampleText(made) if isinstance(url, SampleText) else made


@pass_context
def _json(context: Context, value: Any) -> str:
    """Return a value as JSON: times and dates as ISO 8601, decimals as numbers."""
    weigh(context, value)
    return counted_text(context, json.dumps(value, ensure_ascii=False, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else text(value)


@pass_context
def _link(context: Context, value: Any) -> str:
    if not isinstance(value, MadeUp):
        value = text(value)
        spend(context, 1 + len(value) // 8)
    return counted_text(context, formats.link(value))


ALL: dict[str, Callable[..., Any]] = {
    "upper": _textual(str.upper), "lower": _textual(str.lower), "title": _title,
    "capitalize": _textual(str.capitalize), "trim": _textual(str.strip), "replace": _replace,
    "truncate": _truncate, "urlencode": _urlencode, "escape": _escape, "e": _escape,
    "default": _default, "d": _default, "length": _length, "count": _length, "first": _first, "last": _last,
    "join": _join, "sort": _sort, "round": _round, "int": _int, "float": _float,
    "money": _money, "date": _date, "number": _number, "utm": _utm, "treue_url": _link, "treue_json": _json,
}  # fmt: skip
"""Every filter, by the name it has in templates."""
