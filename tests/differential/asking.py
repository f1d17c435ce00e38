"""Conditions asked of ONE customer, straight from the YAML: the interpreter's reading of "Conditions".

`{attribute: country, is: DE}` comes in as the dict that it is. A missing value makes its comparison false;
`not` and `not_in` are the opposites of `is` and `in`, so they hold where the value is missing.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.differential.local_clock import anniversary, earlier, later, local_day, midnight
from tests.vocabulary import oracles

BUILT_IN = ("id", "email", "phone", "push_token", "locale", "timezone", "created_at")
ADDRESS = {"email": "email", "sms": "phone", "push": "push_token"}
COUNTS = {"at_least": "at_least", "at_most": "at_most", "exactly": "is"}
AGGREGATES = ("sum", "average", "min", "max", "count_distinct")
COMPARISONS = (
    "is", "not", "in", "not_in", "above", "at_least", "below", "at_most", "between", "contains", "starts_with",
    "ends_with", "exists", "before", "after", "matches", "anniversary_in",
)  # fmt: skip


Place = tuple[datetime, datetime, int]
"""Where something stands in the order: when it takes effect, its own time, and the number it was given."""

LAST = 2**62
"""The number of what comes after everything that was given for its instant."""


def whole(instant: datetime) -> Place:
    """Return the place behind all that takes effect at an instant."""
    return instant, datetime.max.replace(tzinfo=UTC), LAST


@dataclass
class Happening:
    """Something the customer did. It takes effect when it is received: later than it happened where it came late."""

    number: int
    name: str
    at: datetime
    properties: dict[str, Any]
    effective: datetime
    source: str = "api"

    @property
    def place(self) -> Place:
        """Where it stands in the order."""
        return self.effective, self.at, self.number


class Record(MutableMapping[str, Any]):
    """What is known of a customer by name, as it was at each place in the order.

    Without a place it says what holds at `now`, the instant that the life has come to; what is written then stands
    behind all that was written before. What lies later stays as it is.
    """

    def __init__(self, first: dict[str, Any] | None = None) -> None:
        self.changes: dict[str, list[tuple[Place, int, Any]]] = {}
        self.first = {} if first is None else first
        self.written = 0
        self.now: datetime | None = None

    def write(self, name: str, value: Any, place: Place) -> None:
        """Let a name have another value from a place on; None takes it away."""
        self.written += 1
        insort(self.changes.setdefault(name, []), (place, self.written, value), key=lambda one: one[:2])

    def as_of(self, name: str, place: Place) -> Any:
        """Return what a name said, None where nothing was known."""
        held = self.first.get(name)
        for when, _, value in self.changes.get(name, []):
            held = value if when <= place else held
        return held

    @property
    def here(self) -> Place:
        """The place that reading and writing without one is about."""
        return whole(self.now or datetime.max.replace(tzinfo=UTC))

    def __getitem__(self, name: str) -> Any:
        value = self.as_of(name, self.here)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self.write(name, value, self.here)

    def __delitem__(self, name: str) -> None:
        self.write(name, None, self.here)

    def __iter__(self) -> Iterator[str]:
        known = [*self.first, *(name for name in self.changes if name not in self.first)]
        return (name for name in known if self.as_of(name, self.here) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Consent:
    """What a customer said last about a channel."""

    given: bool
    since: datetime
    basis: str = "consent"


@dataclass
class Suppressed:
    """An address that is not written to: since when, and whether papers still go there."""

    address: str
    since: datetime
    purpose: str = "all"


@dataclass
class Reach:
    """What is known of a customer: attributes, addresses, words on consent, events, messages, stays."""

    key: str
    zone: str | None
    created_at: datetime
    addresses: Record
    attributes: Record = field(default_factory=Record)
    consents: Record = field(default_factory=Record)
    suppressed: list[Suppressed] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    stays: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Of whom, as of when, and in which stay a condition is asked. `types` are the schema's attributes.

    What durations count from is `now`. What is known is all up to the place `known` in the order. With `waiting`, events
    count from the stay's arrival at its wait on; with `ever`, messages of all stays count.
    """

    customer: Reach
    now: datetime
    known: Place
    zone: str
    segments: dict[str, Any]
    types: dict[str, str]
    stay: Any = None
    waiting: bool = False
    ever: bool = False

    def holds(self, condition: Any) -> bool:
        """Say whether a condition holds."""
        if isinstance(condition, list):
            return all(self.holds(part) for part in condition)
        if "all" in condition:
            return all(self.holds(part) for part in condition["all"])
        if "any" in condition:
            return any(self.holds(part) for part in condition["any"])
        if "not" in condition and len(condition) == 1:
            return not self.holds(condition["not"])
        kind = next(kind for kind in meanings() if kind in condition)
        return meanings()[kind](self, condition)

    # --- leaves -----------------------------------------------------------------------------------------

    def attribute(self, leaf: dict[str, Any]) -> bool:
        """{attribute: country, is: DE}"""
        return self.compares(leaf, self.value(leaf["attribute"]))

    def value(self, name: str) -> Any:
        """Return an attribute, None where it is missing."""
        if name == "id":
            return self.customer.key
        if name == "created_at":
            return self.customer.created_at
        if name == "timezone":
            return self.customer.zone
        if name in BUILT_IN:
            return self.customer.addresses.as_of(name, self.known)
        return self.typed(name, self.customer.attributes.as_of(name, self.known))

    def typed(self, name: str, value: Any) -> Any:
        """Return what an attribute's stored value says."""
        return read_as(self.types.get(name, "text"), value)

    def event(self, leaf: dict[str, Any]) -> bool:
        """{event: order.placed, at_least: 2, within: 90d, where: {total: {above: 50}}}"""
        times = [event.at for event in self.events(leaf["event"], leaf)]
        counted = [self.fits(COUNTS[key], len(times), leaf[key]) for key in COUNTS if key in leaf]
        if "last" in leaf or "first" in leaf:
            last = "last" not in leaf or self.compares(leaf["last"], max(times, default=None))
            return last and ("first" not in leaf or self.compares(leaf["first"], min(times, default=None)))
        return all(counted) if counted else bool(times)

    def events(self, name: str, leaf: dict[str, Any]) -> list[Happening]:
        """Return the customer's events that a leaf speaks of."""
        return [
            event
            for event in self.customer.events
            if event.name == name and self.counts(event, leaf) and self.where(leaf.get("where"), event)
        ]

    def counts(self, event: Happening, leaf: dict[str, Any]) -> bool:
        """Say whether an event is one that a leaf looks at: known, recent, late enough, about the same thing."""
        if event.place > self.known or not self.within(event.at, leaf):
            return False
        if leaf.get("since") == "entry" and not (self.stay and self.is_since_entry(event)):
            return False
        if leaf.get("since") != "entry" and self.waiting and not self.is_since_arrival(event):
            return False
        if "same" in leaf:
            started = self.stay.event if self.stay else None
            wanted = started.properties.get(leaf["same"]) if started else None
            return wanted is not None and event.properties.get(leaf["same"]) == wanted
        return True

    def is_since_entry(self, event: Happening) -> bool:
        """Say whether an event comes after the one that started the stay, be it at the same instant."""
        return event.place > self.stay.place

    def is_since_arrival(self, event: Happening) -> bool:
        """Say whether an event comes later than the stay came to its wait; there at entry, what follows the entry."""
        arrived = self.stay.arrived_effective
        if arrived == self.stay.effective == event.effective:
            return self.is_since_entry(event)
        return event.effective > arrived

    def within(self, at: datetime, leaf: dict[str, Any]) -> bool:
        """Say whether a time lies in a leaf's `within`, counted back on the workspace's clock: its end is open."""
        return "within" not in leaf or at > earlier(self.now, leaf["within"], self.zone)

    def where(self, wanted: dict[str, Any] | None, event: Happening) -> bool:
        """{where: {total: {above: 50}, source: shop, kind: [a, b]}}"""
        return all(self.property(test, event.properties.get(name)) for name, test in (wanted or {}).items())

    def property(self, test: Any, value: Any) -> bool:
        """Compare a property with a value, a list of values, or comparisons."""
        if isinstance(test, dict):
            return self.compares(test, value)
        return self.fits("in" if isinstance(test, list) else "is", value, test)

    def aggregate(self, leaf: dict[str, Any]) -> bool:
        """{sum: order.placed.total, above: 500, within: 1y}: of all events, also where events count from arrival on."""
        function = next(name for name in AGGREGATES if name in leaf)
        event, _, name = leaf[function].rpartition(".")
        ever = replace(self, waiting=False)
        found = [one.properties.get(name) for one in ever.events(event, leaf)]
        return self.compares(leaf, aggregated(function, [value for value in found if value is not None]))

    def segment(self, leaf: dict[str, Any]) -> bool:
        """{segment: dormant}"""
        return replace(self, waiting=False, ever=True).holds(self.segments[leaf["segment"]])

    def consent(self, leaf: dict[str, Any]) -> bool:
        """{consent: email}: has given it for that channel."""
        said = self.customer.consents.as_of(leaf["consent"], self.known)
        return said is not None and said.given

    def reachable(self, leaf: dict[str, Any]) -> bool:
        """{reachable: sms}: address, consent, not suppressed."""
        address = self.customer.addresses.as_of(ADDRESS[leaf["reachable"]], self.known)
        suppressed = any(
            one.address == address and one.since <= self.known[0] for one in self.customer.suppressed
        )
        return bool(address) and not suppressed and self.consent({"consent": leaf["reachable"]})

    def message(self, leaf: dict[str, Any]) -> bool:
        """{message: welcome, was: clicked, within: 7d}: in a journey that sends it, bare, this stay's."""
        bare = not self.ever and not leaf.keys() & {"within", "journey", "since"}
        own = bare and self.stay is not None and leaf["message"] in self.stay.file.sends
        return any(
            (at := message.times.get(leaf["was"])) is not None
            and at <= self.known[0]
            and self.within(at, leaf)
            and leaf["message"] in ("any", message.template)
            and leaf.get("channel") in (None, message.channel)
            and leaf.get("journey") in (None, message.journey)
            and (not own or message.stay is self.stay)
            for message in self.customer.messages
        )

    def journey(self, leaf: dict[str, Any]) -> bool:
        """{journey: onboarding, is: inside}: any stay counts; who converted has finished; never: no stay at all."""
        until = self.known[0]
        stays = [stay for stay in self.customer.stays if stay.journey == leaf["journey"]]
        stays = [stay for stay in stays if stay.entered_at <= until]
        if leaf["is"] == "never":
            return not stays
        left = [stay.outcome for stay in stays if stay.left_at is not None and stay.left_at <= until]
        if leaf["is"] == "inside":
            return len(left) < len(stays)
        return leaf["is"] in left or (leaf["is"] == "finished" and "converted" in left)

    # --- comparisons ------------------------------------------------------------------------------------

    def compares(self, tests: dict[str, Any], value: Any) -> bool:
        """Say whether a value fits every comparison that a mapping has."""
        asked = [(name, tests[name]) for name in COMPARISONS if name in tests]
        return all(self.fits(name, value, wanted) for name, wanted in asked)

    def fits(self, name: str, value: Any, wanted: Any) -> bool:
        """Say whether a value fits one comparison."""
        if name == "exists":
            return (value is not None) is wanted
        if name in ("not", "not_in"):
            return not self.fits({"not": "is", "not_in": "in"}[name], value, wanted)
        if value is None:
            return False
        if name == "in":
            return any(self.fits("is", value, one) for one in wanted)
        if name == "between":
            return self.fits("at_least", value, wanted[0]) and self.fits("at_most", value, wanted[1])
        if name == "anniversary_in":
            return self.is_anniversary(value, wanted)
        if isinstance(value, date):
            return self.in_time(name, value, wanted)
        return plain(name, value, wanted)

    def in_time(self, name: str, value: date, wanted: str) -> bool:
        """Compare a day or an instant with a day (all of it), an instant, `30d ago`, or `in 3d`."""
        first, last = self.span(wanted)
        if not isinstance(value, datetime):
            first, last = local_day(first, self.zone), local_day(last, self.zone)
        return ordered(name, value, first, last)

    def span(self, wanted: str) -> tuple[Any, Any]:
        """Return the first and last instant of what a comparison names."""
        if wanted.endswith(" ago"):
            moment = earlier(self.now, wanted.removesuffix(" ago"), self.zone)
            return moment, moment
        if wanted.startswith("in "):
            moment = later(self.now, wanted.removeprefix("in "), self.zone)
            return moment, moment
        if len(wanted) == 10:
            day = date.fromisoformat(wanted)
            after = midnight(day + timedelta(days=1), self.zone)
            return midnight(day, self.zone), after - timedelta(microseconds=1)
        moment = datetime.fromisoformat(wanted).astimezone(UTC)
        return moment, moment

    def is_anniversary(self, value: date, wanted: str) -> bool:
        """{attribute: birthday, anniversary_in: 3d}: month and day are today's, or of the days until then."""
        born = local_day(value, self.zone) if isinstance(value, datetime) else value
        day, last = local_day(self.now, self.zone), local_day(later(self.now, wanted, self.zone), self.zone)
        while day <= last:
            if anniversary(born, day.year) == day:
                return True
            day += timedelta(days=1)
        return False


