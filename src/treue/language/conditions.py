"""Conditions: what joins them, what they have in common, and how much may be asked at once.

The leaves are words (`treue.vocabulary.conditions`); nothing here knows any of them by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from treue.clock import parse_duration
from treue.language.grammar import (
    INVALID,
    Context,
    Fields,
    Key,
    Length,
    ListOf,
    OneOf,
    Raw,
    Shape,
    as_date,
    as_time,
    shown,
)
from treue.language.problems import did_you_mean, listing
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.words import Word
from treue.segments.facts import reads
from treue.segments.needs import comparisons
from treue.segments.pattern import LONGEST, PatternError, parsed
from treue.segments.tree import Ago, Ahead, All, AnyOf, Condition, Not, Op, Property, Same

OPERATORS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "is": ("one", ("text", "number", "bool", "date", "time"), "Equal to this value."),
    "not": (
        "one",
        ("text", "number", "bool", "date", "time"),
        "Anything but this value, also nothing at all.",
    ),
    "in": ("many", ("text", "number", "date", "time"), "One of these values."),
    "not_in": ("many", ("text", "number", "date", "time"), "None of these values, also nothing at all."),
    "above": ("one", ("number",), "Greater than this number."),
    "at_least": ("one", ("number",), "This number or more."),
    "below": ("one", ("number",), "Less than this number."),
    "at_most": ("one", ("number",), "This number or less."),
    "between": ("two", ("number", "date", "time"), "From the first to the second, both included."),
    "contains": ("one", ("text", "list"), "The list has this entry, or the text has this part."),
    "starts_with": ("one", ("text",), "The text begins with this."),
    "ends_with": ("one", ("text",), "The text ends with this."),
    "matches": (
        "pattern",
        ("text", "list"),
        "The text, or an entry of the list, fits this regular expression.",
    ),
    "exists": ("flag", ("text", "number", "bool", "date", "time", "list"), "There is a value at all."),
    "before": (
        "moment",
        ("date", "time"),
        "Earlier than this date, time, `30d ago` or `in 3d`; not on that day, nor at that very moment.",
    ),
    "after": (
        "moment",
        ("date", "time"),
        "Later than this date, time, `30d ago` or `in 3d`; not on that day, nor at that very moment.",
    ),
    "anniversary_in": (
        "length",
        ("date", "time"),
        "Its month and day come round within this time, or are today.",
    ),
}
"""Each operator: how many values, for which types, and its sentence."""

UNDECLARED = "?"
"""The type of what `treue.yaml` declares wrongly: said there once, and nothing here is held against it."""

MOST_COMPARISONS = 300
"""In one condition. SQLite's expressions are at most 1,000 deep, and a list of parts is as deep as it is long."""

MOST_READS = 50
"""Different subqueries in one condition. SQLite joins at most 64 tables."""

_ONE = {"type": ["string", "number", "boolean"]}
_ARITIES: dict[str, dict[str, Any]] = {
    "one": _ONE,
    "many": {"type": "array", "items": _ONE, "minItems": 1},
    "two": {"type": "array", "items": _ONE, "minItems": 2, "maxItems": 2},
    "flag": {"type": "boolean"},
    "moment": {"type": "string"},
    "pattern": {"type": "string", "maxLength": LONGEST},
    "length": Length().schema({}),
}
NOUNS = {"bool": "`true` or `false`"} | {
    name: f"a {name}" for name in ("text", "number", "date", "time", "list")
}


def operator_keys(names: Iterable[str] = OPERATORS) -> tuple[Key, ...]:
    """Return the grammar rows of these operators."""
    return tuple(
        Key(name, Raw("a value", _ARITIES[OPERATORS[name][0]]), OPERATORS[name][2]) for name in names
    )


WITHIN = Key(
    "within",
    Length(),
    "Only what happened in this time before now; what happened exactly so long ago does not count.",
)
WHERE = Key(
    "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
)
NUMBER_OPERATORS = operator_keys(
    ("is", "not", "in", "not_in", "above", "at_least", "below", "at_most", "between")
)
"""The rows of the comparisons of a number."""


def parse_ops(
    node: Mapping, names: list[str], type_: str, what: str, context: Context
) -> tuple[Op, ...] | Any:
    """Return the comparisons in a mapping's keys `names` for a value of `type_`, or INVALID."""
    ops = [_parse_op(node, name, type_, what, context) for name in names]
    return INVALID if INVALID in ops else tuple(ops)


