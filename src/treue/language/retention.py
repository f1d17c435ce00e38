"""The rows of `retention`: how long what is over is kept, before `treue db vacuum` deletes it."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from treue.clock import Duration
from treue.language.grammar import INVALID, Context, Fields, Key, Length, Shape, shown
from treue.language.problems import nearest
from treue.language.source import Node, Scalar

FOREVER = "forever"
LEAST = timedelta(days=1)
_YEAR = Duration(months=12)
_QUARTER = Duration(days=90)


@dataclass(frozen=True)
class Retention:
    """How long each kind of row is kept once it is over; None is for ever."""

    events: Duration | None = None
    stays: Duration | None = None
    messages: Duration | None = None
    receipts: Duration | None = _YEAR
    trace: Duration | None = _YEAR
    changes: Duration | None = _QUARTER

    def cuts(self, now: datetime, zone: str) -> MappingType[str, datetime]:
        """Return before which instant rows are old, for the kinds that are not kept for ever."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: length.before(now, zone) for name, length in kept.items() if length is not None}


class _Kept:
    noun = "a duration such as `2y`, or `forever`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the Duration, or None for ever, wrapped so that None is a value."""
        text = node.text if isinstance(node, Scalar) else ""
        if text == FOREVER:
            return (None,)
        if text and not text[:1].isdigit() and nearest(text, (FOREVER, "for ever", "never", "always")):
            hint = f"Did you mean `{FOREVER}`?"
            return context.say(node, "T204", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        found = Length().parse(node, context)
        if found is INVALID:
            return INVALID
        if found.roughly < LEAST:
            message = f"{shown(node)} is shorter than a day."
            return context.say(node, "T206", message, "Old rows are deleted once a day.")
        return (found,)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [{"enum": [FOREVER]}, Length().schema(defs)]}


def _retention(fields: Fields) -> Retention:
    return Retention(**{name: value for name, (value,) in fields.values.items()})


RETENTION = Shape(
    "retention",
    "How long rows are kept once they are over. What a condition, a window, `again` or a message still needs stays longer.",
    (
        Key(
            "events",
            _Kept(),
            "What customers did, since we heard of it (default: `forever`). What is said on consent always stays.",
        ),
        Key("stays", _Kept(), "Stays in journeys, since they ended (default: `forever`)."),
        Key("messages", _Kept(), "Messages that were sent or refused, since then (default: `forever`)."),
        Key("receipts", _Kept(), "What providers tell of messages, in their own words (default: `1y`)."),
        Key(
            "trace",
            _Kept(),
            "Why what was decided, as `treue why` shows it, since a stay ended (default: `1y`).",
        ),
        Key(
            "changes", _Kept(), "What records said before, by which late decisions are made (default: `90d`)."
        ),
    ),
    _retention,
)
