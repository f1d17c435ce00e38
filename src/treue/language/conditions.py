"""The rows of the condition language, and how each becomes a node of the condition tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from treue.clock import parse_duration
from treue.language.grammar import (
    INVALID,
    ChannelName,
    Context,
    EventName,
    Fields,
    Key,
    Kind,
    LaterShape,
    Length,
    ListOf,
    Name,
    OneOf,
    Raw,
    Shape,
    Text,
    Whole,
    Word,
    as_date,
    as_time,
    shown,
)
from treue.language.problems import Place, did_you_mean, listing
from treue.language.source import Items, Mapping, Node, Scalar
from treue.segments.facts import reads
from treue.segments.needs import comparisons
from treue.segments.pattern import LONGEST, PatternError, parsed
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
    Same,
)

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
    "before": ("moment", ("date", "time"), "Earlier than this date, time, or `30d ago`."),
    "after": ("moment", ("date", "time"), "Later than this date, time, or `30d ago`."),
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

COUNTS = {"at_least": "at_least", "at_most": "at_most", "exactly": "is"}
MESSAGE_STATES = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "failed")

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
_NOUNS = {"bool": "`true` or `false`"} | {
    name: f"a {name}" for name in ("text", "number", "date", "time", "list")
}


def operator_keys(names: Iterable[str] = OPERATORS) -> tuple[Key, ...]:
    """Return the rows of some operators."""
    return tuple(
        Key(name, Raw("a value", _ARITIES[OPERATORS[name][0]]), OPERATORS[name][2]) for name in names
    )


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
            f"`{name}` does not fit {what}, which is {_NOUNS[type_]}.",
            f"For {_NOUNS[type_]} there are {listing(fitting)}.",
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
        return context.say(node, "T203", f"Here belongs {_NOUNS.get(type_, 'a value')}, not nothing.")
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
        "date": "Dates are written `2026-03-01`.",
        "time": "Times are written `2026-03-01T10:00:00Z`.",
    }.get(type_)
    return context.say(node, "T312", f"{shown(node)} is not {_NOUNS[type_]}.", form)


def _moment(node: Scalar, context: Context, type_: str) -> Any:
    match = re.fullmatch(r"(.+) ago", node.text.strip())
    if match:
        length = Length().parse(Scalar(node.place, match[1], match[1]), context)
        return INVALID if length is INVALID else Ago(length)
    if parse_duration(node.text):
        return context.say(
            node, "T312", f"{shown(node)} is a length, not a moment.", f"Did you mean `{node.text} ago`?"
        )
    if found := as_time(node.text) if type_ in ("time", UNDECLARED) else as_date(node.text):
        return found
    return context.say(node, "T312", f"{shown(node)} is not a date.", "Write `2026-03-01` or `30d ago`.")


def _attribute(fields: Fields) -> Any:
    context, node = fields.context, fields.node
    name_node = fields.get("attribute")
    if not isinstance(name_node, Scalar) or not isinstance(name_node.value, str):
        return context.say(
            name_node, "T203", f"Here belongs the name of an attribute, not {shown(name_node)}."
        )
    name = name_node.text
    type_ = context.schema.attributes.get(name)
    if type_ is None:
        declare = "Declare it under `customer` in treue.yaml."
        hint = did_you_mean(name, context.schema.attributes, declare)
        return context.say(name_node, "T304", f"There is no attribute {shown(name_node)}.", hint)
    names = [key for key in node.names() if key in OPERATORS]
    if not names:
        return context.say(
            node,
            "T202",
            f"What about `{name}`? A comparison is missing.",
            "Such as `is: DE` or `exists: true`.",
        )
    ops = parse_ops(node, names, type_, f"`{name}`", context)
    return INVALID if ops is INVALID else Attribute(name, type_, ops)


def parse_where(node: Node, event: str | None, context: Context) -> Any:
    """Return the comparisons on an event's own properties, or INVALID."""
    if not isinstance(node, Mapping):
        return context.say(
            node,
            "T203",
            f"Here belong an event's properties, not {shown(node)}.",
            "Such as `{total: {above: 50}}`.",
        )
    found = [_property(key, value, event, context) for key, value in node.entries]
    return INVALID if INVALID in found else tuple(found)


