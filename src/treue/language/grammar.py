"""The kinds of thing a file may hold. One table of rows made of these gives parser, JSON Schema and reference.

A kind parses a located node into a plain value (or `INVALID`, after saying why) and describes itself as JSON
Schema. Nothing is raised: a file with ten mistakes reports ten.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from treue.clock import known_zone, parse_duration, parse_instant
from treue.language import examples
from treue.language.problems import MOST_IN_A_FILE, Place, Problems, did_you_mean, listing, nearest
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.words import Words
from treue.model.states import CHANNELS
from treue.segments.tree import Condition

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class _Invalid:
    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Any = _Invalid()
"""What `parse` returns where the node was wrong and the reason has been added to the problems."""


@dataclass(frozen=True)
class Reference:
    """A name in one file that must exist elsewhere; checked once the whole workspace is loaded."""

    kind: str
    name: str
    place: Place
    detail: str = ""


class Anything(dict[str, Any]):
    """Declarations of which some cannot be told: every name is there, those not declared as `else_`."""

    def __init__(self, known: MappingType[str, Any], else_: Any) -> None:
        super().__init__(known)
        self.else_ = else_

    def __missing__(self, name: str) -> Any:
        return self.else_

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is declared, or what stands for the unknown."""
        return self[name]


@dataclass(frozen=True)
class Schema:
    """What `treue.yaml` declares: attributes and events with their types, the channels, and where calls may go.

    `calls` is None where that cannot be told. `required` are the attributes that no customer lacks, `required_of` the
    properties that none of an event lacks, by its name.
    """

    attributes: MappingType[str, str] = field(default_factory=dict)
    events: MappingType[str, MappingType[str, str]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    calls: tuple[str, ...] | None = None
    required: frozenset[str] = frozenset()
    required_of: MappingType[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Context:
    """What parsing one file needs to know and leaves behind."""

    problems: Problems
    schema: Schema = field(default_factory=Schema)
    segment: Callable[[str, Place], Condition | None] = lambda name, place: None  # noqa: ARG005
    started_by: tuple[str, ...] | None = None
    """The events that start the journey being read, none where something else does; None outside of journeys."""
    sends: MappingType[str, tuple[Place, ...]] | None = None
    """The templates that the journey being read sends, each with the ends of the steps that do; None outside of journeys.

    What stands before the end of the only such step is asked before its message goes."""
    references: list[Reference] = field(default_factory=list)
    required: bool = True
    """Whether the key whose value is read next has to be there."""
    words: Words = field(kw_only=True)

    def say(self, node: Node, code: str, message: str, suggestion: str | None = None) -> Any:
        """Add a problem at a node and return INVALID."""
        self.problems.add(node.place, code, message, suggestion)
        return INVALID


class Definitions(dict[str, Any]):
    """The shared shapes of a JSON Schema as they are collected, and the words that files may hold."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.words = words


class Kind(Protocol):
    """One kind of value."""

    @property
    def noun(self) -> str:
        """What belongs here, for sentences."""

    def parse(self, node: Node, context: Context) -> Any:
        """Return the value, or INVALID after saying why."""

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema; shared shapes go into `defs`."""


def plain_name(text: str, joint: str = "-") -> str:
    """Return a text as a name: small letters without marks (ä is ae, é is e) and digits, joined by `joint`."""
    marked = unicodedata.normalize("NFKD", text.lower().translate(_UMLAUTS))
    bare = "".join(letter for letter in marked if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", joint, bare).strip(joint)


def reshaped(text: str, pattern: str) -> str | None:
    """Return a suggestion: the text in small letters, with dashes or underscores, where that fits the pattern."""
    for joint in ".-_":
        name = plain_name(text[:80], joint)
        if re.fullmatch(pattern, name):
            return f"Did you mean `{name}`?"
    return None


def say_empty(node: Node, context: Context) -> Any:
    """Say that a list is empty and return INVALID."""
    hint = "Put something into it." if context.required else "Put something into it, or leave the key out."
    return context.say(node, "T203", "This list is empty.", hint)


def shown(node: Node) -> str:
    """Return the text of a node, shortened to fit a sentence."""
    if isinstance(node, Scalar):
        text = " ".join(node.text[:200].split())
        return "nothing" if not text else f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"
    return "a list" if isinstance(node, Items) else "a mapping"


def _patterned(pattern: str, noun: str) -> dict[str, Any]:
    """Return a pattern, and the sentence that YAML editors show where a text does not fit it."""
    return {"pattern": pattern, "patternErrorMessage": f"Here belongs {noun}."}


@dataclass(frozen=True)
class Text:
    """Any text. A number or a word such as `no` stays the text it was written as."""

    noun: str = "a text"
    pattern: str | None = None
    may_be_empty: bool = False

    def parse(self, node: Node, context: Context) -> Any:
        """Return the text as it was written."""
        if not isinstance(node, Scalar) or node.value is None or not (node.text.strip() or self.may_be_empty):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            return context.say(node, "T208", f"{shown(node)} is not {self.noun}.", self.hint(node.text))
        return node.text

    def hint(self, text: str) -> str | None:
        """Return what may have been meant by a text that does not fit the pattern."""
        return reshaped(text, self.pattern) if self.pattern else None

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        found: dict[str, Any] = {"type": ["string", "number", "boolean"]}
        return found | _patterned(f"^{self.pattern}$", self.noun) if self.pattern else found


@dataclass(frozen=True)
class Flag:
    """`true` or `false`."""

    noun: str = "`true` or `false`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return True or False."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        hint = "Write `true` or `false` without quotes."
        if isinstance(node, Scalar) and node.text.lower() in ("yes", "on", "no", "off"):
            hint = f"Write `{'true' if node.text.lower() in ('yes', 'on') else 'false'}`."
        return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Just:
    """One fixed value, such as the `true` of `stop: true`."""

    value: bool
    noun: str = "`true`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the one value that is allowed."""
        if isinstance(node, Scalar) and node.value is self.value:
            return self.value
        return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"const": self.value}


@dataclass(frozen=True)
class Whole:
    """A whole number in a range, both ends included."""

    least: int
    most: int
    noun: str = "a whole number"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the integer, within its bounds."""
        if not isinstance(node, Scalar) or not isinstance(node.value, int) or isinstance(node.value, bool):
            hint = self.hint(node) if isinstance(node, Scalar) else None
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        if not self.least <= node.value <= self.most:
            return context.say(node, "T206", f"{shown(node)} is out of range: {self.least} to {self.most}.")
        return node.value

    def hint(self, node: Scalar) -> str | None:
        """Return the whole number that a text such as `10%` most likely means."""
        digits = re.match(r"\d{1,9}(?= *%?$)", node.text)
        return f"Write `{int(digits[0])}`." if digits else None

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number:
    """A number."""

    noun: str = "a number"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the number, an integer or not."""
        if (
            isinstance(node, Scalar)
            and isinstance(node.value, (int, float))
            and not isinstance(node.value, bool)
        ):
            return node.value
        return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "number"}


@dataclass(frozen=True)
class Share:
    """A percentage such as `10%`, as parts of ten thousand."""

    noun: str = "a percentage such as `10%`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the percentage in parts of ten thousand."""
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,2})?) ?%", node.text) if isinstance(node, Scalar) else None
        if not match:
            hint = _share_hint(node)
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        parts = round(float(match[1]) * 100)
        if parts > 10_000:
            return context.say(node, "T206", f"{shown(node)} is out of range: 0% to 100%.")
        return parts

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string"} | _patterned(r"^\d{1,3}(\.\d{1,2})? ?%$", self.noun)


