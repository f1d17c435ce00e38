"""The rows of `treue.yaml`, and of a segment's file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from treue.clock import Duration
from treue.errors import SettingsError
from treue.language.calls import CALLS, declared_hosts
from treue.language.conditions import CONDITION, UNDECLARED
from treue.language.grammar import (
    INVALID,
    Anything,
    Context,
    Fields,
    Flag,
    Key,
    Length,
    MapOf,
    Option,
    Reference,
    Schema,
    Shape,
    Text,
    Zone,
    plain_name,
    shown,
)
from treue.language.pressure import LIMITS, QUIET_HOURS, Limit, Pressure, QuietHours, channels_named
from treue.language.problems import did_you_mean, nearest
from treue.language.retention import RETENTION, Retention
from treue.language.source import Items, Mapping, Node, Scalar
from treue.language.step_rows import DEFAULT_HOLD
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS, CHANNELS, EVENT_PARTS
from treue.segments.tree import Condition

EXTRA = "extra"
"""The option of a channel that is a mapping: what its provider knows, and the adapter does not."""

NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
TYPES = ("text", "number", "bool", "date", "time", "list")
SCHEMES = ("standard-webhooks", "shopify")

_VALUE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_EVENT_NAME = r"[a-z0-9_]+(\.[a-z0-9_]+)*"
_NAMED = {"customer": _VALUE_NAME, "events": _EVENT_NAME, "channels": "|".join(CHANNELS)}
_PLAIN_KEYS = (
    "workspace", "timezone", "locale", "database", "public_url", "sender", "channels", "limits", "quiet_hours",
    "calls", "sources", "retention", "hold",
)  # fmt: skip
_VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)(?::-([^}$]*))?\}")
_SECRET_KEYS = re.compile(
    r"(secret|token|password|passwd|api_?key|_key|credentials|auth|urls)$", re.IGNORECASE
)
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
_EMAIL = r"[^@\s<>\"]+@[^@\s<>\".]+(?:\.[^@\s<>\".]+)+"


@dataclass(frozen=True)
class Env:
    """A setting that may name environment variables: `${NAME}` or `${NAME:-default}`."""

    written: str

    def value(self, environment: MappingType[str, str] | None = None) -> str:
        """Return the text with its variables filled in. Raises SettingsError where one without default is not set."""
        environment = os.environ if environment is None else environment

        def fill(match: re.Match[str]) -> str:
            found = environment.get(match[1]) or match[2]
            if found is None:
                raise SettingsError(f"The environment variable {match[1]} is not set; treue.yaml needs it.")
            return found

        return _VARIABLE.sub(fill, self.written)

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True)
class Sender:
    """Whom mails come from, the postal address the law wants in them, and the domain they come back to."""

    name: str
    email: str
    postal_address: str
    bounces: str = ""


@dataclass(frozen=True)
class ChannelSettings:
    """How one channel is set up. An option is a Env, a number, true or false; `extra` has such in mappings and lists."""

    adapter: str
    options: MappingType[str, Any]
    rate: str | None = None


@dataclass(frozen=True)
class SourceSettings:
    """Who may post webhooks, and what their events are called here."""

    scheme: str
    secret: Env
    map: MappingType[str, str]


@dataclass(frozen=True)
class Settings:
    """What `treue.yaml` says."""

    workspace: str
    timezone: str = "UTC"
    locale: str = "en"
    database: Env = Env("${TREUE_DATABASE:-sqlite:///treue.db}")
    public_url: Env = Env("${TREUE_URL:-http://localhost:8420}")
    sender: Sender = Sender("", "", "")
    channels: MappingType[str, ChannelSettings] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    quiet_hours: MappingType[str, QuietHours] = field(default_factory=dict)
    sources: MappingType[str, SourceSettings] = field(default_factory=dict)
    schema: Schema = field(default_factory=Schema)
    calls: tuple[str, ...] = ()
    retention: Retention | None = None
    """How long old rows are kept; None where the file does not say, and workers delete none by themselves."""
    hold: Duration = DEFAULT_HOLD

    @property
    def pressure(self) -> Pressure:
        """The rules on how much a customer bears."""
        return Pressure(self.limits, self.quiet_hours)


@dataclass(frozen=True)
class SegmentFile:
    """A named segment."""

    description: str
    condition: Condition


class _EnvText:
    noun = "a text, which may name environment variables such as `${NAME}`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the text with its variables as an Env."""
        text = Text(self.noun, may_be_empty=True).parse(node, context)
        if text is INVALID:
            return INVALID
        if "${" in _VARIABLE.sub("", text):
            return context.say(
                node,
                "T203",
                "A variable here is not closed or not a name.",
                "Write `${NAME}` or `${NAME:-default}`, in capitals.",
            )
        return _literal(node, context) if has_password(text) else Env(text)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string"}


