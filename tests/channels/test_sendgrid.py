"""SendGrid against a server that speaks its documented protocol; its events, with its published signature."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.channels.mails import rich_message
from tests.channels.sendgrid_server import KEY, SendGridServer, error
from treue.channel import Accepted, BadCallback, Callback, DeliveryEvent, Outgoing, Receipt, Refused, Retry
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.sendgrid import SendGrid

PRIVATE = ec.derive_private_key(20261122, ec.SECP256R1())
PUBLIC = b64encode(
    PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
OTHER = b64encode(
    ec.derive_private_key(7, ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()  # fmt: skip
SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
URL = "https://treue.example.com/v1/receipts/email"


@pytest.fixture
def provider() -> Iterator[SendGridServer]:
    with SendGridServer() as running:
        yield running


@pytest.fixture
def sendgrid(provider: SendGridServer) -> Iterator[SendGrid]:
    adapter = SendGrid(KEY, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY,)
    answers_about_us = (
        error("from", "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
              "resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender "
              "Identity requirements", 403),
        error("from.email", "The from email does not contain a valid address.", 400),
        error("personalizations.0.to.0.name", "The name must be a string.", 400),
        error("reply_to.email", "The reply_to email does not contain a valid address.", 400),
        error(None, "access forbidden", 403),
        error(None, "Maximum credits exceeded", 401),
        error(None, "The provided authorization grant is invalid, expired, or revoked", 401),
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: SendGridServer) -> SendGridServer:
        return provider

    def adapter(self, url: str, **options: Any) -> SendGrid:
        return SendGrid(KEY, url=url, **options)

    def stranger(self, url: str) -> SendGrid:
        return SendGrid("SG.another", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to="nobody@localhost")

    def slow_down(self, wait: str) -> Reply:
        return error(None, "too many requests", 429, {"Retry-After": wait})


class TestCallbacks(CallbackContract):
    proof_header = SIGNATURE
    covers_body = True
    covers_time = True

    @pytest.fixture
    def receiver(self) -> SendGrid:
        return SendGrid(KEY, webhook_public_key=f"{OTHER} {PUBLIC}")

    @pytest.fixture
    def without_secret(self) -> SendGrid:
        return SendGrid(KEY)

    def documents(self) -> list[Any]:
        return [[one] for one in EVENTS] + [
            [event("delivered", sg_event_id="a1"), event("open", sg_event_id="a2")]
        ]

    def told_about_us(self) -> list[Any]:
        reasons = ("Recipient List over Package Quota", "Invalid SMTPAPI header")
        return [[event("dropped", reason=reason)] for reason in reasons]

    def unheard_of(self) -> Any:
        return [event("sung")]

    def callback(self, body: bytes, at: datetime) -> Callback:
        timestamp = str(int(at.timestamp()))
        signature = PRIVATE.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return Callback(
            "POST", URL, {SIGNATURE: b64encode(signature).decode(), TIMESTAMP: timestamp}, body, at
        )


def event(name: str, **more: Any) -> dict[str, Any]:
    common = {
        "email": "ada@example.com", "timestamp": 1763800000, "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name, "category": ["welcome", "hello"], "sg_event_id": f"id-{name}", "treue-key": "k1",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    }  # fmt: skip
    return common | more


EVENTS = [
    event("processed"), event("deferred", response="400 try again later", attempt="5"), event("delivered", response="250 OK"),
    event("open", useragent="Mozilla/4.0", ip="255.255.255.255"), event("click", url="https://example.com/x"),
    event("bounce", reason="500 unknown recipient", status="5.0.0", bounce_classification="Invalid Address", type="bounce"),
    event("dropped", reason="Bounced Address", status="5.0.0"), event("spamreport"), event("unsubscribe"),
    event("group_unsubscribe", asm_group_id=10),
]  # fmt: skip


def send(adapter: SendGrid, *messages: Outgoing) -> list[Receipt]:
    return adapter.send(messages, Log())


def read(*documents: dict[str, Any]) -> list[DeliveryEvent]:
    body = json.dumps(documents).encode()
    return SendGrid(KEY, webhook_public_key=PUBLIC).read_receipts(TestCallbacks().callback(body, NOW))


def test_a_journey_and_a_template_of_one_name_are_one_category(
    sendgrid: SendGrid, provider: SendGridServer
) -> None:
    named = {"journey": "welcome", "template": "welcome", "category": "promotional"}
    assert isinstance(send(sendgrid, replace(rich_message(), tags=named))[0], Accepted)
    assert provider.sent[0]["categories"] == ["welcome", "promotional"]


def test_a_mail_is_put_as_the_documentation_says(sendgrid: SendGrid, provider: SendGridServer) -> None:
    assert send(sendgrid, rich_message()) == [Accepted("id00000000000000000001")]
    (sent,) = provider.sent
    assert sent["personalizations"] == [
        {
            "to": [{"email": "ada@example.com", "name": 'Ada "Countess" Løvelace'}],
            "custom_args": {"treue-key": "k1"},
        }
    ]
    assert sent["from"] == {"email": "shop@example.com", "name": "Klangladen"}
    assert sent["reply_to"] == {"email": "answers@example.com"}
    assert [part["type"] for part in sent["content"]] == ["text/plain", "text/html"]
    assert sent["headers"] == {
        "List-Unsubscribe": "<https://example.com/u/1>", "Message-ID": "<k1@example.com>"
    }  # fmt: skip
    assert sent["categories"] == ["welcome", "hello", "promotional"]
    assert sent["attachments"][1] == {
        "filename": "l.png", "type": "image/png", "content": "iQ==", "disposition": "inline", "content_id": "logo",
    }  # fmt: skip
    assert sent["tracking_settings"]["click_tracking"] == {"enable": False}


def test_a_mail_may_have_no_html(sendgrid: SendGrid, provider: SendGridServer) -> None:
    assert isinstance(send(sendgrid, rich_message(html=""))[0], Accepted)
    assert [part["type"] for part in provider.sent[0]["content"]] == ["text/plain"]


def test_a_recipient_that_is_no_address_is_dead(sendgrid: SendGrid) -> None:
    (receipt,) = send(sendgrid, replace(rich_message(), to="ada@localhost"))
    assert isinstance(receipt, Refused)
    assert receipt.suppress


@pytest.mark.parametrize("status", [400, 403])
def test_a_sender_that_is_not_verified_is_our_fault(
    sendgrid: SendGrid, provider: SendGridServer, status: int
) -> None:
    provider.next(error("from.email", "The from address does not match a verified Sender Identity.", status))
    (receipt,) = send(sendgrid, rich_message())
    assert isinstance(receipt, Retry)
    assert receipt.ours
    assert "verified Sender Identity" in receipt.reason


def test_a_content_that_is_refused_may_be_the_templates_fault_and_refuses_nobody(sendgrid: SendGrid) -> None:
    (receipt,) = send(sendgrid, rich_message(text="", html=""))
    assert isinstance(receipt, Retry)
    assert receipt.ours


def test_the_window_of_the_rate_limit_is_waited_for(sendgrid: SendGrid, provider: SendGridServer) -> None:
    headers = {
        "X-RateLimit-Limit": "600",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + 90),
    }
    provider.next(error(None, "too many requests", 429, headers))
    (receipt,) = send(sendgrid, rich_message())
    assert isinstance(receipt, Retry)
    assert receipt.everyone
    assert 80 <= receipt.after <= 90


# --- callbacks ------------------------------------------------------------------------------------------------


def published() -> tuple[str, Callback]:
    """The key and the signed events that SendGrid's own library is tested with (sendgrid-python, test_eventwebhook.py)."""
    path = Path(__file__).parent / "sendgrid_vector.json"
    found = json.loads(path.read_text())
    headers = {SIGNATURE: found["signature"], TIMESTAMP: found["timestamp"]}
    at = datetime.fromtimestamp(int(found["timestamp"]), UTC)
    return found["public_key_der_base64"], Callback("POST", URL, headers, found["body"].encode(), at)


