"""The rows of a journey's file, and the frozen journey they become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from treue.clock import Duration
from treue.language.conditions import (
    CONDITION,
    check_where,
    parse_where,
)
from treue.language.grammar import (
    INVALID,
    Context,
    EventName,
    Fields,
    Flag,
    Key,
    Length,
    ListOf,
    MapOf,
    Option,
    Raw,
    Shape,
    Share,
    Text,
    Whole,
    shown,
)
from treue.language.problems import Place, did_you_mean, nearest
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.step_rows import STEP_ID, Steps
from treue.language.steps import Step, walk
from treue.language.triggers import ENTER, Entry
from treue.language.words import Words
from treue.segments.tree import Condition, InSegment, Property, Same

STEP_PATH = rf"steps(?:\.{STEP_ID})+"


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
    enter: Entry
    exits: tuple[Exit, ...]
    goal: Goal | None
    holdout: int
    in_flight: str
    priority: int
    steps: tuple[Step, ...]
    moved: tuple[Moved, ...] = ()
    first_sale: bool = False


# --- exit, goal -------------------------------------------------------------------------------------------


class _Exit:
    noun = "a condition"

    def parse(self, node: Node, context: Any) -> Any:
        """Return an Exit on an event, or on a condition that becomes true; it is asked at any time of the stay."""
        at_any_time = replace(context, sends=dict.fromkeys(context.sends or (), ()))
        condition = CONDITION.parse(node, at_any_time)
        if condition is INVALID:
            return INVALID
        if once := condition.occurrence():
            return Exit(once.event, once.event, once.where, same=once.same, place=node.place)
        name = f"segment {condition.name}" if isinstance(condition, InSegment) else "condition"
        return Exit(name, condition=condition, place=node.place)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return CONDITION.schema(defs)


def _goal(fields: Fields) -> Any:
    event = fields.get("event")
    where = parse_where(fields.get("where"), (event,), fields.context) if "where" in fields else ()
    return INVALID if where is INVALID else Goal(event, where, fields.get("within"), fields.node.place)


GOAL = Shape(
    "goal",
    "The event that counts as success; who reaches it leaves as converted.",
    (
        Key("event", EventName(), "The event.", required=True),
        Key(
            "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
        ),
        Key(
            "within",
            Length(),
            "How long after entry it counts, its very end included, also after the last step.",
        ),
    ),
    _goal,
    check=check_where,
)


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
        fields.get("first_sale", False),
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


def _started_by(node: Node, words: Words) -> tuple[str, ...]:
    """Return the events that a journey's file says start it, whatever else may be wrong."""
    enter = node.get("enter") if isinstance(node, Mapping) else None
    if not isinstance(enter, Mapping):
        return ()
    return tuple(name for row in words.triggers.values() for name in row.starts(enter))


def _check_journey(fields: Fields) -> None:
    _check_basis(fields)
    _check_moved(fields)
    for step in walk(fields.get("steps", ())):
        step.check(fields)
    seen: dict[str, Place] = {}
    for id_ in _ids(fields.node.get("steps"), fields.context.words):
        first = seen.setdefault(id_.text, id_.place)
        if first is not id_.place:
            message = f"The id {shown(id_)} is used twice; first in line {first.line}."
            fields.context.say(id_, "T310", message, "Ids are unique in their journey.")


def _check_moved(fields: Fields) -> None:
    node, known = (
        fields.node.get("moved"),
        {id_.text for id_ in _ids(fields.node.get("steps"), fields.context.words)},
    )
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


def _ids(node: Node | None, words: Words) -> Iterator[Scalar]:
    """Yield the ids in a list of steps, those inside branches included, whatever else may be wrong."""
    for step in node.nodes if isinstance(node, Items) else [node]:
        if isinstance(step, Mapping):
            if isinstance(id_ := step.get("id"), Scalar) and id_.text:
                yield id_
            for inner in words.inner(step):
                yield from _ids(inner, words)


def _sent(node: Node | None, words: Words) -> Iterator[tuple[str, Place]]:
    """Yield the templates that a list of steps sends, those inside branches included, with the end of each such step."""
    for step in node.nodes if isinstance(node, Items) else [node]:
        if isinstance(step, Mapping):
            for template in words.sends(step):
                yield template, max(_places(step))
            for inner in words.inner(step):
                yield from _sent(inner, words)


def _places(node: Node) -> Iterator[Place]:
    yield node.place
    match node:
        case Mapping():
            for _, value in node.entries:
                yield from _places(value)
        case Items():
            for one in node.nodes:
                yield from _places(one)


class _JourneyFile(Shape):
    def parse(self, node: Node, context: Context) -> Any:
        """Parse the file, whose conditions may ask for what the event that starts it says, and for its own messages."""
        sends = dict[str, tuple[Place, ...]]()
        steps = node.get("steps") if isinstance(node, Mapping) else None
        for template, end in _sent(steps, context.words):
            sends[template] = (*sends.get(template, ()), end)
        started_by = _started_by(node, context.words)
        return super().parse(node, replace(context, started_by=started_by, sends=sends))


JOURNEY = _JourneyFile(
    "journey",
    "A journey: who enters, what happens, when it ends.",
    (
        Key("description", Text(), "What this journey is for, in a sentence.", required=True),
        Key(
            "category",
            Option(("promotional", "relational", "transactional")),
            "What its messages are for; decides on consent and limits.",
            required=True,
        ),
        Key(
            "basis",
            Option(("consent", "existing_customer")),
            "The legal ground; required unless transactional.",
        ),
        Key("enter", ENTER, "How customers come in.", required=True),
        Key(
            "exit",
            ListOf(_Exit()),
            "Leaves at once, wherever the customer stands; who meets a condition already is not let in.",
        ),
        Key("goal", GOAL, "The event that counts as success."),
        Key("holdout", Share(), "This share walks the same path and is sent nothing, for comparison."),
        Key(
            "in_flight",
            Option(("finish", "migrate", "exit")),
            "What happens to those inside when this file changes.",
        ),
        Key(
            "first_sale",
            Flag(),
            "`true`: it is meant to sell to those who have not bought yet, so `check` does not ask (T506).",
        ),
        Key("priority", Whole(0, 100), "Which journey's message wins where only one may go."),
        Key(
            "moved", _Moved(), "Steps that have another id now, the old id before the new: who stands there."
        ),
        Key("steps", Steps(), "What happens, in order.", required=True),
    ),
    _journey,
    check=_check_journey,
)
