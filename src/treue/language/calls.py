"""What a `call` holds: the address it goes to, the JSON it carries, and the hosts that `treue.yaml` lets calls go to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from treue.language.grammar import Context, Fields, Key, ListOf, Shape, Text, shown
from treue.language.source import Items, Mapping, Node, Scalar

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?:{LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"
"""A host by its name, in small letters; never an address in numbers, whose spellings are too many to compare."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
VARIABLE = r"[A-Z_][A-Z0-9_]*"

_AUTHORITY = re.compile(r"https://([^/?#\\]*)")
_BEGUN = ("{{", "{%")
_BESIDE_THE_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?([^@/:?#]+)(?::\d*)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class CallUrl:
    """An `https` address whose host is listed, as far as it is written out; the rest may be templates."""

    noun: str = "an `https://` address; parts may be templates"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the address as it was written."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.text.strip():
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        authority = _AUTHORITY.match(node.text)
        if node.text.startswith(_BEGUN) or (authority and "{" in authority[1]):
            return node.text if context.schema.calls != () else self._unlisted(node, "any host", "…", context)
        if authority is None:
            hint = "Calls are made to https addresses only, such as `https://hooks.example.com/new`."
            return context.say(node, "T317", f"A call cannot go to {shown(node)}.", hint)
        host = authority[1].removesuffix(":443").lower()
        if not re.fullmatch(HOST, host):
            hint = "Write the host by its name, without a user, a password or another port."
            return context.say(node, "T317", f"A call cannot go to `{authority[1][:60]}`.", hint)
        if context.schema.calls is not None and host not in context.schema.calls:
            return self._unlisted(node, f"`{host}`", host, context)
        return node.text

    def _unlisted(self, node: Node, what: str, host: str, context: Context) -> Any:
        listed = f"List it in treue.yaml: `calls: {{hosts: [{host}]}}`."
        return context.say(node, "T317", f"Calls may not go to {what} yet.", listed)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "string", "examples": ["https://hooks.example.com/new"]}


@dataclass(frozen=True)
class Json:
    """Any JSON; texts in it, at any depth, may be templates."""

    noun: str = "a mapping of any depth; texts may be templates"

    def parse(self, node: Node, context: Context) -> Any:
        """Return the document as plain values."""
        if not isinstance(node, Mapping):
            return context.say(node, "T203", f"Here belongs {self.noun}, not {shown(node)}.")
        return _plain(node)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object"}


def _plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key.text: _plain(value) for key, value in node.entries}
    return [_plain(item) for item in node.nodes] if isinstance(node, Items) else node.value


@dataclass(frozen=True)
class _Host(Text):
    noun: str = "a host by its name, such as `hooks.example.com`"
    pattern: str | None = HOST

    def hint(self, text: str) -> str | None:
        """Return the host that an address leads to; else what may have been meant."""
        if not re.search(r"[/:@?#]", text):
            return super().hint(text)
        host = _BESIDE_THE_HOST.fullmatch(text)
        alone = host is not None and re.fullmatch(HOST, host[1].lower())
        return f"Write the host alone: `{alone[0]}`." if alone else None


def _hosts(fields: Fields) -> Any:
    return tuple(dict.fromkeys(fields.get("hosts", ())))


CALLS = Shape(
    "calls section",
    "Where `call` steps may go; without it, nowhere.",
    (
        Key(
            "hosts",
            ListOf(_Host()),
            "The hosts, each by its whole name.",
            required=True,
        ),
    ),
    _hosts,
    "a mapping with `hosts`",
)


def declared_hosts(settings: Mapping | None) -> tuple[str, ...] | None:
    """Return the hosts a settings file lists, or None where what it lists cannot be told."""
    if settings is None:
        return None
    section = settings.get("calls")
    if section is None:
        return ()
    hosts = section.get("hosts") if isinstance(section, Mapping) else None
    nodes = hosts.nodes if isinstance(hosts, Items) else [hosts]
    texts = [node.text for node in nodes if isinstance(node, Scalar)]
    return tuple(texts) if texts and len(texts) == len(nodes) else None
