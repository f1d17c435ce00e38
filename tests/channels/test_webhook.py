"""Messages to a gateway of one's own: signed both ways, posted again under the same id where their fate is unknown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Library
from standardwebhooks import WebhookVerificationError

from treue.channel import (
    Accepted,
    Callback,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Outgoing,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.errors import ChannelError
from treue.testing.callback_contract import CallbackContract
from treue.testing.channel_contract import Log
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Asked, Mishap, ProviderServer, Reply
from treue_channels.webhook import Webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of as many bytes.").decode()


class Gateway(ProviderServer):
    """A company's own gateway: verifies with the published library, and knows what it has had."""

    def __init__(self) -> None:
        super().__init__()
        self.had: dict[str, str] = {}
        self.dead: set[str] = set()

    def answer(self, asked: Asked) -> Reply:
        try:
            document = Library(SECRET).verify(asked.body, dict(asked.headers))
        except WebhookVerificationError:
            return Reply.json({"reason": "unknown signature"}, 401)
        assert asked.headers["webhook-id"] == document["key"]
        if document["to"] in self.dead:
            return Reply.json({"reason": "no such subscriber", "suppress": True}, 422)
        if document["text"] == "":
            return Reply.json({"reason": "empty"}, 422)
        return Reply.json({"id": self.had.setdefault(document["key"], f"gw-{len(self.had)}")})


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def webhook(gateway: Gateway) -> Iterator[Webhook]:
    made = Webhook(gateway.url, SECRET)
    yield made
    made.close()


def sms(number: int = 0, **changes: Any) -> Outgoing:
    return replace(
        Outgoing(f"sms-{number}", f"+4915110000{number:03d}", sender="Shop", text="Da!"), **changes
    )


def send(channel: Webhook, *messages: Outgoing) -> list[Receipt]:
    return channel.send(messages, Log())


class TestWebhookKeepsTheContract(HttpChannelContract):
    secrets = (SECRET, SECRET.removeprefix("whsec_"))

    @pytest.fixture
    def provider(self, gateway: Gateway) -> Gateway:
        return gateway

    def adapter(self, url: str, **options: Any) -> Webhook:
        return Webhook(url, SECRET, **options)

    def stranger(self, url: str) -> Webhook:
        return Webhook(url, OTHER)

    def message(self, number: int, kind: Kind = "sms") -> Outgoing:
        return sms(number)

    def refused_message(self) -> Outgoing:
        return sms(99, text="")


def test_the_document_says_what_goes_where(gateway: Gateway, webhook: Webhook) -> None:
    ends = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    assert send(webhook, sms(1, expires_at=ends)) == [Accepted("gw-0")]
    assert gateway.asked[0].json() == {
        "key": "sms-1", "channel": "sms", "to": "+4915110000001", "text": "Da!", "from": "Shop",
        "expires_at": "2026-11-25T09:00:00+00:00",
    }  # fmt: skip


def test_a_push_has_its_title_and_its_link(gateway: Gateway) -> None:
    channel = Webhook(gateway.url, SECRET, kind="push")
    send(channel, Outgoing("k", "device", text="Da!", title="Shop", link="https://shop.example"))
    channel.close()
    assert gateway.asked[0].json() == {
        "key": "k", "channel": "push", "to": "device", "text": "Da!", "title": "Shop", "link": "https://shop.example",
    }  # fmt: skip


def test_the_same_message_has_the_same_id_and_the_gateway_sends_it_once(
    gateway: Gateway, webhook: Webhook
) -> None:
    gateway.next(Mishap.hang_up, Reply(500))
    receipts = [send(webhook, sms(1))[0] for _ in range(4)]
    assert [type(receipt) for receipt in receipts] == [Unknown, Unknown, Accepted, Accepted]
    assert {asked.headers["webhook-id"] for asked in gateway.asked} == {"sms-1"}
    assert len(gateway.had) == 1


def test_the_gateway_can_say_that_an_address_is_dead(gateway: Gateway, webhook: Webhook) -> None:
    gateway.dead.add(sms(1).to)
    receipts = send(webhook, sms(0), sms(1), sms(2))
    assert receipts[1] == Refused("The gateway answered 422: no such subscriber", suppress=True)
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused, Accepted]


def test_suppress_in_another_answer_than_a_refusal_means_nothing(gateway: Gateway, webhook: Webhook) -> None:
    for status in (401, 429, 500):
        gateway.next(Reply.json({"suppress": True}, status))
        assert isinstance(send(webhook, sms())[0], Retry | Unknown)


