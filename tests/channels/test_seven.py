"""seven.io against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.channels.seven_server import (
    ABROAD,
    FULL,
    KEY,
    NO_NUMBER,
    SIGNING_KEY,
    SevenServer,
    said,
    signed,
)
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
from treue.clock import utc_now
from treue.errors import ChannelError
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.seven import Seven

CALLBACKS = "https://shop.example/v1/receipts/sms"


@pytest.fixture
def provider() -> Iterator[SevenServer]:
    with SevenServer() as running:
        yield running


@pytest.fixture
def seven(provider: SevenServer) -> Iterator[Seven]:
    adapter = Seven(KEY, "Klangladen", signing_key=SIGNING_KEY, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY, SIGNING_KEY)
    answers_about_us = tuple(
        Reply.json({
            "success": "101", "total_price": 0, "balance": 1, "debug": "false", "sms_type": "direct",
            "messages": [{"id": None, "success": False, "error": str(code), "error_text": words}],
        })
        for code, words in (
            (201, "Sender invalid. A maximum of 11 alphanumeric or 16 numeric characters are allowed."),
            (300, "Variable p is not specified"),
            (304, "Variable type not set"),
            (400, "type invalid. See allowed values above."),
            (500, "Too little credit available."),
            (900, "Authentication failed. Please check user and api key"),
            (902, "http API disabled for this account"),
            (903, "Server IP is wrong"),
        )
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: SevenServer) -> SevenServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Seven:
        return Seven(KEY, "Klangladen", signing_key=SIGNING_KEY, url=url, **options)

    def stranger(self, url: str) -> Seven:
        return Seven("another-key", "Klangladen", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90, "sms"), to=NO_NUMBER)


class TestCallbacks(CallbackContract):
    proof_header = "x-signature"
    covers_body = True
    covers_time = True
    secrets = (SIGNING_KEY,)

    @pytest.fixture
    def receiver(self) -> Seven:
        return Seven(KEY, "Klangladen", signing_key=f"the-next-one {SIGNING_KEY}")

    @pytest.fixture
    def without_secret(self) -> Seven:
        return Seven(KEY, "Klangladen")

    def documents(self) -> list[dict[str, Any]]:
        return [dlr("TRANSMITTED"), dlr("DELIVERED"), dlr("NOTDELIVERED"), inbound("STOP")]

    def unheard_of(self) -> Any:
        return dlr("SUNG")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(CALLBACKS, body, at)


def dlr(status: str, **more: Any) -> dict[str, Any]:
    return {
        "data": {"msg_id": "77149843739", "status": status, "timestamp": "2026-11-22 09:59:00.000000", **more},
        "webhook_event": "dlr", "webhook_timestamp": "2026-11-22T09:59:00+01:00",
    }  # fmt: skip


def inbound(text: str, sender: str = "4915110000001") -> dict[str, Any]:
    return {
        "data": {"id": "681590", "sender": sender, "system": "491771783130", "text": text, "time": "1795337940",
                 "message_type": "SMS"},
        "webhook_event": "sms_mo", "webhook_timestamp": "2026-11-22 09:59:00",
    }  # fmt: skip


def one(adapter: Seven, message: Outgoing) -> Receipt:
    (receipt,) = adapter.send([message], Log())
    return receipt


def read(adapter: Seven, document: Any) -> list[DeliveryEvent]:
    return adapter.read_receipts(signed(CALLBACKS, json.dumps(document).encode(), NOW))


# --- sending ---------------------------------------------------------------------------------------------


def test_a_message_goes_out_with_our_key(seven: Seven, provider: SevenServer) -> None:
    message = replace(example_message("sms", 1), key="17", text="Grüße 🎵")
    receipt = one(seven, message)
    assert isinstance(receipt, Accepted)
    assert provider.sent[receipt.provider_id] == {
        "to": message.to, "from": "Klangladen", "text": "Grüße 🎵", "foreign_id": "17",
    }  # fmt: skip


def test_a_message_is_not_tried_for_longer_than_it_is_worth(seven: Seven, provider: SevenServer) -> None:
    for left in (timedelta(minutes=30, seconds=30), timedelta(seconds=5), timedelta(days=30)):
        one(seven, replace(example_message("sms", 1), expires_at=utc_now() + left))
    assert [sent.get("ttl") for sent in provider.sent.values()] == ["30", "1", None]


@pytest.mark.parametrize(
    "answer", [Reply.json(900), Reply.json({"success": "900"}), Reply.json(900, 401), Reply(401)]
)
def test_a_wrong_key_is_told_in_several_ways(seven: Seven, provider: SevenServer, answer: Reply) -> None:
    provider.next(answer)
    receipt = one(seven, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone


def test_a_number_that_is_none_is_suppressed(seven: Seven) -> None:
    receipt = one(seven, replace(example_message("sms", 1), to=NO_NUMBER))
    assert isinstance(receipt, Refused)
    assert receipt.suppress
    assert "202: Recipient number invalid." in receipt.reason


def test_a_text_that_is_too_long_is_no_fault_of_the_number(seven: Seven) -> None:
    receipt = one(seven, replace(example_message("sms", 1), text="a" * 1_521))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress


def test_a_number_that_has_had_its_fill_is_tried_later(seven: Seven) -> None:
    receipt = one(seven, replace(example_message("sms", 1), to=FULL))
    assert isinstance(receipt, Retry)
    assert not receipt.everyone
    assert receipt.after >= 3_600


def test_a_sender_or_a_country_that_is_not_valid_refuses_nobody(seven: Seven) -> None:
    receipt = one(seven, replace(example_message("sms", 1), to=ABROAD))
    assert isinstance(receipt, Retry)
    assert not receipt.everyone


def test_the_same_text_at_once_is_kept_by_sevens_lock(seven: Seven, provider: SevenServer) -> None:
    provider.lock = True
    message = example_message("sms", 1)
    assert isinstance(one(seven, message), Accepted)
    again = one(seven, replace(message, key="another"))
    assert isinstance(again, Refused)
    assert not again.suppress
    assert "already been sent" in again.reason


def test_without_credit_nobody_is_refused(seven: Seven, provider: SevenServer) -> None:
    provider.credit = False
    receipt = one(seven, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone


@pytest.mark.parametrize("code", [600, 700, 999, 0])
def test_a_code_that_says_too_little_leaves_a_doubt(seven: Seven, provider: SevenServer, code: int) -> None:
    found = {"to": "+4915110000001", "text": "Hi", "from": "Shop"}
    provider.next(said(found, code, "Carrier delivery failed") if code else Reply.json({"success": "100"}))
    assert isinstance(one(seven, example_message("sms", 1)), Unknown)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"sender": ""}, "needs `sender:`"), ({"sender": "Plattenladen Hamburg"}, "at most 11"), ({"api_key": ""}, "empty")],
)  # fmt: skip
def test_settings_that_cannot_be_are_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        Seven(**{"api_key": KEY, "sender": "Shop", **options})


# --- callbacks -------------------------------------------------------------------------------------------


def test_what_became_of_a_message_is_found_by_sevens_own_id(seven: Seven, provider: SevenServer) -> None:
    receipt = one(seven, example_message("sms", 1))
    assert isinstance(receipt, Accepted)
    body = provider.tells(receipt.provider_id, "DELIVERED", NOW)
    (event,) = seven.read_receipts(signed(CALLBACKS, body, NOW))
    assert (event.kind, event.provider_id) == (DeliveryEventKind.delivered, receipt.provider_id)


@pytest.mark.parametrize(
    ("said_", "kind"),
    [
        ("TRANSMITTED", "accepted"), ("ACCEPTED", "accepted"), ("BUFFERED", "deferred"), ("DELIVERED", "delivered"),
        ("NOTDELIVERED", "bounced"), ("EXPIRED", "bounced"), ("REJECTED", "bounced"), ("FAILED", "failed"),
    ],
)  # fmt: skip
def test_each_status_has_its_word_and_none_says_that_a_number_is_dead(
    seven: Seven, said_: str, kind: str
) -> None:
    (event,) = read(seven, dlr(said_))
    assert (event.kind, event.hard, event.status) == (kind, False, said_)
    assert event.at.isoformat() == "2026-11-22T08:59:00+00:00"


def test_our_key_is_read_where_seven_repeats_it(seven: Seven) -> None:
    (event,) = read(seven, dlr("DELIVERED", foreign_id="17"))
    assert event.key == "17"


def test_an_sms_that_says_stop_is_the_customers_word(seven: Seven) -> None:
    (event,) = read(seven, inbound(" stopp "))
    assert (event.kind, event.address) == (DeliveryEventKind.unsubscribed, "+4915110000001")
    assert event.at.isoformat() == "2026-11-22T08:59:00+00:00"


@pytest.mark.parametrize(
    "document",
    [inbound("Danke"), inbound("START"), inbound("STOP", "Shop")],
)  # fmt: skip
def test_what_is_nothing_to_us_is_left_out(seven: Seven, document: dict[str, Any]) -> None:
    assert read(seven, document) == []


def test_the_path_alone_may_have_been_signed(seven: Seven) -> None:
    body = json.dumps(dlr("DELIVERED")).encode()
    assert seven.read_receipts(signed(CALLBACKS, body, NOW, signed_url="/v1/receipts/sms"))
    for elsewhere in ("https://evil.example/v1/receipts/sms", "/v1/receipts/email", "/"):
        with pytest.raises(BadCallback):
            seven.read_receipts(signed(CALLBACKS, body, NOW, signed_url=elsewhere))


@pytest.mark.parametrize("name", ["x-nonce", "x-timestamp", "x-signature"])
def test_each_part_of_the_signature_is_needed(seven: Seven, name: str) -> None:
    genuine = signed(CALLBACKS, json.dumps(dlr("DELIVERED")).encode(), NOW)
    for value in ("", "0", genuine.headers[name] + "0"):
        with pytest.raises(BadCallback):
            seven.read_receipts(replace(genuine, headers={**genuine.headers, name: value}))
