"""The condition tree: one language for segments, `if`, `for`, `exit` and `where`.

Frozen data without positions, so that equal meanings compare and hash alike. Values are plain: text, numbers,
booleans, ISO dates. What a leaf compares is an `Op`; a missing value makes every comparison false but `not`,
`not_in` and `exists: false`, which are the negations of `is`, `in` and `exists: true`.

The leaves are words (`treue.vocabulary.conditions`); nothing here knows any of them by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from treue.clock import Duration
from treue.model.kinds import Kinded
from treue.segments.expiry import Expiry
from treue.segments.fact import Fact
from treue.segments.memory import Memory
from treue.segments.mentions import Mentions
from treue.segments.touch import Touch

Scalar = str | int | float | bool
Since = Literal["entry", "arrival"]


@dataclass(frozen=True)
class Ago:
    """A moment this long before now, on the workspace's clock; a negative length before now is one ahead: `in 3d`."""

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
class Field:
    """An event's property, or where `event` is None a customer's attribute, and what it is compared with."""

    event: str | None
    name: str
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Occurrence:
    """One event that fits, and shares a property with the one that started the customer's stay."""

    event: str
    where: tuple[Property, ...]
    same: Same | None


class Condition(ABC, Kinded):
    """A question that every customer answers with yes or no. A frozen dataclass with a field `kind`."""

    sort: ClassVar[str] = "condition"

    @abstractmethod
    def inside(self) -> tuple[Condition, ...]:
        """Return the conditions it is made of; none, where it is a leaf."""

    @abstractmethod
    def words(self) -> str:
        """Return it as one line of plain English."""

    def mentions(self) -> Mentions:
        """Return the names it refers to."""
        return Mentions.union(part.mentions() for part in self.inside())

    def changes_by(self) -> Touch:
        """Return what may change the answer."""
        return Touch.union(part.changes_by() for part in self.inside())

    def remembers(self) -> Memory:
        """Return what of the past it looks back to."""
        return Memory.union(part.remembers() for part in self.inside())

    def since_arrival(self) -> Condition:
        """Return it with what counts events counting only those after arrival at the step.

        What says since when it counts keeps it, and a named segment is a state and keeps its meaning.
        """
        return self

    def implies_event(self, name: str) -> bool:
        """Whether it holds only for customers to whom an event of this name has happened."""
        return False

    def implies_attributes(self) -> frozenset[str]:
        """Return the attributes that every customer for whom it holds has."""
        return frozenset()

    def occurrence(self) -> Occurrence | None:
        """Return the event whose happening, once, is all it asks for; else None."""
        return None


class Leaf(Condition):
    """A condition that asks the database. Its SQL is the `sql` face beside its module."""

    def inside(self) -> tuple[Condition, ...]:
        """Return nothing."""
        return ()

    @abstractmethod
    def facts(self) -> tuple[Fact, ...]:
        """Return the facts it needs, in the order it states them."""

    @abstractmethod
    def mentions(self) -> Mentions:
        """Return the names it refers to."""

    @abstractmethod
    def changes_by(self) -> Touch:
        """Return what may change the answer."""

    def remembers(self) -> Memory:
        """Return what of the past it looks back to: to the beginning, unless it says how far."""
        touch = self.changes_by()
        return Memory(
            frozenset((name, None) for name in touch.events),
            frozenset({(None, None)} if touch.messages else ()),
            touch.journeys,
        )

    def subject(self) -> str:
        """Return what it looks at, without what it wants of it."""
        return self.words()

    def fields(self) -> tuple[Field, ...]:
        """Return the properties and attributes it compares."""
        return ()

    def compares(self) -> tuple[Op, ...]:
        """Return every comparison it makes."""
        return tuple(op for field in self.fields() for op in field.ops)

    def lengths(self) -> tuple[Duration, ...]:
        """Return how long ago it looks: so long after what it looks at, the answer may change by itself."""
        return ago(self.compares())

    def expiries(self) -> tuple[Expiry, ...] | None:
        """Return the times so long after which time alone may change the answer; None where it cannot say so.

        Where the answer changes with time and nothing better is known, everybody has to be asked regularly.
        """
        return None if self.changes_by().time else ()

    def looks_back(self) -> bool:
        """Whether it looks at a time counted from now, so that the answer changes as time goes by."""
        return bool(self.lengths())

    def looks_ahead(self) -> bool:
        """Whether it asks for the days ahead."""
        return any(isinstance(value, Ahead) for op in self.compares() for value in op.values)

    def stay_columns(self) -> tuple[str, ...]:
        """Return which columns of a stay it looks at: of its entry, its arrival at a step, its `event_id`."""
        return ()

    def reads_customer(self) -> bool:
        """Whether it looks at the customer's own row."""
        return False


