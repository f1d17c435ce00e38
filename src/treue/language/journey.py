"""The rows of a journey's file, and the frozen journey they become."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from treue.clock import WEEKDAYS, Duration
from treue.language.calls import METHODS, VARIABLE, CallUrl, Json
from treue.language.conditions import (
    CONDITION,
    UNDECLARED,
    DateAttribute,
    answerable,
    check_where,
    parse_where,
    scalar,
)
from treue.language.grammar import (
    INVALID,
    ChannelName,
    Context,
    EventName,
    Fields,
    Flag,
    Just,
    Key,
    Kind,
    LaterShape,
    Length,
    ListOf,
    MapOf,
    Name,
    OneOf,
    Raw,
    Reference,
    Shape,
    Share,
    Text,
    TimeOfDay,
    Whole,
    Word,
    say_empty,
    shown,
)
from treue.language.problems import Place, did_you_mean, nearest
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.triggers import ENTER, Enter, check_moving
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.segments.tree import Condition, Happened, InSegment, Property, Same
from treue.segments.tree import Scalar as Plain

STEP_ID = r"[a-z0-9]+(?:[-_][a-z0-9]+)*"
STEP_PATH = rf"steps(?:\.{STEP_ID})+"
DEFAULT_VALID_FOR = Duration(days=1)
OUTCOMES = ("clicked", "opened", "converted")


@dataclass(frozen=True)
class Exit:
    """A reason to leave at once: an event since entry, or a state the customer is in."""

    name: str
    event: str | None = None
    where: tuple[Property, ...] = ()
    condition: Condition | None = None
    same: Same | None = None
    place: Place = field(default=Place("", 1, 1), compare=False)


@dataclass(frozen=True)
class Goal:
    """The event that counts as success, `within` this long after entry (else: while inside)."""

    event: str
    where: tuple[Property, ...] = ()
    within: Duration | None = None
    place: Place = field(default=Place("", 1, 1), compare=False)


@dataclass(frozen=True)
class Step:
    """What every step has: its place in the file, its id (given, or empty) and its `if`."""

    place: Place
    id: str
    when: Condition | None


@dataclass(frozen=True)
class Send(Step):
    """Puts a message in the outbox, on the first channel that reaches the customer, or on all."""

    template: str
    channels: tuple[str, ...]
    all_channels: bool
    valid_for: Duration
    sender: str | None
    data: tuple[tuple[str, Plain], ...]


@dataclass(frozen=True)
class Wait(Step):
    """Holds the customer for a time."""

    duration: Duration


@dataclass(frozen=True)
class WaitUntil(Step):
    """Holds the customer until the next `at` (HH:MM on the customer's clock), on one of `days` where there are any."""

    at: str
    days: tuple[str, ...] = ()


@dataclass(frozen=True)
class WaitDate(Step):
    """Holds the customer until the date or time an attribute names, moved by a duration."""

    attribute: str
    type: str
    before: Duration | None = None
    after: Duration | None = None


@dataclass(frozen=True)
class WaitFor(Step):
    """Holds the customer until a condition holds (then: `then`), `at_most` so long (then: `otherwise`)."""

    condition: Condition
    at_most: Duration
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Branch:
    """One way out of a choose; no condition means else."""

    place: Place
    condition: Condition | None
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Choose(Step):
    """Takes the first branch whose condition holds."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Arm:
    """One way through a split."""

    place: Place
    name: str
    weight: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Split(Step):
    """Divides customers by a stable hash; with `learn`, by shares that follow what works."""

    arms: tuple[Arm, ...]
    learn: str | None = None


@dataclass(frozen=True)
class Set(Step):
    """Writes attributes; a value with `{{ … }}` is a template."""

    values: tuple[tuple[str, Plain], ...]


@dataclass(frozen=True)
class Emit(Step):
    """Records an event about the customer."""

    event: str
    data: tuple[tuple[str, Plain], ...]


@dataclass(frozen=True)
class Call(Step):
    """Makes an outgoing webhook. `json` is its document as JSON text, templates not yet filled in."""

    url: str
    method: str
    json: str | None
    secret: str | None
    valid_for: Duration


@dataclass(frozen=True)
class Start(Step):
    """Puts the customer at another journey's door."""

    journey: str


@dataclass(frozen=True)
class Stop(Step):
    """Ends the journey here."""


@dataclass(frozen=True)
class Moved:
    """What became of a step of an earlier version: the id it had there, and the id it has now."""

    place: Place
    old: str
    new: str


@dataclass(frozen=True)
class Journey:
    """A journey as its file says it."""

    name: str
    place: Place
    description: str
    category: str
    basis: str | None
    enter: Enter
    exits: tuple[Exit, ...]
    goal: Goal | None
    holdout: int
    in_flight: str
    priority: int
    steps: tuple[Step, ...]
    moved: tuple[Moved, ...] = ()


# --- exit, goal -------------------------------------------------------------------------------------------


class _Exit:
    noun = "a condition"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the Exit."""
        condition = CONDITION.parse(node, context)
        if condition is INVALID:
            return INVALID
        if isinstance(condition, Happened) and not (
            condition.ops or condition.within or condition.last or condition.first
        ):
            where, same = condition.where, condition.same
            return Exit(condition.event, condition.event, where, same=same, place=node.place)
        name = f"segment {condition.name}" if isinstance(condition, InSegment) else "condition"
        return Exit(name, condition=condition, place=node.place)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return CONDITION.schema(defs)


def _goal(fields: Fields) -> Any:
    event = fields.get("event")
    where = parse_where(fields.get("where"), event, fields.context) if "where" in fields else ()
    return INVALID if where is INVALID else Goal(event, where, fields.get("within"), fields.node.place)


GOAL = Shape(
    "goal",
    "The event that counts as success; who reaches it leaves as converted.",
    (
        Key("event", EventName(), "The event.", required=True),
        Key(
            "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
        ),
        Key("within", Length(), "How long after entry it counts, also after the last step."),
    ),
    _goal,
    check=check_where,
)


# --- steps --------------------------------------------------------------------------------------------------


def _common(fields: Fields) -> tuple[Place, str, Condition | None]:
    first = fields.node.entries[0][0].place if fields.node.entries else fields.node.place
    return first, fields.get("id", ""), fields.get("if")


def _plain_values(fields: Fields, name: str) -> tuple[tuple[str, Plain], ...]:
    return tuple(fields.get(name, {}).items())


class _Plain:
    noun = "a text, a number, or true or false"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the scalar's value."""
        if isinstance(node, Scalar) and node.value is not None:
            return node.value
        return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": ["string", "number", "boolean"]}


def _send(fields: Fields) -> Any:
    channels = tuple(dict.fromkeys(fields.get("on", ())))
    template, node = fields.get("send"), fields.node.get("send")
    if template and node is not None:
        for channel in channels:
            fields.context.references.append(Reference("variant", template, node.place, channel))
    return Send(
        *_common(fields),
        template,
        channels,
        bool(fields.get("all")),
        fields.get("valid_for", DEFAULT_VALID_FOR),
        fields.get("from"),
        _plain_values(fields, "data"),
    )


class _Branches:
    noun = "a list of branches"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the branches; `else` must come last."""
        if isinstance(node, Items) and not node.nodes:
            return say_empty(node, context)
        if not isinstance(node, Items):
            return context.say(
                node,
                "T203",
                f"Here belongs a list of branches, not {shown(node)}.",
                "Each begins with `- if:`; the last may be `- else:`.",
            )
        found = [self._branch(item, context, last=item is node.nodes[-1]) for item in node.nodes]
        if INVALID in found:
            return INVALID
        asked = [branch.condition for branch in found if branch.condition is not None]
        return tuple(found) if answerable(asked, node, context) else INVALID

    def _branch(self, node: Node, context: Any, *, last: bool) -> Any:
        if isinstance(node, Mapping) and node.key("else") is not None:
            key = node.key("else")
            assert key is not None
            if not last:
                return context.say(
                    key, "T207", "`else` must be the last branch.", "Nothing after it is ever reached."
                )
            return ELSE.parse(node, context)
        misspelt = [key for key, _ in node.entries if key.text != "if"] if isinstance(node, Mapping) else []
        if len(misspelt) == 1 and last and nearest(misspelt[0].text, ("if", "steps", "else")) == "else":
            message = f"There is no key {shown(misspelt[0])} in a branch."
            return context.say(misspelt[0], "T201", message, "Did you mean `else`?")
        return IF.parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "array", "minItems": 1, "items": {"anyOf": [IF.schema(defs), ELSE.schema(defs)]}}


class _Steps:
    noun = "a list of steps"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the steps."""
        return ListOf(STEP, single=False, noun=self.noun).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "array", "items": STEP.schema(defs), "minItems": 1}


