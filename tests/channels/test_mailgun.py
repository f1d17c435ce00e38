"""Mailgun against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.channels.mailgun_server import DOMAIN, KEY, MailgunServer, said
from tests.channels.mails import rich_message
from treue.channel import Accepted, Callback, DeliveryEvent, Outgoing, Receipt, Refused, Retry, Unknown
from treue.errors import ChannelError
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.http.api import basic_authorization
from treue_channels.mailgun import TOLERANCE, Mailgun

SIGNING_KEY = "the-webhook-signing-key"


@pytest.fixture
def provider() -> Iterator[MailgunServer]:
    with MailgunServer() as running:
        yield running


@pytest.fixture
def mailgun(provider: MailgunServer) -> Iterator[Mailgun]:
    adapter = Mailgun(KEY, DOMAIN, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY, SIGNING_KEY, basic_authorization("api", KEY)[6:])
    answers_about_us = (
        said(
            "'from' parameter is not a valid address. please check documentation", 400
        ),  # fastlane, issue 8568
        said("from parameter is not a valid address. please check documentation", 400),
        said("'cc' parameter is not a valid address. please check documentation", 400),
        said(
            "Domain sandbox0f23.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. Please "
            "add your own domain or add the address to authorized recipients in Account Settings.",
            403,
        ),
        said(
            "Domain mg.example.com is not allowed to send: Free accounts are for test purposes only. Please upgrade or add "
            "the address to authorized recipients in Account Settings.",
            403,
        ),
        said(
            "Domain mg.example.com is not allowed to send: Free accounts are for test purposes only. Please upgrade or add "
            "the address to authorized recipients in Account Settings.",
            400,
        ),
        said(
            "Domain mg.example.com is not allowed to send: The domain is unverified and requires DNS configuration. Log in "
            "to your control panel to view required DNS records.",
            403,
        ),
        said(
            "Domain mg.example.com is not allowed to send: Please activate your Mailgun account. Check your inbox or log in "
            "to your control panel to resend the activation email.",
            400,
        ),
        said("Domain not found: mg.example.com", 404),
        Reply(401, {"Content-Type": "text/html"}, b"Forbidden"),
        Reply(402, {}, b"Payment required"),
        Reply(200, {}, b"Mailgun Magnificent API"),
    )

    @pytest.fixture
    def provider(self, provider: MailgunServer) -> MailgunServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Mailgun:
        return Mailgun(KEY, DOMAIN, url=url, webhook_signing_key=SIGNING_KEY, **options)

    def stranger(self, url: str) -> Mailgun:
        return Mailgun("key-another", DOMAIN, url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to="nobody@localhost")

    def slow_down(self, wait: str) -> Reply:
        return Reply.json({"message": "Too many requests"}, 429, {"Retry-After": wait})


class TestCallbacks(CallbackContract):
    covers_time = True
    tolerance = TOLERANCE
    secrets = (SIGNING_KEY,)

    @pytest.fixture
    def receiver(self) -> Mailgun:
        return Mailgun(KEY, DOMAIN, webhook_signing_key=f"the-next-one {SIGNING_KEY}")

    @pytest.fixture
    def without_secret(self) -> Mailgun:
        return Mailgun(KEY, DOMAIN)

    def documents(self) -> list[Any]:
        return [{"event-data": one} for one in EVENTS]

    def told_about_us(self) -> list[Any]:
        words = "Sandbox subdomains are for test purposes only."
        return [{"event-data": event("rejected", reject={"reason": words, "description": ""})}]

    def unheard_of(self) -> Any:
        return {"event-data": event("sung")}

    def callback(self, body: bytes, at: datetime) -> Callback:
        """Sign by the time of NOW, as Mailgun's repetitions do, with a token for each event."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            document["signature"] = signature(token=str(abs(hash(body))).rjust(50, "a"))
            body = json.dumps(document).encode()
        return Callback("POST", "https://treue.example.com/v1/receipts/email", {}, body, at)

    def unproven(self, genuine: Callback) -> Callback:
        document = json.loads(genuine.body)
        del document["signature"]
        return replace(genuine, body=json.dumps(document).encode())

    def forged(self, genuine: Callback) -> Iterator[Callback]:
        document = json.loads(genuine.body)
        good = document["signature"]
        for change in (
            {"signature": ""}, {"signature": "x"}, {"signature": good["signature"][:-1]}, {"signature": None}, {"signature": 1},
            {"signature": good["signature"] + "0"}, {"token": "b" * 50}, {"token": ""}, {"timestamp": "1"}, {"timestamp": ""},
            {"timestamp": good["timestamp"] + "a", "token": good["token"][1:]},
        ):  # fmt: skip
            changed = document | {"signature": good | change}
            yield replace(genuine, body=json.dumps(changed).encode())


