"""What a scheme of signed webhooks must say: whether a delivery is genuine, what identifies it, what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

from starlette.datastructures import Headers

from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.web.documents import Reader


@dataclass(frozen=True)
class WebhookSource:
    """A shop or CRM that posts: its name and scheme, active secrets, names for events, and the workspace's schema."""

    name: str
    scheme: str
    secrets: tuple[str, ...]
    map: Mapping[str, str]
    reader: Reader


@dataclass(frozen=True)
class Taken:
    """What one delivery says. `given_if_untold` counts only where the customer has said nothing yet."""

    customers: tuple[CustomerInput, ...] = ()
    event: EventInput | None = None
    given: tuple[ConsentInput, ...] = ()
    given_if_untold: tuple[ConsentInput, ...] = ()
    withdrawn: tuple[ConsentInput, ...] = ()


@dataclass(frozen=True)
class Ignored:
    """A genuine delivery that means nothing here, and why."""

    reason: str


class Scheme(Protocol):
    """One way of signing webhooks, and how their bodies are read."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> None:
        """Raise BadSignature unless the delivery was signed with one of the secrets, not long ago."""

    def delivery_key(self, headers: Headers, body: bytes) -> str:
        """Return what identifies the delivery, the body being part of it; if it was seen before, it is a replay."""

    def read(self, headers: Headers, payload: Any, source: WebhookSource, now: datetime) -> Taken | Ignored:
        """Return what a verified delivery means here. Raises HttpProblem where it does not fit."""


def short(text: str) -> str:
    """Return an identifier from outside as it is, or its digest where no database should keep it so."""
    fits = len(text) <= 150 and text.isascii() and text.isprintable()
    return text if fits else "sha256-" + sha256(text.encode(errors="surrogatepass")).hexdigest()
