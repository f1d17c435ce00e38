"""Numbers and dates as a language writes them (1.234,50 and 31.12.2026), read for what they mean.

Which language is the workspace's `locale`. What machines write (1234.50, 2026-12-31) is read everywhere; where both readings
of a number are possible and differ, it is refused.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Any

from treue.store.addresses import shown
from treue.store.validation import Misfit

KINDS = frozenset({"number", "date", "time"})
_LONGEST = 40
_MACHINE_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_LIKE_A_NUMBER = re.compile(r"[+-]?\d[\d.,'’\s]*(?<=\d)", re.ASCII)
_LIKE_A_DAY = re.compile(
    r"(\d{1,4})([./-])\s?(\d{1,2})\2\s?(\d{1,4})(?:,?[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII
)
_MACHINE_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)", re.ASCII)
_BLANK = re.compile(r"\s")


class LocalWriting:
    """How numbers and dates are written where a language is spoken; `locale` as treue.yaml has it, such as de or de-AT."""

    def __init__(self, locale: str) -> None:
        self.locale = locale

    def read(self, text: str, kind: str) -> str:
        """Return a number, date or time as machines write it. Raises Misfit where it has two meanings, or none."""
        if len(text) > _LONGEST:
            return text
        return self._number(text) if kind == "number" else self._day(text, kind)

    def _number(self, text: str) -> str:
        machine = _MACHINE_NUMBER.fullmatch(text) is not None
        if machine and ("." not in text or self._point == "." or not _THOUSANDS.fullmatch(text)):
            return text
        local = self._local_number(text)
        if not machine and local is None and _LIKE_A_NUMBER.fullmatch(text):
            raise Misfit(
                f"{shown(text)} is not a number {self._as_written}; write it like 1234.50{self._or_declare}."
            )
        if machine and local is not None:
            raise Misfit(
                f"{shown(text)} can be {local}, as `{self.locale}` writes numbers, or {text}0, as machines do: write the one "
                "that is meant."
            )
        return local or text

    def _local_number(self, text: str) -> str | None:
        if not _LIKE_A_NUMBER.fullmatch(text):
            return None
        from babel.numbers import NumberFormatError, parse_decimal

        as_babel = text.replace("’", "'")
        if _BLANK.match(self._group):
            as_babel = _BLANK.sub(self._group, as_babel)
        try:
            return format(parse_decimal(as_babel, locale=self._babel, strict=True), "f")
        except NumberFormatError:
            return None

    def _day(self, text: str, kind: str) -> str:
        match = None if _MACHINE_DAY.match(text) else _LIKE_A_DAY.fullmatch(text)
        if match is None:
            return text
        parts = dict(zip(self._order, (match[1], match[3], match[4]), strict=True)) if self._order else {}
        try:
            if match[2] != self._mark or len(parts["y"]) != 4 or max(len(parts["d"]), len(parts["m"])) > 2:
                raise ValueError
            day = date(int(parts["y"]), int(parts["m"]), int(parts["d"])).isoformat()
        except (ValueError, KeyError):
            noun = "date" if kind == "date" else "time"
            like = "2026-03-31" if kind == "date" else "2026-03-31T09:30"
            raise Misfit(
                f"{shown(text)} is not a {noun} {self._as_written}; write it like {like}{self._or_declare}."
            ) from None
        hour, minute, second = match[5], match[6], match[7] or "00"
        return f"{day}T{hour:0>2}:{minute}:{second}" if hour else day

    @property
    def _as_written(self) -> str:
        return f"as `{self.locale}` writes it"

    @property
    def _or_declare(self) -> str:
        return ", or let `locale` in treue.yaml be the file's"

    @cached_property
    def _babel(self) -> Any:
        from babel import Locale, UnknownLocaleError

        for tag in (self.locale, self.locale.split("-")[0]):
            try:
                return Locale.parse(tag, sep="-")
            except (UnknownLocaleError, ValueError):
                continue
        return Locale("en")

    @cached_property
    def _symbols(self) -> tuple[str, str]:
        symbols = self._babel.number_symbols
        latin = symbols.get("latn", symbols)
        return latin["decimal"], latin["group"]

    @property
    def _point(self) -> str:
        return self._symbols[0]

    @property
    def _group(self) -> str:
        return self._symbols[1]

    @cached_property
    def _pattern(self) -> str:
        """The short form of a date. English alone has two: which comes first is said by the country."""
        babel = self._babel
        return "" if babel.language == "en" and not babel.territory else babel.date_formats["short"].pattern

    @cached_property
    def _order(self) -> str:
        return re.sub(r"(.)\1*", r"\1", "".join(sign for sign in self._pattern if sign in "dMy")).lower()

    @cached_property
    def _mark(self) -> str:
        return next((sign for sign in self._pattern if sign in "./-"), "")
