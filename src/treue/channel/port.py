"""The port a channel adapter implements.

An adapter turns a batch of ready messages into one receipt each. No exception crosses the port: what went
wrong is a receipt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from treue.channel.messages import Outgoing
from treue.channel.outcomes import Receipt
from treue.model.states import DeliveryEventKind

Kind = Literal["email", "sms", "push", "webhook"]


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can do, declared on its class; the feature matrix in the docs is made of these.

    `address` says in words what a customer must have. `batch` is how many messages one request, or one conversation,
    takes, `at_once` how many of those go side by side: a caller hands over `batch` times `at_once` messages.
    `dedup_window` is for how many seconds the provider honours an idempotency key; 0 means not at all. `mime` asks for
    whole RFC 5322 messages, else a mail comes in its parts; `eight_bit` lets their bodies be UTF-8 as they are, else
    every line is ASCII; `attachments` says that it can carry them. `callbacks` are the kinds of event the provider tells
    later, beside `unknown`. `rate` is how many messages a second the provider takes by default, 0 where it names no figure. `best_effort`
    means that a yes says no more than "handed over".
    """

    kind: Kind
    batch: int = 1
    at_once: int = 1
    dedup_window: float = 0.0
    scheduled: bool = False
    mime: bool = False
    eight_bit: bool = False
    attachments: bool = False
    callbacks: frozenset[DeliveryEventKind] = frozenset()
    rate: float = 0.0
    best_effort: bool = False
    address: str = ""


class Progress(Protocol):
    """Told about every message just before it goes on the wire and just after its fate is known."""

    def started(self, key: str) -> bool:
        """Note that the message is about to be handed to the provider, and say whether it may be.

        Where not, it has become another worker's meanwhile: it is not sent, and `settled` as Retry.
        """

    def settled(self, key: str, receipt: Receipt) -> None:
        """Note the provider's answer, before the database hears of it."""


@runtime_checkable
class Channel(Protocol):
    """A way to reach customers. One instance serves one worker and is used from one thread.

    The class, too, has `capabilities`, so that they can be read without credentials. One that serves several kinds of
    channel names them in `kinds`, and each instance has the `capabilities` of its own.
    """

    capabilities: Capabilities

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Keeper(Protocol):
    """A channel or service that keeps on this machine what it was given."""

    def forget(self, addresses: Collection[str]) -> None:
        """Delete what went to any of these addresses, so that no file has its bytes any more."""


class Service(Protocol):
    """Something that runs beside Treue for the length of a command, such as the built-in inbox."""

    def start(self) -> None:
        """Start it; returns once it is ready."""

    def stop(self) -> None:
        """Stop it."""
