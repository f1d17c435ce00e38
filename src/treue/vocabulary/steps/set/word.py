"""`set: {ATTRIBUTE: VALUE}` writes the customer's attributes; a value with `{{ … }}` is a template."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from treue.language.grammar import INVALID, MapOf, shown
from treue.language.problems import did_you_mean
from treue.language.source import Mapping, Node, Scalar
from treue.language.step_rows import PlainValue, leaf, step_row, typed_value
from treue.language.steps import LONG, Effort, Leaf, is_template
from treue.language.words import Word
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.segments.tree import Scalar as Plain


@dataclass(frozen=True)
class Set(Leaf):
    """Writes attributes."""

    effort: ClassVar[Effort] = LONG

    values: tuple[tuple[str, Plain], ...]
    kind: Literal["set"] = "set"

    def words(self) -> str:
        """Return each attribute with its value."""
        return "set " + ", ".join(f"{name} = {value}" for name, value in self.values)

    def likeness(self) -> Hashable:
        """Return the names of the attributes: a step that writes others is another step."""
        return self.kind, frozenset(self.sets())

    def sets(self) -> tuple[str, ...]:
        """Return the names of the attributes."""
        return tuple(name for name, _ in self.values)

    def templates(self) -> tuple[str, ...]:
        """Return the values that are templates."""
        return tuple(str(value) for _, value in self.values if is_template(value))

    @property
    def is_personal(self) -> bool:
        """Whether a value is a template."""
        return bool(self.templates())


class _Values:
    noun = "a mapping of attributes to values"

    def parse(self, node: Node, context: Any) -> Any:
        """Return attribute and value; the attribute must be declared and not one of the built-in columns."""
        if not isinstance(node, Mapping) or not node.entries:
            return MapOf(PlainValue(), least=1, noun=self.noun).parse(node, context)
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
        return typed_value(value, type_, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": PlainValue().schema(defs), "minProperties": 1}


ROW = step_row(
    "set",
    "Writes the customer's attributes.",
    _Values(),
    lambda fields: Set(**leaf(fields), values=fields.get("set", ())),
)
WORD = Word("step", {"set": ROW}, (Set,))
