"""`enter: {schedule: "0 9 * * MON", segment: NAME}` lets in who is in a segment at certain times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.clock import Duration
from treue.language.grammar import INVALID, Cron, Fields, Key, Option
from treue.language.triggers import Trigger, TriggerRow
from treue.language.words import Word
from treue.segments.tree import Condition


@dataclass(frozen=True)
class ScheduleTrigger(Trigger):
    """Brings the members of a named segment at the times of a cron expression, in the workspace's zone.

    `each_run` lets them in at every run, even those who have been in before.
    """

    schedule: str
    segment: Condition
    segment_name: str
    each_run: bool = False
    kind: Literal["schedule"] = "schedule"

    def words(self) -> str:
        """Return the segment and the cron expression in words."""
        return f"everyone in segment {self.segment_name}, at {self.schedule}"

    def cron(self) -> str:
        """Return its cron expression."""
        return self.schedule

    def segments(self) -> tuple[tuple[str, Condition], ...]:
        """Return the segment whose members it brings, by name."""
        return ((self.segment_name, self.segment),)

    @property
    def again(self) -> Duration | None:
        """How long after leaving members come again: at once with `each_run`, else never."""
        return Duration() if self.each_run else None


def _check(fields: Fields) -> None:
    if fields.written("schedule") and not fields.written("segment"):
        message = "A `schedule` needs a `segment`: who enters then?"
        fields.context.say(fields.at("schedule"), "T202", message)


def _build(fields: Fields) -> Any:
    name, node = fields.get("segment"), fields.node.get("segment")
    assert node is not None
    condition = fields.context.segment(name, node.place)
    if condition is None:
        return INVALID
    return ScheduleTrigger(fields.get("schedule"), condition, name, "each" in fields)


ROW = TriggerRow(
    Key(
        "schedule",
        Cron(),
        "Enter at these times (cron, in the workspace's time zone), also those missed; needs `segment`.",
    ),
    _build,
    "`schedule` with `segment`",
    (
        Key(
            "each",
            Option(("run",), "`run`"),
            "Everyone in the segment at every run of the `schedule`, also once more.",
        ),
    ),
    ("segment",),
    _check,
    {"each": 'Name the times: `schedule: "0 9 * * MON"`.'},
)
WORD = Word("trigger", {"schedule": ROW}, (ScheduleTrigger,))
