"""`enter: {date: birthday}` lets in whose day has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.clock import Duration
from treue.language.conditions import DateAttribute
from treue.language.grammar import Fields, Key, Length, Option, TimeOfDay
from treue.language.triggers import Trigger, TriggerRow, check_moving
from treue.language.words import Word

YEARLY = ("birthday", "anniversary")
"""Attributes of these names, or ending in `_` and one of them, come round every year unless `every` says otherwise."""

DEFAULT_AT = "09:00"


@dataclass(frozen=True)
class OnDate:
    """The day an attribute names, or with `yearly` its anniversaries, moved by a duration.

    `type` is the attribute's: `date`, or `time`, whose local day counts. `at` is `HH:MM` on the customer's clock.
    """

    attribute: str
    type: str
    at: str
    yearly: bool
    before: Duration | None = None
    after: Duration | None = None


@dataclass(frozen=True)
class DateTrigger(Trigger):
    """Brings customers on a date in an attribute of theirs, or so long before or after it."""

    date: OnDate
    kind: Literal["date"] = "date"

    def words(self) -> str:
        """Return the day, and how often it comes."""
        on = self.date
        moved = f"{on.before} before " if on.before else f"{on.after} after " if on.after else ""
        named = f"{moved}{on.attribute} at {on.at}"
        return f"every year, {named}" if on.yearly else named

    def reads(self) -> tuple[str, ...]:
        """Return the attribute that holds the date."""
        return (self.date.attribute,)

    def clock(self) -> str:
        """Return the time at which they come."""
        return self.date.at

    def stays_for(self) -> str:
        """Return that customers have a stay for each occurrence of the date."""
        return "occurrence"


def _build(fields: Fields) -> DateTrigger:
    name, type_ = fields.get("date")
    every = fields.get("every", "year" if name.rpartition("_")[2] in YEARLY else "once")
    at = fields.get("at", DEFAULT_AT)
    return DateTrigger(OnDate(name, type_, at, every == "year", fields.get("before"), fields.get("after")))


ROW = TriggerRow(
    Key("date", DateAttribute(), "Enter on the day this attribute names, such as a birthday."),
    _build,
    "`date`",
    (
        Key("before", Length(), "Enter this long before that day."),
        Key("after", Length(), "Enter this long after that day."),
        Key("at", TimeOfDay(), "At this time of the customer's day (default 09:00)."),
        Key(
            "every",
            Option(("year", "once"), "`year` or `once`"),
            "`year`: on every anniversary (the default for a birthday or an anniversary), or `once`: on that day only.",
        ),
    ),
    check=check_moving,
)
WORD = Word("trigger", {"date": ROW}, (DateTrigger,))