def _share_hint(node: Node) -> str | None:
    """Return the percentage that a number without its sign means: `0.1` is a tenth, `10` ten of a hundred."""
    if (
        not isinstance(node, Scalar)
        or isinstance(node.value, bool)
        or not isinstance(node.value, (int, float))
    ):
        return None
    if 0 < node.value < 1:
        return f"Write `{round(100 * node.value, 2):g}%`."
    return f"Write `{node.text}%`."


@dataclass(frozen=True)
class Length:
    """A duration such as `2d` or `1d 12h`."""

    noun: str = "a duration such as `2d` or `1d 12h`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the text as a Duration."""
        if not isinstance(node, Scalar) or node.value is None or not node.text.strip():
            return context.say(node, "T205", f"Here belongs {self.noun}, not {shown(node)}.")
        found = parse_duration(node.text)
        if found is None:
            return context.say(node, "T205", f"{shown(node)} is not a duration.", _duration_hint(node))
        if not found:
            return context.say(
                node, "T206", "A duration of nothing has no effect.", "Leave it out, or name a length."
            )
        if found.months > 1200 or found.days > 36_500 or found.seconds > 3_153_600_000:
            return context.say(node, "T206", f"{shown(node)} is longer than a hundred years.")
        return found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        pattern = _patterned(r"^\d+(min|mo|[smhdwy])( \d+(min|mo|[smhdwy]))*$", self.noun)
        return {"type": "string", "examples": ["2d", "1d 12h"]} | pattern


