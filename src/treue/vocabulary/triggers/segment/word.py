"""`enter: {segment: NAME}` lets in who joins a segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.language.grammar import INVALID, Fields, Key, Text
from treue.language.triggers import Trigger, TriggerRow
from treue.language.words import Word
from treue.segments.tree import Condition


@dataclass(frozen=True)
class SegmentTrigger(Trigger):
    """Brings customers when they join a named segment, whose condition is carried along."""

    segment: Condition
    segment_name: str
    kind: Literal["segment"] = "segment"

    def words(self) -> str:
        """Return "joins segment", with its name."""
        return f"joins segment {self.segment_name}"

    def joined(self) -> Condition:
        """Return the segment's condition."""
        return self.segment

    def segments(self) -> tuple[tuple[str, Condition], ...]:
        """Return the segment that customers join, by name."""
        return ((self.segment_name, self.segment),)


def _build(fields: Fields) -> Any:
    name, node = fields.get("segment"), fields.node.get("segment")
    assert node is not None
    condition = fields.context.segment(name, node.place)
    return INVALID if condition is None else SegmentTrigger(condition, name)


ROW = TriggerRow(
    Key(
        "segment",
        Text("the name of a segment"),
        "Enter on joining this segment; with `schedule`, everyone in it then.",
    ),
    _build,
    "`segment`",
)
WORD = Word("trigger", {"segment": ROW}, (SegmentTrigger,))
