"""The condition tree: one language for segments, `if`, `for`, `exit` and `where`.

Frozen data without positions, so that equal meanings compare and hash alike. Values are plain: text, numbers,
booleans, ISO dates. What a leaf compares is an `Op`; a missing value makes every comparison false but `not`,
`not_in` and `exists: false`, which are the negations of `is`, `in` and `exists: true`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.clock import Duration

Scalar = str | int | float | bool
Since = Literal["entry", "arrival"]


@dataclass(frozen=True)
class Ago:
    """A moment this long before now, on the workspace's clock."""

    duration: Duration
    kind: Literal["ago"] = "ago"


@dataclass(frozen=True)
class Ahead:
    """The days from today to this long from now, both included, on the workspace's calendar."""

    duration: Duration
    kind: Literal["ahead"] = "ahead"


OpName = Literal[
    "is", "not", "in", "not_in", "above", "at_least", "below", "at_most", "between",
    "contains", "starts_with", "ends_with", "matches", "exists", "before", "after", "anniversary_in",
]  # fmt: skip


@dataclass(frozen=True)
class Op:
    """One comparison. `values` has one value, two for `between`, any number for `in` and `not_in`."""

    name: OpName
    values: tuple[Scalar | Ago | Ahead, ...]


@dataclass(frozen=True)
class Attribute:
    """A customer's attribute, of the declared `type`, compared in every way listed."""

    name: str
    type: str
    ops: tuple[Op, ...]
    kind: Literal["attribute"] = "attribute"


@dataclass(frozen=True)
class Property:
    """An event's property, of the declared `type`, compared in every way listed."""

    name: str
    type: str
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Same:
    """A property, of the declared `type`, that an event shares with the one that started the customer's stay."""

    name: str
    type: str


@dataclass(frozen=True)
class Happened:
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


@dataclass(frozen=True)
class Aggregate:
    """A number over an event's property: `sum`, `average`, `min`, `max` or `count_distinct`.

    Without any event, `sum` and `count_distinct` are 0, the others missing.
    """

    function: Literal["sum", "average", "min", "max", "count_distinct"]
    event: str
    property: str
    type: str
    ops: tuple[Op, ...]
    within: Duration | None = None
    where: tuple[Property, ...] = ()
    kind: Literal["aggregate"] = "aggregate"


@dataclass(frozen=True)
class InSegment:
    """Whether the customer is in a named segment; the segment's own condition is carried along."""

    name: str
    condition: Condition
    kind: Literal["segment"] = "segment"


@dataclass(frozen=True)
class HasConsent:
    """Whether the customer has agreed to a channel."""

    channel: str
    kind: Literal["consent"] = "consent"


@dataclass(frozen=True)
class Reachable:
    """Whether a message may reach the customer: an address, an agreement, and no suppression of the address."""

    channel: str
    kind: Literal["reachable"] = "reachable"


@dataclass(frozen=True)
class JourneyIs:
    """How the customer stands to a journey.

    `inside`; `finished` where some stay came to the end or reached the goal; `converted` where some reached the
    goal; `never` where there was no stay at all.
    """

    journey: str
    state: Literal["inside", "finished", "converted", "never"]
    kind: Literal["journey"] = "journey"


@dataclass(frozen=True)
class MessageWas:
    """Whether a message (any, where `template` is empty) was sent, opened and so on, `within` the time before now."""

    template: str | None
    was: Literal["sent", "delivered", "opened", "clicked", "bounced", "complained", "failed"]
    within: Duration | None = None
    channel: str | None = None
    journey: str | None = None
    kind: Literal["message"] = "message"


@dataclass(frozen=True)
class All:
    """Holds where every part holds; nobody's list of parts is empty."""

    parts: tuple[Condition, ...]
    kind: Literal["all"] = "all"


@dataclass(frozen=True)
class AnyOf:
    """Holds where at least one part holds."""

    parts: tuple[Condition, ...]
    kind: Literal["any"] = "any"


@dataclass(frozen=True)
class Not:
    """Holds where its part does not."""

    part: Condition
    kind: Literal["not"] = "not"


Condition = (
    Attribute
    | Happened
    | Aggregate
    | InSegment
    | HasConsent
    | Reachable
    | JourneyIs
    | MessageWas
    | All
    | AnyOf
    | Not
)