def test_the_published_signature_verifies() -> None:
    key, callback = published()
    (found,) = SendGrid(KEY, webhook_public_key=key).read_receipts(callback)
    assert (found.kind, found.address) == ("failed", "hello@world.com")
    assert found.id == "sendgrid:ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA"
    assert found.provider_id == "LRzXl_NHStOGhQ4kofSm_A"


def test_the_published_signature_is_of_every_byte_and_of_the_time() -> None:
    key, callback = published()
    adapter = SendGrid(KEY, webhook_public_key=key)
    changed = [
        replace(callback, body=callback.body.rstrip()),
        replace(callback, headers=callback.headers | {TIMESTAMP: "1600112503"}),
        replace(callback, headers=callback.headers | {SIGNATURE: callback.headers[SIGNATURE][:-2] + "A="}),
    ]
    for one in changed:
        with pytest.raises(BadCallback, match="signature"):
            adapter.read_receipts(one)


@pytest.mark.parametrize("key", ["nonsense", "AAAA", PUBLIC[:-8], b64encode(b"x" * 91).decode()])
def test_a_key_that_is_none_verifies_nothing(key: str) -> None:
    with pytest.raises(BadCallback):
        SendGrid(KEY, webhook_public_key=key).read_receipts(TestCallbacks().callback(b"[]", NOW))


