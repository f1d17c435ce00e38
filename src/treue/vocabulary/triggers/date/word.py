"""`enter: {date: birthday}` lets in whose day has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.clock import Duration
from treue.language.conditions import DateAttribute
from treue.language.grammar import INVALID, Context, Fields, Key, Length, Option, TimeOfDay
from treue.language.source import Node, Scalar
from treue.language.triggers import Trigger, TriggerRow, check_moving
from treue.language.words import Word

YEARLY = ("birthday", "anniversary")
"""Attributes of these names, or ending in `_` and one of them, come round every year unless `every` says otherwise."""

DEFAULT_AT = "09:00"
_NOT_ASKED_AGAIN = "Leave it out: nobody is asked at intervals; who joins a segment does so at an instant of its own, whenever a pass sees it."


@dataclass(frozen=True)
class OnDate:
    """The day an attribute names, or with `yearly` its anniversaries, moved by a duration.

    `type` is the attribute's: `date`, or `time`, whose local day counts. `at` is `HH:MM` on the customer's clock; without
    it the duration moves the instant that a `time` names. A date that `moves` ends the stay for where it was; in plans from
    before it did, that stay goes on.
    """

    attribute: str
    type: str
    at: str | None
    yearly: bool
    before: Duration | None = None
    after: Duration | None = None
    moves: bool = False

    @property
    def by_instant(self) -> bool:
        """Whether the instant that the attribute names is moved, not its day."""
        return self.at is None


@dataclass(frozen=True)
class DateTrigger(Trigger):
    """Brings customers on a date in an attribute of theirs, or so long before or after it."""

    date: OnDate
    kind: Literal["date"] = "date"

    def words(self) -> str:
        """Return the day, and how often it comes."""
        on = self.date
        moved = f"{on.before} before " if on.before else f"{on.after} after " if on.after else ""
        named = f"{moved}{on.attribute}" + (f" at {on.at}" if on.at else "")
        return f"every year, {named}" if on.yearly else named

    def reads(self) -> tuple[str, ...]:
        """Return the attribute that holds the date."""
        return (self.date.attribute,)

    def clock(self) -> str | None:
        """Return the time of the day at which they come; None where each has an instant of her own."""
        return self.date.at

    def foretells(self) -> tuple[str, ...]:
        """Return the attribute."""
        return self.reads()

    def follows(self) -> tuple[str, ...]:
        """Return the attribute, and the clock by which a time's day is told."""
        if not self.date.moves:
            return ()
        own = self.date.by_instant or self.date.type == "date"
        return (self.date.attribute,) if own else (self.date.attribute, "timezone")

    def stays_for(self) -> str:
        """Return that customers have a stay for each occurrence of the date."""
        return "occurrence"


class _Every(Option):
    def parse(self, node: Node, context: Context) -> Any:
        """Return the word; of a length of time, say why there is none."""
        if isinstance(node, Scalar) and node.text[:1].isdigit():
            message = f"`{node.text}` is not {self._words()}."
            return context.say(node, "T204", message, _NOT_ASKED_AGAIN)
        return super().parse(node, context)


def _build(fields: Fields) -> Any:
    name, type_ = fields.get("date")
    every = fields.get("every", "year" if name.rpartition("_")[2] in YEARLY else "once")
    if (moved := next((key for key in ("before", "after") if _has_hours(fields.get(key))), None)) is not None:
        if _wrong_hours(fields, moved, name, type_, every):
            return INVALID
        at = None
    else:
        at = fields.get("at", DEFAULT_AT)
    on = OnDate(name, type_, at, every == "year", fields.get("before"), fields.get("after"), moves=True)
    return DateTrigger(on)


def _has_hours(length: Duration | None) -> bool:
    return length is not None and bool(length.seconds)


def _wrong_hours(fields: Fields, moved: str, name: str, type_: str, every: str) -> bool:
    """Say why no instant lies so many hours before or after what the attribute names; say whether there is a reason."""
    length = f"`{moved}: {fields.get(moved)}`"
    if type_ == "date":
        message = f"{length} counts from an instant, and `{name}` is a date: a day, without a time."
        hint = f'Write a length in days, and the time of the day as `at`: `{{date: {name}, {moved}: 1d, at: "18:00"}}`.'
        fields.context.say(fields.at(moved), "T309", message, hint)
        return True
    if fields.get(moved).days or fields.get(moved).months:
        message = f"{length} mixes days with hours: days count from a day, hours from an instant."
        fields.context.say(
            fields.at(moved), "T205", message, "Write hours alone, such as `36h`, or days alone."
        )
        return True
    if fields.written("at"):
        message = f"{length} counts from the instant in `{name}`, and `at` is a time of the day."
        hint = "Leave `at` out; or write a length in days, which counts from that day."
        fields.context.say(fields.at("at"), "T207", message, hint)
        return True
    if every == "year":
        message = (
            f"{length} counts from the instant in `{name}`, which comes but once; `every: year` goes by days."
        )
        hint = "Write `every: once`, or a length in days."
        fields.context.say(fields.at("every" if fields.written("every") else moved), "T207", message, hint)
        return True
    return False


ROW = TriggerRow(
    Key("date", DateAttribute(), "Enter on the day this attribute names, such as a birthday."),
    _build,
    "`date`",
    (
        Key(
            "before",
            Length(),
            "Enter this long before that day; with hours or minutes, before the instant of a time.",
        ),
        Key(
            "after",
            Length(),
            "Enter this long after that day; with hours or minutes, after the instant of a time.",
        ),
        Key(
            "at",
            TimeOfDay(),
            "At this time of the customer's day (default 09:00); not with hours or minutes.",
        ),
        Key(
            "every",
            _Every(("year", "once"), "`year` or `once`"),
            "`year`: on every anniversary (the default for a birthday or an anniversary), or `once`: on that day only.",
        ),
    ),
    check=check_moving,
)
WORD = Word("trigger", {"date": ROW}, (DateTrigger,))
