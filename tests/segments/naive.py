"""The condition language for ONE customer in plain Python, written from the language's page alone.

The oracle for the compiler: slow, obvious, and sharing nothing with it but the condition tree and the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.vocabulary import oracles
from treue.clock import Duration
from treue.segments.tree import Ago, Ahead, All, AnyOf, Condition, InSegment, Not, Op, Property
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.message.word import MessageWas
from treue.vocabulary.conditions.reachable.word import Reachable

MISSING = object()
BUILT_IN = {"id": "key", "email": "email", "phone": "phone", "push_token": "push_token"}
BUILT_IN |= {"locale": "locale", "timezone": "timezone", "created_at": "created_at"}


@dataclass
class Happening:
    name: str
    at: datetime
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Mail:
    template: str
    channel: str
    journey: str
    times: dict[str, datetime]


@dataclass
class Stay:
    journey: str
    outcome: str
    entered_at: datetime
    left_at: datetime | None = None


@dataclass
class Person:
    key: str
    created_at: datetime
    email: str | None = None
    phone: str | None = None
    push_token: str | None = None
    locale: str | None = None
    timezone: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)
    consents: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    suppressed: dict[str, datetime] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    messages: list[Mail] = field(default_factory=list)
    entered_at: datetime | None = None
    arrived_at: datetime | None = None
    began: Happening | None = None
    """One of the events: the one that started the stay."""


@dataclass
class Naive:
    now: datetime
    zone: str

    def holds(self, condition: Condition, person: Person) -> bool:
        match condition:
            case All(parts):
                return all(self.holds(part, person) for part in parts)
            case AnyOf(parts):
                return any(self.holds(part, person) for part in parts)
            case Not(part):
                return not self.holds(part, person)
            case InSegment(_, inner):
                return self.holds(inner, person)
        return meanings()[condition.kind](self, condition, person)

    def agreed(self, leaf: HasConsent | Reachable, person: Person) -> bool:
        given, since = person.consents.get(leaf.channel, (False, self.now))
        return given and since <= self.now

    def reachable(self, leaf: Reachable, person: Person) -> bool:
        address = getattr(person, {"email": "email", "sms": "phone", "push": "push_token"}[leaf.channel])
        listed = leaf.channel in person.suppressed and person.suppressed[leaf.channel] <= self.now
        return self.agreed(leaf, person) and address is not None and not listed

    def stands(self, leaf: JourneyIs, person: Person) -> bool:
        return self.stay_is(leaf.state, [stay for stay in person.stays if stay.journey == leaf.journey])

    def compares_attribute(self, leaf: Attribute, person: Person) -> bool:
        return self.all_fit(leaf.ops, self.attribute(person, leaf.name, leaf.type))

    def message(self, leaf: MessageWas, person: Person) -> bool:
        return any(self.message_fits(leaf, mail) for mail in person.messages)

    def compares_aggregate(self, leaf: Aggregate, person: Person) -> bool:
        return self.all_fit(leaf.ops, self.aggregate(leaf, person))

    def stay_is(self, state: str, stays: list[Stay]) -> bool:
        been = [stay for stay in stays if stay.entered_at <= self.now]
        left = [stay for stay in been if stay.left_at is not None and stay.left_at <= self.now]
        outcomes = [stay.outcome for stay in left]
        match state:
            case "never":
                return not been
            case "inside":
                return len(left) < len(been)
            case "converted":
                return "converted" in outcomes
        return "converted" in outcomes or "finished" in outcomes

    def happened(self, leaf: Happened, person: Person) -> bool:
        times = [
            event.at
            for event in self.events(person, leaf.event, leaf.within, leaf.where)
            if self.in_stay(leaf, event, person)
        ]
        count = self.all_fit(leaf.ops, len(times)) if leaf.ops else bool(times)
        last = not leaf.last or (bool(times) and self.all_fit(leaf.last, max(times, default=None)))
        first = not leaf.first or (bool(times) and self.all_fit(leaf.first, min(times, default=None)))
        return count and last and first

    def in_stay(self, leaf: Happened, event: Happening, person: Person) -> bool:
        if leaf.since:
            since = person.entered_at if leaf.since == "entry" else person.arrived_at
            if since is None or event.at <= since:
                return False
        if leaf.same is None:
            return True
        if person.began is None:
            return False
        both = [
            self.typed(one.properties.get(leaf.same.name), leaf.same.type) for one in (event, person.began)
        ]
        return both[0] is not MISSING and both[0] == both[1]

    def aggregate(self, leaf: Aggregate, person: Person) -> Any:
        found = [
            self.typed(event.properties.get(leaf.property), leaf.type)
            for event in self.events(person, leaf.event, leaf.within, leaf.where)
        ]
        values = [value for value in found if value is not MISSING]
        if leaf.function == "count_distinct":
            return len(set(values))
        if leaf.function == "sum":
            return cents(sum((Decimal(str(v)) for v in values), Decimal(0)))
        if not values:
            return MISSING
        if leaf.function == "average":
            return cents(sum((Decimal(str(v)) for v in values), Decimal(0)) / len(values))
        return min(values) if leaf.function == "min" else max(values)

    def events(
        self, person: Person, name: str, within: Duration | None, where: tuple[Property, ...]
    ) -> list[Happening]:
        return [
            event
            for event in person.events
            if event.name == name
            and self.lately(event.at, within)
            and all(
                self.all_fit(one.ops, self.typed(event.properties.get(one.name), one.type)) for one in where
            )
        ]

    def message_fits(self, leaf: MessageWas, mail: Mail) -> bool:
        at = mail.times.get(leaf.was)
        return (
            at is not None
            and self.lately(at, leaf.within)
            and leaf.template in (None, mail.template)
            and leaf.channel in (None, mail.channel)
            and leaf.journey in (None, mail.journey)
        )

    def lately(self, at: datetime, within: Duration | None) -> bool:
        return at <= self.now and (within is None or at > within.before(self.now, self.zone))

    def attribute(self, person: Person, name: str, kind: str) -> Any:
        if name in BUILT_IN:
            value = getattr(person, BUILT_IN[name])
            return MISSING if value is None else value
        return self.typed(person.attributes.get(name), kind)

    def typed(self, value: Any, kind: str) -> Any:
        """Return the value as its declared type, MISSING where it is of another."""
        if kind == "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else MISSING
        if kind in ("bool", "list"):
            return value if isinstance(value, bool if kind == "bool" else list) else MISSING
        if not isinstance(value, str):
            return MISSING
        if kind == "text":
            return value
        shape = "%Y-%m-%d" if kind == "date" else "%Y-%m-%dT%H:%M:%SZ"
        try:
            found = datetime.strptime(value, shape).replace(tzinfo=UTC)
        except ValueError:
            return MISSING
        if found.strftime("%Y").rjust(4, "0") + found.strftime(shape[2:]) != value:
            return MISSING
        return found.date() if kind == "date" else found

    def all_fit(self, ops: tuple[Op, ...], value: Any) -> bool:
        return all(self.fits(op, value) for op in ops)

    def fits(self, op: Op, value: Any) -> bool:
        if op.name == "exists":
            return (value is not MISSING) == op.values[0]
        if op.name == "not":
            return not self.fits(Op("is", op.values), value)
        if op.name == "not_in":
            return not self.fits(Op("in", op.values), value)
        if value is MISSING:
            return False
        if op.name == "in":
            return any(self.fits(Op("is", (one,)), value) for one in op.values)
        if op.name == "between":
            low, high = op.values
            return self.fits(Op("at_least", (low,)), value) and self.fits(Op("at_most", (high,)), value)
        if op.name == "anniversary_in":
            return isinstance(op.values[0], Ahead) and self.comes_round(value, op.values[0])
        if op.name == "matches":
            return self.matches(value, op.values[0])
        return self.compares(op.name, value, op.values[0])

    def comes_round(self, value: Any, ahead: Ahead) -> bool:
        """Walk through the days ahead, one by one, and ask each whether it is the anniversary."""
        if not isinstance(value, date):
            return False
        day = self.local(value).date() if isinstance(value, datetime) else value
        today = self.local(self.now).date()
        last = self.local(ahead.duration.after(self.now, self.zone)).date()
        days = (today + timedelta(days=n) for n in range(min((last - today).days, 400) + 1))
        return any(anniversary(day, one.year) == one for one in days)

    def matches(self, value: Any, pattern: Any) -> bool:
        """Ask Python's own engine; a `$` stands at the end of an alternative only."""
        if isinstance(value, list):
            return any(isinstance(one, str) and self.matches(one, pattern) for one in value)
        strictly = pattern.replace("$", r"\Z")
        return isinstance(value, str) and bool(re.search(strictly, value, re.ASCII | re.DOTALL))

    def compares(self, name: str, value: Any, wanted: Any) -> bool:
        if isinstance(value, list):
            return name == "contains" and any(same(one, wanted) for one in value)
        if isinstance(value, date):
            return self.in_time(name, value, wanted)
        if isinstance(value, bool):
            return name == "is" and value is wanted
        if isinstance(value, str):
            return isinstance(wanted, str) and texts(name, value, wanted)
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            return False
        return orders(name, Decimal(str(value)), *[Decimal(str(wanted))] * 2)

    def in_time(self, name: str, value: date, wanted: Any) -> bool:
        """Compare a day or a moment with a day, a moment or so long ago; a day is all of its moments."""
        if not isinstance(value, datetime) and (day := as_day(wanted)):
            return orders(name, value, day, day)
        span = self.span(wanted)
        if span is None:
            return False
        if not isinstance(value, datetime):
            return orders(name, value, *(self.local(end).date() for end in span))
        return orders(name, value, *span)

    def span(self, wanted: Any) -> tuple[datetime, datetime] | None:
        if isinstance(wanted, Ago):
            moment = wanted.duration.before(self.now, self.zone)
            return moment, moment
        if not isinstance(wanted, str):
            return None
        if day := as_day(wanted):
            return self.midnight(day), self.midnight(day + timedelta(days=1)) - timedelta(microseconds=1)
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError:
            return None
        return moment, moment

    def midnight(self, day: date) -> datetime:
        """Return a local day's first moment, found by walking there from well before it."""
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
        while self.local(moment).date() < day:
            moment += timedelta(minutes=15)
        return moment

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))


