"""What the rows of steps are made of: the keys that all steps have, lists of steps, values for templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treue.clock import Duration
from treue.language.conditions import CONDITION, UNDECLARED, scalar
from treue.language.grammar import (
    INVALID,
    Build,
    ChannelName,
    Fields,
    Key,
    Kind,
    ListOf,
    MapOf,
    OneOf,
    Shape,
    Text,
    shown,
)
from treue.language.source import Node, Scalar
from treue.language.steps import is_template
from treue.segments.tree import Scalar as Plain

STEP_ID = r"[a-z0-9]+(?:[-_][a-z0-9]+)*"
DEFAULT_VALID_FOR = Duration(days=1)
DEFAULT_HOLD = Duration(seconds=300)

STEP = OneOf("step", lambda words: words.steps, "a step")


@dataclass(frozen=True)
class Steps:
    """A list of steps, of at least so many."""

    least: int = 1
    noun: str = "a list of steps"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the parsed steps as a tuple."""
        return ListOf(STEP, single=False, least=self.least, noun=self.noun).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "array", "items": STEP.schema(defs), "minItems": self.least}


class PlainValue:
    """A text, a number, or true or false."""

    noun = "a text, a number, or true or false"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the scalar's own value."""
        if isinstance(node, Scalar) and node.value is not None:
            return node.value
        return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": ["string", "number", "boolean"]}


class _GivenValue(PlainValue):
    """A value that a template is given as it stands."""

    def parse(self, node: Node, context: Any) -> Any:
        """Return the scalar's own value; one with tags in it would be printed with them."""
        if isinstance(node, Scalar) and is_template(node.text):
            message = "A value in `data` is given to the template as it stands, and would be printed with its braces."
            return context.say(node, "T203", message, f"Write {shown(node)} in the template itself.")
        return super().parse(node, context)


STEPS_KEY = Key("steps", Steps(least=0), "What happens then; `[]` is nothing.", required=True)
ON_KEY = Key(
    "on",
    ListOf(ChannelName()),
    "The channel, or several: the first that reaches the customer.",
    required=True,
)
DATA_KEY = Key("data", MapOf(_GivenValue()), "Further values for the template.")
COMMON_KEYS = (
    Key(
        "id",
        Text("an id of small letters, digits and dashes", STEP_ID),
        "A name for this step, unique in the journey.",
    ),
    Key("if", CONDITION, "Skip this step unless this holds."),
)
"""The keys of every step."""

COMMON_EXAMPLES = {"id": "id: a-name", "if": "if: {consent: email}"}


def step_row(
    name: str,
    doc: str,
    kind: Kind,
    build: Build,
    *more: Key,
    least: str = "",
    examples: Mapping[str, str] | None = None,
) -> Shape:
    """Return the row of a step that leads with `name`; `least` and `examples` are those of its `Shape`."""
    keys = (Key(name, kind, doc, required=True), *more, *COMMON_KEYS)
    written = {**COMMON_EXAMPLES, **(examples or {})}
    return Shape(f"{name} step", doc, keys, build, "a step", least=least, examples=written)


def common(fields: Fields) -> dict[str, Any]:
    """Return what every step has, by name: its place, its id, and its `if`."""
    first = fields.node.entries[0][0].place if fields.node.entries else fields.node.place
    return {"place": first, "id": fields.get("id", ""), "when": fields.get("if")}


def leaf(fields: Fields) -> dict[str, Any]:
    """Return what every step has that is a stage as it stands."""
    found = common(fields)
    return found | {"line": found["place"].line, "to": None}


def plain_values(fields: Fields, name: str) -> tuple[tuple[str, Plain], ...]:
    """Return the values of a mapping, such as a message's `data`."""
    return tuple(fields.get(name, {}).items())


def typed_value(value: Node, type_: str, context: Any) -> Any:
    """Return a plain value of the declared type; a template's comes out when it is rendered."""
    found = PlainValue().parse(value, context)
    if found is INVALID or not isinstance(value, Scalar) or "{{" in value.text or type_ == UNDECLARED:
        return found
    return scalar(value, "text" if type_ == "list" else type_, context)
