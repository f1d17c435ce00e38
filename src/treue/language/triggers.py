"""The rows of `enter`: what brings customers into a journey, and who of them is let in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from treue.clock import Duration
from treue.language.conditions import CONDITION, DateAttribute, check_where, parse_where
from treue.language.grammar import (
    INVALID,
    Cron,
    EventName,
    Fields,
    Just,
    Key,
    Length,
    Raw,
    Shape,
    Text,
    TimeOfDay,
    Word,
    shown,
)
from treue.language.problems import did_you_mean, nearest
from treue.language.source import Node, Scalar
from treue.segments.tree import Condition, Property

KINDS = ("event", "schedule", "segment", "date", "manual")
YEARLY = ("birthday", "anniversary")
"""Attributes of these names, or ending in `_` and one of them, come round every year unless `every` says otherwise."""

DEFAULT_AT = "09:00"

_BELONGS = {
    "where": "event",
    "per": "event",
    "before": "date",
    "after": "date",
    "at": "date",
    "every": "date",
    "each": "schedule",
}
"""Keys that only one trigger has."""


@dataclass(frozen=True)
class OnDate:
    """The `date` trigger: the day an attribute names, or with `yearly` its anniversaries, moved by a duration.

    `type` is the attribute's: `date`, or `time`, whose local day counts. `at` is `HH:MM` on the customer's clock.
    """

    attribute: str
    type: str
    at: str
    yearly: bool
    before: Duration | None = None
    after: Duration | None = None


@dataclass(frozen=True)
class Enter:
    """How customers come into a journey: exactly one of event, segment, schedule (with segment), date or manual.

    `again` is None for never, a zero Duration for always, else how long after leaving. `each_run` lets in
    everyone in the segment at every run of the schedule.
    """

    event: str | None = None
    where: tuple[Property, ...] = ()
    segment: Condition | None = None
    segment_name: str | None = None
    schedule: str | None = None
    each_run: bool = False
    date: OnDate | None = None
    manual: bool = False
    when: Condition | None = None
    again: Duration | None = None
    per: str | None = None


def _again(node: Node, context: Any) -> Any:
    text = node.text if isinstance(node, Scalar) else ""
    if text in ("never", "always"):
        return None if text == "never" else Duration()
    if text[:1].isdigit():
        return Length().parse(node, context)
    near = nearest(text, ("never", "always"))
    return context.say(
        node,
        "T204",
        f"Here belongs `never`, `always` or a duration, not {shown(node)}.",
        f"Did you mean `{near}`?" if near else "Such as `again: 90d`: how long after leaving.",
    )


class _Again:
    noun = "`never`, `always` or a duration"

    def parse(self, node: Node, context: Any) -> Any:
        """Return None for never, nothing for always, else the duration, wrapped so that None is a value."""
        found = _again(node, context)
        return INVALID if found is INVALID else (found,)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [{"enum": ["never", "always"]}, Length().schema(defs)]}


def _enter(fields: Fields) -> Any:
    kinds = [kind for kind in KINDS if fields.written(kind)]
    for check in (_check_trigger, _check_belonging):
        if check(fields, kinds) is INVALID:
            return INVALID
    return _build_enter(fields)


def _check_trigger(fields: Fields, kinds: list[str]) -> Any:
    context, node = fields.context, fields.node
    if not kinds:
        return context.say(
            node,
            "T202",
            "Nothing starts this journey.",
            "`enter` needs `event`, `segment`, `schedule` with `segment`, `date`, or `manual: true`.",
        )
    if len(kinds) > 1 and kinds != ["schedule", "segment"]:
        first, other = kinds[0], kinds[-1]
        return context.say(
            fields.at(other),
            "T207",
            f"`{first}` and `{other}` do not go together.",
            "A journey has one trigger.",
        )
    if kinds == ["schedule"]:
        return context.say(fields.at("schedule"), "T202", "A `schedule` needs a `segment`: who enters then?")
    return None


def _check_belonging(fields: Fields, kinds: list[str]) -> Any:
    for key, kind in _BELONGS.items():
        if fields.written(key) and kind not in kinds:
            hint = 'Name the times: `schedule: "0 9 * * MON"`.' if key == "each" else None
            return fields.context.say(
                fields.at(key), "T207", f"`{key}` belongs to a{_n(kind)} `{kind}` trigger.", hint
            )
    return None


def _n(word: str) -> str:
    return "n" if word[0] in "aeiou" else ""


def check_moving(fields: Fields) -> None:
    """Say that a date is moved either before or after."""
    if fields.written("before") and fields.written("after"):
        message = "`before` and `after` do not go together."
        fields.context.say(fields.at("after"), "T207", message, "Leave one of them out.")


def _check(fields: Fields) -> None:
    check_where(fields)
    check_moving(fields)


def _build_enter(fields: Fields) -> Any:
    context = fields.context
    event, name = fields.get("event"), fields.get("segment")
    where = parse_where(fields.get("where"), event, context) if "where" in fields else ()
    per = fields.get("per")
    if per and per not in context.schema.events.get(event, {}):
        node = fields.node.get("per")
        assert node is not None
        hint = did_you_mean(per, context.schema.events.get(event, {}))
        return context.say(node, "T305", f"The event `{event}` has no property {shown(node)}.", hint)
    condition = None
    if name:
        node = fields.node.get("segment")
        assert node is not None
        condition = context.segment(name, node.place)
    if where is INVALID or (name and condition is None):
        return INVALID
    each_run = "each" in fields
    return Enter(
        event,
        where,
        condition,
        name,
        fields.get("schedule"),
        each_run,
        _on_date(fields),
        bool(fields.get("manual")),
        fields.get("if"),
        fields.get("again", (Duration() if each_run else None,))[0],
        per,
    )


def _on_date(fields: Fields) -> OnDate | None:
    if "date" not in fields:
        return None
    name, type_ = fields.get("date")
    every = fields.get("every", "year" if name.rpartition("_")[2] in YEARLY else "once")
    at = fields.get("at", DEFAULT_AT)
    return OnDate(name, type_, at, every == "year", fields.get("before"), fields.get("after"))


ENTER = Shape(
    "trigger",
    "How customers come into the journey.",
    (
        Key("event", EventName(), "Enter when this event happens."),
        Key(
            "where", Raw("an event's properties", {"type": "object"}), "Only events whose own properties fit."
        ),
        Key(
            "segment",
            Text("the name of a segment"),
            "Enter on joining this segment; with `schedule`, everyone in it then.",
        ),
        Key(
            "schedule", Cron(), "Enter at these times (cron, in the workspace's time zone); needs `segment`."
        ),
        Key(
            "each",
            Word(("run",), "`run`"),
            "Everyone in the segment at every run of the `schedule`, also once more.",
        ),
        Key("date", DateAttribute(), "Enter on the day this attribute names, such as a birthday."),
        Key("before", Length(), "Enter this long before that day."),
        Key("after", Length(), "Enter this long after that day."),
        Key("at", TimeOfDay(), "At this time of the customer's day (default 09:00)."),
        Key(
            "every",
            Word(("year", "once"), "`year` or `once`"),
            "`year`: on every anniversary (the default for a birthday or an anniversary), or `once`: on that day only.",
        ),
        Key("manual", Just(True), "Enter by command or HTTP call only."),
        Key("if", CONDITION, "Only customers for whom this holds at entry."),
        Key("again", _Again(), "`never` (the default), `always`, or how long after leaving."),
        Key("per", Text("the name of an event property"), "One stay for each value of this event property."),
    ),
    _enter,
    check=_check,
)
