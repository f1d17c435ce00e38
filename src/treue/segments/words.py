"""Comparisons in plain English, and what conditions on events have in common."""

from __future__ import annotations

from collections.abc import Iterable

from treue.clock import Duration
from treue.segments.tree import Ago, Ahead, Op, Property, Scalar

_VERBS = {
    "is": "is {}",
    "not": "is not {}",
    "in": "is one of {}",
    "not_in": "is none of {}",
    "above": "is above {}",
    "at_least": "is at least {}",
    "below": "is below {}",
    "at_most": "is at most {}",
    "between": "is between {}",
    "contains": "contains {}",
    "starts_with": "starts with {}",
    "ends_with": "ends with {}",
    "matches": "matches {}",
    "before": "is before {}",
    "after": "is after {}",
    "anniversary_in": "has an anniversary in {}",
}


def wanted(ops: Iterable[Op]) -> str:
    """Return what is wanted of a value, such as "is at least 3 and is below 9"."""
    return " and ".join(map(_op, ops))


def times(ops: Iterable[Op]) -> str:
    """Return how often something is wanted, such as "at least 3 times"."""
    return " and ".join(_op(op).removeprefix("is ") for op in ops)


def scope(where: Iterable[Property], within: Duration | None) -> str:
    """Return which events count, such as " where total is above 50 within 90d"; nothing where all do."""
    properties = " and ".join(f"{one.name} {wanted(one.ops)}" for one in where)
    return (f" where {properties}" if properties else "") + (f" within {within}" if within else "")


def shown(value: object) -> str:
    """Return a value as people read it."""
    if isinstance(value, Ago):
        return f"in {-value.duration}" if value.duration.is_negative else f"{value.duration} ago"
    if isinstance(value, Ahead):
        return str(value.duration)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else '""'


def _op(op: Op) -> str:
    if op.name == "exists":
        return "is known" if op.values[0] else "is not known"
    between = op.name == "between"
    return _VERBS[op.name].format(_listed(op.values, " and " if between else ", "))


def _listed(values: Iterable[Scalar | Ago | Ahead], by: str) -> str:
    return by.join(map(shown, values)) or "nothing"
