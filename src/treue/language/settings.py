"""The rows of `treue.yaml`, and of a segment's file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from treue.errors import SettingsError
from treue.language.conditions import CONDITION, UNDECLARED
from treue.language.grammar import (
    INVALID,
    Context,
    Fields,
    Key,
    Later,
    MapOf,
    Schema,
    Shape,
    Text,
    Word,
    Zone,
    shown,
)
from treue.language.source import Mapping, Node, Scalar
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS, CHANNELS
from treue.segments.tree import Condition

NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
TYPES = ("text", "number", "bool", "date", "time", "list")
SCHEMES = ("standard-webhooks", "shopify")

_VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)(?::-([^}]*))?\}")
_SECRET_KEYS = re.compile(r"(secret|token|password|api_key|key|credentials|auth)$")


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
    """Whom mails come from, and the postal address the law wants in them."""

    name: str
    email: str
    postal_address: str


@dataclass(frozen=True)
class ChannelSettings:
    """How one channel is set up."""

    adapter: str
    options: MappingType[str, Env | bool | int | float]
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
    sources: MappingType[str, SourceSettings] = field(default_factory=dict)
    schema: Schema = field(default_factory=Schema)


@dataclass(frozen=True)
class SegmentFile:
    """A named segment."""

    description: str
    condition: Condition


class _EnvText:
    noun = "a text, which may name environment variables such as `${NAME}`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the Env."""
        text = Text(self.noun).parse(node, context)
        if text is INVALID:
            return INVALID
        broken = _VARIABLE.sub("", text)
        if "${" in broken:
            return context.say(
                node,
                "T203",
                "A variable here is not closed or not a name.",
                "Write `${NAME}` or `${NAME:-default}`, in capitals.",
            )
        return Env(text)

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


def only_variables(text: str) -> bool:
    """Whether a text is one variable whose default, if any, is empty."""
    match = _VARIABLE.fullmatch(text)
    return match is not None and not match[2]


def _literal(node: Node, context: Context) -> Any:
    return context.say(
        node,
        "T212",
        "A secret does not belong into this file.",
        "Name an environment variable: `${MY_SECRET}`.",
    )


class _Channel:
    noun = "a mapping that begins with `adapter:`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the ChannelSettings; what else an adapter takes, it checks itself."""
        if not isinstance(node, Mapping):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        adapter = node.get("adapter")
        if adapter is None:
            return context.say(
                node, "T202", "The key `adapter` is missing in a channel.", "Such as `adapter: smtp`."
            )
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
        from treue.language.grammar import Reference

        context.references.append(Reference("adapter", name, adapter.place))
        return ChannelSettings(name, options, limit)

    def _option(self, key: str, value: Node, context: Context) -> Any:
        if isinstance(value, Scalar) and not isinstance(value.value, str):
            return value.value if value.value is not None else _EnvText().parse(value, context)
        found = _EnvText().parse(value, context)
        if found is INVALID:
            return INVALID
        password = re.search(r"://[^/@\s]*:[^@$\s]+@", found.written)
        if (_SECRET_KEYS.search(key) and not only_variables(found.written)) or password:
            return _literal(value, context)
        return found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        properties = {
            "adapter": {"type": "string", "description": "The adapter that sends."},
            "rate": {"type": "string"},
        }
        return {"type": "object", "properties": properties, "required": ["adapter"]}


_TYPED = MapOf(Word(TYPES), key_pattern=r"[A-Za-z_][A-Za-z0-9_]*", noun="a mapping of names to types")