def _parse_op(node: Mapping, name: str, type_: str, what: str, context: Context) -> Any:
    arity, types, _ = OPERATORS[name]
    value, key = node.get(name), node.key(name)
    assert value is not None
    assert key is not None
    if type_ not in types and type_ != UNDECLARED:
        fitting = [op for op, (_, kinds, _) in OPERATORS.items() if type_ in kinds]
        return context.say(
            key,
            "T309",
            f"`{name}` does not fit {what}, which is {NOUNS[type_]}.",
            f"For {NOUNS[type_]} there are {listing(fitting)}.",
        )
    values = _operands(value, arity, name, type_, context)
    return INVALID if values is INVALID else Op(name, values)  # type: ignore[arg-type]


def _operands(value: Node, arity: str, name: str, type_: str, context: Context) -> Any:
    if arity == "flag":
        if isinstance(value, Scalar) and isinstance(value.value, bool):
            return (value.value,)
        return context.say(value, "T203", f"`{name}` takes `true` or `false`, not {shown(value)}.")
    if arity in ("many", "two"):
        return _several(value, arity, name, type_, context)
    if arity == "length":
        length = Length().parse(value, context)
        return INVALID if length is INVALID else (Ahead(length),)
    if not isinstance(value, Scalar):
        hint = (
            "For several values there is `in: [a, b]`." if isinstance(value, Items) and name == "is" else None
        )
        return context.say(value, "T203", f"`{name}` takes one value, not {shown(value)}.", hint)
    if arity == "pattern":
        return _pattern(value, context)
    found = (
        _moment(value, context, type_)
        if arity == "moment"
        else scalar(value, "text" if type_ == "list" else type_, context)
    )
    return INVALID if found is INVALID else (found,)


def _pattern(node: Scalar, context: Context) -> Any:
    try:
        parsed(node.text)
    except PatternError as error:
        return context.say(node, "T341", f"{error}", "A pattern is written such as `^[A-Z]{2}[0-9]+$`.")
    return (node.text,)


def _several(value: Node, arity: str, name: str, type_: str, context: Context) -> Any:
    if not isinstance(value, Items):
        form = "[DE, AT]" if arity == "many" else "[10, 20]"
        return context.say(
            value, "T203", f"`{name}` takes a list, not {shown(value)}.", f"Write `{name}: {form}`."
        )
    if arity == "two" and len(value.nodes) != 2:
        return context.say(value, "T203", f"`{name}` takes two values: the least and the most.")
    if not value.nodes:
        return context.say(value, "T203", f"`{name}` has an empty list.")
    found = [
        scalar(item, type_, context)
        if isinstance(item, Scalar)
        else context.say(item, "T203", f"`{name}` takes plain values, not {shown(item)}.")
        for item in value.nodes
    ]
    if arity == "two" and INVALID not in found and type(found[0]) is type(found[1]) and found[0] > found[1]:
        message = f"`{name}` goes from the least to the most; nothing lies in between here."
        return context.say(value, "T206", message, "Turn the two round.")
    return INVALID if INVALID in found else tuple(found)


def scalar(node: Scalar, type_: str, context: Context) -> Any:
    """Return a scalar as a value of the declared type, or INVALID after saying why."""
    value = node.value
    if value is None:
        return context.say(node, "T203", f"Here belongs {NOUNS.get(type_, 'a value')}, not nothing.")
    if type_ in ("text", UNDECLARED):
        return node.text
    if type_ == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if type_ == "bool" and isinstance(value, bool):
        return value
    if type_ == "date" and (found := as_date(node.text)):
        return found
    if type_ == "time" and (found := as_time(node.text)):
        return found
    form = {
        "number": _number_form(node.text),
        "date": "Dates are written `2026-03-01`.",
        "time": "Times are written `2026-03-01T10:00:00Z`.",
    }.get(type_)
    return context.say(node, "T312", f"{shown(node)} is not {NOUNS[type_]}.", form)


def _number_form(text: str) -> str:
    if re.fullmatch(r"-?\d{1,9},(\d{1,2}|\d{4,9})", text):  # three digits behind the comma may be thousands
        return f"Write `{text.replace(',', '.')}`."
    return "Numbers are written `1234.50`, without quotes."