def signature(token: str = "a" * 50, at: datetime = NOW) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(SIGNING_KEY.encode(), (timestamp + token).encode(), "sha256").hex()
    return {"timestamp": timestamp, "token": token, "signature": digest}


def event(name: str, **more: Any) -> dict[str, Any]:
    common = {
        "event": name, "id": f"id-{name}", "timestamp": 1763800000.123456, "recipient": "ada@example.com",
        "message": {"headers": {"message-id": "k1@example.com", "to": "ada@example.com"}},
        "tags": ["welcome"], "user-variables": {"treue-key": "k1"},
    }  # fmt: skip
    return common | more


BOUNCE = event("failed", severity="permanent", reason="bounce", **{"delivery-status": {
    "code": 550, "enhanced-code": "5.1.1", "message": "5.1.1 The email account that you tried to reach does not exist.",
    "description": "", "attempt-no": 1}})  # fmt: skip
EVENTS = [
    event("accepted"), event("delivered", **{"delivery-status": {"code": 250, "message": "OK"}}), BOUNCE,
    event("failed", severity="temporary", reason="generic", **{"delivery-status": {"code": 452, "message": "4.2.2 full"}}),
    event("rejected", reject={"reason": "Sandbox subdomains are for test purposes only.", "description": ""}),
    event("opened", **{"client-info": {"user-agent": "Mozilla/5.0"}}), event("clicked", url="https://example.com/x"),
    event("complained"), event("unsubscribed"),
]  # fmt: skip


def send(adapter: Mailgun, *messages: Outgoing) -> list[Receipt]:
    return adapter.send(messages, Log())


def read(found: dict[str, Any], token: str = "a" * 50) -> list[DeliveryEvent]:
    body = json.dumps({"event-data": found, "signature": signature(token)}).encode()
    callback = Callback("POST", "https://treue.example.com/", {}, body, NOW)
    return Mailgun(KEY, DOMAIN, webhook_signing_key=SIGNING_KEY).read_receipts(callback)


def test_a_message_goes_as_it_is(mailgun: Mailgun, provider: MailgunServer) -> None:
    message = example_message("email", 1)
    assert send(mailgun, message) == [Accepted("contract-1@example.com")]
    ((fields, mail),) = provider.sent
    assert fields == {
        "to": ["customer1@example.com"], "o:tag": ["welcome", "hello", "promotional"], "o:tracking": ["no"],
        "v:treue-key": ["contract-1"],
    }  # fmt: skip
    assert mail["Subject"] == "Message 1"
    assert message.raw in provider.asked[0].body, "byte by byte"


def test_a_message_without_bytes_is_refused(mailgun: Mailgun, provider: MailgunServer) -> None:
    assert isinstance(send(mailgun, rich_message())[0], Refused)
    assert provider.asked == []


def test_a_recipient_that_is_no_address_is_dead(mailgun: Mailgun) -> None:
    (receipt,) = send(mailgun, replace(example_message("email", 1), to="ada@localhost"))
    assert isinstance(receipt, Refused)
    assert receipt.suppress


