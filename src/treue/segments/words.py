"""Conditions in plain English, one line each."""

from __future__ import annotations

from collections.abc import Iterable

from treue.segments.tree import (
    Aggregate,
    Ago,
    Ahead,
    All,
    AnyOf,
    Attribute,
    Condition,
    Happened,
    HasConsent,
    InSegment,
    JourneyIs,
    MessageWas,
    Not,
    Op,
    Property,
    Reachable,
    Scalar,
)

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


_STANDING = {
    "inside": "inside",
    "finished": "has finished",
    "converted": "has converted in",
    "never": "has never been in",
}


def words(condition: Condition) -> str:
    """Return a condition as one line of plain English."""
    match condition:
        case All():
            return _joined(condition.parts, " and ")
        case AnyOf():
            return _joined(condition.parts, " or ")
        case Not():
            return f"not ({words(condition.part)})"
        case InSegment():
            return f"in segment {condition.name}"
        case HasConsent():
            return f"has agreed to {condition.channel}"
        case Reachable():
            return f"reachable on {condition.channel}"
        case JourneyIs():
            return f"{_STANDING[condition.state]} journey {condition.journey}"
        case Attribute():
            return f"{condition.name} {wanted(condition.ops)}"
        case Happened():
            return f"{subject(condition)} {_how(condition)}".rstrip()
    return (
        f"{subject(condition)} {wanted(condition.ops)}"
        if isinstance(condition, Aggregate)
        else subject(condition)
    )


def subject(leaf: Condition) -> str:
    """Return what a leaf looks at, without what it wants of it."""
    match leaf:
        case Happened():
            return leaf.event + _scope(leaf) + _stay(leaf)
        case Aggregate():
            function = leaf.function.replace("count_distinct", "number of different")
            link = " " if leaf.function == "count_distinct" else " of "
            return f"{function}{link}{leaf.event}.{leaf.property}{_scope(leaf)}"
        case MessageWas():
            return _message(leaf)
        case Attribute():
            return leaf.name
    return words(leaf)


def wanted(ops: Iterable[Op]) -> str:
    """Return what is wanted of a value, such as "is at least 3 and is below 9"."""
    return " and ".join(map(_op, ops))


def times(ops: Iterable[Op]) -> str:
    """Return how often something is wanted, such as "at least 3 times"."""
    return " and ".join(_op(op).removeprefix("is ") for op in ops)


def shown(value: object) -> str:
    """Return a value as people read it."""
    if isinstance(value, Ago):
        return f"{value.duration} ago"
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


def _counted(ops: Iterable[Op]) -> str:
    """Return how often in words: "at least 3 times", "exactly once"."""
    text = times(ops)
    often = f"exactly {text} times" if text.isdigit() else f"{text} times"
    return often.removesuffix("1 times") + "once" if often.endswith(" 1 times") else often


def _how(leaf: Happened) -> str:
    count = _counted(leaf.ops) if leaf.ops else "" if leaf.last or leaf.first else "happened"
    last = f"last time {wanted(leaf.last)}" if leaf.last else ""
    first = f"first time {wanted(leaf.first)}" if leaf.first else ""
    return ", ".join(filter(None, (count, last, first)))


def _scope(leaf: Happened | Aggregate) -> str:
    where = f" where {_properties(leaf.where)}" if leaf.where else ""
    return where + (f" within {leaf.within}" if leaf.within else "")


def _stay(leaf: Happened) -> str:
    same = f" with the same {leaf.same.name}" if leaf.same else ""
    return same + (f" since {leaf.since}" if leaf.since else "")


def _properties(where: Iterable[Property]) -> str:
    return " and ".join(f"{one.name} {wanted(one.ops)}" for one in where)


def _message(leaf: MessageWas) -> str:
    which = f"message {leaf.template}" if leaf.template is not None else "any message"
    channel = f" on {leaf.channel}" if leaf.channel is not None else ""
    journey = f" of journey {leaf.journey}" if leaf.journey is not None else ""
    within = f" within {leaf.within}" if leaf.within else ""
    return f"{which}{channel}{journey} was {leaf.was}{within}"


def _joined(parts: Iterable[Condition], by: str) -> str:
    found = [f"({words(one)})" if isinstance(one, All | AnyOf) else words(one) for one in parts]
    return by.join(found) or "always"
