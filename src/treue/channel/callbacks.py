"""What a provider tells later, by calling back: one vocabulary for all of them (after django-anymail's).

An adapter verifies a callback and turns it into events of this vocabulary; what they do to messages, addresses and
customers is decided in one place, whoever told it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from treue.errors import ChannelError
from treue.model.states import DeliveryEventKind


@dataclass(frozen=True)
class Callback:
    """One HTTP request of a provider, as it came. `url` is the public one, whatever a proxy made of it.

    `headers` have names in small letters.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True)
class DeliveryEvent:
    """One thing that happened to a message, or between a customer and a channel, after it was accepted.

    `id` deduplicates: the same for every repetition of the same event. The message is found by `key` (ours) or by
    `provider_id`; an event without either is about the `address` alone. `hard` says of a bounce, or of a failure for
    the sake of an earlier one, that the address is dead: only then is it suppressed. `ours` says of a failure that the
    provider gave up for the sake of our sender or account: the message has failed, the channel pauses, nobody is
    suppressed. `status` is an enhanced status code (RFC 3463) or the provider's own, `reason` a short text for people,
    `raw` the provider's words, kept as they came.
    """

    id: str
    kind: DeliveryEventKind
    at: datetime
    key: str = ""
    provider_id: str = ""
    address: str = ""
    hard: bool = False
    ours: bool = False
    status: str = ""
    reason: str = ""
    url: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class BadCallback(ChannelError):  # noqa: N818 - beside BadSignature
    """A callback that is not the provider's, too old, or that cannot be read. `status` is the HTTP answer's."""

    def __init__(self, message: str, status: int = 401) -> None:
        super().__init__(message)
        self.status = status


@runtime_checkable
class Receiver(Protocol):
    """A channel whose provider calls back: at `/v1/receipts/{channel}`."""

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what the provider tells. Raises BadCallback, before anything is believed, where it is not genuine.

        With no secret configured every callback is refused. An event of a kind that the adapter does not know is
        `unknown`, with its own words; what it knows to be none (an SMS that says nothing of stopping) is left out.
        """