def _property(key: Scalar, value: Node, event: str | None, context: Context) -> Any:
    type_ = _property_type(key, event or "", context)
    if type_ is INVALID:
        return INVALID
    if isinstance(value, Mapping):
        ops = _comparisons(value, type_, f"`{key.text}`", context)
        return INVALID if ops is INVALID else Property(key.text, type_, ops)
    name = "in" if isinstance(value, Items) else "is"
    if type_ == "list" and isinstance(value, Scalar):
        name = "contains"
    short = Mapping(value.place, [(Scalar(value.place, name, name), value)])
    ops = parse_ops(short, [name], type_, f"`{key.text}`", context)
    return INVALID if ops is INVALID else Property(key.text, type_, ops)


def _comparisons(node: Mapping, type_: str, what: str, context: Context) -> Any:
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
        parse_where(fields.get("where"), fields.get("event"), fields.context)


def _check_event(fields: Fields) -> None:
    check_where(fields)
    for key in ("since", "same"):
        if fields.written(key) and fields.context.started_by is None:
            message = f"`{key}` looks at the customer's stay in a journey; here is none."
            hint = "It goes into the conditions of a journey's own file."
            fields.context.say(fields.at(key), "T340", message, hint)
    if "event" in fields and "same" in fields and fields.context.started_by is not None:
        parse_same(fields)


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
    types = [_property_type(node, each, context) for each in dict.fromkeys((event, context.started_by))]
    if INVALID in types:
        return INVALID
    if "list" in types:
        return context.say(node, "T309", f"`same` does not fit {shown(node)}, which is {_NOUNS['list']}.")
    if len(set(types) - {UNDECLARED}) > 1:
        message = (
            f"{shown(node)} of `{event}` is {_NOUNS[types[0]]}, of `{context.started_by}` {_NOUNS[types[1]]}."
        )
        return context.say(node, "T309", message, "Only values of the same type can be the same.")
    return Same(name, types[0])


def _property_type(node: Scalar, event: str, context: Context) -> Any:
    if event not in context.schema.events:
        return UNDECLARED  # said where the event is named
    declared = context.schema.events[event]
    if type_ := declared.get(node.text):
        return type_
    hint = did_you_mean(node.text, declared, f"Declare it under `events: {event}` in treue.yaml.")
    return context.say(node, "T305", f"The event `{event}` has no property {shown(node)}.", hint)


def _where_of(fields: Fields, event: str | None) -> Any:
    node = fields.get("where")
    return () if node is None else parse_where(node, event, fields.context)


def _times(fields: Fields, name: str) -> Any:
    node = fields.get(name)
    if node is None:
        return ()
    if not isinstance(node, Mapping) or not node.entries:
        return fields.context.say(
            node,
            "T203",
            f"`{name}` takes a comparison, not {shown(node)}.",
            f"Such as `{name}: {{before: 180d ago}}`.",
        )
    wrong = [key for key, _ in node.entries if key.text not in ("before", "after")]
    for key in wrong:
        fields.context.say(
            key,
            "T201",
            f"There is no comparison {shown(key)} for a time.",
            did_you_mean(key.text, ("before", "after")),
        )
    return INVALID if wrong else parse_ops(node, node.names(), "time", f"`{name}`", fields.context)


def _happened(fields: Fields) -> Any:
    name = fields.get("event")
    where, last, first = _where_of(fields, name), _times(fields, "last"), _times(fields, "first")
    if INVALID in (where, last, first):
        return INVALID
    ops = tuple(Op(op, (fields.get(key),)) for key, op in COUNTS.items() if key in fields)  # type: ignore[arg-type]
    if ops and (last or first):
        return fields.context.say(
            fields.node,
            "T207",
            "Count and `last` or `first` do not go together.",
            "Put them into two conditions.",
        )
    same = parse_same(fields)
    return Happened(name, ops, fields.get("within"), where, last, first, fields.get("since"), same)


def _compared(fields: Fields, type_: str, what: str, such_as: str) -> Any:
    """Return the comparisons that stand among the other keys of a mapping, or INVALID; there must be one."""
    names = [key for key in fields.node.names() if key in OPERATORS]
    if not names:
        message = "What about it? A comparison is missing."
        return fields.context.say(fields.node, "T202", message, such_as)
    return parse_ops(fields.node, names, type_, what, fields.context)