_UNITS = ("s", "m", "min", "h", "d", "w", "mo", "y")
_SPELT = {"sec": "s", "min": "min", "ho": "h", "hr": "h", "da": "d", "we": "w", "mo": "mo", "ye": "y"}


def _duration_hint(node: Scalar) -> str:
    if re.fullmatch(r"\d{1,6}", node.text):
        return f"Name the unit: `{node.text}d` for days, `{node.text}h` for hours."
    if match := re.fullmatch(r"(\d{1,6}) *M", node.text):
        return f"Write `{match[1]}mo` for months, `{match[1]}min` for minutes."
    words = re.sub(r",| and ", " ", node.text[:60])
    spelt = re.findall(r"(\d{1,6}) *([a-zA-Z]+)", words)
    units = [_unit(word.lower()) for _, word in spelt]
    if spelt and all(units) and not re.sub(r"\d{1,6} *[a-zA-Z]+", "", words).strip():
        together = " ".join(f"{count}{unit}" for (count, _), unit in zip(spelt, units, strict=True))
        return f"Write `{together}`."
    return "Write a number and one of `s`, `min`, `h`, `d`, `w`, `mo`, `y`, such as `2d` or `1d 12h`."


def _unit(word: str) -> str | None:
    if word in _UNITS:
        return word
    return next((unit for start, unit in _SPELT.items() if word.startswith(start)), None)


@dataclass(frozen=True)
class Option:
    """One of a few words."""

    words: tuple[str, ...]
    noun: str = "one of a few words"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the word, one of those that are allowed."""
        if isinstance(node, Scalar) and node.text in self.words:
            return node.text
        if isinstance(node, Scalar) and node.text:
            near = nearest(node.text, self.words)
            hint = f"Did you mean `{near}`?" if near else None
            return context.say(node, "T204", f"{shown(node)} is not {self._words()}.", hint)
        return context.say(node, "T203", f"Here belongs {self._words()}, not {shown(node)}.")

    def _words(self) -> str:
        return f"{'one of ' if len(self.words) > 1 else ''}{listing(self.words)}"

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Name:
    """A reference to something by name: a template, a journey. Checked when the workspace is whole."""

    to: str
    noun: str = "a name"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the name, and remember to check that it exists."""
        if not isinstance(node, Scalar) or node.value is None:
            return context.say(node, "T203", f"Here belongs the name of a {self.to}, not {shown(node)}.")
        context.references.append(Reference(self.to, node.text, node.place))
        return node.text

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "description": f"The name of a {self.to}."}


@dataclass(frozen=True)
class EventName:
    """The name of an event declared in `treue.yaml`, or of a built-in one."""

    noun: str = "the name of an event"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the name of a declared event."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        if node.text not in context.schema.events:
            declare = "Declare it under `events` in treue.yaml."
            hint = did_you_mean(node.text, context.schema.events, declare)
            return context.say(node, "T303", f"There is no event {shown(node)}.", hint)
        return node.text

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "description": "The name of an event."}


