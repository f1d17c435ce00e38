"""Twilio against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

import pytest

from tests.channels.twilio_server import (
    ABROAD,
    ACCOUNT,
    LANDLINE,
    OPTED_OUT,
    SENDER,
    SERVICE,
    TOKEN,
    TwilioServer,
    error,
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
from treue_channels.twilio import Twilio, signature

CALLBACKS = "https://shop.example/v1/receipts/sms"


@pytest.fixture
def provider() -> Iterator[TwilioServer]:
    with TwilioServer() as running:
        yield running


@pytest.fixture
def twilio(provider: TwilioServer) -> Iterator[Twilio]:
    adapter = Twilio(ACCOUNT, TOKEN, sender=SENDER, callback_url=CALLBACKS, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (TOKEN,)
    answers_about_us = (
        error(21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: +41791"),
        error(
            21608,
            "The number +41791 is unverified. Trial accounts cannot send messages to unverified numbers; verify +41791 at "
            "twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to send messages to unverified "
            "numbers",
        ),
        error(21608, "The number +41791 is unverified. Trial accounts cannot send messages to unverified numbers", 403),
        error(21606, "The 'From' phone number provided (+15005550007) is not a valid message-capable Twilio phone number for "
              "this destination."),
        error(21612, "The 'To' phone number: +41791, is not currently reachable using the 'From' phone number"),
        error(21212, "Invalid From Number (caller ID): Shop!"),
        error(21603, "A 'From' or 'MessagingServiceSid' parameter is required to send a message"),
        error(21659, "'From' +1500 is not a Twilio phone number or Short Code country mismatch"),
        error(21703, "The Messaging Service does not have a phone number available to send a message"),
        error(21704, "The Messaging Service contains no phone numbers"),
        error(21701, "The Messaging Service does not exist", 404),
        error(20003, "Authenticate", 401),
        error(20005, "Account not active", 403),
        error(10001, "Account is not active", 400),
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: TwilioServer) -> TwilioServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Twilio:
        return Twilio(ACCOUNT, TOKEN, sender="Klangladen", url=url, **options)

    def stranger(self, url: str) -> Twilio:
        return Twilio(ACCOUNT, "another-token", sender="Klangladen", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90, "sms"), to=OPTED_OUT)

    def slow_down(self, wait: str) -> Reply:
        return replace(error(20429, "Too Many Requests", 429), headers={"Retry-After": wait})

    def broken(self) -> Reply:
        return error(20500, "Internal Server Error", 500)


class TestCallbacks(CallbackContract):
    proof_header = "x-twilio-signature"
    secrets = (TOKEN,)

    @pytest.fixture
    def receiver(self) -> Twilio:
        return Twilio(ACCOUNT, f"{TOKEN} the-next-token", sender=SENDER)

    @pytest.fixture
    def without_secret(self) -> Any:
        pytest.skip("Twilio signs with the token, without which nothing can be sent either")

    def documents(self) -> list[dict[str, str]]:
        return [SENT, DELIVERED, UNDELIVERED, OPTED, STOP, TAUGHT]

    def told_about_us(self) -> list[dict[str, str]]:
        found = [("failed", "30002"), ("failed", "21408"), ("failed", "30001")]
        found += [
            ("undelivered", code) for code in ("30018", "30024", "30032", "30033", "30034", "30035", "30023")
        ]
        return [status(said, ErrorCode=code) for said, code in found]

    def unheard_of(self) -> Any:
        return status("sung")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(f"{CALLBACKS}?key=17", body, at)

    def encoded(self, document: Any) -> bytes:
        return form(document)


def form(document: Any) -> bytes:
    """Return a document as Twilio writes it."""
    if not isinstance(document, dict):
        return str(document).encode(errors="surrogatepass")
    fields = {name: str(value).encode(errors="surrogatepass") for name, value in document.items()}
    return urlencode(fields).encode()


def status(said: str, **more: str) -> dict[str, str]:
    sid = "SM00000000000000000000000000000abc"
    return {
        "MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "MessageStatus": said, "SmsStatus": said,
        "To": "+4915110000001", "From": SENDER, "ApiVersion": "2010-04-01", **more,
    }  # fmt: skip


def inbound(text: str, **more: str) -> dict[str, str]:
    return {
        "MessageSid": f"SM{crc32(text.encode()):032x}", "AccountSid": ACCOUNT, "From": "+4915110000001", "To": SENDER,
        "Body": text, "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received", "ApiVersion": "2010-04-01", **more,
    }  # fmt: skip


SENT, DELIVERED = status("sent"), status("delivered")
UNDELIVERED = status("undelivered", ErrorCode="30005", ErrorMessage="Unknown destination handset")
OPTED = status("failed", ErrorCode="21610")
STOP, TAUGHT = inbound("Stopp!"), inbound("Basta", OptOutType="STOP")


def one(adapter: Twilio, message: Outgoing) -> Receipt:
    (receipt,) = adapter.send([message], Log())
    return receipt


def read(adapter: Twilio, document: dict[str, str], url: str = f"{CALLBACKS}?key=17") -> list[DeliveryEvent]:
    return adapter.read_receipts(signed(url, form(document), NOW))


# --- sending ---------------------------------------------------------------------------------------------


def test_a_message_goes_out_as_a_form_with_our_key_in_the_callbacks_address(
    twilio: Twilio, provider: TwilioServer
) -> None:
    message = replace(example_message("sms", 1), key="a/b c", text="Grüße & mehr: 100 % €")
    receipt = one(twilio, message)
    assert isinstance(receipt, Accepted)
    assert provider.sent[receipt.provider_id] == {
        "To": message.to, "From": SENDER, "Body": "Grüße & mehr: 100 % €", "StatusCallback": f"{CALLBACKS}?key=a%2Fb%20c",
    }  # fmt: skip


def test_a_messaging_service_chooses_the_sender(provider: TwilioServer) -> None:
    twilio = Twilio(ACCOUNT, TOKEN, messaging_service=SERVICE, smart_encoding=True, url=provider.url)
    assert isinstance(one(twilio, example_message("sms", 1)), Accepted)
    (sent,) = provider.sent.values()
    assert sent["MessagingServiceSid"] == SERVICE
    assert sent["SmartEncoded"] == "true"
    assert "From" not in sent
    assert "StatusCallback" not in sent
    twilio.close()


@pytest.mark.parametrize(
    ("left", "wait"),
    [(timedelta(hours=1), "35"), (timedelta(seconds=1), "5"), (timedelta(hours=-1), "5"), (timedelta(days=1), None)],
)  # fmt: skip
def test_a_message_does_not_wait_at_twilio_for_longer_than_it_is_worth(
    twilio: Twilio, provider: TwilioServer, left: timedelta, wait: str | None
) -> None:
    one(twilio, replace(example_message("sms", 1), expires_at=utc_now() + left))
    (sent,) = provider.sent.values()
    assert (sent.get("ValidityPeriod") or "x").startswith(wait or "x")


def test_a_number_without_its_country_never_reaches_twilio(twilio: Twilio, provider: TwilioServer) -> None:
    receipt = one(twilio, replace(example_message("sms", 1), to="015112345678"))
    assert isinstance(receipt, Refused)
    assert "begin with +" in receipt.reason
    assert provider.asked == []


def test_a_message_without_a_word_is_refused(twilio: Twilio) -> None:
    assert isinstance(one(twilio, replace(example_message("sms", 1), text=" \n")), Refused)


@pytest.mark.parametrize(
    ("to", "suppress", "said"),
    [(OPTED_OUT, True, "21610"), (LANDLINE, True, "21614")],
)
def test_what_is_wrong_with_a_number_costs_that_number_only(
    twilio: Twilio, to: str, suppress: bool, said: str
) -> None:
    receipt = one(twilio, replace(example_message("sms", 1), to=to))
    assert isinstance(receipt, Refused)
    assert receipt.suppress is suppress
    assert said in receipt.reason


def test_a_country_that_is_not_switched_on_refuses_nobody(twilio: Twilio) -> None:
    abroad, at_home = replace(example_message("sms", 1), to=ABROAD), example_message("sms", 2)
    waits, goes = twilio.send([abroad, at_home], Log())
    assert isinstance(waits, Retry)
    assert (waits.ours, waits.everyone, "21408" in waits.reason) == (True, False, True)
    assert isinstance(goes, Accepted)


def test_a_text_that_is_too_long_is_no_fault_of_the_number(twilio: Twilio) -> None:
    receipt = one(twilio, replace(example_message("sms", 1), text="a" * 1_601))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress


def test_a_sender_that_is_not_ours_refuses_nobody(provider: TwilioServer) -> None:
    twilio = Twilio(ACCOUNT, TOKEN, sender="+4915700000000", url=provider.url)
    receipts = twilio.send([example_message("sms", n) for n in range(2)], Log())
    assert all(isinstance(r, Retry) and not r.everyone and r.after >= 300 for r in receipts)
    twilio.close()


def test_a_messaging_service_that_is_gone_stops_the_channel(provider: TwilioServer) -> None:
    twilio = Twilio(ACCOUNT, TOKEN, messaging_service=SERVICE[:-1] + "0", url=provider.url)
    receipt = one(twilio, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone
    twilio.close()


def test_a_full_queue_is_waited_for(twilio: Twilio, provider: TwilioServer) -> None:
    provider.next(error(21611, "This 'From' number has exceeded the maximum number of queued messages"))
    receipt = one(twilio, example_message("sms", 1))
    assert isinstance(receipt, Retry)
    assert receipt.everyone


def test_a_message_whose_fate_is_unknown_would_be_a_second_one(
    twilio: Twilio, provider: TwilioServer
) -> None:
    provider.next(error(21211, "even with a code that else is certain", 500))
    assert isinstance(one(twilio, example_message("sms", 1)), Unknown)
    assert twilio.capabilities.dedup_window == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"account": "SK" + "0" * 32}, "`account` of Twilio is AC and 32"),
        ({"account": ACCOUNT + "/../x"}, "`account`"),
        ({"messaging_service": "MG1"}, "`messaging_service` of Twilio is MG"),
        ({"sender": ""}, "needs `sender:`"),
        ({"sender": "Plattenladen Hamburg"}, "at most 11 letters"),
        ({"token": ""}, "key, and it is empty"),
        ({"callback_url": "http://shop.example/v1/receipts/sms"}, "https address"),
        ({"callback_url": "https://shop.example/?a=b"}, "without a query"),
        ({"smart_encoding": "yes"}, "true or false"),
    ],
)
def test_settings_that_cannot_be_are_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        Twilio(**{"account": ACCOUNT, "token": TOKEN, "sender": SENDER, **options})


# --- callbacks -------------------------------------------------------------------------------------------


def test_what_became_of_a_message_comes_back_under_our_key(twilio: Twilio, provider: TwilioServer) -> None:
    message = replace(example_message("sms", 1), key="a/b c")
    receipt = one(twilio, message)
    assert isinstance(receipt, Accepted)
    (event,) = twilio.read_receipts(provider.tells(receipt.provider_id, "delivered", NOW))
    assert (event.kind, event.key, event.provider_id) == (
        DeliveryEventKind.delivered,
        "a/b c",
        receipt.provider_id,
    )
    assert event.address == message.to


@pytest.mark.parametrize(
    ("said", "code", "sender", "kind", "hard"),
    [
        ("queued", "", SENDER, "accepted", False),
        ("sent", "", SENDER, "accepted", False),
        ("delivered", "", SENDER, "delivered", False),
        ("undelivered", "30003", SENDER, "bounced", False),  # switched off, or away
        ("undelivered", "30004", SENDER, "bounced", False),  # blocked
        ("undelivered", "30005", SENDER, "bounced", True),  # no such telephone
        ("undelivered", "30006", SENDER, "bounced", True),  # a landline
        ("undelivered", "30006", "24680", "bounced", False),  # or a network that takes no short codes
        ("undelivered", "30007", SENDER, "failed", False),  # filtered: no word about the number
        ("undelivered", "30008", SENDER, "bounced", False),  # nobody knows
        ("failed", "30001", SENDER, "failed", False),
        ("failed", "21614", SENDER, "failed", True),
        ("canceled", "", SENDER, "failed", False),
    ],
)
def test_each_status_has_its_word_and_only_dead_numbers_are_dead(
    twilio: Twilio, said: str, code: str, sender: str, kind: str, hard: bool
) -> None:
    (event,) = read(twilio, status(said, From=sender, **({"ErrorCode": code} if code else {})))
    assert (event.kind, event.hard, event.status) == (kind, hard, code or said)


def test_that_somebody_opted_out_earlier_is_told_as_such(twilio: Twilio) -> None:
    failed, stop = read(twilio, OPTED)
    assert (failed.kind, failed.hard) == (DeliveryEventKind.failed, False)
    assert (stop.kind, stop.address) == (DeliveryEventKind.unsubscribed, "+4915110000001")


@pytest.mark.parametrize("text", ["STOP", "stop.", " Abmelden ", "Unsubscribe"])
def test_an_sms_that_says_stop_is_the_customers_word(twilio: Twilio, text: str) -> None:
    (event,) = read(twilio, inbound(text), CALLBACKS)
    assert (event.kind, event.address, event.key) == (
        DeliveryEventKind.unsubscribed,
        "+4915110000001",
        "",
    )
    assert event.reason == text.strip()


@pytest.mark.parametrize(
    "document",
    [inbound("START"), inbound("Danke!"), inbound("HELP", OptOutType="HELP"),
     inbound("STOP", From="whatsapp:+4915110000001"), inbound("STOP", From="Amazon")],
)  # fmt: skip
def test_what_is_nothing_to_us_is_left_out(twilio: Twilio, document: dict[str, str]) -> None:
    assert read(twilio, document) == []


CALL = {
    "CallSid": ["CA1234567890ABCDE"], "Digits": ["1234"], "From": ["+14158675309"], "To": ["+18005551212"],
    "Caller": ["+14158675309"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("port", "fields", "published"),
    [
        ("", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (":443", CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("", {"Sid": ["CA123"], "SidAccount": ["AC123"], "Digits": ["5678", "1234", "1234"]},
         "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ],
)  # fmt: skip
def test_the_published_signatures_verify(port: str, fields: dict[str, list[str]], published: str) -> None:
    """twilio-python, tests/unit/test_request_validator.py."""
    assert signature("12345", f"https://mycompany.com{port}/myapp.php?foo=1&bar=2", fields) == published


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("https://shop.example:443/r?key=1", "https://shop.example/r?key=1"),
        ("https://shop.example/r?key=1", "https://shop.example:443/r?key=1"),
        ("https://shop.example/r?key=1", "https://shop.example:8443/r?key=1"),
        ("http://shop.example:80/r", "http://shop.example/r"),
    ],
)
def test_a_port_that_only_one_of_us_writes_does_not_matter(twilio: Twilio, told: str, url: str) -> None:
    genuine = signed(told, form(DELIVERED), NOW)
    assert twilio.read_receipts(replace(genuine, url=url))


def test_a_signature_is_of_the_address_and_of_every_field(twilio: Twilio) -> None:
    genuine = signed(f"{CALLBACKS}?key=17", form(DELIVERED), NOW)
    changed = [
        replace(genuine, url=f"{CALLBACKS}?key=18"),
        replace(genuine, url="https://evil.example/?key=17"),
    ]
    changed += [replace(genuine, body=form({**DELIVERED, name: "x"})) for name in (*DELIVERED, "Another")]
    for callback in changed:
        with pytest.raises(BadCallback):
            twilio.read_receipts(callback)