def _aggregate(function: str) -> Any:
    def build(fields: Fields) -> Any:
        context, target = fields.context, fields.get(function)
        if not isinstance(target, Scalar) or "." not in target.text.strip("."):
            return context.say(
                target,
                "T203",
                f"`{function}` takes an event and its property.",
                f"Such as `{function}: order.placed.total`.",
            )
        event, _, prop = target.text.rpartition(".")
        if event not in context.schema.events:
            hint = did_you_mean(event, context.schema.events)
            return context.say(target, "T303", f"There is no event `{event[:40]}`.", hint)
        type_ = context.schema.events[event].get(prop)
        if type_ is None:
            hint = did_you_mean(prop, context.schema.events[event])
            return context.say(target, "T305", f"The event `{event}` has no property `{prop[:40]}`.", hint)
        if type_ not in ("number", UNDECLARED) and function != "count_distinct":
            return context.say(target, "T309", f"`{function}` needs a number; `{prop}` is {_NOUNS[type_]}.")
        where = _where_of(fields, event)
        ops = _compared(fields, "number", f"the {function}", "Such as `above: 500`.")
        if INVALID in (where, ops):
            return INVALID
        return Aggregate(function, event, prop, type_, ops, fields.get("within"), where)  # type: ignore[arg-type]

    return build


def _segment(fields: Fields) -> Any:
    name = fields.get("segment")
    place: Place = fields.node.get("segment").place  # type: ignore[union-attr]
    condition = fields.context.segment(name, place)
    return INVALID if condition is None else InSegment(name, condition)


def _message(fields: Fields) -> Any:
    name = fields.get("message")
    if name != "any":
        place = fields.node.get("message").place  # type: ignore[union-attr]
        Name("template").parse(Scalar(place, name, name), fields.context)
    return MessageWas(
        None if name == "any" else name,
        fields.get("was"),
        fields.get("within"),
        fields.get("channel"),
        fields.get("journey"),
    )


@dataclass(frozen=True)
class DateAttribute:
    """The name of an attribute that holds a date or a time."""

    noun: str = "the name of an attribute that is a date or a time"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the name and the type."""
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
                node, "T309", f"Here belongs {self.noun}; {shown(node)} is {_NOUNS[type_]}.", hint
            )
        return node.text, "date" if type_ == UNDECLARED else type_

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "description": "The name of an attribute."}


_PART = OneOf(
    "condition",
    lambda: CONDITIONS,
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


_WITHIN = Key("within", Length(), "Only what happened in this time before now.")
_WHERE = Key(
    "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
)
_COMPARED = operator_keys(("is", "not", "in", "not_in", "above", "at_least", "below", "at_most", "between"))


class _Compared:
    noun = "comparisons of a number"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the comparisons."""
        if isinstance(node, Mapping):
            return _comparisons(node, "number", "the number", context)
        message, hint = f"Here belong comparisons, not {shown(node)}.", "Such as `{at_least: 100}`."
        return context.say(node, "T203", message, hint)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object"}


def _score(fields: Fields) -> Any:
    return _compared(fields, "number", "a score", "Such as `above: 0.7`.")


def _aggregate_shape(function: str, doc: str) -> Shape:
    target = Key(function, Raw("an event's property", {"type": "string"}), doc, required=True)
    return Shape(
        f"{function.replace('_', '-')} condition",
        doc,
        (target, *_COMPARED, _WITHIN, _WHERE),
        _aggregate(function),
        "a condition",
    )