@dataclass(frozen=True)
class ChannelName:
    """A channel that `treue.yaml` sets up."""

    noun: str = "a channel"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the name of a channel that is set up."""
        if not isinstance(node, Scalar) or node.value is None:
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        if node.text not in context.schema.channels:
            set_up = "Set it up under `channels` in treue.yaml." if node.text in CHANNELS else None
            hint = did_you_mean(node.text, context.schema.channels, set_up)
            return context.say(node, "T307", f"There is no channel {shown(node)}.", hint)
        return node.text

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "examples": ["email", "sms", "push"]}


@dataclass(frozen=True)
class Zone:
    """An IANA time zone."""

    noun: str = "a time zone such as `Europe/Berlin`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the name of a known time zone."""
        if not isinstance(node, Scalar) or node.value is None or not node.text.strip():
            return context.say(node, "T210", f"Here belongs {self.noun}, not {shown(node)}.")
        if known_zone(node.text):
            return node.text
        from zoneinfo import available_timezones

        hint = did_you_mean(node.text, available_timezones())
        return context.say(
            node, "T210", f"{shown(node)} is not a time zone.", hint or "Use a name such as `Europe/Berlin`."
        )

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "examples": ["Europe/Berlin"]}


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields, in the workspace's time zone."""

    noun: str = "a cron expression such as `0 9 * * MON`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the cron expression as written, once it is known to come due."""
        from datetime import UTC, datetime

        from cronsim import CronSim, CronSimError

        if not isinstance(node, Scalar) or node.value is None or not node.text.strip():
            return context.say(node, "T209", f"Here belongs {self.noun}, not {shown(node)}.")
        if len(node.text) < 200 and len(node.text.split()) == 5:
            try:
                next(CronSim(node.text, datetime(2024, 1, 1, tzinfo=UTC)))
            except (CronSimError, StopIteration, ValueError, AssertionError, TypeError):
                pass  # cronsim lets some of these through where a field is nonsense
            else:
                return node.text
        hint = (
            "Five fields: minute, hour, day of the month, month, weekday; Mondays at nine are `0 9 * * MON`."
        )
        return context.say(node, "T209", f"{shown(node)} is not a cron expression.", hint)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "examples": ["0 9 * * MON"]}


@dataclass(frozen=True)
class TimeOfDay:
    """A time of the day such as `09:00`, on the 24-hour clock."""

    noun: str = "a time of the day such as `09:00`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the time as `HH:MM`."""
        text = node.text if isinstance(node, Scalar) else ""
        if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
            return text
        return context.say(node, "T213", f"Here belongs {self.noun}, not {shown(node)}.", _time_hint(text))

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "examples": ["09:00"]}


def _time_hint(text: str) -> str:
    match = re.fullmatch(r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})? *(am|pm|uhr|h)?", text.strip().lower())
    if match:
        hour, minute = int(match[1]), int(match[2] or 0)
        hour = hour % 12 + 12 * (match[3] == "pm") if match[3] in ("am", "pm") and hour <= 12 else hour
        if hour < 24 and minute < 60:
            return f"Write `{hour:02}:{minute:02}`."
    return "Two digits for the hour, from 00 to 23, and two for the minute."