def expiring(
    ops: Iterable[Op], kind: Literal["instant", "time", "date"], fact: Fact | None = None
) -> tuple[Expiry, ...]:
    """Return an expiry for each `30d ago` or `in 3d` that a time is compared with: what `fact` holds, or the leaf observes."""
    turns = {"after": "at", "before": "after"}
    return tuple(
        Expiry(value.duration, fact, kind, turns.get(op.name, "both"))  # type: ignore[arg-type]
        for op in ops
        for value in op.values
        if isinstance(value, Ago)
    )


def ago(ops: Iterable[Op]) -> tuple[Duration, ...]:
    """Return the lengths of the `30d ago` that comparisons name; those of `in 3d` are negative."""
    return tuple(value.duration for op in ops for value in op.values if isinstance(value, Ago))


@dataclass(frozen=True)
class InSegment(Condition):
    """Whether the customer is in a named segment; the segment's own condition is carried along."""

    name: str
    condition: Condition
    kind: Literal["segment"] = "segment"

    def inside(self) -> tuple[Condition, ...]:
        """Return the segment's own condition."""
        return (self.condition,)

    def words(self) -> str:
        """Return that it is one."""
        return f"in segment {self.name}"

    def mentions(self) -> Mentions:
        """Return the segment's name, and the names it refers to."""
        return Mentions(segments=frozenset([self.name])) | self.condition.mentions()

    def implies_event(self, name: str) -> bool:
        """Whether the segment does."""
        return self.condition.implies_event(name)

    def implies_attributes(self) -> frozenset[str]:
        """Return those of the segment."""
        return self.condition.implies_attributes()


@dataclass(frozen=True)
class All(Condition):
    """Holds where every part holds; nobody's list of parts is empty."""

    parts: tuple[Condition, ...]
    kind: Literal["all"] = "all"

    def inside(self) -> tuple[Condition, ...]:
        """Return the parts."""
        return self.parts

    def words(self) -> str:
        """Return the parts, joined."""
        return _joined(self.parts, " and ")

    def since_arrival(self) -> Condition:
        """Return it with each part since arrival."""
        return All(tuple(part.since_arrival() for part in self.parts))

    def implies_event(self, name: str) -> bool:
        """Whether some part does."""
        return any(part.implies_event(name) for part in self.parts)

    def implies_attributes(self) -> frozenset[str]:
        """Return those of all parts."""
        return frozenset().union(*(part.implies_attributes() for part in self.parts))


@dataclass(frozen=True)
class AnyOf(Condition):
    """Holds where at least one part holds."""

    parts: tuple[Condition, ...]
    kind: Literal["any"] = "any"

    def inside(self) -> tuple[Condition, ...]:
        """Return the parts."""
        return self.parts

    def words(self) -> str:
        """Return the parts, joined."""
        return _joined(self.parts, " or ")

    def since_arrival(self) -> Condition:
        """Return it with each part since arrival."""
        return AnyOf(tuple(part.since_arrival() for part in self.parts))

    def implies_event(self, name: str) -> bool:
        """Whether every part does."""
        return all(part.implies_event(name) for part in self.parts)

    def implies_attributes(self) -> frozenset[str]:
        """Return those that every part has."""
        each = [part.implies_attributes() for part in self.parts]
        return frozenset.intersection(*each) if each else frozenset()


@dataclass(frozen=True)
class Not(Condition):
    """Holds where its part does not."""

    part: Condition
    kind: Literal["not"] = "not"

    def inside(self) -> tuple[Condition, ...]:
        """Return the part."""
        return (self.part,)

    def words(self) -> str:
        """Return the part, denied."""
        return f"not ({self.part.words()})"

    def since_arrival(self) -> Condition:
        """Return it with its part since arrival."""
        return Not(self.part.since_arrival())


def _joined(parts: Iterable[Condition], by: str) -> str:
    found = [f"({one.words()})" if isinstance(one, All | AnyOf) else one.words() for one in parts]
    return by.join(found) or "always"
