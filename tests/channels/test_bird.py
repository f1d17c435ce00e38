"""Bird against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.channels.bird_server import KEY, NOWHERE, SECRET, BirdServer, error, signed
from treue.channel import (
    Accepted,
    BadCallback,
    Callback,
    DeliveryEvent,
    DeliveryEventKind,
    Outgoing,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.errors import ChannelError
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.bird import Bird

CALLBACKS = "https://shop.example/v1/receipts/sms"


@pytest.fixture
def provider() -> Iterator[BirdServer]:
    with BirdServer() as running:
        yield running


@pytest.fixture
def bird(provider: BirdServer) -> Iterator[Bird]:
    adapter = Bird(KEY, "+4915799999999", webhook_secret=SECRET, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY, SECRET)
    answers_about_us = (
        error(422, "E05003", "SMSSenderNotConfigured", "The workspace has no such sender.", "from"),
        error(422, "E05006", "SMSNoEligibleSender", "No sender of the workspace can send there."),
        error(
            422,
            "E05007",
            "SenderCategoryNotPermitted",
            "The sender's registration does not cover marketing.",
            "category",
        ),
        error(402, "E01006", "InsufficientBalance", "The wallet cannot fund the send."),
        error(401, "E01001", "Unauthorized", "The key is not valid."),
        error(403, "E01003", "Forbidden", "The key may not send SMS."),
    )

    @pytest.fixture
    def provider(self, provider: BirdServer) -> BirdServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Bird:
        if not url:
            pytest.skip("without an address, the key's beginning names it")
        return Bird(KEY, "Klangladen", webhook_secret=SECRET, url=url, **options)

    def stranger(self, url: str) -> Bird:
        return Bird("bk_eu1_another", "Klangladen", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90, "sms"), to=NOWHERE)

    def slow_down(self, wait: str) -> Reply:
        limited = error(429, "E01010", "RateLimited", "Too many requests.")
        return replace(limited, headers={"Retry-After": wait})


class TestCallbacks(CallbackContract):
    proof_header = "webhook-signature"
    covers_body = True
    covers_time = True
    secrets = (SECRET,)

    @pytest.fixture
    def receiver(self) -> Bird:
        return Bird(KEY, "Klangladen", webhook_secret=f"whsec_c2Vjb25k {SECRET}")

    @pytest.fixture
    def without_secret(self) -> Bird:
        return Bird(KEY, "Klangladen")

    def documents(self) -> list[dict[str, Any]]:
        return [ACCEPTED, DELIVERED, FAILED, OPTED, STOP, SUPPRESSED]

    def told_about_us(self) -> list[dict[str, Any]]:
        return [event("sms.rejected", "insufficient_balance"), event("sms.failed", "sender_unregistered")]

    def unheard_of(self) -> Any:
        return event("sms.sung")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(CALLBACKS, body, at)


def event(
    kind: str, code: str = "", sms_id: str = "sms_01krdgeqcxet5s7t44vh8rt9mg", **more: Any
) -> dict[str, Any]:
    error_ = {
        "code": code,
        "description": f"It is {code}",
        "carrier_error_code": None,
        "occurred_at": "2026-11-22T08:59:00Z",
    }
    data = {
        "sms_id": sms_id, "workspace_id": "ws_01krdgeqcxet5s7t44vh8rt9mg", "to": "+4915110000001",
        "from": "+4915799999999", "tags": None, "metadata": {"treue_key": "17"}, "country_code": "DE",
        **({"error": error_} if code else {}), **more,
    }  # fmt: skip
    return {"type": kind, "timestamp": "2026-11-22T08:59:00Z", "data": data}


def inbound(text: str, sender: str = "+4915110000001") -> dict[str, Any]:
    turned = {"from": sender, "to": "+4915799999999", "text": text, "metadata": None}
    return event("sms.received", sms_id="sms_inbound", **turned)


ACCEPTED, DELIVERED = event("sms.accepted"), event("sms.delivered")
FAILED, OPTED = (
    event("sms.failed", "invalid_destination"),
    event("sms.rejected", "recipient_opted_out", "sms_2"),
)
STOP = inbound("Abmelden")
SUPPRESSED = {
    "type": "sms_suppression.created", "timestamp": "2026-11-22T08:59:00Z",
    "data": {"suppression_id": "ssu_01krdgeqcxet5s7t44vh8rt9mg", "destination": "+4915110000001",
             "originator": "+4915799999999", "reason": "keyword_stop", "workspace_id": "ws_1"},
}  # fmt: skip


def one(adapter: Bird, message: Outgoing) -> Receipt:
    (receipt,) = adapter.send([message], Log())
    return receipt


def read(adapter: Bird, document: Any) -> list[DeliveryEvent]:
    return adapter.read_receipts(signed(CALLBACKS, json.dumps(document).encode(), NOW))


# --- sending ---------------------------------------------------------------------------------------------


def test_a_message_goes_under_its_own_key(bird: Bird, provider: BirdServer) -> None:
    message = replace(example_message("sms", 1), key="17", text="Grüße 🎵")
    receipt = one(bird, message)
    assert isinstance(receipt, Accepted)
    assert provider.sent[receipt.provider_id] == {
        "to": message.to, "from": "+4915799999999", "text": "Grüße 🎵", "category": "marketing",
        "metadata": {"treue_key": "17"},
    }  # fmt: skip
    assert provider.asked[0].headers["idempotency-key"] == "17"


def test_a_repetition_is_the_same_message(bird: Bird, provider: BirdServer) -> None:
    message = example_message("sms", 1)
    assert one(bird, message) == one(bird, message)
    assert len(provider.sent) == 1


def test_an_answer_that_was_lost_is_found_again(bird: Bird, provider: BirdServer) -> None:
    message = example_message("sms", 1)
    first = one(bird, message)
    provider.next(Reply(502, {}, b"<html>Bad Gateway</html>"))
    assert isinstance(one(bird, message), Unknown)
    assert one(bird, message) == first
    assert len(provider.sent) == 1


@pytest.mark.parametrize("name", ["IdempotencyKeyReuse", "RequestInProgress"])
def test_a_key_that_is_in_use_leaves_a_doubt(bird: Bird, provider: BirdServer, name: str) -> None:
    provider.next(error(409, "E01005", name, "The key is in use."))
    assert isinstance(one(bird, example_message("sms", 1)), Unknown)


def test_a_message_of_another_text_under_the_same_key_leaves_a_doubt(bird: Bird) -> None:
    message = example_message("sms", 1)
    assert isinstance(one(bird, message), Accepted)
    assert isinstance(one(bird, replace(message, text="Another")), Unknown)


def test_a_number_that_goes_nowhere_is_suppressed(bird: Bird) -> None:
    receipt = one(bird, replace(example_message("sms", 1), to=NOWHERE))
    assert isinstance(receipt, Refused)
    assert receipt.suppress
    assert "SMSInvalidRecipient" in receipt.reason


def test_a_text_that_is_too_long_is_no_fault_of_the_number(bird: Bird) -> None:
    receipt = one(bird, replace(example_message("sms", 1), text="a" * 1_837))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress


def test_a_sender_that_is_not_ours_refuses_nobody(provider: BirdServer) -> None:
    bird = Bird(KEY, "Another", url=provider.url)
    receipt = one(bird, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.ours
    bird.close()


@pytest.mark.parametrize(
    ("category", "said"),
    [
        ("transactional", "transactional"),
        ("relational", "marketing"),
        ("promotional", "marketing"),
        ("", "marketing"),
    ],
)
def test_bird_is_told_what_a_message_is_for(
    bird: Bird, provider: BirdServer, category: str, said: str
) -> None:
    one(bird, replace(example_message("sms", 1), category=category))
    (sent,) = provider.sent.values()
    assert sent["category"] == said


def test_smart_encoding_is_asked_for(provider: BirdServer) -> None:
    bird = Bird(KEY, "Klangladen", smart_encoding=True, url=provider.url)
    one(bird, example_message("sms", 1))
    (sent,) = provider.sent.values()
    assert sent["options"] == {"smart_encoding": True}
    bird.close()


def test_the_key_names_where_bird_lives() -> None:
    assert Bird("bk_eu1_abc", "Shop").url == "https://eu1.platform.bird.com"
    assert Bird("bk_us1_abc", "Shop").url == "https://us1.platform.bird.com"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sender": ""}, "needs `sender:`"),
        ({"api_key": "live_abc"}, "begins with its region"),
        ({"api_key": ""}, "begins with its region"),
        ({"webhook_secret": "whsec_ä"}, "`webhook_secret` of Bird is no secret"),
        ({"smart_encoding": 1}, "true or false"),
    ],
)
def test_settings_that_cannot_be_are_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        Bird(**{"api_key": KEY, "sender": "Shop", **options})


# --- callbacks -------------------------------------------------------------------------------------------


def test_what_became_of_a_message_comes_back_under_our_key(bird: Bird, provider: BirdServer) -> None:
    receipt = one(bird, replace(example_message("sms", 1), key="17"))
    assert isinstance(receipt, Accepted)
    (found,) = bird.read_receipts(provider.tells(receipt.provider_id, "sms.delivered", NOW))
    assert (found.kind, found.key, found.provider_id) == (
        DeliveryEventKind.delivered,
        "17",
        receipt.provider_id,
    )


@pytest.mark.parametrize(
    ("said", "code", "kind", "hard"),
    [
        ("sms.accepted", "", "accepted", False),
        ("sms.sent", "", "accepted", False),
        ("sms.delivered", "", "delivered", False),
        ("sms.undelivered", "unreachable", "bounced", False),
        ("sms.failed", "invalid_destination", "bounced", True),
        ("sms.failed", "landline_unreachable", "bounced", True),
        ("sms.failed", "blocked_by_carrier", "failed", False),
        ("sms.failed", "blocked_by_recipient", "bounced", False),
        ("sms.failed", "unknown", "bounced", False),
        ("sms.failed", "provider_unavailable", "failed", False),
        ("sms.failed", "insufficient_balance", "failed", False),
        ("sms.expired", "", "bounced", False),
        ("sms.rejected", "invalid_destination", "failed", True),
        ("sms.rejected", "insufficient_balance", "failed", False),
        ("sms.rejected", "a_code_of_tomorrow", "failed", False),
    ],
)
def test_each_event_has_its_word_and_only_dead_numbers_are_dead(
    bird: Bird, said: str, code: str, kind: str, hard: bool
) -> None:
    (found,) = read(bird, event(said, code))
    assert (found.kind, found.hard, found.status) == (kind, hard, code or said.removeprefix("sms."))
    assert (found.key, found.address) == ("17", "+4915110000001")
    assert found.at.isoformat() == "2026-11-22T08:59:00+00:00"


def test_that_somebody_opted_out_earlier_is_told_as_such(bird: Bird) -> None:
    failed, stop = read(bird, OPTED)
    assert (failed.kind, failed.hard) == (DeliveryEventKind.failed, False)
    assert (stop.kind, stop.address) == (DeliveryEventKind.unsubscribed, "+4915110000001")


@pytest.mark.parametrize("document", [STOP, SUPPRESSED, inbound("STOP")])
def test_a_customer_who_says_stop_is_heard(bird: Bird, document: dict[str, Any]) -> None:
    (found,) = read(bird, document)
    assert (found.kind, found.address) == (DeliveryEventKind.unsubscribed, "+4915110000001")


@pytest.mark.parametrize(
    "document",
    [inbound("Danke"), inbound("START"), inbound("STOP", "Shop"),
     {**SUPPRESSED, "data": {**SUPPRESSED["data"], "reason": "manual"}}],
)  # fmt: skip
def test_what_is_nothing_to_us_is_left_out(bird: Bird, document: dict[str, Any]) -> None:
    assert read(bird, document) == []


def test_the_published_signature_verifies() -> None:
    """standard-webhooks, libraries/python/tests/test_webhooks.py."""
    bird = Bird(KEY, "Shop", webhook_secret=SECRET)
    body = b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, NOW.tzinfo)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    callback = Callback("POST", CALLBACKS, headers, body, at)
    assert [one.kind.value for one in bird.read_receipts(callback)] == ["unknown"]
    wrong = {**headers, "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="}
    several = {**headers, "webhook-signature": f"v1a,AAAA v1,AAAA {headers['webhook-signature']}"}
    assert bird.read_receipts(replace(callback, headers=several))
    with pytest.raises(BadCallback):
        bird.read_receipts(replace(callback, headers=wrong))
