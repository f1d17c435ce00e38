"""`{event: order.placed, at_least: 2}`: whether, how often and when something happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from treue.clock import Duration
from treue.language.conditions import WHERE, WITHIN, check_where, parse_ops, parse_same, parse_where_of
from treue.language.grammar import INVALID, EventName, Fields, Key, Option, Raw, Shape, Text, Whole, shown
from treue.language.problems import did_you_mean
from treue.language.source import Mapping
from treue.language.words import Word
from treue.segments.expiry import Expiry
from treue.segments.memory import Memory
from treue.segments.mentions import Mentions
from treue.segments.needs import SINCE
from treue.segments.sources.event.fact import EventFact, leaving
from treue.segments.touch import Touch
from treue.segments.tree import (
    Condition,
    Field,
    Leaf,
    Occurrence,
    Op,
    Property,
    Same,
    Since,
    ago,
    expiring,
)
from treue.segments.words import scope, times, wanted

_ONCE = (Op("at_least", (1,)),)
_COUNTS = {"at_least": "at_least", "at_most": "at_most", "exactly": "is"}


@dataclass(frozen=True)
class Happened(Leaf):
    """Whether, how often, and when last or first an event happened.

    The count of events that fit `where` and lie `within` the time before now is compared with `ops`
    (`at_least`, `at_most` or `is`); without any it is "at least once". `last` and `first` compare the time of
    the latest or earliest such event; where there is none, they are false.
    `since` counts only events after the customer entered the journey, or arrived at the step; `same` only those
    that share a property with the event that started the stay: none, where no event did.
    """

    event: str
    ops: tuple[Op, ...] = ()
    within: Duration | None = None
    where: tuple[Property, ...] = ()
    last: tuple[Op, ...] = ()
    first: tuple[Op, ...] = ()
    since: Since | None = None
    same: Same | None = None
    kind: Literal["happened"] = "happened"

    def words(self) -> str:
        """Return the events that count, and how often or when they are wanted."""
        return f"{self.subject()} {self._how()}".rstrip()

    def subject(self) -> str:
        """Return which events count, in words: name, scope, and since when."""
        same = f" with the same {self.same.name}" if self.same else ""
        since = f" since {self.since}" if self.since else ""
        return self.event + scope(self.where, self.within) + same + since

    def _how(self) -> str:
        count = _counted(self.ops) if self.ops else "" if self.last or self.first else "happened"
        last = f"last time {wanted(self.last)}" if self.last else ""
        first = f"first time {wanted(self.first)}" if self.first else ""
        return ", ".join(filter(None, (count, last, first)))

    def facts(self) -> tuple[EventFact, ...]:
        """Return the count, the latest and the earliest time, as far as they are asked for."""
        count = ["count"] if self.ops or not (self.last or self.first) else []
        asked = count + ["last"] * bool(self.last) + ["first"] * bool(self.first)
        return tuple(map(self._fact, asked))

    def _fact(self, function: str) -> EventFact:
        return EventFact(function, self.event, self.within, self.where, since=self.since, same=self.same)

    def mentions(self) -> Mentions:
        """Return the name of the event."""
        return Mentions(events=frozenset([self.event]))

    def changes_by(self) -> Touch:
        """Return the event, and time where the time of an event counts."""
        return Touch(events=frozenset([self.event]), time=self.looks_back() or self.looks_ahead())

    def remembers(self) -> Memory:
        """Return the event, within the time before now or to the beginning; nothing from before the stay with `since`."""
        return Memory() if self.since else Memory(events=frozenset([(self.event, self.within)]))

    def expiries(self) -> tuple[Expiry, ...] | None:
        """Return the events that leave the window next, and those whose time is compared with one that goes by.

        Whether it happened at all changes only when the latest leaves. None where properties are so compared.
        """
        if self.looks_ahead() or ago(super().compares()):
            return None
        last = expiring(self.last, "instant", self._fact("last"))
        first = expiring(self.first, "instant", self._fact("first"))
        if not self.within:
            return (*last, *first)
        if not self.last and not self.first and self.ops in ((), _ONCE):
            return (Expiry(self.within, replace(self._fact("last"), within=None), turns="at"),)
        return (*last, *first, *leaving(self._fact("first")))

    def fields(self) -> tuple[Field, ...]:
        """Return the event's properties with their comparisons."""
        return tuple(Field(self.event, one.name, one.ops) for one in self.where)

    def compares(self) -> tuple[Op, ...]:
        """Return the comparisons of properties, count, first and last occurrence."""
        return (*super().compares(), *self.ops, *self.last, *self.first)

    def lengths(self) -> tuple[Duration, ...]:
        """Return how long ago the events are that count, and those times that are compared."""
        return (*((self.within,) if self.within else ()), *ago((*self.last, *self.first)))

    def looks_back(self) -> bool:
        """Whether the time of an event or of a property counts."""
        return bool(self.within or self.last or self.first or ago(super().compares()))

    def stay_columns(self) -> tuple[str, ...]:
        """Return the columns that `since` and `same` look at."""
        since = SINCE[self.since] if self.since else ()
        return (*since, "event_id") if self.same else since

    def since_arrival(self) -> Condition:
        """Return it counting only events since arrival, unless it has a `since` of its own."""
        return self if self.since else replace(self, since="arrival")

    def implies_event(self, name: str) -> bool:
        """Whether it asks for the event, and does not hold without any."""
        counted = [op.values[0] for op in self.ops if op.name in ("at_least", "is")]
        return self.event == name and (not self.ops or any(isinstance(n, int) and n > 0 for n in counted))

    def occurrence(self) -> Occurrence | None:
        """Return the event, unless it is counted or its time is compared."""
        if self.ops or self.within or self.last or self.first:
            return None
        return Occurrence(self.event, self.where, self.same)


