"""`emit: EVENT` records an event about the customer; other journeys may start on it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from treue.language.grammar import INVALID, EventName, Fields, Key, MapOf, shown
from treue.language.problems import did_you_mean
from treue.language.source import Mapping
from treue.language.step_rows import PlainValue, leaf, step_row, typed_value
from treue.language.steps import LONG, Effort, Leaf, is_template
from treue.language.words import Word
from treue.segments.tree import Scalar as Plain


@dataclass(frozen=True)
class Emit(Leaf):
    """Records an event."""

    effort: ClassVar[Effort] = LONG

    event: str
    data: tuple[tuple[str, Plain], ...]
    kind: Literal["emit"] = "emit"

    def words(self) -> str:
        """Return "emit", with the event."""
        return f"emit {self.event}"

    def likeness(self) -> Hashable:
        """Return the event: a step that emits another one is another step."""
        return self.kind, self.event

    def emits(self) -> tuple[str, ...]:
        """Return the event it records."""
        return (self.event,)

    def templates(self) -> tuple[str, ...]:
        """Return the values that are templates."""
        return tuple(str(value) for _, value in self.data if is_template(value))

    @property
    def is_personal(self) -> bool:
        """Whether a property is a template."""
        return bool(self.templates())


def _build(fields: Fields) -> Any:
    found = _data(fields)
    if INVALID in found.values():
        return INVALID
    return Emit(**leaf(fields), event=fields.get("emit"), data=tuple(found.items()))


def _data(fields: Fields) -> dict[str, Any]:
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
            found[key.text] = typed_value(value, type_, context)
    return found


ROW = step_row(
    "emit",
    "Records an event about the customer.",
    EventName(),
    _build,
    Key("data", MapOf(PlainValue()), "The event's properties."),
)
WORD = Word("step", {"emit": ROW}, (Emit,))
