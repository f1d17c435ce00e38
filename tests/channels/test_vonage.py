"""Vonage against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.channels.vonage_server import (
    DEMO,
    KEY,
    NO_NUMBER,
    OPTED_OUT,
    REGULATED,
    SECRET,
    SIGNATURE_SECRET,
    VonageServer,
    jwt,
    problem,
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
from treue_channels.vonage import Vonage

CALLBACKS = "https://shop.example/v1/receipts/sms"


@pytest.fixture
def provider() -> Iterator[VonageServer]:
    with VonageServer() as running:
        yield running


@pytest.fixture
def vonage(provider: VonageServer) -> Iterator[Vonage]:
    adapter = Vonage(
        KEY, SECRET, "+4915799999999", signature_secret=SIGNATURE_SECRET, callback_url=CALLBACKS, url=provider.url
    )  # fmt: skip
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (SECRET, SIGNATURE_SECRET)
    answers_about_us = (
        problem(422, "/messages#1120", "Illegal Sender Address - rejected", "Due to local regulations, the SenderID you set "
                "in from in the request was not accepted."),
        problem(422, "/messages#1150", "Invalid params", "The value of one or more parameters is invalid.",
                invalid_parameters=[{"name": "from", "reason": "invalid value"}]),
        problem(422, "/messages#1150", "Invalid params", "The value of one or more parameters is invalid.",
                invalid_parameters=[{"name": "from", "reason": "invalid"}, {"name": "to", "reason": "invalid"}]),
        problem(422, "/messages#1160", "Non White-listed Destination", "The phone number you set in to is not in your "
                "pre-approved destination list."),
        problem(422, "/messages#1060", "Partner account barred", "The account has been barred from submitting messages."),
        problem(422, "/messages#1070", "Partner quota exceeded", "Your account does not have sufficient credit."),
        problem(402, "#low-balance", "Low balance", "This request could not be performed due to your account balance."),
        problem(403, "#forbidden", "Forbidden", "Your account does not have permission to perform this action."),
        problem(401, "#unauthorized", "Unauthorized", "You did not provide correct credentials."),
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: VonageServer) -> VonageServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Vonage:
        return Vonage(KEY, SECRET, "Klangladen", signature_secret=SIGNATURE_SECRET, url=url, **options)

    def stranger(self, url: str) -> Vonage:
        return Vonage(KEY, "another-secret", "Klangladen", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90, "sms"), to=OPTED_OUT)

    def slow_down(self, wait: str) -> Reply:
        throttled = problem(429, "/messages#1000", "Throttled", "You have exceeded the submission capacity.")
        return replace(throttled, headers={"Retry-After": wait})


class TestCallbacks(CallbackContract):
    proof_header = "authorization"
    covers_body = True
    secrets = (SIGNATURE_SECRET,)

    @pytest.fixture
    def receiver(self) -> Vonage:
        return Vonage(KEY, SECRET, "Klangladen", signature_secret=f"the-next-one {SIGNATURE_SECRET}")

    @pytest.fixture
    def without_secret(self) -> Vonage:
        return Vonage(KEY, SECRET, "Klangladen")

    def documents(self) -> list[dict[str, Any]]:
        return [SUBMITTED, DELIVERED, REJECTED, OPTED, STOP]

    def told_about_us(self) -> list[dict[str, Any]]:
        return [status("rejected", code) for code in (1060, 1070, 1080, 1120, 1140, 1160)]

    def unheard_of(self) -> Any:
        return status("sung")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(CALLBACKS, body, at)


def status(said: str, code: int = 0, **more: Any) -> dict[str, Any]:
    error = {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": code, "detail": f"{code} it is",
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }  # fmt: skip
    return {
        "message_uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "to": "4915110000001", "from": "4915799999999",
        "timestamp": "2026-11-22T08:59:00.000Z", "status": said, "client_ref": "17", "channel": "sms",
        "destination": {"network_code": "26201"}, "sms": {"count_total": "2"},
        "usage": {"currency": "EUR", "price": "0.0333"}, **({"error": error} if code else {}), **more,
    }  # fmt: skip


def inbound(text: str, **more: Any) -> dict[str, Any]:
    return {
        "channel": "sms", "message_uuid": "bbbbbbbb-bbbb-cccc-dddd-0123456789ab", "to": "4915799999999",
        "from": "4915110000001", "timestamp": "2026-11-22T08:59:00Z", "text": text, "message_type": "text",
        "sms": {"num_messages": "1", "keyword": text.partition(" ")[0].upper()}, **more,
    }  # fmt: skip


SUBMITTED, DELIVERED, REJECTED, OPTED = (
    status("submitted"), status("delivered"), status("rejected", 1190, message_uuid="c-2"),
    status("rejected", 1240, message_uuid="c-3"),
)  # fmt: skip
STOP = inbound("Stopp")


def one(adapter: Vonage, message: Outgoing) -> Receipt:
    (receipt,) = adapter.send([message], Log())
    return receipt


def read(adapter: Vonage, document: Any) -> list[DeliveryEvent]:
    return adapter.read_receipts(signed(CALLBACKS, json.dumps(document).encode(), NOW))


# --- sending ---------------------------------------------------------------------------------------------


def test_numbers_go_without_their_plus_and_our_key_goes_along(vonage: Vonage, provider: VonageServer) -> None:
    message = replace(example_message("sms", 1), text="Grüße 🎵", key="17")
    receipt = one(vonage, message)
    assert isinstance(receipt, Accepted)
    assert provider.sent[receipt.provider_id] == {
        "channel": "sms", "message_type": "text", "to": message.to[1:], "from": "4915799999999", "text": "Grüße 🎵",
        "client_ref": "17", "webhook_url": CALLBACKS, "webhook_version": "v1",
    }  # fmt: skip


def test_a_message_is_not_tried_for_longer_than_it_is_worth(vonage: Vonage, provider: VonageServer) -> None:
    for left in (timedelta(hours=1), timedelta(seconds=-5), timedelta(days=30)):
        one(vonage, replace(example_message("sms", 1), expires_at=utc_now() + left))
    first, second, third = provider.sent.values()
    assert 3_500 < first["ttl"] <= 3_600
    assert second["ttl"] == 20
    assert "ttl" not in third


@pytest.mark.parametrize(
    ("to", "suppress", "code"),
    [(OPTED_OUT, True, 1240), (NO_NUMBER, True, 1170)],
)
def test_what_is_wrong_with_a_number_costs_that_number_only(
    vonage: Vonage, to: str, suppress: bool, code: int
) -> None:
    receipt = one(vonage, replace(example_message("sms", 1), to=to))
    assert isinstance(receipt, Refused)
    assert receipt.suppress is suppress
    assert f"{code} it is" in receipt.reason


@pytest.mark.parametrize("to", [DEMO, REGULATED])
def test_a_sender_or_an_account_that_may_not_write_there_refuses_nobody(vonage: Vonage, to: str) -> None:
    receipt = one(vonage, replace(example_message("sms", 1), to=to))
    assert isinstance(receipt, Retry)
    assert (receipt.ours, receipt.everyone) == (True, False)


def test_a_text_that_is_too_long_is_no_fault_of_the_number(vonage: Vonage) -> None:
    receipt = one(vonage, replace(example_message("sms", 1), text="a" * 3_201))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress


def test_a_number_that_vonage_cannot_read_is_a_wrong_one(vonage: Vonage, provider: VonageServer) -> None:
    wrong = [{"name": "to", "reason": "invalid value"}]
    provider.next(problem(422, "/messages#1150", "Invalid params", "Wrong.", invalid_parameters=wrong))
    receipt = one(vonage, example_message("sms", 1))
    assert isinstance(receipt, Refused)
    assert receipt.suppress


@pytest.mark.parametrize("code", [1060, 1070, 1080, 1140])
def test_what_is_wrong_with_the_account_stops_the_channel(
    vonage: Vonage, provider: VonageServer, code: int
) -> None:
    provider.next(problem(422, f"/messages#{code}", "The account", "is not what it should be"))
    receipt = one(vonage, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone


@pytest.mark.parametrize(("code", "outcome"), [(1030, Unknown), (1100, Retry), (1241, Retry)])
def test_what_is_wrong_at_vonage_refuses_nobody(
    vonage: Vonage, provider: VonageServer, code: int, outcome: type[Receipt]
) -> None:
    provider.next(problem(422, f"/messages#{code}", "Vonage", "is not what it should be"))
    receipt = one(vonage, example_message("sms", 1))
    assert isinstance(receipt, outcome)
    assert not getattr(receipt, "everyone", False)


def test_without_credit_nobody_is_refused(vonage: Vonage, provider: VonageServer) -> None:
    provider.credit = False
    receipt = one(vonage, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone
    assert "Low balance" in receipt.reason


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sender": ""}, "needs `sender:`"),
        ({"sender": "Plattenladen Hamburg"}, "at most 11 letters"),
        ({"sender": "Shop 24"}, "A to Z, digits, not"),
        ({"api_secret": ""}, "key, and it is empty"),
        ({"callback_url": "shop.example"}, "https address"),
    ],
)
def test_settings_that_cannot_be_are_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        Vonage(**{"api_key": KEY, "api_secret": SECRET, "sender": "Klangladen", **options})


# --- callbacks -------------------------------------------------------------------------------------------


def test_what_became_of_a_message_comes_back_under_our_key(vonage: Vonage, provider: VonageServer) -> None:
    receipt = one(vonage, replace(example_message("sms", 1), key="17"))
    assert isinstance(receipt, Accepted)
    (event,) = vonage.read_receipts(provider.tells(receipt.provider_id, "delivered", NOW))
    assert (event.kind, event.key, event.provider_id) == (
        DeliveryEventKind.delivered,
        "17",
        receipt.provider_id,
    )
    assert event.address == "+4915110000001"


@pytest.mark.parametrize(
    ("said", "code", "kind", "hard"),
    [
        ("submitted", 0, "accepted", False),
        ("delivered", 0, "delivered", False),
        ("rejected", 0, "bounced", False),
        ("rejected", 1180, "bounced", False),  # away for now
        ("rejected", 1190, "bounced", True),  # no longer in use
        ("rejected", 1210, "failed", False),  # filtered: no word about the number
        ("rejected", 1260, "bounced", False),
        ("rejected", 1330, "bounced", False),  # nobody knows
        ("rejected", 1170, "failed", True),  # no number
        ("rejected", 1050, "failed", True),  # barred
        ("rejected", 1070, "failed", False),  # no credit
        ("rejected", 1120, "failed", False),  # the sender
        ("undeliverable", 0, "failed", False),
    ],
)
def test_each_status_has_its_word_and_only_dead_numbers_are_dead(
    vonage: Vonage, said: str, code: int, kind: str, hard: bool
) -> None:
    (event,) = read(vonage, status(said, code))
    assert (event.kind, event.hard, event.status) == (kind, hard, str(code) if code else said)
    assert event.at.isoformat() == "2026-11-22T08:59:00+00:00"


def test_that_somebody_opted_out_is_told_afterwards(vonage: Vonage) -> None:
    rejected, stop = read(vonage, OPTED)
    assert (rejected.kind, rejected.hard, rejected.key) == (DeliveryEventKind.bounced, False, "17")
    assert (stop.kind, stop.address) == (DeliveryEventKind.unsubscribed, "+4915110000001")


def test_an_sms_that_says_stop_is_the_customers_word(vonage: Vonage) -> None:
    (event,) = read(vonage, STOP)
    assert (event.kind, event.address, event.reason) == (
        DeliveryEventKind.unsubscribed,
        "+4915110000001",
        "Stopp",
    )


@pytest.mark.parametrize(
    "document",
    [inbound("Danke"), inbound("START"), inbound("STOP", channel="whatsapp"), inbound("STOP", **{"from": "Shop"})],
)  # fmt: skip
def test_what_is_nothing_to_us_is_left_out(vonage: Vonage, document: dict[str, Any]) -> None:
    assert read(vonage, document) == []


def test_a_repetition_within_a_day_is_believed_and_no_older_one(vonage: Vonage) -> None:
    genuine = signed(CALLBACKS, json.dumps(DELIVERED).encode(), NOW)
    for seconds in (0, 86_400, 86_400 + 300, -300):
        assert vonage.read_receipts(replace(genuine, received_at=NOW + timedelta(seconds=seconds)))
    for seconds in (86_400 + 301, -301):
        with pytest.raises(BadCallback, match="too old"):
            vonage.read_receipts(replace(genuine, received_at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    "claims",
    [{"payload_hash": None}, {"payload_hash": "0" * 64}, {"iat": None}, {"iat": "1795338000"}, {"iat": True},
     {"exp": 1_000_000_000}],
)  # fmt: skip
def test_a_token_that_says_too_little_is_refused(vonage: Vonage, claims: dict[str, Any]) -> None:
    with pytest.raises(BadCallback):
        vonage.read_receipts(signed(CALLBACKS, json.dumps(DELIVERED).encode(), NOW, **claims))


@pytest.mark.parametrize("alg", ["none", "HS512", "RS256", "hs256", None, ["HS256"]])
def test_the_token_does_not_choose_how_it_is_checked(vonage: Vonage, alg: Any) -> None:
    genuine = signed(CALLBACKS, json.dumps(DELIVERED).encode(), NOW)
    token = jwt({"alg": alg, "typ": "JWT"}, {"iat": int(NOW.timestamp())}, SIGNATURE_SECRET)
    for forged in (token, token.rpartition(".")[0] + "."):
        with pytest.raises(BadCallback, match="HS256"):
            vonage.read_receipts(replace(genuine, headers={"authorization": f"Bearer {forged}"}))


def test_a_published_token_verifies() -> None:
    """vonage-python-sdk, jwt/tests/test_verify_jwt.py: the signature is right, and what it signs is no callback."""
    token = (
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJPbmxpbmUgSldUIEJ1aWxkZXIiLCJpYXQiOjE2OTc2MzQ2ODAsImV4cCI6MzMyN"
        "TQ1NDA4MjgsImF1ZCI6IiIsInN1YiI6IiJ9.88vJc3I2HhuqEDixHXVhc9R30tA6U_HQHZTC29y6CGM"
    )
    callback = Callback("POST", CALLBACKS, {"authorization": f"Bearer {token}"}, b"{}", NOW)
    for secret, says in (("qwertyuiopasdfghjklzxcvbnm123456", "not of this body"), ("asdf", "signature")):
        with pytest.raises(BadCallback, match=says):
            Vonage(KEY, SECRET, "Shop", signature_secret=secret).read_receipts(callback)