class _Secret(_EnvText):
    noun = "an environment variable such as `${SHOP_SECRET}`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the Env; a literal is refused."""
        found = super().parse(node, context)
        if found is INVALID:
            return INVALID
        return found if only_variables(found.written) else _literal(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": r"\$\{.+\}"}


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is not for a file."""
    return _SECRET_KEYS.search(key) is not None


def only_variables(text: str) -> bool:
    """Whether a text is one variable whose default, if any, is empty."""
    match = _VARIABLE.fullmatch(text)
    return match is not None and not match[2]


def has_password(text: str) -> bool:
    """Whether an address in the text (`scheme://user:password@host`) carries a password written out."""
    _, scheme, rest = text.partition("://")
    user, at, _ = rest.rpartition("@")
    _, colon, password = user.partition(":")
    return bool(scheme and at and colon) and not only_variables(password)


def _literal(node: Node, context: Context) -> Any:
    return context.say(
        node,
        "T212",
        "A secret does not belong in this file.",
        'Keep it in the environment and name the variable: `"${MY_SECRET}"`.',
    )


class _Channel:
    noun = "a mapping that begins with `adapter:`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the ChannelSettings; what else an adapter takes, it checks itself."""
        if not isinstance(node, Mapping):
            hint = "Write `{adapter: …}`, such as `{adapter: smtp}`."
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.", hint)
        adapter = node.get("adapter")
        if adapter is None:
            return self._no_adapter(node, context)
        name = Text("the name of an adapter").parse(adapter, context)
        options = {
            key.text: self._option(key.text, value, context)
            for key, value in node.entries
            if key.text not in ("adapter", "rate")
        }
        rate = node.get("rate")
        limit = (
            Text("a rate such as `500/s`", r"\d+/(s|min|h)").parse(rate, context)
            if rate is not None
            else None
        )
        if name is INVALID or INVALID in options.values() or limit is INVALID:
            return INVALID
        context.references.append(Reference("adapter", name, adapter.place))
        return ChannelSettings(name, options, limit)

    def _no_adapter(self, node: Mapping, context: Context) -> Any:
        for key, _ in node.entries:
            if nearest(key.text, ("adapter",)):
                message = f"There is no key {shown(key)} in a channel."
                return context.say(key, "T201", message, "Did you mean `adapter`?")
        return context.say(
            node, "T202", "The key `adapter` is missing in a channel.", "Such as `adapter: smtp`."
        )

    def _option(self, key: str, value: Node, context: Context) -> Any:
        if key == EXTRA and not isinstance(value, Mapping):
            hint = "Such as `extra: {topic_id: news}`."
            return context.say(
                value,
                "T203",
                f"Here belongs a mapping of the provider's own fields, not {shown(value)}.",
                hint,
            )
        if key == EXTRA:
            return self._inside(value, context)
        return self._value(key, value, context)

    def _inside(self, node: Node, context: Context, key: str = "") -> Any:
        """Return what stands in `extra`: mappings, lists and values, as deep as the provider wants them."""
        if isinstance(node, Mapping):
            found = {name.text: self._inside(value, context, name.text) for name, value in node.entries}
            return INVALID if INVALID in found.values() else found
        if isinstance(node, Items):
            several = [self._inside(one, context, key) for one in node.nodes]
            return INVALID if INVALID in several else several
        return self._value(key, node, context)

    def _value(self, key: str, value: Node, context: Context) -> Any:
        if is_secret(key):
            return _Secret().parse(value, context)
        if isinstance(value, Scalar) and isinstance(value.value, (bool, int, float)):
            return value.value
        return _EnvText().parse(value, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        properties = {
            "adapter": {"type": "string", "description": "The adapter that sends."},
            "rate": {"type": "string", "description": "The most it sends, such as `500/s`."},
            EXTRA: {"type": "object", "description": "Fields of the provider's own, added to every request."},
        }
        return {"type": "object", "properties": properties, "required": ["adapter"]}


DECLARATION = Shape(
    "declaration",
    "What a value is: its type alone (`first_name: text`), or a mapping.",
    (
        Key("type", Option(TYPES), "The type of the value.", required=True),
        Key(
            "required",
            Flag(),
            "`true`: it is always there, so `check` does not warn of templates that print it. A message for which it is "
            "missing all the same fails.",
        ),
    ),
    lambda fields: fields.get("type"),
    "a type, or a mapping with `type` and `required`",
    least="type: text",
    examples={"type": "type: text", "required": "required: true"},
)


class _Declared:
    noun = DECLARATION.called

    def parse(self, node: Node, context: Context) -> Any:
        """Return the type; what is required is read by `declared_schema`."""
        return (DECLARATION if isinstance(node, Mapping) else Option(TYPES)).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [Option(TYPES).schema(defs), DECLARATION.schema(defs)]}


_TYPED = MapOf(
    _Declared(),
    _VALUE_NAME,
    "a name of letters, digits and underscores",
    noun="a mapping of names to types, or `{}`",
)


class _Channels:
    noun = "a mapping of `email`, `sms` and `push`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the channel settings by channel name."""
        found = MapOf(_Channel(), noun=self.noun).parse(node, context)
        unknown = [key for key in keys_of(node) if key.text not in CHANNELS]
        for key in unknown:
            message = f"There is no kind of channel {shown(key)}."
            context.say(key, "T307", message, did_you_mean(key.text, CHANNELS))
        return INVALID if unknown else found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {
            "type": "object",
            "properties": {
                name: _Channel().schema(defs) | {"description": f"How {name} is sent."} for name in CHANNELS
            },
            "additionalProperties": False,
        }


SENDER = Shape(
    "sender",
    "Whom mails come from.",
    (
        Key("name", Text(), "The name customers see.", required=True),
        Key(
            "email",
            Text("an e-mail address", _EMAIL),
            "The address mails come from.",
            required=True,
        ),
        Key(
            "postal_address",
            Text(),
            "The postal address that every marketing message must show.",
            required=True,
        ),
        Key(
            "bounces",
            Text("a domain", _DOMAIN),
            "The domain that mails which cannot be delivered come back to, each to an address of its own; `treue bounce` "
            "reads them. Else they come back to `email`.",
        ),
    ),
    lambda f: Sender(
        f.get("name", ""), f.get("email", ""), f.get("postal_address", ""), f.get("bounces", "")
    ),
)

SOURCE = Shape(
    "source",
    "Who may post webhooks here.",
    (
        Key("scheme", Option(SCHEMES), "How the sender signs.", required=True),
        Key("secret", _Secret(), "The signing secret, from the environment.", required=True),
        Key("map", MapOf(Text("the name of an event")), "The sender's names for events, and ours."),
    ),
    lambda f: SourceSettings(f.get("scheme"), f.get("secret"), f.get("map", {})),
)


def keys_of(node: Node | None) -> list[Scalar]:
    """Return the keys of a mapping, none where the node is something else."""
    return [key for key, _ in node.entries] if isinstance(node, Mapping) else []


def declared_schema(settings: Mapping | None) -> Schema:
    """Return what a settings file declares, or may have been meant to declare.

    What is wrong in it (None: it could not be read) is reported there, and not held against every other file.
    """
    customer, events, channels = (_section(settings, name) for name in ("customer", "events", "channels"))
    own = {k.text: v if isinstance(v, Mapping) else None for k, v in events.entries} if events else {}
    typed: dict[str, dict[str, str]] = {name: dict(props) for name, props in BUILT_IN_EVENTS.items()}
    typed |= {name: _types(props, BUILT_IN_EVENTS.get(name, {})) for name, props in own.items()}
    return Schema(
        _types(customer, BUILT_IN_ATTRIBUTES),
        typed if events else Anything(typed, Anything({}, UNDECLARED)),
        tuple(channels.names()) if channels else CHANNELS,
        declared_hosts(settings),
        _required(customer),
        {name: _required(props) for name, props in own.items()},
    )


def _required(section: Mapping | None) -> frozenset[str]:
    entries = section.entries if section else []
    marked = {k.text: v.get("required") for k, v in entries if isinstance(v, Mapping)}
    return frozenset(name for name, mark in marked.items() if isinstance(mark, Scalar) and mark.value is True)


def _section(settings: Mapping | None, name: str) -> Mapping | None:
    """Return a section: empty where it is left out, None where one cannot tell what it declares."""
    value = settings.get(name) if settings else None
    if isinstance(value, Mapping):
        pattern = _NAMED[name]
        return value if all(re.fullmatch(pattern, key) for key in value.names()) else None
    rows = {key.name for key in SETTINGS.keys}
    left_out = settings and value is None and rows.issuperset(settings.names())
    return Mapping(settings.place) if settings and left_out else None


def _types(section: Mapping | None, known: MappingType[str, str]) -> dict[str, str]:
    entries = section.entries if section else []
    kinds = {k.text: v.get("type") if isinstance(v, Mapping) else v for k, v in entries}
    own = {
        name: v.text if isinstance(v, Scalar) and v.text in TYPES else UNDECLARED for name, v in kinds.items()
    }
    return {**known, **own} if section else Anything({**known, **own}, UNDECLARED)


def _settings(fields: Fields) -> Settings:
    named = {name: fields.get(name) for name in _PLAIN_KEYS if name in fields}
    return Settings(**named, schema=declared_schema(fields.node))


def _check_settings(fields: Fields) -> None:
    for key in keys_of(fields.node.get("customer")):
        if key.text in BUILT_IN_ATTRIBUTES:
            fields.context.say(
                key, "T105", f"`{key.text}` is built in and need not be declared.", "Delete this line."
            )
    events = fields.node.get("events")
    for name, properties in events.entries if isinstance(events, Mapping) else ():
        _check_properties(name.text, properties, fields.context)
    declared = declared_schema(fields.node)
    for named in channels_named(fields.node) if fields.written("channels") else ():
        if named.text not in declared.channels:
            message = f"There is no channel {shown(named)}."
            fields.context.say(named, "T307", message, "Set it up under `channels`, or delete this.")
    sources = fields.node.get("sources")
    for _, source in sources.entries if isinstance(sources, Mapping) else ():
        mapped = source.get("map") if isinstance(source, Mapping) else None
        for _, target in mapped.entries if isinstance(mapped, Mapping) else ():
            if isinstance(target, Scalar) and target.text and target.text not in declared.events:
                hint = did_you_mean(target.text, declared.events, "Declare it under `events`.")
                fields.context.say(target, "T303", f"There is no event {shown(target)}.", hint)


def _check_properties(event: str, properties: Node, context: Context) -> None:
    """Say where a property has the name of what every event has: in templates the event's own would win."""
    written = [key.text for key in keys_of(properties)]
    for key in keys_of(properties):
        if key.text in EVENT_PARTS:
            about = plain_name(event.partition(".")[0], "_")
            free = "own" if f"{about}_{key.text}" in written else about or "own"
            message = f"`{key.text}` is built in: in templates `event.{key.text}` is the event's own, never this property."
            context.say(key, "T105", message, f"Give the property another name, such as `{free}_{key.text}`.")


SETTINGS = Shape(
    "settings file",
    "The settings of a workspace.",
    (
        Key(
            "workspace",
            Text("a name of small letters, digits and dashes", NAME),
            "The workspace's name.",
            required=True,
        ),
        Key("timezone", Zone(), "Whose local time counts where a customer's is not known.", required=True),
        Key(
            "locale",
            Text("a language such as `de` or `de-AT`", r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"),
            "The language where a customer's is not known.",
        ),
        Key("database", _EnvText(), "Where the data live: `sqlite:///FILE` or `postgresql://…`."),
        Key("public_url", _EnvText(), "The address customers' links lead to."),
        Key("sender", SENDER, "Whom mails come from.", required=True),
        Key("channels", _Channels(), "How e-mail, SMS and push are sent."),
        Key("limits", LIMITS, "How many marketing messages a customer gets at most, over all journeys."),
        Key(
            "quiet_hours",
            QUIET_HOURS,
            "When a channel is silent, by the customer's local clock; marketing messages wait for the end.",
        ),
        Key(
            "hold",
            Length(),
            "How long a message waits for an address or a consent where none is known yet and the customer, or the event that "
            "began the stay, was recorded less than that before (default `5m`).",
        ),
        Key("calls", CALLS, "Where `call` steps may go."),
        Key(
            "retention",
            RETENTION,
            "How long old rows are kept, each kind, before workers delete them by night, or `treue db vacuum`.",
        ),
        Key("customer", _TYPED, "The customers' attributes and their types."),
        Key(
            "events",
            MapOf(_TYPED, _EVENT_NAME, "a name such as `order.placed`"),
            "The events and their properties.",
        ),
        Key(
            "sources",
            MapOf(SOURCE, NAME, "a name of small letters, digits and dashes"),
            "Who may post webhooks here.",
        ),
    ),
    _settings,
    check=_check_settings,
)

SEGMENT = Shape(
    "segment",
    "A named group of customers, by a condition.",
    (
        Key("description", Text(), "Who these are, in a sentence.", required=True),
        Key("where", CONDITION, "Who is in it.", required=True),
    ),
    lambda f: SegmentFile(f.get("description", ""), f.get("where")),
)
