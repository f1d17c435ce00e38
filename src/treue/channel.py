"""The port a channel adapter implements, and how adapters are found.

An adapter turns a batch of ready messages into one receipt each. No exception crosses the port: what went
wrong is a receipt. Third parties register theirs in the entry-point group `treue.channels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, runtime_checkable

from treue.errors import ChannelError

Kind = Literal["email", "sms", "push", "webhook"]


@dataclass(frozen=True)
class Outgoing:
    """One message, rendered and ready for the wire.

    `key` is the idempotency key, the same on every attempt. For e-mail `raw` is the whole RFC 5322 message
    with CRLF line ends and `sender` the envelope's; for SMS and push `text` is the body and `title` and
    `link` what push adds. For a webhook `to` is the address, `raw` the document, and `data` has its `method` and the
    name of the environment variable with its `secret`.
    """

    key: str
    to: str
    sender: str = ""
    raw: bytes = b""
    text: str = ""
    title: str = ""
    link: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The provider took the message."""

    provider_id: str = ""


@dataclass(frozen=True)
class Retry:
    """Certainly not sent; worth another attempt, not before `after` seconds."""

    reason: str
    after: float = 60.0


@dataclass(frozen=True)
class Refused:
    """Certainly not sent, and never will be.

    `suppress` says the address itself is at fault, `forbidden` that it is one we send nothing to.
    """

    reason: str
    suppress: bool = False
    forbidden: bool = False


@dataclass(frozen=True)
class Unknown:
    """May or may not have been sent: the connection broke after the message was on the wire."""

    reason: str


Receipt = Accepted | Retry | Refused | Unknown


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can do; the feature matrix in the docs is made of these.

    `dedup_window` is for how many seconds the provider honours an idempotency key; 0 means not at all.
    """

    kind: Kind
    batch: int = 1
    dedup_window: float = 0.0
    scheduled: bool = False


class Progress(Protocol):
    """Told about every message just before it goes on the wire and just after its fate is known."""

    def started(self, key: str) -> None:
        """Note that the message is about to be handed to the provider."""

    def settled(self, key: str, receipt: Receipt) -> None:
        """Note the provider's answer, before the database hears of it."""


@runtime_checkable
class Channel(Protocol):
    """A way to reach customers. One instance serves one worker and is used from one thread."""

    capabilities: Capabilities

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises."""

    def close(self) -> None:
        """Let go of connections."""


class Service(Protocol):
    """Something that runs beside Treue for the length of a command, such as the built-in inbox."""

    def start(self) -> None:
        """Start it; returns once it is ready."""

    def stop(self) -> None:
        """Stop it."""


def channel_factory(adapter: str) -> Any:
    """Return the class of the adapter called `adapter`; it takes the channel's settings as keywords.

    Raises ChannelError where no such adapter is installed.
    """
    found = {entry.name: entry for entry in entry_points(group="treue.channels")}
    if adapter not in found:
        raise ChannelError(
            f"There is no channel adapter called {adapter!r}; installed are {', '.join(sorted(found))}."
        )
    return found[adapter].load()


def installed_adapters() -> list[str]:
    """Return the names of all installed channel adapters."""
    return sorted({entry.name for entry in entry_points(group="treue.channels")})


def service_factory(name: str) -> Any:
    """Return the class of the service called `name` from the entry-point group `treue.services`."""
    found = {entry.name: entry for entry in entry_points(group="treue.services")}
    if name not in found:
        raise ChannelError(f"There is no service called {name!r} installed.")
    return found[name].load()