MEANINGS: dict[str, Callable[[Naive, Any, Person], bool]] = {
    "attribute": Naive.compares_attribute,
    "happened": Naive.happened,
    "aggregate": Naive.compares_aggregate,
    "consent": Naive.agreed,
    "reachable": Naive.reachable,
    "journey": Naive.stands,
    "message": Naive.message,
}
"""What each leaf means, by kind. A new word's is `naive` of the `Oracle` in its own test."""


@cache
def meanings() -> dict[str, Callable[[Naive, Any, Person], bool]]:
    return MEANINGS | {oracle.kind: oracle.naive for oracle in oracles.conditions()}


def anniversary(day: date, year: int) -> date:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return date(year, 2, 28) if (day.month, day.day) == (2, 29) and not leap else day.replace(year=year)


def as_day(wanted: Any) -> date | None:
    try:
        return date.fromisoformat(wanted) if isinstance(wanted, str) and len(wanted) == 10 else None
    except ValueError:
        return None


def cents(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.000001"))


def same(one: Any, wanted: Any) -> bool:
    if isinstance(one, bool) or isinstance(wanted, bool):
        return one is wanted
    return type(one) in (int, float, str) and one == wanted


def texts(name: str, value: str, wanted: str) -> bool:
    if name == "contains":
        return wanted in value
    if name == "starts_with":
        return value.startswith(wanted)
    if name == "ends_with":
        return value.endswith(wanted)
    return orders(name, value, wanted, wanted)


def orders(name: str, value: Any, first: Any, last: Any) -> bool:
    return {
        "is": first <= value <= last,
        "before": value < first,
        "below": value < first,
        "after": value > last,
        "above": value > last,
        "at_least": value >= first,
        "at_most": value <= last,
    }.get(name, False)
