"""`money`, `date`, `number` and `utm`: values as the customer's language writes them.

Formats come from Babel (Unicode CLDR). Results are remembered, as a mailing repeats the same prices and days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from treue.clock import known_zone, parse_instant
from treue.render.problem import Fault
from treue.render.sandbox.values import PRINTABLE, AnyValue, MadeUp, Missing

if TYPE_CHECKING:
    from babel import Locale

LARGEST = Decimal(10) ** 18
LONGEST = 100
"""Characters of a text that may read as a number or a date."""
_FINEST = -30
"""The smallest power of ten that is told from nothing."""
_SIMPLE = frozenset({int, float, str, Decimal})
_NAMED = ("short", "medium", "long", "full")
_LINK = re.compile(r"(?:https?://|mailto:|tel:)\S", re.IGNORECASE)


def decimal(value: Any) -> Decimal:
    """Return a number as Decimal; numbers and texts that read as one will do. Stops the rendering else."""
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, bool) or not isinstance(value, PRINTABLE):
        raise Fault("wrong-type", "A number belongs here, not a list, a record or yes and no.")
    try:
        number = Decimal(int(value)) if isinstance(value, AnyValue) else Decimal(short(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Fault("wrong-type", f"{str(value)[:60]!r} is not a number.")
    if number.copy_abs() > LARGEST:
        raise Fault("too-much", "A number in a message may have at most 18 digits before the point.")
    return number if number.adjusted() >= _FINEST else Decimal(0)


def short(value: Any) -> str:
    """Return what may read as a number or a date; nothing of a long text does."""
    found = str(value)
    return found.strip() if len(found) <= LONGEST else ""


@lru_cache(maxsize=512)
def babel_locale(*names: str) -> Locale:
    """Return the first of the locales that Babel knows, by its language alone if need be; English else."""
    from babel import Locale, UnknownLocaleError

    for name in names:
        for tag in (name, name.split("-")[0]):
            try:
                return Locale.parse(tag, sep="-")
            except (UnknownLocaleError, ValueError, TypeError):
                continue
    return Locale("en")


def money(amount: Any, currency: Any, locales: tuple[str, ...]) -> str:
    """Return an amount with its currency: 1.234,50 €."""
    if type(amount) in _SIMPLE and type(currency) is str:
        return _simple_money(amount, currency, locales)
    return _money(decimal(amount), _currency(currency), locales)


def _currency(currency: Any) -> str:
    code = "EUR" if isinstance(currency, MadeUp) else currency if isinstance(currency, str) else ""
    if not re.fullmatch(r"[A-Za-z]{3}", code):
        raise Fault("wrong-type", f"{code[:20]!r} is not a currency; write its three letters, such as EUR.")
    return code.upper()


@lru_cache(maxsize=8192, typed=True)
def _simple_money(amount: Any, currency: str, locales: tuple[str, ...]) -> str:
    """Return the same for a plain number: a mailing repeats its prices."""
    return _money(decimal(amount), _currency(currency), locales)


@lru_cache(maxsize=8192)
def _money(amount: Decimal, currency: str, locales: tuple[str, ...]) -> str:
    from babel.numbers import format_currency

    return format_currency(amount, currency, locale=babel_locale(*locales))


def number(value: Any, digits: Any, locales: tuple[str, ...]) -> str:
    """Return a number with the language's separators, with exactly `digits` after the point if given."""
    if digits is not None and (not isinstance(digits, int) or not 0 <= digits <= 10):
        raise Fault("wrong-type", "The digits of `number` go from 0 to 10.")
    return _number(decimal(value), digits, locales)


@lru_cache(maxsize=8192)
def _number(value: Decimal, digits: int | None, locales: tuple[str, ...]) -> str:
    from babel.numbers import format_decimal

    locale = babel_locale(*locales)
    if digits is None:
        return format_decimal(value, locale=locale)
    return format_decimal(value, format="#,##0" + ("." + "0" * digits if digits else ""), locale=locale)


def day(value: Any, form: Any, zone: str, locales: tuple[str, ...]) -> str:
    """Return a date, or an instant as the customer's calendar has it.

    `form` is short, medium, long, full, time, datetime, or a pattern of Unicode CLDR such as `d. MMMM`.
    """
    if not isinstance(form, str) or len(form) > 64:
        raise Fault(
            "wrong-type", "The format of `date` is short, medium, long, full, or a pattern such as d. MMMM."
        )
    return _day(_moment(value, zone), form, locales)


def _moment(value: Any, zone: str) -> datetime | date:
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, MadeUp):
        value = date(2026, 3, 1)
    moment: object = value
    if isinstance(value, str):
        text = short(value)
        moment = (
            date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else parse_instant(text, zone)
        )
    if not isinstance(moment, date):
        shown = f"{str(value)[:60]!r}" if isinstance(value, PRINTABLE) else "This"
        raise Fault("wrong-type", f"{shown} is not a date; dates look like 2026-03-01.")
    if isinstance(moment, datetime) and moment.tzinfo:
        moment = moment.astimezone(ZoneInfo(known_zone(zone) or "UTC")).replace(tzinfo=None)
    return moment


@lru_cache(maxsize=8192)
def _day(moment: datetime | date, form: str, locales: tuple[str, ...]) -> str:
    from babel import dates

    locale = babel_locale(*locales)
    if form in _NAMED:
        return dates.format_date(moment, form, locale=locale)
    if form == "time":
        return dates.format_time(_midnight(moment), "short", locale=locale)
    if form == "datetime":
        return dates.format_datetime(_midnight(moment), "long", locale=locale).removesuffix(" UTC")
    return dates.format_datetime(_midnight(moment), form, locale=locale)


def _midnight(moment: datetime | date) -> datetime:
    return moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001


def utm(url: str, parameters: Mapping[str, str]) -> str:
    """Return the address with `utm_…` parameters, in place of those it had."""
    parts = urlsplit(url)
    ours = {f"utm_{name}": value for name, value in parameters.items()}
    kept = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in ours
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *ours.items()], quote_via=quote)))


def link(value: str | MadeUp) -> str:
    """Return a link's address from data if it is a web, mail or phone address. Stops the rendering else."""
    text = str(value).strip()
    if isinstance(value, MadeUp):
        return "https://example.com/sample"
    if not _LINK.match(text):
        raise Fault(
            "unsafe-link",
            f"{text[:60]!r} is no address for a link; it must begin with https:, http:, mailto: or tel:.",
        )
    return text