@dataclass(frozen=True)
class ListOf:
    """A list of one kind; a single value counts as a list of one where `single` allows it."""

    of: Kind
    single: bool = True
    least: int = 1
    noun: str = "a list"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the parsed items as a tuple."""
        if isinstance(node, Items):
            if len(node.nodes) < self.least:
                return say_empty(node, context)
            values = [self.of.parse(item, context) for item in node.nodes]
            return INVALID if INVALID in values else tuple(values)
        if self.single:
            value = self.of.parse(node, context)
            return INVALID if value is INVALID else (value,)
        return context.say(
            node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", "Begin each entry with `- `."
        )

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        items = self.of.schema(defs)
        many = {"type": "array", "items": items, "minItems": self.least}
        return {"anyOf": [items, many]} if self.single else many


_COUNTS = ("none", "one", "two")


@dataclass(frozen=True)
class MapOf:
    """A mapping from names of one's own choosing to one kind."""

    of: Kind
    key_pattern: str = r"(?s).+"
    key_noun: str = "a name"
    least: int = 0
    noun: str = "a mapping"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the parsed values by key."""
        if not isinstance(node, Mapping):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        if len(node.entries) < self.least:
            return context.say(node, "T203", f"Here belongs {self.noun}, at least {_COUNTS[self.least]}.")
        found: dict[str, Any] = {}
        for key, value in node.entries:
            found[key.text] = self.of.parse(value, context)
            if not re.fullmatch(self.key_pattern, key.text):
                hint = reshaped(key.text, self.key_pattern)
                found[key.text] = context.say(key, "T208", f"{shown(key)} is not {self.key_noun}.", hint)
        return INVALID if INVALID in found.values() else found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": self.of.schema(defs)}


@dataclass(frozen=True)
class Raw:
    """A value whose type depends on its neighbours; the shape that holds it looks at the node itself."""

    noun: str = "a value"
    forms: MappingType[str, Any] = field(default_factory=dict)

    def parse(self, node: Node, context: Context) -> Any:
        """Return the node unparsed."""
        return node

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return dict(self.forms)


@dataclass(frozen=True)
class Later:
    """A part of the language whose engine is not there yet: said plainly instead of being ignored.

    A key that only goes with another one, `beside`, is not said again where that stands beside it.
    """

    beside: str = ""
    noun: str = "something that comes later"

    def parse(self, node: Node, context: Context) -> Any:
        """Say that it comes later; `node` is the key that stands for it."""
        return context.say(node, "T211", f"{shown(node)} comes with a later version of Treue.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"not": {}}


@dataclass(frozen=True)
class Key:
    """One row of the table: a key, what it holds, and its sentence for hover text and reference."""

    name: str
    kind: Kind
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Fields:
    """The parsed values of one mapping. A key that is absent or was invalid is not in it."""

    node: Mapping
    values: MappingType[str, Any]
    context: Context

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """Return the parsed value, or `default` where the key is absent or invalid."""
        return self.values.get(name, default)

    def written(self, name: str) -> bool:
        """Whether the key stands in the file, valid or not."""
        return self.node.key(name) is not None

    def at(self, name: str) -> Scalar | Mapping:
        """Return the key's own node, for problems about it."""
        return self.node.key(name) or self.node


Build = Callable[[Fields], Any]
Check = Callable[[Fields], None]