def _arm(fields: Fields) -> Any:
    return Arm(fields.node.place, "", fields.get("weight"), fields.get("steps", ()))


class _Arms:
    noun = "a mapping of names to arms"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the arms, each with its name."""
        found = MapOf(ARM, STEP_ID, "a name of small letters, digits and dashes", 2, self.noun).parse(
            node, context
        )
        if found is INVALID:
            return INVALID
        if not any(arm.weight for arm in found.values()):
            return context.say(node, "T206", "All weights are 0: nobody could go anywhere.")
        return tuple(Arm(arm.place, name, arm.weight, arm.steps) for name, arm in found.items())

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": ARM.schema(defs), "minProperties": 2}


def _split(fields: Fields) -> Any:
    arms, learn = fields.get("split", ()), fields.get("learn")
    silent = [arm for arm in arms if not any(isinstance(step, Send) for step in walk(arm.steps))]
    if learn in ("clicked", "opened") and silent:
        return fields.context.say(
            fields.at("learn"),
            "T316",
            f"Nothing in `{silent[0].name}` can be {learn}: it sends no message.",
            "Each way needs a `send`, or learn from `converted`.",
        )
    return Split(*_common(fields), arms, learn)


def _check_until(fields: Fields) -> None:
    until = fields.node.get("until")
    if fields.written("on") and isinstance(until, Mapping):
        message = "`on` belongs to a time of the day, not to an attribute's date."
        fields.context.say(fields.at("on"), "T207", message, "Wait for the weekday in a step of its own.")


UNTIL_DATE = Shape(
    "date to wait for",
    "The day or the instant an attribute names, or so long before or after it; where it has passed, on at once.",
    (
        Key(
            "attribute",
            DateAttribute(),
            "The attribute; a date begins at the customer's midnight.",
            required=True,
        ),
        Key("before", Length(), "So long before."),
        Key("after", Length(), "So long after."),
    ),
    lambda fields: partial(
        WaitDate,
        attribute=fields.get("attribute")[0],
        type=fields.get("attribute")[1],
        before=fields.get("before"),
        after=fields.get("after"),
    ),
    "a time of the day such as `09:00`, or a mapping with `attribute`",
    check=check_moving,
)


class _Until:
    noun = "a time of the day such as `09:00`, or an attribute's date"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the time as a text, or what makes a WaitDate."""
        return (TimeOfDay() if isinstance(node, Scalar) else UNTIL_DATE).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [TimeOfDay().schema(defs), UNTIL_DATE.schema(defs)]}


