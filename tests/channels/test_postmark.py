"""Postmark against a server that speaks its documented protocol, and callbacks as its documentation shows them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.channels.mails import rich_message, without_reason
from tests.channels.postmark_server import INACTIVE, TOKEN, PostmarkServer
from treue.channel import (
    Accepted,
    Callback,
    DeliveryEvent,
    DeliveryEventKind,
    Outgoing,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.http.api import basic_authorization
from treue_channels.postmark import Postmark

PASSWORD = "the-webhooks-password"


@pytest.fixture
def provider() -> Iterator[PostmarkServer]:
    with PostmarkServer() as running:
        yield running


@pytest.fixture
def postmark(provider: PostmarkServer) -> Iterator[Postmark]:
    adapter = Postmark(TOKEN, url=provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (TOKEN, PASSWORD)
    answers_about_us = tuple(
        Reply.json([{"ErrorCode": code, "Message": words}])
        for code, words in (
            (300, "Invalid 'From' address: 'sender@example.com' is not a verified sender signature."),
            (400, "The 'From' address you supplied (shop@example.com) is not a Sender Signature on your account."),
            (401, "The Sender Signature 'shop@example.com' is not confirmed."),
            (405, "Not allowed to send."),
            (412, ("While your account is pending approval, all recipient addresses must share the same domain as the 'From' "
                  "address. The domain of the 'From' address is 'example.com', but you are attempting to send email to the "
                  "following domain(s): 'gmail.com'.")),
            (413, "This account is not approved to send email."),
            (1235, "The 'MessageStream' provided does not exist on this server."),
        )
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: PostmarkServer) -> PostmarkServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Postmark:
        return Postmark(TOKEN, url=url, webhook_password=PASSWORD, **options)

    def stranger(self, url: str) -> Postmark:
        return Postmark("another-token", url=url)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to=INACTIVE)


class TestCallbacks(CallbackContract):
    proof_header = "authorization"
    secrets = (PASSWORD,)

    @pytest.fixture
    def receiver(self) -> Postmark:
        return Postmark(TOKEN, webhook_password=f"{PASSWORD} the-next-one")

    @pytest.fixture
    def without_secret(self) -> Postmark:
        return Postmark(TOKEN)

    def documents(self) -> list[dict[str, Any]]:
        return [BOUNCE, DELIVERY, OPEN, CLICK, COMPLAINT, STOP]

    def told_about_us(self) -> list[dict[str, Any]]:
        words = "While your account is pending approval, all recipient addresses must share the same domain as the 'From'."
        return [BOUNCE | {"Type": "SMTPApiError", "TypeCode": 100006, "Details": words}]

    def unheard_of(self) -> Any:
        return COMMON | {"RecordType": "Sung"}

    def callback(self, body: bytes, at: datetime) -> Callback:
        headers = {
            "authorization": basic_authorization("treue", PASSWORD),
            "content-type": "application/json",
        }
        return Callback("POST", "https://treue.example.com/v1/receipts/email", headers, body, at)


COMMON = {"MessageID": "883953f4-6105-42a2-a16a-77a8eac79483", "MessageStream": "broadcast", "Tag": "welcome",
          "Metadata": {"treue-key": "k1", "journey": "welcome"}, "ServerID": 23}  # fmt: skip
BOUNCE = COMMON | {
    "RecordType": "Bounce", "ID": 901542550, "Type": "HardBounce", "TypeCode": 1, "Name": "Hard bounce",
    "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
    "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.", "Email": "bounce@example.com",
    "From": "shop@example.com", "BouncedAt": "2016-04-27T16:28:50.3963933-04:00", "DumpAvailable": True, "Inactive": True,
    "CanActivate": True, "Subject": "Hello",
}  # fmt: skip
DELIVERY = COMMON | {"RecordType": "Delivery", "Recipient": "a@example.com", "DeliveredAt": "2014-08-01T13:28:10.2735393-04:00",
                     "Details": "smtp;250 OK"}  # fmt: skip
OPEN = COMMON | {"RecordType": "Open", "FirstOpen": True, "Recipient": "a@example.com", "UserAgent": "Mozilla/5.0",
                 "ReceivedAt": "2016-04-27T16:21:41.2493688-04:00", "Geo": {}}  # fmt: skip
CLICK = COMMON | {"RecordType": "Click", "ClickLocation": "HTML", "OriginalLink": "https://example.com/click/me",
                  "Recipient": "a@example.com", "ReceivedAt": "2017-10-25T15:21:11.9065619Z"}  # fmt: skip
COMPLAINT = BOUNCE | {"RecordType": "SpamComplaint", "ID": 901542551, "Type": "SpamComplaint", "TypeCode": 512,
                      "Details": "", "Email": "spam@example.com"}  # fmt: skip
STOP = COMMON | {"RecordType": "SubscriptionChange", "Recipient": "a@example.com", "Origin": "Recipient",
                 "SuppressSending": True, "SuppressionReason": "ManualSuppression", "ChangedAt": "2022-06-05T17:17:32Z"}  # fmt: skip


def read(document: dict[str, Any]) -> list[DeliveryEvent]:
    contract = TestCallbacks()
    receiver = Postmark(TOKEN, webhook_password=PASSWORD)
    return receiver.read_receipts(contract.callback(contract.encoded(document), NOW))


def send(postmark: Postmark, *messages: Outgoing) -> list[Receipt]:
    return postmark.send(messages, Log())


def test_a_mail_is_put_as_the_documentation_says(postmark: Postmark, provider: PostmarkServer) -> None:
    assert send(postmark, rich_message()) == [Accepted("00000000-0000-4000-8000-000000000001")]
    (sent,) = provider.sent
    assert sent["From"] == '"Klangladen" <shop@example.com>'
    assert sent["To"] == '"Ada \\"Countess\\" Løvelace" <ada@example.com>'
    assert sent["ReplyTo"] == "answers@example.com"
    assert (sent["Subject"], sent["TextBody"]) == ("Grüße", "Hallo\n")
    assert sent["Headers"] == [
        {"Name": "List-Unsubscribe", "Value": "<https://example.com/u/1>"},
        {"Name": "Message-ID", "Value": "<k1@example.com>"},
    ]
    assert sent["Metadata"] == {
        "treue-key": "k1", "journey": "welcome", "template": "hello", "category": "promotional",
    }  # fmt: skip
    assert [(one["Name"], one["ContentType"], one.get("ContentID")) for one in sent["Attachments"]] == [
        ("terms.pdf", "application/pdf", None), ("l.png", "image/png", "cid:logo"),
    ]  # fmt: skip
    assert b64decode(sent["Attachments"][0]["Content"]) == b"%PDF"


@pytest.mark.parametrize(
    ("category", "stream"),
    [
        ("promotional", "broadcast"),
        ("relational", "outbound"),
        ("transactional", "outbound"),
        ("", "outbound"),
    ],
)
def test_the_category_chooses_the_stream(
    postmark: Postmark, provider: PostmarkServer, category: str, stream: str
) -> None:
    send(postmark, replace(rich_message(), tags={"category": category}))
    assert provider.sent[0]["MessageStream"] == stream


def test_a_stream_that_is_not_there_is_our_fault(provider: PostmarkServer) -> None:
    adapter = Postmark(TOKEN, url=provider.url, broadcast_stream="marketing")
    (receipt,) = send(adapter, rich_message())
    adapter.close()
    assert isinstance(receipt, Retry)
    assert receipt.ours


def test_an_international_domain_goes_in_ascii(postmark: Postmark, provider: PostmarkServer) -> None:
    send(postmark, replace(rich_message(), to="ada@bücher.example"))
    assert provider.sent[0]["To"].endswith("<ada@xn--bcher-kva.example>")


def test_each_message_of_a_batch_has_its_own_verdict(postmark: Postmark, provider: PostmarkServer) -> None:
    good, inactive = example_message("email", 0), replace(example_message("email", 1), to=INACTIVE)
    empty = replace(rich_message(text="", html=""), key="k2")
    first, second, third = send(postmark, good, inactive, empty)
    assert isinstance(first, Accepted)
    assert isinstance(second, Refused)
    assert second.suppress
    assert isinstance(third, Retry)
    assert third.ours
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (300, "Invalid 'To' address: 'x@localhost'.", Refused("", suppress=True)),
        (300, "Invalid 'From' address: 'x@localhost'.", Retry("", 300, ours=True)),
        (300, "Invalid metadata content.", Retry("", 300, ours=True)),
        (400, "The Sender Signature was not found.", Retry("", 300, ours=True)),
        (401, "The Sender Signature is not confirmed.", Retry("", 300, ours=True)),
        (405, "Not allowed to send: you ran out of credits.", Retry("", 300, everyone=True, ours=True)),
        (406, "Inactive recipient", Refused("", suppress=True)),
        (411, "Forbidden attachment type", Refused("")),
        (412, "Your account is pending approval.", Retry("", 300, ours=True)),
        (429, "Rate limit exceeded", Retry("", 60, everyone=True)),
        (100, "Maintenance", Retry("", 60, everyone=True)),
    ],
)
def test_a_code_means_the_same_of_one_message_and_of_a_whole_request(
    postmark: Postmark, provider: PostmarkServer, code: int, message: str, expected: Receipt
) -> None:
    said = {"ErrorCode": code, "Message": message}
    provider.always(Reply.json([said]))
    (of_one,) = send(postmark, rich_message())
    assert without_reason(of_one) == without_reason(expected)
    if isinstance(expected, Retry):
        provider.always(Reply.json(said, 422))
        assert without_reason(send(postmark, rich_message())[0]) == without_reason(expected)


def test_a_batch_that_is_refused_as_a_whole_goes_in_halves(
    postmark: Postmark, provider: PostmarkServer
) -> None:
    provider.next(Reply.json({"ErrorCode": 402, "Message": "Invalid JSON"}, 422))
    batch = [example_message("email", n) for n in range(4)]
    log = Log()
    assert [type(receipt) for receipt in postmark.send(batch, log)] == [Accepted] * 4
    assert len(provider.asked) == 3
    assert [log.of(message.key) for message in batch] == [["started", "settled"]] * 4


def test_an_answer_for_another_number_of_messages_leaves_them_in_doubt(
    postmark: Postmark, provider: PostmarkServer
) -> None:
    provider.next(Reply.json([{"ErrorCode": 0, "Message": "OK", "MessageID": "x"}]))
    receipts = send(postmark, rich_message(), example_message("email", 1))
    assert [type(receipt) for receipt in receipts] == [Unknown, Unknown]


# --- callbacks ------------------------------------------------------------------------------------------------


def test_a_record_is_read_in_full() -> None:
    (event,) = read(BOUNCE)
    assert (event.id, event.kind, event.hard) == (
        "postmark:Bounce:901542550",
        DeliveryEventKind.bounced,
        True,
    )
    assert (event.key, event.provider_id) == ("k1", "883953f4-6105-42a2-a16a-77a8eac79483")
    assert (event.address, event.status) == ("bounce@example.com", "5.1.1")
    assert event.at.isoformat() == "2016-04-27T20:28:50.396393+00:00"
    assert event.reason == "smtp;550 5.1.1 The email account that you tried to reach does not exist."
    assert event.raw["Subject"] == "Hello"
    assert read(CLICK)[0].url == "https://example.com/click/me"


@pytest.mark.parametrize(
    ("type_", "details", "kind", "hard"),
    [
        ("HardBounce", "smtp;550 5.1.1 unknown", "bounced", True),
        ("HardBounce", "", "bounced", True),
        ("HardBounce", "smtp;550 5.7.1 rejected by policy", "bounced", False),
        ("HardBounce", "smtp;552 5.2.2 mailbox full", "bounced", False),
        ("BadEmailAddress", "", "bounced", True),
        ("SoftBounce", "smtp;550 5.1.1 unknown", "bounced", False),
        ("Blocked", "smtp;550 5.7.1 blocked", "bounced", False),
        ("DMARCPolicy", "", "bounced", False),
        ("SpamNotification", "", "bounced", False),
        ("Transient", "", "deferred", False),
        ("DnsError", "", "deferred", False),
        ("Unsubscribe", "", "unsubscribed", False),
        ("AutoResponder", "", "unknown", False),
        ("Subscribe", "", "unknown", False),
        ("ChallengeVerification", "", "unknown", False),
    ],
)
def test_what_postmark_calls_a_bounce(type_: str, details: str, kind: str | None, hard: bool) -> None:
    events = read(BOUNCE | {"Type": type_, "Details": details})
    assert [(event.kind.value, event.hard) for event in events] == [(kind, hard)]


@pytest.mark.parametrize(
    "change",
    [{"SuppressSending": False}, {"SuppressionReason": "HardBounce"}, {"SuppressionReason": "SpamComplaint"},
     {"Origin": "Admin"}, {"Origin": "Customer"}],
)  # fmt: skip
def test_only_the_customers_own_word_ends_a_subscription(change: dict[str, Any]) -> None:
    assert read(STOP | change) == []


def test_records_that_nobody_knows_are_unknown() -> None:
    for document in (COMMON | {"RecordType": "Inbound"}, {}):
        assert [one.kind.value for one in read(document)] == ["unknown"]
