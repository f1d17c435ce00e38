"""`enter: {event: NAME}`, or several of them, lets in whom one of the events happens to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.language.conditions import check_where, parse_where, property_type
from treue.language.grammar import INVALID, EventName, Fields, Key, ListOf, Raw, Text
from treue.language.source import Items, Mapping, Scalar
from treue.language.triggers import Trigger, TriggerRow, fitting
from treue.language.words import Word
from treue.segments.tree import Property


@dataclass(frozen=True)
class EventTrigger(Trigger):
    """Brings customers when one of its events happens to them; with `per`, each value of a property has its own stay."""

    event: str | tuple[str, ...]
    where: tuple[Property, ...] = ()
    per: str | None = None
    kind: Literal["event"] = "event"

    def words(self) -> str:
        """Return the events, and what they must fit."""
        return " or ".join(self.events()) + fitting(self.where)

    def events(self) -> tuple[str, ...]:
        """Return the names of the events, one or several."""
        return (self.event,) if isinstance(self.event, str) else self.event

    def properties(self) -> tuple[Property, ...]:
        """Return the comparisons that the events' properties must pass."""
        return self.where

    def stays_for(self) -> str | None:
        """Return the property that tells stays apart."""
        return self.per


def _build(fields: Fields) -> Any:
    context, events = fields.context, tuple(dict.fromkeys(fields.get("event")))
    where = parse_where(fields.get("where"), events, context) if "where" in fields else ()
    per = fields.node.get("per")
    if isinstance(per, Scalar) and property_type(per, events, context) is INVALID:
        return INVALID
    event = events[0] if len(events) == 1 else events
    return INVALID if where is INVALID else EventTrigger(event, where, fields.get("per"))


def _starts(enter: Mapping) -> tuple[str, ...]:
    event = enter.get("event")
    nodes = event.nodes if isinstance(event, Items) else [event]
    return tuple(node.text for node in nodes if isinstance(node, Scalar))


ROW = TriggerRow(
    Key("event", ListOf(EventName()), "Enter when this event happens, or one of several."),
    _build,
    "`event`",
    (
        Key(
            "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
        ),
        Key("per", Text("the name of an event property"), "One stay for each value of this event property."),
    ),
    check=check_where,
    starts=_starts,
)
WORD = Word("trigger", {"event": ROW}, (EventTrigger,))