def _moment(node: Scalar, context: Context, type_: str) -> Any:
    match = re.fullmatch(r"(in (?P<ahead>.+))|((?P<back>.+) ago)", node.text.strip())
    if match:
        text = match["ahead"] or match["back"]
        length = Length().parse(Scalar(node.place, text, text), context)
        return INVALID if length is INVALID else Ago(-length if match["ahead"] else length)
    if parse_duration(node.text):
        hint = f"Did you mean `{node.text} ago`, or `in {node.text}`?"
        return context.say(node, "T312", f"{shown(node)} is a length, not a moment.", hint)
    if found := as_time(node.text) if type_ in ("time", UNDECLARED) else as_date(node.text):
        return found
    hint = "Write `2026-03-01`, `30d ago` or `in 3d`."
    return context.say(node, "T312", f"{shown(node)} is not a date.", hint)


def parse_where(node: Node, events: tuple[str, ...], context: Context) -> Any:
    """Return the comparisons on properties that each of some events has, or INVALID."""
    if not isinstance(node, Mapping):
        return context.say(
            node,
            "T203",
            f"Here belong an event's properties, not {shown(node)}.",
            "Such as `{total: {above: 50}}`.",
        )
    found = [_property(key, value, events, context) for key, value in node.entries]
    return INVALID if INVALID in found else tuple(found)


def _property(key: Scalar, value: Node, events: tuple[str, ...], context: Context) -> Any:
    type_ = property_type(key, events, context)
    if type_ is INVALID:
        return INVALID
    if isinstance(value, Mapping):
        ops = parse_comparisons(value, type_, f"`{key.text}`", context)
        return INVALID if ops is INVALID else Property(key.text, type_, ops)
    name = "in" if isinstance(value, Items) else "is"
    if type_ == "list" and isinstance(value, Scalar):
        name = "contains"
    short = Mapping(value.place, [(Scalar(value.place, name, name), value)])
    ops = parse_ops(short, [name], type_, f"`{key.text}`", context)
    return INVALID if ops is INVALID else Property(key.text, type_, ops)


def parse_comparisons(node: Mapping, type_: str, what: str, context: Context) -> Any:
    """Return the comparisons that are all a mapping holds, for a value of `type_`, or INVALID."""
    if not node.entries:
        return context.say(node, "T203", "A comparison is missing here.", "Such as `{above: 50}`.")
    unknown = [key for key, _ in node.entries if key.text not in OPERATORS]
    for key in unknown:
        hint = did_you_mean(key.text, OPERATORS)
        context.say(key, "T201", f"There is no comparison {shown(key)}.", hint)
    ops = parse_ops(node, [name for name in node.names() if name in OPERATORS], type_, what, context)
    return INVALID if unknown else ops


def check_where(fields: Fields) -> None:
    """Say what is wrong with `where`, even if something else in the mapping is wrong, too."""
    if "event" in fields and "where" in fields:
        event = fields.get("event")
        parse_where(fields.get("where"), event if isinstance(event, tuple) else (event,), fields.context)


def parse_same(fields: Fields) -> Any:
    """Return the property that `same` shares with the event that starts the journey, None without, or INVALID."""
    name, event, context = fields.get("same"), fields.get("event"), fields.context
    if name is None:
        return None
    if not context.started_by:
        message = "`same` compares with the event that starts the journey, but none does."
        return context.say(fields.at("same"), "T340", message, "It needs `enter` with `event`.")
    node = fields.node.get("same")
    assert isinstance(node, Scalar)
    type_ = property_type(
        node, (event, *context.started_by), context, "Only values of the same type can be the same."
    )
    if type_ is INVALID:
        return INVALID
    if type_ == "list":
        return context.say(node, "T309", f"`same` does not fit {shown(node)}, which is {NOUNS['list']}.")
    return Same(name, type_)


def property_type(
    node: Scalar,
    events: Iterable[str],
    context: Context,
    hint: str = "Only values of the same type can be compared.",
) -> Any:
    """Return the type that a property has of each of some events, or INVALID after saying which lacks it.

    UNDECLARED where no event is known: that is said where it is named.
    """
    types = {name: _type_of(node, name, context) for name in events if name in context.schema.events}
    if INVALID in types.values():
        return INVALID
    known = {name: type_ for name, type_ in types.items() if type_ != UNDECLARED}
    for name, type_ in known.items():
        first = next(iter(known))
        if type_ != known[first]:
            message = f"{shown(node)} of `{first}` is {NOUNS[known[first]]}, of `{name}` {NOUNS[type_]}."
            return context.say(node, "T309", message, hint)
    return next(iter(known.values()), UNDECLARED)