def test_while_a_secret_is_replaced_the_first_signs(gateway: Gateway) -> None:
    channel = Webhook(gateway.url, f"{SECRET} {OTHER}")
    assert isinstance(send(channel, sms())[0], Accepted)
    channel.close()


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "whsec_%%%", f"{SECRET} whsec_%"])
def test_a_secret_that_is_none_is_told_without_being_quoted(secret: str) -> None:
    with pytest.raises(ChannelError) as raised:
        Webhook("https://gateway.example", secret)
    assert "%%%" not in str(raised.value)
    assert SECRET not in str(raised.value)


# --- what the gateway tells ---------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class TestTheGatewaysCallbacks(CallbackContract):
    proof_header = "webhook-signature"
    covers_body = True
    covers_time = True
    secrets = (SECRET,)

    @pytest.fixture
    def receiver(self) -> Webhook:
        return Webhook("https://gateway.example", SECRET)

    @pytest.fixture
    def without_secret(self) -> None:
        """There is no such adapter."""

    def test_without_a_secret_every_callback_is_refused(self, without_secret: Any) -> None:
        with pytest.raises(ChannelError):
            Webhook("https://gateway.example", "")

    def documents(self) -> Sequence[Any]:
        return [
            {"kind": "delivered", "key": "sms-1", "at": "2026-11-22T08:59:00Z", "id": "gw-0", "to": "+4915110000001"},
            [
                {"kind": "bounced", "key": "sms-2", "at": "2026-11-22T08:59:01Z", "hard": True, "status": "27", "reason": "No."},
                {"kind": "unsubscribed", "to": "+4915110000003", "at": "2026-11-22T08:59:02Z", "event_id": "e-1"},
            ],
        ]  # fmt: skip

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(body, at)


def signed(body: bytes, at: datetime = NOW, secret: str = SECRET) -> Callback:
    """Return a callback as the published library signs it (it takes text; the rest is signed by hand)."""
    import hashlib
    import hmac

    key = base64.b64decode(secret.removeprefix("whsec_"))
    given = b"evt-1." + str(int(at.timestamp())).encode() + b"." + body
    signature = "v1," + base64.b64encode(hmac.new(key, given, hashlib.sha256).digest()).decode()
    headers = {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    return Callback("POST", "https://shop.example/v1/receipts/sms", headers, body, at)


def told(*events: Any, secret: str = SECRET) -> list[DeliveryEvent]:
    return Webhook("https://gateway.example", SECRET).read_receipts(
        signed(json.dumps(events).encode(), secret=secret)
    )


def test_the_published_example_is_believed() -> None:
    """The vector of the scheme's own tests."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    channel = Webhook("https://gateway.example", secret)
    (event,) = channel.read_receipts(Callback("POST", "u", headers, b'{"test": 2432232314}', at))
    assert event.kind is DeliveryEventKind.unknown


def test_a_callback_signed_by_the_library_is_believed() -> None:
    body = json.dumps({"kind": "opened", "key": "sms-1"})
    signature = Library(SECRET).sign("evt", NOW, body)
    headers = {
        "webhook-id": "evt",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": signature,
    }
    request = Callback("POST", "u", headers, body.encode(), NOW)
    (event,) = Webhook("https://gateway.example", f"{OTHER} {SECRET}").read_receipts(request)
    assert (event.kind, event.key, event.at) == (DeliveryEventKind.opened, "sms-1", NOW)


def test_an_event_keeps_what_was_told() -> None:
    (event,) = told(
        {"kind": "bounced", "key": "k", "id": "gw-7", "to": "+491", "at": "2026-11-22T09:00:00+01:00", "hard": True,
         "status": "27", "reason": "Absent", "url": "https://x.example"},
    )  # fmt: skip
    assert (event.kind, event.key, event.provider_id, event.address) == ("bounced", "k", "gw-7", "+491")
    assert (event.hard, event.status, event.reason, event.url) == (True, "27", "Absent", "https://x.example")
    assert event.at == NOW - timedelta(hours=1)
    assert event.raw["reason"] == "Absent"


def test_what_is_of_no_known_kind_or_about_nobody_is_unknown() -> None:
    found = told({"kind": "sneezed", "key": "k"}, {"kind": "delivered"}, {"key": "k"}, {})
    assert {one.kind for one in found} == {DeliveryEventKind.unknown}
    assert (found[0].key, found[0].status) == ("k", "sneezed")
