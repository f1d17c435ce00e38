"""What a condition depends on, told from its text alone: which events, and what about the stay it is asked in."""

from __future__ import annotations

from collections.abc import Iterator

from treue.segments.tree import Ahead, Condition, Leaf, Property, Since

_ENTRY = ("entered_effective_at", "entered_at", "entered_seq")
SINCE: dict[Since, tuple[str, ...]] = {"entry": _ENTRY, "arrival": ("arrived_effective_at", *_ENTRY)}
"""The columns of a stay that each `since` counts from."""


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield the leaves of a condition, those of carried segments as well."""
    if isinstance(condition, Leaf):
        yield condition
    for part in condition.inside():
        yield from leaves(part)


def depth(condition: Condition) -> int:
    """Return how many levels deep a condition is nested, with the segments it carries: a leaf is one."""
    return 1 + max(map(depth, condition.inside()), default=0)


def needs(condition: Condition) -> frozenset[str]:
    """Return which columns of a stay a condition looks at: of its entry, its arrival at a step, its `event_id`."""
    return frozenset(column for leaf in leaves(condition) for column in leaf.stay_columns())


def event_names(condition: Condition) -> frozenset[str]:
    """Return the names of the events that a condition looks at."""
    return condition.changes_by().events


def comparisons(condition: Condition) -> int:
    """Return how many comparisons a condition is made of, those of carried segments as well."""
    return sum(map(_compared, leaves(condition)))


def _compared(leaf: Leaf) -> int:
    # A list of texts is one IN; of anything else each is compared by itself.
    asked = (1 if isinstance(op.values[0], str) else len(op.values) for op in leaf.compares() if op.values)
    return max(1, sum(asked))


def looks_ahead(asked: Condition | Property) -> bool:
    """Return whether a condition, or what is asked of an event's property, asks for the days ahead."""
    if isinstance(asked, Property):
        return any(isinstance(value, Ahead) for op in asked.ops for value in op.values)
    return any(leaf.looks_ahead() for leaf in leaves(asked))


def expires(condition: Condition) -> bool:
    """Return whether a condition says of itself when time alone may change its answer."""
    return any(leaf.expiries() for leaf in leaves(condition))


def unforeseen(condition: Condition) -> tuple[Leaf, ...]:
    """Return the leaves whose answers time changes, and which cannot say when."""
    return tuple(leaf for leaf in leaves(condition) if leaf.expiries() is None)


def only_events(condition: Condition) -> bool:
    """Return whether a condition looks at nothing but events."""
    return condition.changes_by().only_events


def looks_back(condition: Condition) -> bool:
    """Return whether a condition looks at times counted from now, so that it changes as time goes by."""
    return any(leaf.looks_back() for leaf in leaves(condition))
