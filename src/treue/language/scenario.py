"""The rows of a journey's tests (`journeys/NAME.test.yaml`), and the frozen scenarios they become."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from treue.clock import YEARS, Duration, parse_instant
from treue.language.calls import Json
from treue.language.conditions import UNDECLARED, scalar
from treue.language.grammar import (
    INVALID,
    ChannelName,
    EventName,
    Fields,
    Flag,
    Just,
    Key,
    Kind,
    Length,
    ListOf,
    MapOf,
    Name,
    OneOf,
    Option,
    Raw,
    Reference,
    Shape,
    Text,
    Whole,
    say_empty,
    shown,
)
from treue.language.problems import Place, did_you_mean, nearest
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.steps import Step
from treue.model.states import BUILT_IN_ATTRIBUTES, Basis, Category, Decision, Outcome, Reason

RECEIPTS = ("delivered", "opened", "clicked", "bounced", "complained", "failed")
"""What may become of a message that has been sent."""

NEVER_ENTERED = "never"
OUTCOMES = (*(outcome.value for outcome in Outcome), NEVER_ENTERED)
ANY = "any"
"""The timeline of a test that asks for all of them."""

_OWN = tuple(name for name in BUILT_IN_ATTRIBUTES if name not in ("id", "created_at"))
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CAP = re.compile(
    r"more than (?P<n>\d{1,4})(?: (?P<of>[a-z]+))??(?: messages?)? (?:a|per|in|in an?) (?P<per>.+)"
)
_PERIODS = {"hour": "1h", "day": "1d", "week": "7d", "month": "30d", "year": "365d"}


@dataclass(frozen=True)
class When:
    """A time as a test writes it: local where it names no offset, a whole day where it names no hour."""

    text: str
    place: Place = field(default=Place("", 1, 1), compare=False)

    @property
    def is_day(self) -> bool:
        """Whether only the day is named."""
        return _DAY.fullmatch(self.text) is not None

    def start(self, zone: str) -> datetime:
        """Return the instant in UTC, that of the day's beginning where only the day is named."""
        found = parse_instant(self.text, zone)
        assert found is not None
        return found

    def end(self, zone: str) -> datetime:
        """Return the last microsecond this may mean: of the day, of the minute, or of the second as written."""
        if self.is_day:
            return Duration(days=1).after(self.start(zone), zone) - timedelta(microseconds=1)
        length = timedelta(seconds=1) if self.text.count(":") > 1 else timedelta(minutes=1)
        return self.start(zone) + length - timedelta(microseconds=1)


@dataclass(frozen=True)
class Person:
    """The customer a test is about. Consents are pairs of channel and basis."""

    key: str = "customer"
    built_in: tuple[tuple[str, str], ...] = ()
    attributes: tuple[tuple[str, Any], ...] = ()
    created_at: When | None = None
    consents: tuple[tuple[str, str], ...] = ()
    suppressed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Act:
    """Something in a timeline: where it stands and when it happens."""

    place: Place
    at: When


