"""The rows of `limits` and `quiet_hours`: the sales pressure a customer bears, across all journeys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from treue.clock import Duration
from treue.language.grammar import INVALID, Context, Fields, Key, Length, ListOf, Option, Shape, Whole, shown
from treue.language.problems import did_you_mean, listing
from treue.language.source import Items, Mapping, Node, Scalar
from treue.model.states import CHANNELS, Category

LIMITED = (Category.promotional.value, Category.relational.value)
"""The categories that limits are about; what a customer needs to know (transactional) is never held back."""

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_LOOSE = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))? *(?:-|–|to|bis) *(\d{1,2})(?:[:.h](\d{2}))?")


@dataclass(frozen=True)
class Limit:
    """At most `at_most` messages in any window as long as `per` (a day is 24 hours).

    `channel` and `category` narrow which messages are counted and held to it; None is all of them.
    """

    at_most: int
    per: Duration
    channel: str | None = None
    category: str | None = None
    when_over: Literal["postpone", "drop"] = "postpone"

    def __str__(self) -> str:
        about = (f" on {self.channel}" if self.channel else "") + (
            f", {self.category}" if self.category else ""
        )
        return f"{self.at_most} in {self.per}{about}"


class QuietHours(NamedTuple):
    """Local minutes of the day: quiet from `start` on until just before `end`, over midnight where it is earlier."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many minutes the quiet hours last."""
        return (self.end - self.start) % (24 * 60)

    def covers(self, clock: str) -> bool:
        """Whether it is quiet at a time of the day, written HH:MM."""
        hour, minute = map(int, clock.split(":"))
        return (hour * 60 + minute - self.start) % (24 * 60) < self.length

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in self)


@dataclass(frozen=True)
class Pressure:
    """All rules on how much a customer bears; false where there are none."""

    limits: tuple[Limit, ...] = ()
    quiet_hours: MappingType[str, QuietHours] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.limits or self.quiet_hours)


class _Hours:
    noun = 'hours such as `"20:00-08:00"`'

    def parse(self, node: Node, context: Context) -> Any:
        """Return `HH:MM-HH:MM` as QuietHours."""
        match = _HOURS.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match is None:
            return context.say(node, "T203", f"Here belong {self.noun}, not {shown(node)}.", _hint(node))
        hours = QuietHours(int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4]))
        if not hours.length:
            message = f"{shown(node)} begins and ends at the same time: is that never, or always?"
            return context.say(node, "T206", message, "Leave it out, or name a time when messages may go.")
        return hours

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": f"^{_HOURS.pattern}$".replace(r"\d", "[0-9]")}


def _hint(node: Node) -> str:
    match = _LOOSE.fullmatch(node.text.strip()) if isinstance(node, Scalar) else None
    if match and int(match[1]) <= 24 and int(match[3]) <= 24:
        first, last = (f"{int(match[n]) % 24:02d}:{match[n + 1] or '00'}" for n in (1, 3))
        return f'Write `"{first}-{last}"`.'
    return "Two local times with two digits each and a dash between them; they may cross midnight."


class _QuietHours:
    noun = 'a mapping of channels to hours such as `{sms: "20:00-08:00"}`'

    def parse(self, node: Node, context: Context) -> Any:
        """Return the QuietHours of each channel."""
        if not isinstance(node, Mapping):
            message = f"Here belongs {self.noun}, not {shown(node)}."
            return context.say(node, "T203", message, 'Name the channel: `{sms: "20:00-08:00"}`.')
        found = {key.text: _Hours().parse(value, context) for key, value in node.entries}
        for key, _ in node.entries:
            if key.text not in CHANNELS:
                message = f"There is no kind of channel {shown(key)}."
                found[key.text] = context.say(key, "T307", message, did_you_mean(key.text, CHANNELS))
        return INVALID if INVALID in found.values() else found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        hours = _Hours().schema(defs)
        return {
            "type": "object",
            "properties": {name: hours | {"description": f"When no {name} is sent."} for name in CHANNELS},
            "additionalProperties": False,
        }


class _Limited(Option):
    def parse(self, node: Node, context: Context) -> Any:
        """Return the category; say plainly that transactional messages know no limit."""
        if isinstance(node, Scalar) and node.text == Category.transactional.value:
            message = "Transactional messages are never limited: customers need them."
            return context.say(node, "T204", message, f"Known are {listing(LIMITED)}.")
        return super().parse(node, context)


def _limit(fields: Fields) -> Limit:
    return Limit(**{name: fields.get(name) for name in fields.values})


class _Limit(Shape):
    def _example(self, node: Node) -> str:
        return "Such as `{at_most: 3, per: 7d}`."


LIMIT = _Limit(
    "limit",
    "How many marketing messages a customer gets at most, over all journeys, in any window of a length.",
    (
        Key("at_most", Whole(1, 1000), "How many messages.", required=True),
        Key("per", Length(), "In how long; the window slides, and a day is 24 hours.", required=True),
        Key("channel", Option(CHANNELS), "Only messages on this channel; left out, on all."),
        Key("category", _Limited(LIMITED), "Only messages of this category; left out, both."),
        Key(
            "when_over",
            Option(("postpone", "drop")),
            "What becomes of one too many: it waits for room as long as its `valid_for` allows (the default), or is dropped.",
        ),
    ),
    _limit,
)

LIMITS = ListOf(LIMIT, noun="a list of limits")
QUIET_HOURS = _QuietHours()


def channels_named(settings: Mapping) -> Iterator[Scalar]:
    """Yield where the limits and quiet hours of a settings file name one of the kinds of channel."""
    limits, quiet = settings.get("limits"), settings.get("quiet_hours")
    entries = limits.nodes if isinstance(limits, Items) else [limits]
    named = [entry.get("channel") for entry in entries if isinstance(entry, Mapping)]
    named += [key for key, _ in quiet.entries] if isinstance(quiet, Mapping) else []
    yield from (node for node in named if isinstance(node, Scalar) and node.text in CHANNELS)
