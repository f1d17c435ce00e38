"""The adapter keeps Treue's contracts, against a gateway on loopback that behaves as Pigeon's documentation says."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest
from treue_pigeon import Pigeon

from treue.channel import Accepted, Callback, Kind, Outgoing, Refused, channel_factory
from treue.testing.callback_contract import CallbackContract
from treue.testing.channel_contract import Log
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Asked, ProviderServer, Reply

TOKEN, SECRET = "the-token", "the-secret"


class Gateway(ProviderServer):
    """Pigeon, as it is documented."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}

    def answer(self, asked: Asked) -> Reply:
        """Take a message, once for each idempotency key."""
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply.json({"message": "unknown token"}, 401)
        if asked.json()["to"] == "+4900":
            return Reply.json({"message": "no such number"}, 410)
        if not asked.json()["text"]:
            return Reply.json({"message": "text is empty"}, 422)
        key = asked.headers["idempotency-key"]
        return Reply.json({"id": self.sent.setdefault(key, f"p-{len(self.sent)}")}, 201)


class TestPigeon(HttpChannelContract):
    """How it sends."""

    secrets = (TOKEN,)

    @pytest.fixture
    def provider(self) -> Iterator[Gateway]:
        """The gateway, running."""
        with Gateway() as running:
            yield running

    def adapter(self, url: str, **options: Any) -> Pigeon:
        """The adapter with the right token."""
        return Pigeon(TOKEN, url=url, **options)

    def stranger(self, url: str) -> Pigeon:
        """The adapter with a wrong one."""
        return Pigeon("another", url=url)

    def slow_down(self, wait: str) -> Reply:
        """Pigeon says it in seconds, never as a date."""
        return Reply(429, {"Retry-After": wait if wait.isdigit() else "120"})

    def refused_message(self) -> Outgoing:
        """A message that Pigeon does not take."""
        return replace(self.message(99, "sms"), text="")

    def message(self, number: int, kind: Kind = "sms") -> Outgoing:
        """A message that Pigeon takes."""
        return super().message(number, kind)

    def test_a_dead_number_is_suppressed(self, channel: Pigeon) -> None:
        """410 is how Pigeon says that a number is gone."""
        (receipt,) = channel.send([replace(self.message(0), to="+4900")], Log())
        assert receipt == Refused("Pigeon answered 410.", suppress=True)


class TestPigeonsCallbacks(CallbackContract):
    """What it tells later."""

    proof_header = "x-pigeon-signature"
    covers_body = True
    covers_time = True
    secrets = (SECRET,)

    @pytest.fixture
    def receiver(self) -> Pigeon:
        """The adapter with its secret."""
        return Pigeon(TOKEN, webhook_secret=SECRET)

    @pytest.fixture
    def without_secret(self) -> Pigeon:
        """The adapter with none."""
        return Pigeon(TOKEN)

    def documents(self) -> Sequence[Any]:
        """What Pigeon posts."""
        return [
            {"event": "e-1", "status": "DELIVERED", "reference": "k-1", "at": "2026-11-22T08:59:00+00:00"},
            {"event": "e-2", "status": "EXPIRED", "reference": "k-2", "at": "2026-11-22T08:59:01+00:00", "reason": "Off."},
        ]  # fmt: skip

    def callback(self, body: bytes, at: datetime) -> Callback:
        """A callback as Pigeon signs it."""
        time = str(int(at.timestamp()))
        signature = hmac.new(SECRET.encode(), f"{time}.".encode() + body, sha256).hexdigest()
        headers = {"x-pigeon-time": time, "x-pigeon-signature": signature}
        return Callback("POST", "https://shop.example/v1/receipts/sms", headers, body, at)


def test_treue_finds_it_by_its_entry_point() -> None:
    """Installed, it is an adapter as any other."""
    assert channel_factory("pigeon") is Pigeon


def test_the_same_key_is_sent_once() -> None:
    """Which is why `dedup_window` may be declared."""
    with Gateway() as gateway:
        pigeon = Pigeon(TOKEN, url=gateway.url)
        message = Outgoing("k", "+491511", sender="Shop", text="Hello")
        assert pigeon.send([message, message], Log()) == [Accepted("p-0")] * 2
        pigeon.close()
        assert len(gateway.sent) == 1
