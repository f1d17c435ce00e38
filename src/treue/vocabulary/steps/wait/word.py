"""`wait` holds the customer: for a time, until a local time or a date of their own, or for something to happen."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from treue.clock import WEEKDAYS, Duration
from treue.language.conditions import CONDITION, DateAttribute
from treue.language.grammar import INVALID, Fields, Key, Length, ListOf, Option, Shape, TimeOfDay
from treue.language.problems import nearest
from treue.language.source import Mapping, Node, Scalar
from treue.language.step_rows import Steps, common, leaf, step_row
from treue.language.steps import LONG, Branch, Container, Effort, Flattening, Lead, Leaf, Stage, Step, Way
from treue.language.triggers import check_moving
from treue.language.words import Word
from treue.segments.tree import Condition

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Timer(Leaf):
    """Holds customers until an instant that is known when they come."""

    holds: ClassVar[bool] = True

    def likeness(self) -> Hashable:
        """Return the same for all timers: an edited one goes on with those who stand at it."""
        return "wait"


@dataclass(frozen=True)
class Wait(Timer):
    """Holds customers for a duration."""

    duration: Duration
    kind: Literal["wait"] = "wait"

    def words(self) -> str:
        """Return "wait", with the duration."""
        return f"wait {self.duration}"

    def takes(self) -> timedelta:
        """Return how long; a month counts as 30 days."""
        return self.duration.roughly


@dataclass(frozen=True)
class WaitUntil(Timer):
    """Holds customers until the next `at` (HH:MM on their clocks), on one of `days` (`mon` to `sun`; none: any)."""

    at: str
    days: tuple[str, ...]
    kind: Literal["wait_until"] = "wait_until"

    def words(self) -> str:
        """Return "wait until", with the time of day and the weekdays."""
        return f"wait until {self.at}" + (f" on {', '.join(self.days)}" if self.days else "")

    def takes(self) -> timedelta:
        """Return a day, the longest until a time of day comes round."""
        return timedelta(days=1)

    def clock(self) -> str:
        """Return the time of the day."""
        return self.at


Passed = Literal["skip", "go_on", "stop"]
_PASSED = {
    "skip": "where it has passed, nothing is sent until the next wait",
    "go_on": "where it has passed, on at once",
    "stop": "where it has passed, the end",
}


@dataclass(frozen=True)
class WaitDate(Timer):
    """Holds customers until the day (local midnight) or the time an attribute of `type` names, moved by a duration.

    `passed` says what becomes of those for whom that has passed; those of plans from before there was a choice go on, and
    wait for what the attribute said when they came. `at` is `HH:MM` of that day on their clocks; `yearly`, it is the next time
    that the day comes round.
    """

    holds: ClassVar[bool] = False  # where the date has passed, they go on at once

    attribute: str
    type: str
    before: Duration | None
    after: Duration | None
    passed: Passed | None = None
    at: str | None = None
    yearly: bool = False
    kind: Literal["wait_date"] = "wait_date"

    def words(self) -> str:
        """Return "wait until", with the attribute, how far from its date, and what becomes of whom it has passed for."""
        moved = f"{self.before} before " if self.before else f"{self.after} after " if self.after else ""
        where_passed = f" ({_PASSED[self.passed]})" if self.passed else ""
        at = f" at {self.at}" if self.at else ""
        return f"wait until {moved}{self.attribute}{at}{', every year' * self.yearly}{where_passed}"

    def clock(self) -> str | None:
        """Return the time of the day, where one is named."""
        return self.at

    def follows(self) -> tuple[str, ...]:
        """Return the attribute, and the clock by which its day begins."""
        return () if self.passed is None else (self.attribute, "timezone")

    @property
    def skips(self) -> bool:
        """Whether customers are sent nothing on the way from it where the moment has passed."""
        return self.passed == "skip"

    def reads(self) -> tuple[str, ...]:
        """Return the attribute that holds the date."""
        return (self.attribute,)

    def dates(self) -> tuple[str, ...]:
        """Return the attribute that holds the date."""
        return (self.attribute,)


@dataclass(frozen=True)
class WaitFor(Stage):
    """Holds customers until a condition becomes true (they go on to `then`) or `at_most` has passed (to `otherwise`)."""

    effort: ClassVar[Effort] = LONG

    condition: Condition
    at_most: Duration
    then: str | None
    otherwise: str | None
    kind: Literal["wait_for"] = "wait_for"

    def words(self) -> str:
        """Return what for, and how long at the most."""
        return f"wait for {self.condition.words()}, at most {self.at_most}"

    def alone(self) -> Self:
        """Return a copy without the targets of its ways."""
        return replace(super().alone(), then=None, otherwise=None)

    def inner_ways(self) -> tuple[Way, ...]:
        """Return the ways `then` and `otherwise`."""
        return Way("then", self.then), Way("otherwise", self.otherwise)

    def leads(self, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
        """Return the ways `then` and `otherwise`."""
        return self.or_skipped(
            (Lead("then", self.then), Lead(f"otherwise, after {self.at_most}", self.otherwise))
        )

    def conditions(self) -> tuple[Condition, ...]:
        """Return its `if` and what it waits for."""
        return (*super().conditions(), self.condition)

    def waits_for(self) -> Condition:
        """Return the condition it waits for."""
        return self.condition

    def compared(self, way: str | None) -> tuple[Condition, ...]:
        """Return what it waits for, counted since arrival."""
        return (self.condition.since_arrival(),)


@dataclass(frozen=True)
class WaitForStep(Container):
    """Holds the customer until a condition holds, then `then`; after `at_most`, `otherwise`."""

    holds: ClassVar[bool] = True

    condition: Condition
    at_most: Duration
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()

    def branches(self) -> tuple[Branch, ...]:
        """Return what follows where it came to hold, and where it did not."""
        held = self.condition.words()
        return (
            Branch(self.place, "then", self.then, f"it came to hold: {held}", self.condition),
            Branch(self.place, "otherwise", self.otherwise, f"it did not within {self.at_most}: {held}"),
        )

    def conditions(self) -> tuple[Condition, ...]:
        """Return its `if` and what it waits for."""
        return (*super().conditions(), self.condition)

    def takes(self) -> timedelta:
        """Return how long at the most; a month counts as 30 days."""
        return self.at_most.roughly

    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return the wait, then the stages of both ways."""
        then = flattening.steps(self.then, f"{path}.wait.then", to)
        otherwise = flattening.steps(self.otherwise, f"{path}.wait.otherwise", to)
        ways = (then[0].id if then else to, otherwise[0].id if otherwise else to)
        waiting = WaitFor(id_, self.place.line, self.when, to, self.condition, self.at_most, *ways)
        return [waiting, *then, *otherwise]