@dataclass(frozen=True)
class Shape:
    """A mapping with known keys."""

    name: str
    doc: str
    keys: tuple[Key, ...]
    build: Build
    called: str = ""
    check: Check = lambda fields: None  # noqa: ARG005
    """Says what is wrong between the keys; also called where some of them are wrong, and so not in `fields`."""
    least: str = ""
    """The inside of a mapping with all that the shape requires."""
    examples: MappingType[str, str] = field(default_factory=dict)
    """How keys are written: as a fragment beside what the shape requires, or in braces as a whole mapping."""

    def parse(self, node: Node, context: Context) -> Any:
        """Check the keys, parse each value, and build."""
        if not isinstance(node, Mapping):
            message = f"Here belongs {self.noun}, not {shown(node)}."
            return context.say(node, "T203", message, self._example(node))
        before = len(context.problems)
        fields = Fields(node, self._values(node, context), context)
        self.check(fields)
        valid = len(fields.values) == len(node.entries) and len(context.problems) == before
        return self.build(fields) if valid else INVALID

    def _values(self, node: Mapping, context: Context) -> dict[str, Any]:
        rows = {key.name: key for key in self.keys}
        unknown = [key for key, _ in node.entries if key.text not in rows][: MOST_IN_A_FILE + 1]
        for key in unknown:
            message = f"There is no key {shown(key)} in {self.doc_name}."
            context.say(key, "T201", message, did_you_mean(key.text, rows))
        self._say_missing(node, {nearest(key.text, rows) for key in unknown}, context)
        parsed = {
            key.text: self._value(rows[key.text], key, value, node, context)
            for key, value in node.entries
            if key.text in rows
        }
        return {name: value for name, value in parsed.items() if value is not INVALID}

    def _value(self, row: Key, key: Scalar, value: Node, node: Mapping, context: Context) -> Any:
        kind, context.required = row.kind, row.required
        if not isinstance(kind, Later):
            return kind.parse(value, context)
        return INVALID if node.key(kind.beside) is not None else kind.parse(key, context)

    def _say_missing(self, node: Mapping, misspelt: set[str | None], context: Context) -> None:
        for row in self.keys:
            if row.required and node.key(row.name) is None and row.name not in misspelt:
                hint = f"`{row.name}:` {row.doc[:1].lower()}{row.doc[1:]}"
                if isinstance(row.kind, Option) and f"`{row.kind.words[0]}`" not in row.doc:
                    hint = f"{hint} Write one of {listing(row.kind.words)}."
                context.say(node, "T202", f"The key `{row.name}` is missing in {self.doc_name}.", hint)

    @property
    def noun(self) -> str:
        """What belongs here, for sentences."""
        return self.called or self.doc_name

    @property
    def doc_name(self) -> str:
        """The shape's name with its article, as sentences need it."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    def example(self, key: str) -> str | None:
        """Return how a key is written, or None where no example is known."""
        known = {**examples.EXAMPLES.get(self.name, {}), **self.examples}
        return known.get(key) or examples.fragment(self._least(), key)

    def sample(self, key: str) -> str:
        """Return a mapping that the shape accepts and in which the key stands."""
        shown, least = self.example(key) or "", self._least()
        if shown.startswith("{"):
            return shown
        return f"{{{least}}}" if key in examples.keys(least) else f"{{{least}, {shown}}}"

    def _least(self) -> str:
        return self.least or examples.WHOLE.get(self.name, "")

    def _hover(self, key: Key) -> str:
        """Return what an editor shows while the pointer rests on a key."""
        written = self.example(key.name)
        return f"{key.doc}\n\nExample: `{written}`" if written else key.doc

    def _example(self, node: Node) -> str:
        first = next((key for key in self.keys if key.required), self.keys[0])
        written = node.text if isinstance(node, Scalar) and 0 < len(node.text) < 40 else "…"
        return f"Such as `{first.name}: {written}`."

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to the shape in `defs`."""
        ref = {"$ref": f"#/$defs/{self.name.replace(' ', '-')}"}
        if (slot := self.name.replace(" ", "-")) not in defs:
            defs[slot] = {}
            rows = [key for key in self.keys if not isinstance(key.kind, Later)]
            properties = {key.name: key.kind.schema(defs) | {"description": self._hover(key)} for key in rows}
            defs[slot] = {
                "type": "object",
                "description": self.doc,
                "properties": properties,
                "required": [key.name for key in rows if key.required],
                "additionalProperties": False,
            }
        return ref


@dataclass(frozen=True)
class LaterShape:
    """A mapping whose engine is not there yet: read and checked like any other, then said to come later.

    Its first key is the leading one. Editors and the reference leave it out.
    """

    shape: Shape
    noun: str = "something that comes later"

    def parse(self, node: Node, context: Context) -> Any:
        """Say all that is wrong in it, and at the leading key that it comes later."""
        self.shape.parse(node, context)
        leading = node.key(self.shape.keys[0].name) if isinstance(node, Mapping) else None
        return INVALID if leading is None else Later().parse(leading, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"not": {}}