MEANINGS: dict[str, Callable[[Asked, dict[str, Any]], bool]] = {
    "attribute": Asked.attribute,
    "event": Asked.event,
    "segment": Asked.segment,
    "consent": Asked.consent,
    "reachable": Asked.reachable,
    "message": Asked.message,
    "journey": Asked.journey,
    **dict.fromkeys(AGGREGATES, Asked.aggregate),
}
"""What each leaf means, by leading key. A new word's is `asked` of the `Oracle` in its own test."""


def meanings() -> dict[str, Callable[[Asked, dict[str, Any]], bool]]:
    return MEANINGS | {oracle.key: oracle.asked for oracle in oracles.conditions()}


def read_as(kind: str, value: Any) -> Any:
    """Return a stored value as its declared type; None where it is missing or of another."""
    if value is None:
        return None
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "time":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value


def plain(name: str, value: Any, wanted: Any) -> bool:
    """Compare texts, numbers, booleans and lists."""
    if name == "contains":
        return wanted in value
    if name == "starts_with":
        return bool(value.startswith(wanted))
    if name == "ends_with":
        return bool(value.endswith(wanted))
    if name == "matches":
        return re.search(wanted, value) is not None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value, wanted = exactly(value), exactly(wanted)
    return ordered(name, value, wanted, wanted)


def ordered(name: str, value: Any, first: Any, last: Any) -> bool:
    """Compare with a stretch from its first to its last."""
    if name == "is":
        return bool(first <= value <= last)
    if name in ("before", "below"):
        return bool(value < first)
    if name in ("after", "above"):
        return bool(value > last)
    if name == "at_least":
        return bool(value >= first)
    assert name == "at_most", name
    return bool(value <= last)


def aggregated(function: str, values: list[Any]) -> Any:
    """Return the sum, average and so on; None where there is nothing to average or to pick from."""
    if function == "count_distinct":
        return len(set(values))
    if function == "sum":
        return sum((exactly(value) for value in values), Fraction(0))
    if not values:
        return None
    if function == "average":
        return sum((exactly(value) for value in values), Fraction(0)) / len(values)
    return min(values) if function == "min" else max(values)


def exactly(number: Any) -> Fraction:
    """Return a number as it is written, without a float's noise."""
    return number if isinstance(number, Fraction) else Fraction(str(number))