def _until(fields: Fields) -> Any:
    until, days = fields.get("until"), fields.get("on", ())
    if not isinstance(until, str):
        return until
    return partial(WaitUntil, at=until, days=tuple(day for day in WEEKDAYS if day in days))


WAIT_UNTIL = Shape(
    "wait-until",
    "Holds the customer until a local time, or a date of the customer's own.",
    (
        Key(
            "until",
            _Until(),
            "The next such time on the customer's clock, or an attribute's date.",
            required=True,
        ),
        Key(
            "on",
            ListOf(Word(WEEKDAYS), noun="`mon` to `sun`, one or several"),
            "Only on these days of the week.",
        ),
    ),
    _until,
    check=_check_until,
)
WAIT_FOR = Shape(
    "wait-for",
    "Holds the customer until something has happened, or so long.",
    (
        Key("for", CONDITION, "Goes on when this holds; events count from arrival here on.", required=True),
        Key("at_most", Length(), "Goes on after this time, whatever has happened.", required=True),
        Key("then", _Steps(), "What happens where it came to hold."),
        Key("otherwise", _Steps(), "What happens where it did not."),
    ),
    lambda fields: partial(
        WaitFor,
        condition=fields.get("for"),
        at_most=fields.get("at_most"),
        then=fields.get("then", ()),
        otherwise=fields.get("otherwise", ()),
    ),
)
_WAITS = {"until": WAIT_UNTIL, "on": WAIT_UNTIL} | dict.fromkeys(
    ("for", "at_most", "then", "otherwise"), WAIT_FOR
)