@dataclass(frozen=True)
class OneOf:
    """Several shapes told apart by their leading key, such as the steps and the conditions."""

    name: str
    shapes: Callable[[Words], MappingType[str, Kind]]
    noun: str
    bare_list: Callable[[Sequence[Any]], Any] | None = None

    def parse(self, node: Node, context: Context) -> Any:
        """Find the shape by its leading key and let it parse."""
        if isinstance(node, Items) and self.bare_list is not None:
            return self._all(node, self.bare_list, context)
        shapes = self.shapes(context.words)
        if not isinstance(node, Mapping):
            hint = self._colon(node, shapes) or f"It begins with {_either(shapes)}."
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        leading = [key for key, _ in node.entries if key.text in shapes]
        if not leading:
            return self._unknown(node, shapes, context)
        first = min(leading, key=lambda key: list(shapes).index(key.text))
        shape = shapes[first.text]
        whole = shape.shape if isinstance(shape, LaterShape) else shape
        rows = {key.name for key in whole.keys} if isinstance(whole, Shape) else set(shapes)
        for other in leading:
            if other.text not in rows:
                message = f"`{first.text}` and `{other.text}` cannot stand in one {self.name}."
                return context.say(other, "T207", message, "Make a list of them, each with its own `- `.")
        return shape.parse(first if isinstance(shape, Later) else node, context)

    def _all(self, node: Items, build: Callable[[Sequence[Any]], Any], context: Context) -> Any:
        if not node.nodes:
            return say_empty(node, context)
        values = [self.parse(item, context) for item in node.nodes]
        return INVALID if INVALID in values else build(values)

    def _colon(self, node: Node, shapes: MappingType[str, Kind]) -> str | None:
        first, _, rest = node.text[:80].partition(" ") if isinstance(node, Scalar) else ("", "", "")
        near = nearest(first, shapes) if first else None
        value = rest.strip(" :") or ("true" if near == "stop" else "…")
        return f"Write `{near}: {value}`." if near else None

    def _unknown(self, node: Mapping, shapes: MappingType[str, Kind], context: Context) -> Any:
        for key, _ in node.entries:
            if near := nearest(key.text, shapes):
                message = f"There is no {self.name} {shown(key)}."
                return context.say(key, "T201", message, f"Did you mean `{near}`?")
        at = node.entries[0][0] if node.entries else node
        hint = self._without_leading(node, shapes) or f"It begins with {_either(shapes)}."
        return context.say(at, "T201", f"This is not {self.noun}.", hint)

    def _without_leading(self, node: Mapping, shapes: MappingType[str, Kind]) -> str | None:
        """Return what is missing where the keys are those of one shape only, without its leading one."""
        written = [key.text for key, _ in node.entries]
        fitting = [
            leading
            for leading, shape in shapes.items()
            if isinstance(shape, Shape) and {key.name for key in shape.keys}.issuperset(written)
        ]
        if not written or len(fitting) != 1:
            return None
        add = f"Add `{fitting[0]}: …` to it"
        return (
            f"{add}."
            if self.bare_list
            else f"{add}; if it belongs to the {self.name} above, take away its `- `."
        )

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to the union in `defs`.

        The leading key decides which shape holds (`if` … `then`), so that an editor offers all leading keys and
        says what is wrong with the one that was meant, instead of naming every shape that does not fit.
        """
        ref = {"$ref": f"#/$defs/{self.name}"}
        if self.name not in defs:
            defs[self.name] = {}
            assert isinstance(defs, Definitions)
            rows = self.shapes(defs.words)
            shapes = {name: kind for name, kind in rows.items() if isinstance(kind, Shape)}
            one = {
                "type": "object",
                "properties": {name: {"description": shape.doc} for name, shape in shapes.items()},
                "anyOf": [{"required": [name]} for name in shapes],
                "allOf": [_where_it_leads(name, shapes, defs) for name in shapes],
            }
            many = {"type": "array", "items": ref, "minItems": 1}
            defs[self.name] = (
                one if self.bare_list is None else {"if": {"type": "array"}, "then": many, "else": one}
            )
        return ref


def _where_it_leads(name: str, shapes: MappingType[str, Shape], defs: dict[str, Any]) -> dict[str, Any]:
    """Return the shape a leading key stands for, unless an earlier one is there that has it as a further key."""
    names = list(shapes)
    earlier = [
        other for other in names[: names.index(name)] if name in {key.name for key in shapes[other].keys}
    ]
    leads: dict[str, Any] = {"required": [name]}
    if earlier:
        leads["not"] = {"anyOf": [{"required": [other]} for other in earlier]}
    return {"if": leads, "then": shapes[name].schema(defs)}


def _either(shapes: MappingType[str, Kind]) -> str:
    names = [f"`{name}`" for name, shape in shapes.items() if not isinstance(shape, Later | LaterShape)]
    return f"{', '.join(names[:6])} or {'another' if len(names) > 6 else 'nothing else'}"


def as_date(text: str) -> str | None:
    """Return the ISO date a text means, or None."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def as_time(text: str, zone: str = "UTC") -> str | None:
    """Return the instant a text means as `YYYY-MM-DDTHH:MM:SSZ`, or None."""
    found = parse_instant(text, zone)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found else None
