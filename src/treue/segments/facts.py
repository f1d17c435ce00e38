"""What a condition needs to know about customers.

A *fact* is one number or time per customer: how many orders in 90 days, when the last mail was opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from treue.clock import Duration
from treue.segments.needs import leaves
from treue.segments.tree import (
    Aggregate,
    Attribute,
    Condition,
    Happened,
    HasConsent,
    JourneyIs,
    MessageWas,
    Property,
    Reachable,
    Same,
    Since,
)


@dataclass(frozen=True)
class EventFact:
    """A number or time over a customer's events of one name."""

    function: str
    event: str
    within: Duration | None
    where: tuple[Property, ...]
    property: str = ""
    type: str = ""
    since: Since | None = None
    same: Same | None = None


@dataclass(frozen=True)
class MessageFact:
    """When a message of a customer was last sent, opened and so on."""

    leaf: MessageWas


@dataclass(frozen=True)
class ConsentFact:
    """Since when a customer has agreed to a channel."""

    channel: str


@dataclass(frozen=True)
class SuppressedFact:
    """Since when a customer's address on a channel has been on the suppression list."""

    channel: str


@dataclass(frozen=True)
class JourneyFact:
    """When a customer last came into, finished or converted in a journey; for `never`, when first into it."""

    leaf: JourneyIs


Fact = EventFact | MessageFact | ConsentFact | SuppressedFact | JourneyFact


def facts_of(leaf: Condition) -> list[Fact]:
    """Return the facts one leaf needs, in the order it states them."""
    match leaf:
        case Happened():
            return [_of_happened(leaf, function) for function in _asked(leaf)]
        case Aggregate():
            return [of_aggregate(leaf)]
        case HasConsent():
            return [ConsentFact(leaf.channel)]
        case Reachable():
            return [ConsentFact(leaf.channel), SuppressedFact(leaf.channel)]
        case JourneyIs():
            return [JourneyFact(leaf)]
        case MessageWas():
            return [MessageFact(leaf)]
    return []


def _asked(leaf: Happened) -> list[str]:
    count = ["count"] if leaf.ops or not (leaf.last or leaf.first) else []
    return count + ["last"] * bool(leaf.last) + ["first"] * bool(leaf.first)


def _of_happened(leaf: Happened, function: str) -> EventFact:
    return EventFact(function, leaf.event, leaf.within, leaf.where, since=leaf.since, same=leaf.same)


def of_aggregate(leaf: Aggregate) -> EventFact:
    """Return the fact an aggregate compares."""
    return EventFact(leaf.function, leaf.event, leaf.within, leaf.where, leaf.property, leaf.type)


def source(fact: Fact) -> object:
    """Return what is alike for facts that are read together, in one subquery."""
    match fact:
        case EventFact():
            return ("event", fact.event, fact.since, fact.same)
        case MessageFact():
            return "message"
        case JourneyFact():
            return ("journey", fact.leaf.journey)
    return fact


def reads(conditions: Iterable[Condition]) -> int:
    """Return how many subqueries it takes to answer some conditions together."""
    wanted = (fact for condition in conditions for leaf in leaves(condition) for fact in facts_of(leaf))
    return len({repr(source(fact)) for fact in wanted})


def reads_customer(conditions: Iterable[Condition]) -> bool:
    """Return whether a condition looks at the customer's own row."""
    return any(
        isinstance(leaf, Attribute | Reachable) for condition in conditions for leaf in leaves(condition)
    )