# --- the rows -----------------------------------------------------------------------------------------------


def _check_until(fields: Fields) -> None:
    until = fields.node.get("until")
    if fields.written("on") and isinstance(until, Mapping):
        message = "`on` belongs to a time of the day, not to an attribute's date."
        fields.context.say(fields.at("on"), "T207", message, "Wait for the weekday in a step of its own.")
    if fields.written("every") and isinstance(until, Scalar):
        message = "`every` belongs to an attribute's date, not to a time of the day."
        fields.context.say(
            fields.at("every"), "T207", message, "Name the date: `until: {attribute: birthday}`."
        )


UNTIL_DATE = Shape(
    "date to wait for",
    "The day or the instant an attribute names, or so long before or after it. While somebody waits, it follows the attribute.",
    (
        Key(
            "attribute",
            DateAttribute(),
            "The attribute; a date begins at the customer's midnight.",
            required=True,
        ),
        Key("before", Length(), "So long before."),
        Key("after", Length(), "So long after."),
        Key("at", TimeOfDay(), "At this time of that day on the customer's clock."),
        Key(
            "passed",
            Option(tuple(_PASSED)),
            "Where that has passed, or the date is missing: `skip` (the default) sends, asks and calls nothing until the next "
            "wait, `go_on` goes on as if nothing were, `stop` ends the journey.",
        ),
    ),
    lambda fields: partial(
        WaitDate,
        attribute=fields.get("attribute")[0],
        type=fields.get("attribute")[1],
        before=fields.get("before"),
        after=fields.get("after"),
        passed=fields.get("passed", "skip"),
        at=fields.get("at"),
    ),
    "a time of the day such as `09:00`, or a mapping with `attribute`",
    check=check_moving,
    examples={"at": 'at: "09:00"', "passed": "passed: go_on"},
)