class _Wait:
    noun = "a duration such as `2d`, or a mapping with `until` or `for`"

    def parse(self, node: Node, context: Any) -> Any:
        """Return what makes the step from what all steps have."""
        if isinstance(node, Mapping):
            near = (nearest(key.text, _WAITS) for key, _ in node.entries)
            shape = next((_WAITS[name] for name in near if name), None)
            if shape is None:
                return context.say(node, "T205", f"Here belongs {self.noun}, not a mapping without them.")
            return shape.parse(node, context)
        found = Length().parse(node, context)
        return INVALID if found is INVALID else partial(Wait, duration=found)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [Length().schema(defs), WAIT_UNTIL.schema(defs), WAIT_FOR.schema(defs)]}


class _Written:
    noun = "a mapping of attributes to values"

    def parse(self, node: Node, context: Any) -> Any:
        """Return attribute and value; the attribute must be declared and not one of the built-in columns."""
        if not isinstance(node, Mapping) or not node.entries:
            return MapOf(_Plain(), least=1, noun=self.noun).parse(node, context)
        found = {key.text: self._value(key, value, context) for key, value in node.entries}
        return INVALID if INVALID in found.values() else tuple(found.items())

    def _value(self, key: Scalar, value: Node, context: Any) -> Any:
        if key.text in BUILT_IN_ATTRIBUTES:
            return context.say(
                key, "T304", f"The attribute `{key.text}` is built in; a step cannot write it."
            )
        type_ = context.schema.attributes.get(key.text)
        if type_ is None:
            own = set(context.schema.attributes) - set(BUILT_IN_ATTRIBUTES)
            hint = did_you_mean(key.text, own, "Declare it under `customer` in treue.yaml.")
            return context.say(key, "T304", f"There is no attribute {shown(key)} to write.", hint)
        return _typed(value, type_, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": _Plain().schema(defs), "minProperties": 1}


def _typed(value: Node, type_: str, context: Any) -> Any:
    """Return a plain value of the declared type; a template's comes out when it is rendered."""
    found = _Plain().parse(value, context)
    if found is INVALID or not isinstance(value, Scalar) or "{{" in value.text or type_ == UNDECLARED:
        return found
    return scalar(value, "text" if type_ == "list" else type_, context)


def _emit(fields: Fields) -> Any:
    found = _event_data(fields)
    return (
        INVALID
        if INVALID in found.values()
        else Emit(*_common(fields), fields.get("emit"), tuple(found.items()))
    )


def _event_data(fields: Fields) -> dict[str, Any]:
    context, event, node = fields.context, fields.get("emit"), fields.node.get("data")
    declared = context.schema.events.get(event, {})
    found: dict[str, Any] = {}
    for key, value in node.entries if event and isinstance(node, Mapping) else ():
        type_ = declared.get(key.text)
        if type_ is None:
            hint = did_you_mean(key.text, declared, f"Declare it under `events: {event}` in treue.yaml.")
            found[key.text] = context.say(
                key, "T305", f"The event `{event}` has no property {shown(key)}.", hint
            )
        else:
            found[key.text] = _typed(value, type_, context)
    return found


def _call(fields: Fields) -> Any:
    document, method = fields.get("json"), fields.get("method", "POST")
    if document is not None and method == "GET":
        hint = "Write `method: POST`, or put the values into the address."
        return fields.context.say(fields.at("json"), "T207", "A GET carries no `json`.", hint)
    return Call(
        *_common(fields),
        fields.get("call"),
        method,
        None if document is None else json.dumps(document, ensure_ascii=False),
        fields.get("secret"),
        fields.get("valid_for", DEFAULT_VALID_FOR),
    )


def _award(fields: Fields) -> Any:
    given = [name for name in ("points", "voucher") if fields.written(name)]
    if len(given) != 1:
        what = "`points` and `voucher` do not go together." if given else "This awards nothing."
        hint = "Write `award: {points: 50}` or `award: {voucher: NAME}`."
        at = fields.at("voucher") if given else fields.node
        return fields.context.say(at, "T207" if given else "T202", what, hint)
    if fields.written("reason") and given == ["voucher"]:
        return fields.context.say(fields.at("reason"), "T207", "`reason` belongs to `points`.")
    return given[0], fields.get(given[0]), fields.get("reason")


def _ask(fields: Fields) -> Any:
    template, node = fields.get("template"), fields.node.get("template")
    if node is not None:
        for channel in fields.get("on", ()):
            fields.context.references.append(Reference("variant", template, node.place, channel))
    return (*_common(fields), fields.get("ask"))


_COMMON = (
    Key(
        "id",
        Text("an id of small letters, digits and dashes", STEP_ID),
        "A name for this step, unique in the journey.",
    ),
    Key("if", CONDITION, "Skip this step unless this holds."),
)
_STEPS = Key("steps", _Steps(), "What happens then.", required=True)
_DATA = Key("data", MapOf(_Plain()), "Further values for the template.")


def _step(name: str, doc: str, kind: Kind, build: Any, *more: Key) -> Shape:
    return Shape(f"{name} step", doc, (Key(name, kind, doc, required=True), *more, *_COMMON), build, "a step")


IF = Shape(
    "branch",
    "A branch of a choose.",
    (Key("if", CONDITION, "Taken where this holds.", required=True), _STEPS),
    lambda fields: Branch(fields.node.place, fields.get("if"), fields.get("steps", ())),
    "a branch",
)


def _else(fields: Fields) -> Any:
    return Branch(fields.node.place, None, fields.get("else", ()))


class _ElseSteps:
    noun = "the steps of the else branch"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the steps, written as a list, or as a single step or mapping with `steps`."""
        if isinstance(node, Mapping) and node.names() == ["steps"]:
            inner = node.get("steps")
            assert inner is not None
            return _Steps().parse(inner, context)
        return ListOf(STEP).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return ListOf(STEP).schema(defs)


ELSE = Shape(
    "else branch",
    "Taken where no other branch was.",
    (Key("else", _ElseSteps(), "What happens else.", required=True),),
    _else,
    "a branch",
)
ARM = Shape(
    "split arm",
    "One way through a split.",
    (Key("weight", Whole(0, 1_000_000), "Its share, relative to the others.", required=True), _STEPS),
    _arm,
    "an arm with `weight` and `steps`",
)

AWARD = Shape(
    "award",
    "Loyalty points, or a voucher.",
    (
        Key("points", Whole(1, 1_000_000), "So many loyalty points."),
        Key("voucher", Text("the name of a voucher programme", STEP_ID), "A voucher of this programme."),
        Key("reason", Text(), "What the points are for."),
    ),
    _award,
    "a mapping with `points` or `voucher`",
)
AWARD_STEP = _step(
    "award", "Books loyalty points or a voucher.", AWARD, lambda f: (*_common(f), f.get("award"))
)
ASK_STEP = _step(
    "ask",
    "Sends a survey; the answer becomes an event `survey.answered`.",
    Word(("nps", "csat", "ces")),
    _ask,
    Key(
        "on",
        ListOf(ChannelName()),
        "The channel, or several: the first that reaches the customer.",
        required=True,
    ),
    Key("template", Name("template"), "The message with the survey's link."),
)

STEPS: dict[str, Kind] = {
    "send": _step(
        "send",
        "Puts one message in the outbox.",
        Name("template"),
        _send,
        Key(
            "on",
            ListOf(ChannelName()),
            "The channel, or several: the first that reaches the customer.",
            required=True,
        ),
        Key("all", Flag(), "On each of the channels, not only the first."),
        Key("valid_for", Length(), "Not sent later than this after its due time (default 1d)."),
        Key("from", Text(), "Another sender than the workspace's."),
        _DATA,
    ),
    "wait": _step("wait", "Holds the customer.", _Wait(), lambda f: f.get("wait")(*_common(f))),
    "choose": _step(
        "choose",
        "Takes the first branch that fits.",
        _Branches(),
        lambda f: Choose(*_common(f), f.get("choose", ())),
    ),
    "split": _step(
        "split",
        "Divides customers by a stable hash.",
        _Arms(),
        _split,
        Key("learn", Word(OUTCOMES), "Shift the shares to the way after which most do this."),
    ),
    "set": _step(
        "set", "Writes the customer's attributes.", _Written(), lambda f: Set(*_common(f), f.get("set", ()))
    ),
    "emit": _step(
        "emit",
        "Records an event about the customer.",
        EventName(),
        _emit,
        Key("data", MapOf(_Plain()), "The event's properties."),
    ),
    "call": _step(
        "call",
        "Makes an outgoing webhook: signed, retried, never to a private address.",
        CallUrl(),
        _call,
        Key("method", Word(METHODS), "How it is called (default POST)."),
        Key("json", Json(), "The document it carries."),
        Key(
            "secret",
            Text("the name of an environment variable", VARIABLE),
            "The environment variable with the signing secret (Standard Webhooks).",
        ),
        Key("valid_for", Length(), "Not called later than this after its due time (default 1d)."),
    ),
    "start": _step(
        "start",
        "Puts the customer at another journey's door, subject to its `if` and `again`.",
        Name("journey"),
        lambda f: Start(*_common(f), f.get("start")),
    ),
    "stop": _step("stop", "Ends the journey here.", Just(True), lambda f: Stop(*_common(f))),
    "award": LaterShape(AWARD_STEP),
    "ask": LaterShape(ASK_STEP),
}
"""The steps: leading key to row."""

_HOLDING_STEPS = ("steps", "else", "then", "otherwise")

STEP = OneOf("step", lambda: STEPS, "a step")


# --- the file -----------------------------------------------------------------------------------------------


def _journey(fields: Fields) -> Any:
    return Journey(
        "",
        fields.node.place,
        fields.get("description", ""),
        fields.get("category"),
        fields.get("basis"),
        fields.get("enter"),
        fields.get("exit", ()),
        fields.get("goal"),
        fields.get("holdout", 0),
        fields.get("in_flight", "finish"),
        fields.get("priority", 50),
        fields.get("steps", ()),
        fields.get("moved", ()),
    )


class _StepName(Text):
    def parse(self, node: Node, context: Any) -> Any:
        """Return the id; a step's place will not do, since the next edit may put another step there."""
        if isinstance(node, Scalar) and re.fullmatch(STEP_PATH, node.text):
            message = f"{shown(node)} is a step's place, not its id."
            return context.say(
                node, "T208", message, "Give the step that people go on at an `id`, and name it here."
            )
        return super().parse(node, context)


class _Moved:
    noun = "a mapping of old step ids to new ones"
    new = _StepName("a step's id", STEP_ID)

    def parse(self, node: Node, context: Any) -> Any:
        """Return each old id with its new one; whether this file has the new ones is looked at by `_check_moved`."""
        found = MapOf(self.new, f"{STEP_ID}|{STEP_PATH}", "a step's id", 1, self.noun).parse(node, context)
        if found is INVALID or not isinstance(node, Mapping):
            return INVALID
        return tuple(Moved(key.place, key.text, found[key.text]) for key, _ in node.entries)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": self.new.schema(defs), "minProperties": 1}


def walk(steps: tuple[Step, ...]) -> list[Step]:
    """Return all steps, those inside branches and arms included, in the order of the file."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        for inner in _inside(step):
            found += walk(inner)
    return found


def _inside(step: Step) -> list[tuple[Step, ...]]:
    match step:
        case Choose():
            return [branch.steps for branch in step.branches]
        case Split():
            return [arm.steps for arm in step.arms]
        case WaitFor():
            return [step.then, step.otherwise]
    return []


def _started_by(node: Node) -> str:
    """Return the event that a journey's file says starts it, whatever else may be wrong; empty where none does."""
    enter = node.get("enter") if isinstance(node, Mapping) else None
    event = enter.get("event") if isinstance(enter, Mapping) else None
    return event.text if isinstance(event, Scalar) else ""


def _check_journey(fields: Fields) -> None:
    _check_basis(fields)
    _check_moved(fields)
    _check_learning(fields)
    seen: dict[str, Place] = {}
    for id_ in _ids(fields.node.get("steps")):
        first = seen.setdefault(id_.text, id_.place)
        if first is not id_.place:
            message = f"The id {shown(id_)} is used twice; first in line {first.line}."
            fields.context.say(id_, "T310", message, "Ids are unique in their journey.")


def _check_moved(fields: Fields) -> None:
    node, known = fields.node.get("moved"), {id_.text for id_ in _ids(fields.node.get("steps"))}
    entries = node.entries if isinstance(node, Mapping) else ()
    for old, new in entries:
        if old.text in known:
            message = f"There still is a step {shown(old)} in this file."
            fields.context.say(
                old, "T315", message, "`moved` names steps that are gone or have another id now."
            )
        if isinstance(new, Scalar) and re.fullmatch(STEP_ID, new.text) and new.text not in known:
            message = f"There is no step {shown(new)} in this file."
            hint = did_you_mean(
                new.text, known, "Give the step that people go on at an `id`, and name it here."
            )
            fields.context.say(new, "T315", message, hint)


def _check_learning(fields: Fields) -> None:
    for step in walk(fields.get("steps", ())):
        if isinstance(step, Split) and step.learn == "converted" and not fields.written("goal"):
            message = "Without a `goal` nobody converts, and there is nothing to learn from."
            hint = "Write the journey's `goal`, or learn from `clicked`."
            fields.context.problems.add(step.place, "T316", message, hint)


def _check_basis(fields: Fields) -> None:
    category = fields.get("category")
    misspelt = any(nearest(name, ("basis",)) for name in fields.node.names())
    if category == "transactional" and fields.written("basis"):
        message = "A transactional journey needs no `basis`."
        fields.context.say(fields.at("basis"), "T207", message, "Leave it out: no consent is asked for.")
    elif category in ("promotional", "relational") and not misspelt:
        fields.context.say(
            fields.at("category"),
            "T202",
            f"A {category} journey needs its legal ground.",
            "Write `basis: consent`, or `basis: existing_customer`.",
        )


def _ids(node: Node | None) -> Iterator[Scalar]:
    """Yield the ids in a list of steps, those inside branches and arms included, whatever else may be wrong."""
    if isinstance(node, Items):
        for item in node.nodes:
            yield from _ids(item)
    elif isinstance(node, Mapping):
        if isinstance(id_ := node.get("id"), Scalar) and id_.text:
            yield id_
        arms = node.get("split")
        inner = [arm for _, arm in arms.entries] if isinstance(arms, Mapping) else []
        for part in (node.get("choose"), node.get("wait"), *inner, *map(node.get, _HOLDING_STEPS)):
            yield from _ids(part)


class _JourneyFile(Shape):
    def parse(self, node: Node, context: Context) -> Any:
        """Parse the file, all of whose conditions may ask for the same as the event that starts it."""
        return super().parse(node, replace(context, started_by=_started_by(node)))


JOURNEY = _JourneyFile(
    "journey",
    "A journey: who enters, what happens, when it ends.",
    (
        Key("description", Text(), "What this journey is for, in a sentence.", required=True),
        Key(
            "category",
            Word(("promotional", "relational", "transactional")),
            "What its messages are for; decides on consent and limits.",
            required=True,
        ),
        Key(
            "basis",
            Word(("consent", "existing_customer")),
            "The legal ground; required unless transactional.",
        ),
        Key("enter", ENTER, "How customers come in.", required=True),
        Key("exit", ListOf(_Exit()), "Leaves at once, wherever the customer stands."),
        Key("goal", GOAL, "The event that counts as success."),
        Key("holdout", Share(), "This share walks the same path and is sent nothing, for comparison."),
        Key(
            "in_flight",
            Word(("finish", "migrate", "exit")),
            "What happens to those inside when this file changes.",
        ),
        Key("priority", Whole(0, 100), "Which journey's message wins where only one may go."),
        Key(
            "moved", _Moved(), "Steps that have another id now, the old id before the new: who stands there."
        ),
        Key("steps", _Steps(), "What happens, in order.", required=True),
    ),
    _journey,
    check=_check_journey,
)