def _type_of(node: Scalar, event: str, context: Context) -> Any:
    declared = context.schema.events[event]
    if type_ := declared.get(node.text):
        return type_
    hint = did_you_mean(node.text, declared, f"Declare it under `events: {event}` in treue.yaml.")
    return context.say(node, "T305", f"The event `{event}` has no property {shown(node)}.", hint)


def parse_where_of(fields: Fields, event: str | None) -> Any:
    """Return the comparisons in the key `where`, none where it is absent, or INVALID."""
    node = fields.get("where")
    return () if node is None else parse_where(node, (event,) if event else (), fields.context)


def parse_compared(fields: Fields, type_: str, what: str, such_as: str) -> Any:
    """Return the comparisons that stand among the other keys of a mapping, or INVALID; there must be one."""
    names = [key for key in fields.node.names() if key in OPERATORS]
    if not names:
        message = "What about it? A comparison is missing."
        return fields.context.say(fields.node, "T202", message, such_as)
    return parse_ops(fields.node, names, type_, what, fields.context)


@dataclass(frozen=True)
class DateAttribute:
    """The name of an attribute that holds a date or a time."""

    noun: str = "the name of an attribute that is a date or a time"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the attribute's name and whether it is a date or a time."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        fitting = {name for name, type_ in context.schema.attributes.items() if type_ in ("date", "time")}
        type_ = context.schema.attributes.get(node.text)
        if type_ is None:
            hint = did_you_mean(node.text, fitting, "Declare it under `customer` in treue.yaml.")
            return context.say(node, "T304", f"There is no attribute {shown(node)}.", hint)
        if type_ not in ("date", "time", UNDECLARED):
            hint = (
                f"Of these there are {listing(sorted(fitting))}."
                if fitting
                else "Declare one under `customer` in treue.yaml."
            )
            return context.say(
                node, "T309", f"Here belongs {self.noun}; {shown(node)} is {NOUNS[type_]}.", hint
            )
        return node.text, "date" if type_ == UNDECLARED else type_

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "description": "The name of an attribute."}


_PART = OneOf(
    "condition",
    lambda words: words.conditions,
    "a condition",
    bare_list=lambda parts: All(tuple(parts)) if len(parts) > 1 else parts[0],
)


class _Condition:
    noun = "a condition"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the condition, unless it has more parts than a database takes in one question."""
        found = _PART.parse(node, context)
        if found is INVALID or not answerable([found], node, context):
            return INVALID
        if (count := comparisons(found)) > MOST_COMPARISONS:
            message = f"This condition makes {count} comparisons, with those of the segments it names."
            return context.say(node, "T342", message, f"At most {MOST_COMPARISONS} can be asked at once.")
        return found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return _PART.schema(defs)


CONDITION = _Condition()


def answerable(conditions: Iterable[Condition], node: Node, context: Context) -> bool:
    """Say so where conditions that are asked together look at more different things than a database joins."""
    if (count := reads(conditions)) <= MOST_READS:
        return True
    message = f"This looks at {count} different events, journeys and channels at once."
    context.say(node, "T342", message, f"At most {MOST_READS} can be asked at once.")
    return False


JOINING = Word(
    "condition",
    {
        "all": Shape(
            "all condition",
            "Every one of these.",
            (Key("all", ListOf(_PART, single=False), "The conditions.", required=True),),
            lambda fields: All(fields.get("all")),
            least="all: [{segment: regulars}, {consent: email}]",
        ),
        "any": Shape(
            "any condition",
            "At least one of these.",
            (Key("any", ListOf(_PART, single=False), "The conditions.", required=True),),
            lambda fields: AnyOf(fields.get("any")),
            least="any: [{consent: sms}, {consent: push}]",
        ),
        "not": Shape(
            "not condition",
            "The opposite.",
            (Key("not", _PART, "The condition.", required=True),),
            lambda fields: Not(fields.get("not")),
            least="not: {segment: dormant}",
        ),
    },
    (All, AnyOf, Not),
)
"""What joins conditions: the one word that is no leaf."""