CONDITIONS: dict[str, Kind] = {
    "attribute": Shape(
        "attribute condition",
        "Compares one of the customer's attributes.",
        (
            Key(
                "attribute",
                Raw("the name of an attribute", {"type": "string"}),
                "The attribute.",
                required=True,
            ),
            *operator_keys(),
        ),
        _attribute,
    ),
    "event": Shape(
        "event condition",
        "Whether, how often and when something happened.",
        (
            Key("event", EventName(), "The event.", required=True),
            Key("at_least", Whole(0, 1_000_000), "At least so many times."),
            Key("at_most", Whole(0, 1_000_000), "At most so many times."),
            Key("exactly", Whole(0, 1_000_000), "Exactly so many times."),
            _WITHIN,
            _WHERE,
            Key(
                "last",
                Raw("a comparison", {"type": "object"}),
                "The latest one, such as `{before: 180d ago}`.",
            ),
            Key(
                "first",
                Raw("a comparison", {"type": "object"}),
                "The earliest one, such as `{after: 2d ago}`.",
            ),
            Key("since", Word(("entry",)), "Only since the customer entered the journey."),
            Key(
                "same",
                Text("the name of an event property"),
                "Only events that share this property with the one that started the journey.",
            ),
        ),
        _happened,
        check=_check_event,
    ),
    "sum": _aggregate_shape("sum", "The sum of an event's property, such as `order.placed.total`."),
    "average": _aggregate_shape("average", "The average of an event's property."),
    "min": _aggregate_shape("min", "The least value of an event's property."),
    "max": _aggregate_shape("max", "The greatest value of an event's property."),
    "count_distinct": _aggregate_shape(
        "count_distinct", "How many different values an event's property has had."
    ),
    "segment": Shape(
        "segment condition",
        "Whether the customer is in a named segment.",
        (Key("segment", Text("the name of a segment"), "The segment's name.", required=True),),
        _segment,
    ),
    "consent": Shape(
        "consent condition",
        "Whether the customer has agreed to a channel.",
        (Key("consent", ChannelName(), "The channel.", required=True),),
        lambda fields: HasConsent(fields.get("consent")),
    ),
    "message": Shape(
        "message condition",
        "What became of a message to the customer.",
        (
            Key(
                "message",
                Text("the name of a template, or `any`"),
                "The message's template, or `any`.",
                required=True,
            ),
            Key("was", Word(MESSAGE_STATES), "What became of it.", required=True),
            _WITHIN,
            Key("channel", ChannelName(), "Only messages on this channel."),
            Key("journey", Name("journey"), "Only messages of this journey."),
        ),
        _message,
    ),
    "reachable": Shape(
        "reachable condition",
        "Whether a message may reach the customer: there is an address, an agreement, and no suppression.",
        (Key("reachable", ChannelName(), "The channel.", required=True),),
        lambda fields: Reachable(fields.get("reachable")),
    ),
    "journey": Shape(
        "journey condition",
        "How the customer stands to a journey.",
        (
            Key("journey", Name("journey"), "The journey's name.", required=True),
            Key(
                "is",
                Word(("inside", "finished", "converted", "never")),
                "`inside` it now; has `finished` it (also by its goal); has `converted`; has `never` been in it.",
                required=True,
            ),
        ),
        lambda fields: JourneyIs(fields.get("journey"), fields.get("is")),
    ),
    "all": Shape(
        "all condition",
        "Every one of these.",
        (Key("all", ListOf(_PART, single=False), "The conditions.", required=True),),
        lambda fields: All(fields.get("all")),
    ),
    "any": Shape(
        "any condition",
        "At least one of these.",
        (Key("any", ListOf(_PART, single=False), "The conditions.", required=True),),
        lambda fields: AnyOf(fields.get("any")),
    ),
    "not": Shape(
        "not condition",
        "The opposite.",
        (Key("not", _PART, "The condition.", required=True),),
        lambda fields: Not(fields.get("not")),
    ),
    "points": LaterShape(
        Shape(
            "points condition",
            "How many loyalty points the customer has.",
            (Key("points", _Compared(), "Such as `{at_least: 100}`.", required=True),),
            lambda fields: fields.get("points"),
        )
    ),
    "tier": LaterShape(
        Shape(
            "tier condition",
            "The customer's tier of the loyalty programme.",
            (Key("tier", Text("the name of a tier"), "The tier's name.", required=True),),
            lambda fields: fields.get("tier"),
        )
    ),
    "score": LaterShape(
        Shape(
            "score condition",
            "A score that a model gives the customer.",
            (Key("score", Text("the name of a score"), "The score's name.", required=True), *_COMPARED),
            _score,
        )
    ),
}
"""The condition language: leading key to row."""