@pytest.mark.parametrize(
    "answer",
    [
        said("Domain not found: mg.example.com", 404),
        said("Domain mg.example.com is not allowed to send: The domain is unverified", 403),
        Reply(200, {}, b"Mailgun Magnificent API"),
        Reply(402, {}, b"Payment required"),
    ],
)
def test_a_domain_that_may_not_send_is_our_fault(
    mailgun: Mailgun, provider: MailgunServer, answer: Reply
) -> None:
    provider.next(answer)
    (receipt,) = send(mailgun, example_message("email", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone


def test_a_domain_that_mailgun_does_not_know(provider: MailgunServer) -> None:
    adapter = Mailgun(KEY, "other.example.com", url=provider.url)
    (receipt,) = send(adapter, example_message("email", 1))
    adapter.close()
    assert isinstance(receipt, Retry)
    assert "Domain not found" in receipt.reason


@pytest.mark.parametrize("scale", [1, 1000])
def test_the_window_of_the_rate_limit_is_waited_for(
    mailgun: Mailgun, provider: MailgunServer, scale: int
) -> None:
    reset = str((int(time.time()) + 90) * scale)
    provider.next(Reply.json({"message": "Too many requests"}, 429, {"X-RateLimit-Reset": reset}))
    (receipt,) = send(mailgun, example_message("email", 1))
    assert isinstance(receipt, Retry)
    assert 80 <= receipt.after <= 90


def test_a_yes_without_an_id_leaves_a_doubt(mailgun: Mailgun, provider: MailgunServer) -> None:
    provider.next(Reply.json({"message": "Queued. Thank you."}))
    assert isinstance(send(mailgun, example_message("email", 1))[0], Unknown)


@pytest.mark.parametrize("domain", ["", "mg.example.com/x", "a b", "../v4", "a@b.example"])
def test_a_domain_that_is_none_is_said_at_the_start(domain: str) -> None:
    with pytest.raises(ChannelError, match="domain"):
        Mailgun(KEY, domain)


# --- callbacks ------------------------------------------------------------------------------------------------


def test_events_are_read_in_full() -> None:
    found = [one for each in EVENTS for one in read(each)]
    assert [one.kind.value for one in found] == [
        "accepted", "delivered", "bounced", "deferred", "failed", "opened", "clicked", "complained", "unsubscribed",
    ]  # fmt: skip
    bounce = found[2]
    assert (bounce.key, bounce.provider_id) == ("k1", "k1@example.com")
    assert bounce.address == "", "whom it was sent to we know ourselves"
    assert (bounce.status, bounce.hard) == ("5.1.1", True)
    assert bounce.at.isoformat() == "2025-11-22T08:26:40.123456+00:00"
    assert found[4].reason == "Sandbox subdomains are for test purposes only."


@pytest.mark.parametrize(
    ("reason", "code", "message", "kind", "hard"),
    [
        ("bounce", "5.1.1", "5.1.1 no such user", "bounced", True),
        ("bounce", "5.7.1", "5.7.1 refused by policy", "bounced", False),
        ("bounce", "5.2.2", "5.2.2 mailbox full", "bounced", False),
        ("bounce", "", "", "bounced", False),
        ("espblock", "5.1.1", "blocked", "bounced", False),
        ("old", "", "", "bounced", False),
        ("suppress-bounce", "", "Not delivering to previously bounced address", "failed", True),
        ("suppress-complaint", "", "", "failed", False),
        ("suppress-unsubscribe", "", "", "failed", False),
    ],
)
def test_which_failures_are_hard(reason: str, code: str, message: str, kind: str, hard: bool) -> None:
    status = {"code": 605, "enhanced-code": code, "message": message}
    (found,) = read(event("failed", severity="permanent", reason=reason, **{"delivery-status": status}))
    assert (found.kind.value, found.hard) == (kind, hard)
    (found,) = read(event("failed", severity="temporary", reason=reason, **{"delivery-status": status}))
    assert (found.kind.value, found.hard) == ("deferred", False)


def test_a_signature_that_somebody_saw_proves_nothing_new() -> None:
    """It does not cover the body, so other words under the same token are the same event: the first counts."""
    (genuine,), (forged,) = read(event("delivered")), read(event("complained"))
    assert genuine.id == forged.id


def test_events_of_messages_that_are_not_ours_are_left_out() -> None:
    assert read(event("complained", **{"user-variables": {}})) == []