@dataclass(frozen=True)
class Outside(Act, ABC):
    """Something that happens outside, for which a word brings an entry of its own.

    What it does to the store is in the `sql` face beside its module: `ACTS`, by class.
    """

    @abstractmethod
    def words(self) -> str:
        """Return what happens, in a few words."""

    def named(self, steps: Sequence[Step]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield what it names that some step must have, as `Noted.named` does."""
        yield from ()


@dataclass(frozen=True)
class Does(Act):
    """The customer does something: an event."""

    event: str
    data: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Receives(Act):
    """Something becomes of the latest message made from a template."""

    template: str
    what: str
    channel: str | None = None


@dataclass(frozen=True)
class Changes(Act):
    """Attributes of the customer change; a None removes one."""

    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Agrees(Act):
    """The customer agrees to channels."""

    channels: tuple[str, ...]
    basis: str = Basis.consent.value


@dataclass(frozen=True)
class Withdraws(Act):
    """The customer withdraws the consent for channels."""

    channels: tuple[str, ...]


@dataclass(frozen=True)
class Enrolls(Act):
    """Somebody enrolls the customer by hand."""


@dataclass(frozen=True)
class Expected:
    """Something that must happen: where it stands, when (None: at any time), and how much later it may be."""

    place: Place
    at: When | None
    within: Duration | None = None


@dataclass(frozen=True)
class Sent(Expected):
    """A message goes out."""

    template: str = ""
    channel: str | None = None
    subject: str | None = None
    contains: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotSent(Expected):
    """A message does not go out, for a reason."""

    template: str = ""
    channel: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Ended(Expected):
    """How a stay ends (or that it does not, or that there is none)."""

    outcome: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class Noted(Expected, ABC):
    """A step notes a decision in the trace; each word may bring an expectation of its own."""

    decisions: ClassVar[tuple[str, ...]]
    """The decisions it may be."""

    @abstractmethod
    def words(self) -> str:
        """Return what is expected, in a few words."""

    @abstractmethod
    def differences(self, values: MappingType[str, Any]) -> list[str]:
        """Return how what was noted is not what is expected, in a few words each; none where it is.

        Of `set` the values are those that stand in the attributes, else what was noted beside the decision.
        """

    @abstractmethod
    def named(self, steps: Sequence[Step]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield what it names that some step must have: how it is said that none has it, the name, and the names there are."""

    def is_of(self, step: Step) -> bool:
        """Whether a step does what is expected."""
        return all(name in known for _, name, known in self.named([step]))


@dataclass(frozen=True)
class Wrote(Noted):
    """A step writes attributes."""

    decisions: ClassVar[tuple[str, ...]] = (Decision.set.value,)

    values: tuple[tuple[str, Any], ...] = ()

    def words(self) -> str:
        """Return "set", with each attribute and its value."""
        return f"set {in_words(self.values)}"

    def differences(self, values: MappingType[str, Any]) -> list[str]:
        """Return a phrase for each attribute that has another value."""
        return [
            f"another {name}" for name, value in self.values if name not in values or values[name] != value
        ]

    def named(self, steps: Sequence[Step]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield each attribute that some step must write."""
        known = {name for step in steps for name in step.sets()}
        yield from (("writes no attribute {}", name, known) for name, _ in self.values)


@dataclass(frozen=True)
class Recorded(Expected):
    """A step records an event."""

    event: str = ""
    data: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Called(Expected):
    """A step makes a call: to an address as it is filled in, with a document (None: any)."""

    url: str = ""
    document: Any = None


@dataclass(frozen=True)
class Cap:
    """What must never happen: more than so many messages in any stretch of a length; or one message at all."""

    place: Place
    more_than: int = 0
    per: Duration | None = None
    channel: str | None = None
    category: str | None = None
    template: str | None = None


@dataclass(frozen=True)
class Scenario:
    """One test. `expect` is None where only invariants are asserted; `timeline` is None for any timeline."""

    place: Place
    name: str
    customer: Person
    history: tuple[Act, ...] = ()
    live: When | None = None
    timeline: tuple[Act, ...] | None = ()
    held_out: bool = False
    draw: tuple[tuple[str, str, Place], ...] = ()
    expect: tuple[Expected, ...] | None = None
    never: tuple[Cap, ...] = ()
    always_ends: bool = False
    until: When | None = None
    beside: tuple[str, ...] = ()


def in_words(values: Any) -> str:
    """Return names and values in a few words."""
    return ", ".join(f"{name}={_in_words(value)}" for name, value in dict(values).items())


def _in_words(value: Any) -> str:
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


# --- times and values ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """A time such as `2026-03-01 10:00`."""

    noun: str = "a time such as `2026-03-01 10:00`"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the day, or the day and hour, as a When."""
        text = node.text.strip() if isinstance(node, Scalar) and node.value is not None else ""
        instant = parse_instant(text) if _DAY.match(text) else None
        if instant is not None and instant.year not in YEARS:
            message = f"{shown(node)} is too far away for a test."
            hint = f"Tests live from {YEARS[0]} to {YEARS[-1]}."
            return context.say(node, "T331", message, hint)
        if instant is not None:
            return When(text, node.place)
        hint = "Write the day and the hour, such as `2026-03-01 10:00`."
        return context.say(node, "T312", f"Here belongs {self.noun}, not {shown(node)}.", hint)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}", "examples": ["2026-03-01 10:00"]}


def plain(node: Node) -> Any:
    """Return a node as plain data."""
    if isinstance(node, Items):
        return [plain(item) for item in node.nodes]
    return {k.text: plain(v) for k, v in node.entries} if isinstance(node, Mapping) else node.value


def _typed(node: Node, type_: str, context: Any) -> Any:
    """Return a value of the declared type, wrapped so that nothing (which removes it) is a value."""
    if isinstance(node, Scalar) and node.value is None:
        return (None,)
    if type_ == "list" or (type_ == UNDECLARED and not isinstance(node, Scalar)):
        return (plain(node),) if isinstance(node, Items) else (plain(Items(node.place, [node])),)
    if not isinstance(node, Scalar):
        return context.say(node, "T203", f"Here belongs a plain value, not {shown(node)}.")
    found = scalar(node, type_, context)
    return INVALID if found is INVALID else (found,)


def _attributes(entries: Iterable[tuple[Scalar, Node]], context: Any, also: Iterable[str] = ()) -> Any:
    """Return attributes and values, held against the schema; `also` are further keys to suggest."""
    found = []
    for key, value in entries:
        type_ = context.schema.attributes.get(key.text)
        if type_ is None:
            hint = did_you_mean(
                key.text, {*context.schema.attributes, *also}, "Declare it under `customer` in treue.yaml."
            )
            found.append(context.say(key, "T304", f"There is no attribute {shown(key)}.", hint))
        elif (typed := _typed(value, type_, context)) is INVALID:
            found.append(INVALID)
        else:
            found.append((key.text, typed[0]))
    return INVALID if INVALID in found else tuple(found)


_VALUES = {"type": ["string", "number", "boolean", "array", "null"]}


class _Values:
    noun = "a mapping of attributes to values"

    def parse(self, node: Node, context: Any) -> Any:
        """Return pairs of an attribute and its value."""
        if not isinstance(node, Mapping) or not node.entries:
            return context.say(
                node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", "Such as `{country: DE}`."
            )
        fixed = next((key for key, _ in node.entries if key.text in ("id", "created_at")), None)
        if fixed is not None:
            return context.say(fixed, "T304", f"The attribute `{fixed.text}` never changes.")
        return _attributes(node.entries, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": _VALUES, "minProperties": 1}


def _event_data(fields: Fields, key: str) -> Any:
    """Return the properties under `data`, held against the event under `key`."""
    context, event, node = fields.context, fields.get(key), fields.get("data")
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        return context.say(node, "T203", f"Here belong an event's properties, not {shown(node)}.")
    declared = context.schema.events.get(event, {})
    found = []
    for name, value in node.entries:
        type_ = declared.get(name.text)
        if type_ is None:
            hint = did_you_mean(name.text, declared, f"Declare it under `events: {event}` in treue.yaml.")
            found.append(
                context.say(name, "T305", f"The event `{event}` has no property {shown(name)}.", hint)
            )
        else:
            typed = _typed(value, type_, context)
            found.append(INVALID if typed is INVALID else (name.text, typed[0]))
    return INVALID if INVALID in found else tuple(found)


# --- the customer -------------------------------------------------------------------------------------------


class _Consents:
    noun = "a channel, or several"

    def parse(self, node: Node, context: Any) -> Any:
        """Return pairs of channel and basis; a mapping names the basis of each."""
        if not isinstance(node, Mapping):
            if isinstance(node, Items) and not node.nodes:
                return ()
            channels = ListOf(ChannelName()).parse(node, context)
            return INVALID if channels is INVALID else tuple((one, Basis.consent.value) for one in channels)
        bases = MapOf(Option(tuple(Basis))).parse(node, context)
        named = [ChannelName().parse(key, context) for key, _ in node.entries]
        return INVALID if bases is INVALID or INVALID in named else tuple(bases.items())

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        bases = {"type": "object", "additionalProperties": {"enum": list(Basis)}}
        return {"anyOf": [*ListOf(ChannelName(), least=0).schema(defs)["anyOf"], bases]}


_PERSON_KEYS: dict[str, tuple[Kind, str]] = {
    "id": (Text("a text"), "The customer's id."),
    "created_at": (Clock(), "Since when we know the customer (default: just before all else)."),
    "consent": (_Consents(), "The channels the customer has agreed to; a mapping names the basis of each."),
    "suppressed": (ListOf(ChannelName()), "The channels on which the address is on the suppression list."),
}


class _Customer:
    noun = "a mapping of the customer's attributes"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the customer of a test as a Person."""
        if not isinstance(node, Mapping):
            hint = "Such as `{id: c1, email: a@example.com, consent: email}`."
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        own = {
            key.text: _PERSON_KEYS[key.text][0].parse(value, context)
            for key, value in node.entries
            if key.text in _PERSON_KEYS
        }
        rest = _attributes([e for e in node.entries if e[0].text not in _PERSON_KEYS], context, _PERSON_KEYS)
        if rest is INVALID or INVALID in own.values():
            return INVALID
        return Person(
            own.get("id", Person.key),
            tuple((name, str(value)) for name, value in rest if name in _OWN),
            tuple((name, value) for name, value in rest if name not in _OWN),
            own.get("created_at"),
            own.get("consent", ()),
            own.get("suppressed", ()),
        )

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        own = {name: kind.schema(defs) | {"description": doc} for name, (kind, doc) in _PERSON_KEYS.items()}
        built_in = {
            name: {"type": "string", "description": f"The customer's {name.replace('_', ' ')}."}
            for name in _OWN
        }
        return {"type": "object", "properties": own | built_in, "additionalProperties": _VALUES}


# --- the timeline -------------------------------------------------------------------------------------------

_EXAMPLES = {"at": 'at: "2026-03-02 10:00"', "within": "within: 1h"}
_AT = Key("at", Clock(), "When, local to the customer.", required=True)
_DATA = Key("data", Raw("the event's properties", {"type": "object"}), "The event's properties.")


def act_row(name: str, doc: str, kind: Kind, build: Any, *more: Key, least: str = "") -> Shape:
    """Return the row of an entry of a timeline that leads with `name`; `least` is that of its `Shape`."""
    keys = (_AT, Key(name, kind, doc, required=True), *more)
    examples = {"at": _EXAMPLES["at"]}
    return Shape(f"{name} entry", doc, keys, build, "an entry of a timeline", least=least, examples=examples)


def begun(fields: Fields, key: str) -> tuple[Place, When]:
    """Return what every entry of a timeline has, in the order of its fields: its place, and when."""
    return _place(fields, key), fields.get("at")


def _place(fields: Fields, key: str) -> Place:
    """Return where the value under a key stands."""
    node = fields.node.get(key)
    return node.place if node is not None else fields.node.place


def _does(fields: Fields) -> Any:
    data = _event_data(fields, "event")
    return INVALID if data is INVALID else Does(*begun(fields, "event"), fields.get("event"), data)


def _receives(fields: Fields) -> Any:
    return Receives(*begun(fields, "message"), fields.get("message"), fields.get("is"), fields.get("on"))


ACTS: dict[str, Kind] = {
    "event": act_row("event", "The customer does something.", EventName(), _does, _DATA),
    "message": act_row(
        "message",
        "Something becomes of the latest message made from this template.",
        Name("template"),
        _receives,
        Key("is", Option(RECEIPTS), "What becomes of it.", required=True),
        Key("on", ChannelName(), "Only of the one on this channel."),
    ),
    "set": act_row(
        "set",
        "The customer's attributes change.",
        _Values(),
        lambda f: Changes(*begun(f, "set"), f.get("set")),
    ),
    "consent": act_row(
        "consent",
        "The customer agrees to a channel, or several.",
        ListOf(ChannelName()),
        lambda f: Agrees(*begun(f, "consent"), f.get("consent"), f.get("basis", Basis.consent.value)),
        Key("basis", Option(tuple(Basis)), "On what basis (default: consent)."),
    ),
    "withdraw": act_row(
        "withdraw",
        "The customer withdraws the consent for a channel, or several.",
        ListOf(ChannelName()),
        lambda f: Withdraws(*begun(f, "withdraw"), f.get("withdraw")),
    ),
    "enroll": act_row(
        "enroll",
        "Somebody enrolls the customer by hand.",
        Just(True),
        lambda f: Enrolls(*begun(f, "enroll")),
    ),
}
"""What may stand in a timeline, whatever words there are: leading key to row. Words bring further ones."""

ACT = OneOf("entry", lambda words: words.acts, "an entry of a timeline")


class _Timeline:
    noun = "a list of what happens, or `any`"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the acts, wrapped so that None (any timeline) is a value."""
        if isinstance(node, Scalar) and node.text == ANY:
            return (None,)
        found = ListOf(ACT, single=False, least=0, noun=self.noun).parse(node, context)
        return INVALID if found is INVALID else (found,)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [{"const": ANY}, {"type": "array", "items": ACT.schema(defs)}]}


# --- what is expected ---------------------------------------------------------------------------------------

_WHEN = Key("at", Clock(), "When, local to the customer; a day without an hour means any time of it.")
_LATER = Key("within", Length(), "How much later it may be.")


def expectation_row(name: str, doc: str, kind: Kind, build: Any, *more: Key, least: str = "") -> Shape:
    """Return the row of an expectation that leads with `name`; `least` is that of its `Shape`."""
    keys = (_WHEN, Key(name, kind, doc, required=True), *more, _LATER)
    return Shape(f"{name} expectation", doc, keys, build, "an expectation", least=least, examples=_EXAMPLES)


def expected(fields: Fields, key: str) -> tuple[Place, When | None, Duration | None]:
    """Return what every expectation has, in the order of its fields: its place, when, and how much later it may be."""
    return _place(fields, key), fields.get("at"), fields.get("within")


def _variant(fields: Fields, key: str) -> tuple[str, str | None]:
    template, channel, node = fields.get(key), fields.get("on"), fields.node.get(key)
    if template and channel and node is not None:
        fields.context.references.append(Reference("variant", template, node.place, channel))
    return template, channel


def _ended(fields: Fields) -> Any:
    outcome, reason = fields.get("outcome"), fields.get("reason")
    if reason and outcome not in (Outcome.exited.value, NEVER_ENTERED):
        return fields.context.say(
            fields.at("reason"), "T207", f"`{outcome}` has no reason.", "Only `exited` and `never` have one."
        )
    return Ended(*expected(fields, "outcome"), outcome, reason)


def _recorded(fields: Fields) -> Any:
    data = _event_data(fields, "emit")
    return INVALID if data is INVALID else Recorded(*expected(fields, "emit"), fields.get("emit"), data)


_ON = Key("on", ChannelName(), "The channel; any where it is left out.")

EXPECTATIONS: dict[str, Kind] = {
    "send": expectation_row(
        "send",
        "This message goes out.",
        Name("template"),
        lambda f: Sent(*expected(f, "send"), *_variant(f, "send"), f.get("subject"), f.get("contains", ())),
        _ON,
        Key("subject", Text(), "The subject, or a push message's title."),
        Key("contains", ListOf(Text()), "Words that stand in it."),
    ),
    "not_sent": expectation_row(
        "not_sent",
        "This message does not go out.",
        Name("template"),
        lambda f: NotSent(*expected(f, "not_sent"), *_variant(f, "not_sent"), f.get("reason")),
        _ON,
        Key("reason", Option(tuple(Reason)), "Why it does not."),
    ),
    "outcome": expectation_row(
        "outcome",
        "How the stay ends: `finished`, `converted` or `exited`; `inside`: not yet; `never`: there is none.",
        Option(OUTCOMES),
        _ended,
        Key("reason", Text(), "Why the customer left (what `exit` names), or was never let in."),
    ),
    "set": expectation_row(
        "set",
        "A step writes these attributes.",
        _Values(),
        lambda f: Wrote(*expected(f, "set"), f.get("set")),
    ),
    "emit": expectation_row("emit", "A step records this event.", EventName(), _recorded, _DATA),
    "call": expectation_row(
        "call",
        "A step makes this call.",
        Text("an address, its templates filled in"),
        lambda f: Called(*expected(f, "call"), f.get("call"), f.get("json")),
        Key("json", Json("a mapping of any depth"), "The document that it carries, its templates filled in."),
    ),
}
"""What may be expected, whatever words there are: leading key to row. Words bring further ones."""

EXPECTATION = OneOf("expectation", lambda words: words.expectations, "an expectation")


# --- invariants ---------------------------------------------------------------------------------------------


def _cap(fields: Fields) -> Any:
    if not fields.written("more_than") and not fields.written("send"):
        return fields.context.say(
            fields.node, "T202", "What must never happen?", "Such as `never: {more_than: 3, per: 7d}`."
        )
    for key, beside in (("more_than", "per"), ("per", "more_than")):
        if fields.written(key) and not fields.written(beside):
            return fields.context.say(
                fields.at(key), "T202", f"`{key}` needs `{beside}`.", "Such as `{more_than: 3, per: 7d}`."
            )
    return Cap(
        _place(fields, "send" if fields.written("send") else "more_than"),
        fields.get("more_than", 0),
        fields.get("per"),
        fields.get("channel"),
        fields.get("category"),
        fields.get("send"),
    )


CAP = Shape(
    "bound",
    "What must never happen, whatever the customer does.",
    (
        Key("more_than", Whole(0, 1000), "More messages than this."),
        Key("per", Length(), "In any stretch of this length; a day is 24 hours."),
        Key("channel", ChannelName(), "Only messages on this channel."),
        Key("category", Option(tuple(Category)), "Only messages of this category."),
        Key("send", Name("template"), "This message; without `more_than`, it is never sent at all."),
    ),
    _cap,
)


class _Never:
    noun = "a bound such as `more than 3 a week`"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the Cap, written as a mapping or in words."""
        if isinstance(node, Mapping):
            return CAP.parse(node, context)
        found = self._words(node, context) if isinstance(node, Scalar) else None
        if found is None:
            hint = "Write `more than 3 a week`, or `{more_than: 3, per: 7d}`."
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        return found

    def _words(self, node: Scalar, context: Any) -> Cap | None:
        match = _CAP.fullmatch(" ".join(node.text.split()))
        if not match:
            return None
        entries: list[tuple[str, str | int]] = [("more_than", int(match["n"]))]
        entries.append(("per", _PERIODS.get(match["per"].rstrip("s"), match["per"])))
        if of := match["of"]:
            entries.append(("category" if of in tuple(Category) else "channel", of))
        scalars = [(Scalar(node.place, k, k), Scalar(node.place, str(v), v)) for k, v in entries]
        found: Cap | None = CAP.parse(Mapping(node.place, list(scalars)), context)
        return found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        words = {"type": "string", "pattern": "^more than ", "examples": ["more than 3 a week"]}
        return {"anyOf": [CAP.schema(defs), words]}


# --- a test -------------------------------------------------------------------------------------------------


class _Draw:
    noun = "a mapping of splits to arms"

    def parse(self, node: Node, context: Any) -> Any:
        """Return step, arm and place of each."""
        found = MapOf(Text("the name of an arm"), least=1, noun=self.noun).parse(node, context)
        if found is INVALID:
            return INVALID
        assert isinstance(node, Mapping)
        return tuple((key.text, found[key.text], key.place) for key, _ in node.entries)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}


def _scenario(fields: Fields) -> Any:
    return Scenario(
        fields.node.place,
        fields.get("test"),
        fields.get("customer"),
        fields.get("history", ()),
        fields.get("live"),
        fields.get("timeline", ((),))[0],
        bool(fields.get("held_out")),
        fields.get("draw", ()),
        fields.get("expect"),
        fields.get("never", ()),
        fields.written("always"),
        fields.get("until"),
        fields.get("with", ()),
    )


def _check(fields: Fields) -> None:
    if not any(fields.written(key) for key in ("expect", "never", "always")) and not any(
        nearest(name, ("expect", "never", "always")) for name in fields.node.names()
    ):
        fields.context.say(
            fields.node,
            "T202",
            "This test expects nothing.",
            "Add `expect:` with what is sent (`[]` for nothing), `never:` or `always: ends`.",
        )
    acts, history = fields.get("timeline", ((),))[0], fields.get("history", ())
    if acts is None:
        _check_any(fields)
    elif not acts and not history and not fields.written("live") and "timeline" in fields:
        hint = "Put something into `timeline`, or say with `live:` when the journey goes live."
        fields.context.say(fields.node, "T202", "Nothing ever happens in this test.", hint)
    _check_times(fields, acts or (), history)


def _check_any(fields: Fields) -> None:
    if fields.written("expect"):
        message = "What is sent depends on the timeline; for `any` there are only invariants."
        fields.context.say(fields.at("expect"), "T207", message, "Use `never:` and `always: ends`.")


def _check_times(fields: Fields, acts: tuple[Act, ...], history: tuple[Act, ...]) -> None:
    """Say which times cannot be: before the journey is live, after the end, or before what they follow from."""
    say, zone = fields.context.problems.add, "UTC"
    expected = fields.get("expect") or ()
    until = fields.get("until")
    for one in (*acts, *expected):
        if until and one.at and one.at.start(zone) > until.end(zone):
            say(one.at.place, "T331", f"This is after the end of the test, {until.text}.", "Move `until` on.")
    for act in history:
        if isinstance(act, (Receives, Enrolls)):
            say(
                act.place,
                "T331",
                "Before the journey is live, it sends nothing and nobody is enrolled in it.",
            )
    live = fields.get("live") or min((act.at for act in acts), key=lambda at: at.start(zone), default=None)
    if live is None:
        return
    for act in history:
        if act.at.start(zone) >= live.start(zone):
            say(act.at.place, "T331", f"This is no history: the journey is live from {live.text}.", None)
    for one in expected:
        if one.at and one.at.end(zone) < live.start(zone):
            say(one.at.place, "T331", f"This is before anything happens, {live.text}.", None)
    _check_receipts(fields, acts, expected)


def _check_receipts(fields: Fields, acts: tuple[Act, ...], expected: tuple[Expected, ...]) -> None:
    """Say where a message is clicked before it is sent, as far as the test itself says when it is."""
    for act in acts:
        if not isinstance(act, Receives):
            continue
        sent = [
            one.at for one in expected if isinstance(one, Sent) and one.template == act.template and one.at
        ]
        if sent and all(at.start("UTC") > act.at.end("UTC") for at in sent):
            message = f"`{act.template}` is {act.what} before it is sent, {sent[0].text}."
            fields.context.problems.add(act.at.place, "T331", message)


TEST = Shape(
    "test",
    "A test of the journey of the same name: a customer, what happens, and what must come of it.",
    (
        Key("test", Text("a sentence"), "What is tested, in a sentence.", required=True),
        Key(
            "customer",
            _Customer(),
            "Who the customer is: built-in and declared attributes, `consent`.",
            required=True,
        ),
        Key(
            "history",
            ListOf(ACT, single=False, noun="a list of what has happened"),
            "What happened before the journey went live; it starts nobody.",
        ),
        Key("live", Clock(), "When the journey goes live (default: a minute before the timeline begins)."),
        Key("timeline", _Timeline(), "What happens, in order; `any` tries many timelines."),
        Key(
            "with",
            ListOf(Name("journey")),
            "Other journeys that are live as well; those it starts are anyway.",
        ),
        Key("held_out", Flag(), "Whether the customer is in the holdout (default: no)."),
        Key("draw", _Draw(), "Which arm of a split the customer draws, by the split's id."),
        Key(
            "expect",
            ListOf(EXPECTATION, single=False, least=0, noun="a list of expectations"),
            "Every message that is sent, in order; outcomes and the rest where they matter.",
        ),
        Key("never", ListOf(_Never()), "What must never happen, such as `more than 3 a week`."),
        Key("always", ListOf(Option(("ends",))), "`ends`: whoever enters has left by the end of the test."),
        Key("until", Clock(), "When the test ends (default: when nothing more can happen, at most a year)."),
    ),
    _scenario,
    check=_check,
)


class _Tests:
    noun = "a list of tests"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the scenarios that could be read; what is wrong with the others is said."""
        if not isinstance(node, Items):
            hint = "Begin each test with `- test: …`."
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        if not node.nodes:
            return say_empty(node, context)
        found = [TEST.parse(item, context) for item in node.nodes]
        kept = [one for one in found if one is not INVALID]
        for n, one in enumerate(kept):
            if any(one.name == other.name for other in kept[:n]):
                context.problems.add(
                    one.place, "T332", f"There is a test `{one.name}` already.", "Names are unique."
                )
        return tuple(kept)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "array", "items": TEST.schema(defs), "minItems": 1}


TESTS = _Tests()
"""The file of a journey's tests."""


def scenario_shapes(acts: MappingType[str, Kind], expectations: MappingType[str, Kind]) -> tuple[Shape, ...]:
    """Return the shapes of a file of tests in which this may happen and be expected, in the order of the reference."""
    kinds = (TEST, *acts.values(), *expectations.values(), CAP)
    return tuple(kind for kind in kinds if isinstance(kind, Shape))