class _Until:
    noun = "a time of the day such as `09:00`, or an attribute's date"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the time as a text, or what makes a WaitDate."""
        return (TimeOfDay() if isinstance(node, Scalar) else UNTIL_DATE).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [TimeOfDay().schema(defs), UNTIL_DATE.schema(defs)]}


_DAYS = {"weekdays": WEEKDAYS[:5], "weekend": WEEKDAYS[5:]}
"""Words for several days of the week."""


def _until(fields: Fields) -> Any:
    until, named = fields.get("until"), fields.get("on", ())
    if not isinstance(until, str):
        return partial(until, yearly=fields.get("every") == "year")
    days = {day for name in named for day in _DAYS.get(name, (name,))}
    return partial(WaitUntil, at=until, days=tuple(day for day in WEEKDAYS if day in days))


WAIT_UNTIL = Shape(
    "wait-until",
    "Holds the customer until a local time, or a date of the customer's own.",
    (
        Key(
            "until",
            _Until(),
            "The next such time on the customer's clock, or an attribute's date.",
            required=True,
        ),
        Key(
            "on",
            ListOf(Option((*WEEKDAYS, *_DAYS)), noun="`mon` to `sun`, one or several"),
            "Only on these days of the week; `weekdays` are `mon` to `fri`, `weekend` is `sat` and `sun`.",
        ),
        Key(
            "every",
            Option(("year",), "`year`"),
            "`year`: the next time that an attribute's date comes round.",
        ),
    ),
    _until,
    check=_check_until,
    examples={"every": "{until: {attribute: birthday}, every: year}"},
)
WAIT_FOR = Shape(
    "wait-for",
    "Holds the customer until something has happened, or so long.",
    (
        Key("for", CONDITION, "Goes on when this holds; events count from arrival here on.", required=True),
        Key(
            "at_most",
            Length(),
            "Goes on after this time, whatever has happened; what happens at its very end still counts. For what becomes of "
            "a message of this stay, it runs from when that was sent.",
            required=True,
        ),
        Key("then", Steps(), "What happens where it came to hold."),
        Key("otherwise", Steps(), "What happens where it did not."),
    ),
    lambda fields: partial(
        WaitForStep,
        condition=fields.get("for"),
        at_most=fields.get("at_most"),
        then=fields.get("then", ()),
        otherwise=fields.get("otherwise", ()),
    ),
)
_WAITS = {"until": WAIT_UNTIL, "on": WAIT_UNTIL, "every": WAIT_UNTIL} | dict.fromkeys(
    ("for", "at_most", "then", "otherwise"), WAIT_FOR
)


class _Wait:
    noun = "a duration such as `2d`, or a mapping with `until` or `for`"

    def parse(self, node: Node, context: Any) -> Any:
        """Return what makes the step from what all steps have."""
        if isinstance(node, Mapping):
            near = (nearest(key.text, _WAITS) for key, _ in node.entries)
            shape = next((_WAITS[name] for name in near if name), None)
            if shape is None:
                return context.say(node, "T205", f"Here belongs {self.noun}, not a mapping without them.")
            return shape.parse(node, context)
        found = Length().parse(node, context)
        return INVALID if found is INVALID else partial(Wait, duration=found)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [Length().schema(defs), WAIT_UNTIL.schema(defs), WAIT_FOR.schema(defs)]}


def _build(fields: Fields) -> Any:
    make: partial[Any] = fields.get("wait")
    return make(**(common(fields) if make.func is WaitForStep else leaf(fields)))


ROW = step_row("wait", "Holds the customer.", _Wait(), _build)


def inner(step: Mapping) -> Iterator[Node | None]:
    """Yield the lists of steps inside a wait, as they are written."""
    wait = step.get("wait")
    if isinstance(wait, Mapping):
        yield from (wait.get("then"), wait.get("otherwise"))


WORD = Word(
    "step", {"wait": ROW}, (Wait, WaitUntil, WaitDate, WaitFor), (WAIT_UNTIL, UNTIL_DATE, WAIT_FOR), inner
)
