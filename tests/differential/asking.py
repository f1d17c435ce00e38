"""Conditions asked of ONE customer, straight from the YAML: the interpreter's reading of "Conditions".

`{attribute: country, is: DE}` comes in as the dict that it is. A missing value makes its comparison false;
`not` and `not_in` are the opposites of `is` and `in`, so they hold where the value is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from local_clock import anniversary, earlier, later, local_day, midnight

BUILT_IN = ("id", "email", "phone", "push_token", "locale", "timezone", "created_at")
ADDRESS = {"email": "email", "sms": "phone", "push": "push_token"}
COUNTS = {"at_least": "at_least", "at_most": "at_most", "exactly": "is"}
AGGREGATES = ("sum", "average", "min", "max", "count_distinct")
COMPARISONS = (
    "is", "not", "in", "not_in", "above", "at_least", "below", "at_most", "between", "contains", "starts_with",
    "ends_with", "exists", "before", "after", "matches", "anniversary_in",
)  # fmt: skip


@dataclass
class Happening:
    """Something the customer did. Recorded later than it happened where it came late."""

    number: int
    name: str
    at: datetime
    properties: dict[str, Any]
    source: str = "api"


@dataclass
class Consent:
    """What a customer said last about a channel."""

    given: bool
    since: datetime
    basis: str = "consent"


@dataclass
class Reach:
    """What is known of a customer: attributes, addresses, words on consent, events, messages, stays."""

    key: str
    zone: str | None
    created_at: datetime
    addresses: dict[str, str]
    attributes: dict[str, Any] = field(default_factory=dict)
    consents: dict[str, Consent] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)
    events: list[Happening] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    stays: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Of whom, as of when, and in which stay a condition is asked. `types` are the schema's attributes.

    Events count until `until`, where a wait for something looks at one after the other.
    """

    customer: Reach
    now: datetime
    zone: str
    segments: dict[str, Any]
    types: dict[str, str]
    stay: Any = None
    since_arrival: datetime | None = None
    until: datetime | None = None

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
        for kind in ("attribute", "event", "segment", "consent", "reachable", "message", "journey"):
            if kind in condition:
                found: bool = getattr(self, kind)(condition)
                return found
        return self.aggregate(condition)

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
            return self.customer.addresses.get(name)
        return read_as(self.types.get(name, "text"), self.customer.attributes.get(name))

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
        """Say whether an event is one that a leaf looks at: recent enough, late enough, about the same thing."""
        if not self.lately(event.at, leaf) or (self.until and event.at > self.until):
            return False
        if leaf.get("since") == "entry" and not (self.stay and event.at > self.stay.entered_at):
            return False
        if leaf.get("since") != "entry" and self.since_arrival and event.at <= self.since_arrival:
            return False
        if "same" in leaf:
            started = self.stay.event if self.stay else None
            wanted = started.properties.get(leaf["same"]) if started else None
            return wanted is not None and event.properties.get(leaf["same"]) == wanted
        return True

    def lately(self, at: datetime, leaf: dict[str, Any]) -> bool:
        """Say whether a time lies in a leaf's `within`, counted back on the workspace's clock."""
        within = leaf.get("within")
        return at <= self.now and (within is None or at > earlier(self.now, within, self.zone))

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
        ever = replace(self, since_arrival=None)
        found = [one.properties.get(name) for one in ever.events(event, leaf)]
        return self.compares(leaf, aggregated(function, [value for value in found if value is not None]))

    def segment(self, leaf: dict[str, Any]) -> bool:
        """{segment: dormant}"""
        return replace(self, since_arrival=None).holds(self.segments[leaf["segment"]])

    def consent(self, leaf: dict[str, Any]) -> bool:
        """{consent: email}: has given it for that channel."""
        said = self.customer.consents.get(leaf["consent"])
        return said is not None and said.given and said.since <= self.now

    def reachable(self, leaf: dict[str, Any]) -> bool:
        """{reachable: sms}: address, consent, not suppressed."""
        channel = leaf["reachable"]
        address = self.customer.addresses.get(ADDRESS[channel])
        return (
            bool(address) and address not in self.customer.suppressed and self.consent({"consent": channel})
        )

    def message(self, leaf: dict[str, Any]) -> bool:
        """{message: welcome, was: clicked, within: 7d}"""
        return any(
            (at := message.times.get(leaf["was"])) is not None
            and self.lately(at, leaf)
            and leaf["message"] in ("any", message.template)
            and leaf.get("channel") in (None, message.channel)
            and leaf.get("journey") in (None, message.journey)
            for message in self.customer.messages
        )

    def journey(self, leaf: dict[str, Any]) -> bool:
        """{journey: onboarding, is: inside}: any stay counts; who converted has finished; never: no stay at all."""
        stays = [stay for stay in self.customer.stays if stay.journey == leaf["journey"]]
        stays = [stay for stay in stays if stay.entered_at <= self.now]
        if leaf["is"] == "never":
            return not stays
        left = [stay.outcome for stay in stays if stay.left_at is not None and stay.left_at <= self.now]
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
        """Compare a day or an instant with a day (all of it), an instant, or `30d ago`."""
        first, last = self.span(wanted)
        if not isinstance(value, datetime):
            first, last = local_day(first, self.zone), local_day(last, self.zone)
        return ordered(name, value, first, last)

    def span(self, wanted: str) -> tuple[Any, Any]:
        """Return the first and last instant of what a comparison names."""
        if wanted.endswith(" ago"):
            moment = earlier(self.now, wanted.removesuffix(" ago"), self.zone)
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