def _counted(ops: Iterable[Op]) -> str:
    """Return how often in words: "at least 3 times", "exactly once"."""
    text = times(ops)
    often = f"exactly {text} times" if text.isdigit() else f"{text} times"
    return often.removesuffix("1 times") + "once" if often.endswith(" 1 times") else often


def _check(fields: Fields) -> None:
    check_where(fields)
    for key in ("since", "same"):
        if fields.written(key) and fields.context.started_by is None:
            message = f"`{key}` looks at the customer's stay in a journey; here is none."
            hint = "It goes into the conditions of a journey's own file."
            fields.context.say(fields.at(key), "T340", message, hint)
    if "event" in fields and "same" in fields and fields.context.started_by is not None:
        parse_same(fields)


def _times(fields: Fields, name: str) -> Any:
    node = fields.get(name)
    if node is None:
        return ()
    if not isinstance(node, Mapping) or not node.entries:
        return fields.context.say(
            node,
            "T203",
            f"`{name}` takes a comparison, not {shown(node)}.",
            f"Such as `{name}: {{before: 180d ago}}`.",
        )
    wrong = [key for key, _ in node.entries if key.text not in ("before", "after")]
    for key in wrong:
        fields.context.say(
            key,
            "T201",
            f"There is no comparison {shown(key)} for a time.",
            did_you_mean(key.text, ("before", "after")),
        )
    return INVALID if wrong else parse_ops(node, node.names(), "time", f"`{name}`", fields.context)


def _build(fields: Fields) -> Any:
    name = fields.get("event")
    where, last, first = parse_where_of(fields, name), _times(fields, "last"), _times(fields, "first")
    if INVALID in (where, last, first):
        return INVALID
    ops = tuple(Op(op, (fields.get(key),)) for key, op in _COUNTS.items() if key in fields)  # type: ignore[arg-type]
    if ops and (last or first):
        return fields.context.say(
            fields.node,
            "T207",
            "Count and `last` or `first` do not go together.",
            "Put them into two conditions.",
        )
    same = parse_same(fields)
    return Happened(name, ops, fields.get("within"), where, last, first, fields.get("since"), same)


WORD = Word(
    "condition",
    {
        "event": Shape(
            "event condition",
            "Whether, how often and when something happened.",
            (
                Key("event", EventName(), "The event.", required=True),
                Key("at_least", Whole(0, 1_000_000), "At least so many times."),
                Key("at_most", Whole(0, 1_000_000), "At most so many times."),
                Key("exactly", Whole(0, 1_000_000), "Exactly so many times."),
                WITHIN,
                WHERE,
                Key(
                    "last",
                    Raw("a comparison", {"type": "object"}),
                    "The latest one, such as `{before: 180d ago}`.",
                ),
                Key(
                    "first",
                    Raw("a comparison", {"type": "object"}),
                    "The earliest one, such as `{after: 2d ago}`.",
                ),
                Key("since", Option(("entry",)), "Only since the customer entered the journey."),
                Key(
                    "same",
                    Text("the name of an event property"),
                    "Only events that share this property with the one that started the journey.",
                ),
            ),
            _build,
            check=_check,
            least="event: order.placed",
            examples={
                "at_least": "at_least: 2",
                "at_most": "at_most: 3",
                "exactly": "exactly: 1",
                "within": "within: 90d",
                "where": "where: {currency: EUR}",
                "last": "last: {before: 180d ago}",
                "first": "first: {after: 2d ago}",
                "since": "since: entry",
                "same": "{event: cart.abandoned, same: cart_id}",
            },
        )
    },
    (Happened,),
)
