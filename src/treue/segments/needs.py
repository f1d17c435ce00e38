"""What a condition depends on, told from its text alone: which events, and what about the stay it is asked in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from treue.segments.tree import (
    Aggregate,
    Ago,
    Ahead,
    All,
    AnyOf,
    Condition,
    Happened,
    InSegment,
    Not,
    Op,
    Since,
)

SINCE: dict[Since, str] = {"entry": "entered_at", "arrival": "arrived_at"}
"""The column of a stay that each `since` counts from."""


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield the leaves of a condition, those of carried segments as well."""
    match condition:
        case All() | AnyOf():
            for part in condition.parts:
                yield from leaves(part)
        case Not():
            yield from leaves(condition.part)
        case InSegment():
            yield from leaves(condition.condition)
        case _:
            yield condition


def needs(condition: Condition) -> frozenset[str]:
    """Return which columns of a stay a condition looks at: of `entered_at`, `arrived_at` and `event_id`."""
    return frozenset(
        column for leaf in leaves(condition) if isinstance(leaf, Happened) for column in stay_columns(leaf)
    )


def stay_columns(leaf: Happened) -> tuple[str, ...]:
    """Return which columns of a stay one leaf looks at."""
    since = (SINCE[leaf.since],) if leaf.since else ()
    return (*since, "event_id") if leaf.same else since


def event_names(condition: Condition) -> frozenset[str]:
    """Return the names of the events that a condition looks at."""
    return frozenset(leaf.event for leaf in leaves(condition) if isinstance(leaf, Happened | Aggregate))


def comparisons(condition: Condition) -> int:
    """Return how many comparisons a condition is made of, those of carried segments as well."""
    return sum(map(_compared, leaves(condition)))


def _compared(leaf: Condition) -> int:
    # A list of texts is one IN; of anything else each is compared by itself.
    asked = (1 if isinstance(op.values[0], str) else len(op.values) for op in _ops(leaf) if op.values)
    return max(1, sum(asked))


def _ops(leaf: Condition) -> list[Op]:
    ops = [op for where in getattr(leaf, "where", ()) for op in where.ops]
    for name in ("ops", "last", "first"):
        ops += getattr(leaf, name, ())
    return ops


def looks_ahead(condition: Condition) -> bool:
    """Return whether a condition asks for the days ahead."""
    values = (value for leaf in leaves(condition) for op in _ops(leaf) for value in op.values)
    return any(isinstance(value, Ahead) for value in values)


def only_events(condition: Condition) -> bool:
    """Return whether a condition looks at nothing but events."""
    return all(isinstance(leaf, Happened | Aggregate) for leaf in leaves(condition))


def looks_back(condition: Condition) -> bool:
    """Return whether a condition looks at events from some time before now on, so that it changes as time goes by."""
    return any(_looks_back(leaf) for leaf in leaves(condition) if isinstance(leaf, Happened | Aggregate))


def _looks_back(leaf: Happened | Aggregate) -> bool:
    times = isinstance(leaf, Happened) and (leaf.last or leaf.first)
    values = (value for part in leaf.where for op in part.ops for value in op.values)
    return bool(leaf.within or times) or any(isinstance(value, Ago) for value in values)


def since_arrival(condition: Condition) -> Condition:
    """Return a condition whose event leaves count only what happens after arrival at the step.

    Leaves that say since when they count keep it, and a named segment is a state and keeps its meaning.
    """
    match condition:
        case All():
            return All(tuple(map(since_arrival, condition.parts)))
        case AnyOf():
            return AnyOf(tuple(map(since_arrival, condition.parts)))
        case Not():
            return Not(since_arrival(condition.part))
        case Happened(since=None):
            return replace(condition, since="arrival")
    return condition