class _Channels:
    noun = "a mapping of `email`, `sms` and `push`"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the channels by name."""
        from treue.language.problems import did_you_mean

        if isinstance(node, Mapping):
            for key, _ in node.entries:
                if key.text not in CHANNELS:
                    context.say(
                        key,
                        "T307",
                        f"There is no kind of channel `{key.text}`.",
                        did_you_mean(key.text, CHANNELS),
                    )
        return MapOf(_Channel(), noun=self.noun).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {
            "type": "object",
            "properties": {name: _Channel().schema(defs) for name in CHANNELS},
            "additionalProperties": False,
        }


SENDER = Shape(
    "sender",
    "Whom mails come from.",
    (
        Key("name", Text(), "The name customers see.", required=True),
        Key(
            "email",
            Text("an e-mail address", r"[^@\s<>\"]+@[^@\s<>\"]+\.[^@\s<>\"]+"),
            "The address mails come from.",
            required=True,
        ),
        Key(
            "postal_address",
            Text(),
            "The postal address that every marketing message must show.",
            required=True,
        ),
    ),
    lambda f: Sender(f.get("name", ""), f.get("email", ""), f.get("postal_address", "")),
)

SOURCE = Shape(
    "source",
    "Who may post webhooks here.",
    (
        Key("scheme", Word(SCHEMES), "How the sender signs.", required=True),
        Key("secret", _Secret(), "The signing secret, from the environment.", required=True),
        Key("map", MapOf(Text("the name of an event")), "The sender's names for events, and ours."),
    ),
    lambda f: SourceSettings(f.get("scheme"), f.get("secret"), f.get("map", {})),
)


def declared_schema(node: Mapping) -> Schema:
    """Return what a settings file with problems still declares, so that they are not reported again elsewhere."""

    def types(mapping: Node | None) -> dict[str, str]:
        entries = mapping.entries if isinstance(mapping, Mapping) else []
        return {
            k.text: v.text if isinstance(v, Scalar) and v.text in TYPES else UNDECLARED for k, v in entries
        }

    declared, channels = node.get("events"), node.get("channels")
    events = {name: dict(props) for name, props in BUILT_IN_EVENTS.items()}
    for key, value in declared.entries if isinstance(declared, Mapping) else []:
        events[key.text] = {**events.get(key.text, {}), **types(value)}
    names = tuple(channels.names()) if isinstance(channels, Mapping) else CHANNELS
    return Schema({**BUILT_IN_ATTRIBUTES, **types(node.get("customer"))}, events, names)


def _settings(fields: Fields) -> Any:
    declared = fields.get("customer", {})
    for name in declared:
        if name in BUILT_IN_ATTRIBUTES:
            node = fields.node.get("customer")
            assert isinstance(node, Mapping)
            fields.context.say(
                node.key(name) or node, "T105", f"`{name}` is built in and need not be declared."
            )
    events = {name: dict(props) for name, props in BUILT_IN_EVENTS.items()}
    for name, props in fields.get("events", {}).items():
        events[name] = {**events.get(name, {}), **props}
    channels = fields.get("channels", {})
    schema = Schema({**BUILT_IN_ATTRIBUTES, **declared}, events, tuple(channels))
    _mapped_events(fields, schema)
    plain = {
        name: fields.get(name)
        for name in ("workspace", "timezone", "locale", "database", "public_url", "sender")
        if name in fields
    }
    return Settings(**plain, channels=channels, sources=fields.get("sources", {}), schema=schema)


def _mapped_events(fields: Fields, schema: Schema) -> None:
    from treue.language.problems import did_you_mean

    sources = fields.node.get("sources")
    for _, source in sources.entries if isinstance(sources, Mapping) else ():
        mapped = source.get("map") if isinstance(source, Mapping) else None
        for _, target in mapped.entries if isinstance(mapped, Mapping) else ():
            if isinstance(target, Scalar) and target.text not in schema.events:
                hint = did_you_mean(target.text, schema.events) or "Declare it under `events`."
                fields.context.say(target, "T303", f"There is no event `{target.text}`.", hint)


SETTINGS = Shape(
    "workspace's settings file",
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
        Key("limits", Later(), ""),
        Key("quiet_hours", Later(), ""),
        Key("customer", _TYPED, "The customers' attributes and their types."),
        Key(
            "events",
            MapOf(_TYPED, key_pattern=r"[a-z0-9_]+(\.[a-z0-9_]+)*"),
            "The events and their properties.",
        ),
        Key("sources", MapOf(SOURCE, key_pattern=NAME), "Who may post webhooks here."),
    ),
    _settings,
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