def test_events_are_read_in_full() -> None:
    found = read(*EVENTS)
    assert [one.kind.value for one in found] == [
        "accepted", "deferred", "delivered", "opened", "clicked", "bounced", "failed", "complained", "unsubscribed",
        "unsubscribed",
    ]  # fmt: skip
    assert {one.key for one in found} == {"k1"}
    assert {one.provider_id for one in found} == {"14c5d75ce93.dfd.64b469"}
    assert found[4].url == "https://example.com/x"
    assert found[5].at.timestamp() == 1763800000
    unknown = read(event("group_resubscribe"), event("something new"))
    assert [(one.kind.value, one.key) for one in unknown] == [("unknown", "k1")] * 2


@pytest.mark.parametrize(
    ("more", "hard"),
    [
        ({"status": "5.1.1", "reason": "550 5.1.1 no such user", "type": "bounce"}, True),
        (
            {
                "status": "5.0.0",
                "reason": "500 unknown recipient",
                "bounce_classification": "Invalid Address",
            },
            True,
        ),
        (
            {
                "status": "5.7.1",
                "reason": "550 5.7.1 denied by policy",
                "bounce_classification": "Reputation",
            },
            False,
        ),
        (
            {"status": "5.7.1", "reason": "550 5.7.1 denied", "bounce_classification": "Invalid Address"},
            False,
        ),
        ({"status": "5.2.2", "reason": "552 5.2.2 mailbox full", "type": "bounce"}, False),
        ({"status": "5.1.1", "reason": "550 5.1.1 no such user", "type": "blocked"}, False),
        ({"status": "", "reason": "", "bounce_classification": "Unclassified"}, False),
    ],
)
def test_which_bounces_are_hard(more: dict[str, Any], hard: bool) -> None:
    (found,) = read(event("bounce", **more))
    assert (found.kind.value, found.hard) == ("bounced", hard)


@pytest.mark.parametrize(
    ("reason", "hard"),
    [("Bounced Address", True), ("Invalid", True), ("Spam Reporting Address", False), ("Unsubscribed Address", False),
     ("Recipient List over Package Quota", False)],
)  # fmt: skip
def test_a_mail_that_was_dropped_tells_of_earlier_bounces(reason: str, hard: bool) -> None:
    (found,) = read(event("dropped", reason=reason))
    assert (found.kind.value, found.hard) == ("failed", hard)
