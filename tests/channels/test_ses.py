"""Amazon SES against a server that checks Amazon's signatures; its events by way of SNS, signed by a certificate of ours."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.channels.descriptions import AmazonsModel
from tests.channels.mails import rich_message, without_reason
from tests.channels.ses_server import ACCESS_KEY, REGION, SECRET_KEY, SET, SesServer, error
from treue.channel import Accepted, BadCallback, Callback, DeliveryEvent, Outgoing, Receipt, Refused, Retry
from treue.errors import ChannelError
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.ses import Ses
from treue_channels.sns import TOLERANCE

TOPIC = "arn:aws:sns:eu-central-1:123456789012:treue"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
PRIVATE = rsa.generate_private_key(65537, 1024)  # small: it signs thousands of times


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(PRIVATE.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(PRIVATE, SHA256()).public_bytes(Encoding.PEM)


PEM = certificate()


def get(url: str) -> bytes:
    """Amazon's certificate, and nothing else in the world."""
    assert url == CERTIFICATE, f"{url} was fetched"
    return PEM


@pytest.fixture
def provider() -> Iterator[SesServer]:
    with SesServer() as running:
        yield running


def connected(url: str, **options: Any) -> Ses:
    options = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "configuration_set": SET,
    } | options
    return Ses(REGION, url=url, **options)


@pytest.fixture
def ses(provider: SesServer) -> Iterator[Ses]:
    adapter = connected(provider.url)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (ACCESS_KEY, SECRET_KEY)
    answers_about_us = (
        error("MessageRejected", "Email address is not verified. The following identities failed the check in region "
              "EU-CENTRAL-1: shop@example.com", 400),
        error("MessageRejected", "Email address is not verified. The following identities failed the check in region "
              "EU-CENTRAL-1: customer0@example.com", 400),
        error("MessageRejected", "Sending paused for this account. For more information, please check the inbox of the email "
              "address associated with your AWS account.", 400),
        error("AccountSuspendedException", "The account's ability to send email has been permanently restricted.", 400),
        error("SendingPausedException", "Email sending is currently paused for your account.", 400),
        error("MailFromDomainNotVerifiedException", "The sending domain isn't verified.", 400),
        error("NotFoundException", "Configuration set <treue> does not exist.", 404),
        error("AccessDeniedException", "User is not authorized to perform `ses:SendEmail' on resource", 403),
    )  # fmt: skip

    @pytest.fixture
    def provider(self, provider: SesServer) -> SesServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Ses:
        return connected(url, **options) if url else Ses(REGION, url="x")

    def stranger(self, url: str) -> Ses:
        return connected(url, secret_access_key="another")

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), raw=b"")

    def slow_down(self, wait: str) -> Reply:
        """SES names no time; a gateway before it may."""
        return error("TooManyRequestsException", "Too many requests", 429, {"Retry-After": wait})


class TestCallbacks(CallbackContract):
    covers_time = True
    tolerance = TOLERANCE

    @pytest.fixture
    def receiver(self) -> Ses:
        return Ses(REGION, webhook_topic=TOPIC, get=get)

    @pytest.fixture
    def without_secret(self) -> Ses:
        return Ses(REGION, get=get)

    def documents(self) -> list[Any]:
        return EVENTS

    def told_about_us(self) -> list[Any]:
        return [
            event(
                "Rendering Failure",
                "failure",
                errorMessage="Attribute 'name' is not present",
                templateName="t",
            )
        ]

    def unheard_of(self) -> Any:
        return event("Singing", "singing")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return posted(notification(body.decode(errors="replace"), at), at)

    def unproven(self, genuine: Callback) -> Callback:
        envelope = json.loads(genuine.body)
        return posted({k: v for k, v in envelope.items() if k != "Signature"}, genuine.received_at)

    def forged(self, genuine: Callback) -> Iterator[Callback]:
        envelope = json.loads(genuine.body)
        good = envelope["Signature"]
        for change in (
            {"Signature": ""}, {"Signature": None}, {"Signature": good[:-8]}, {"Signature": good.swapcase()}, {"Signature": "é"},
            {"SignatureVersion": "1"}, {"SignatureVersion": "3"}, {"SignatureVersion": None}, {"MessageId": "x"}, {"Message": "{}"},
            {"Subject": "x"}, {"Timestamp": "2026-11-22T09:00:01.000Z"}, {"Type": "SubscriptionConfirmation"}, {"Type": "x"},
            {"TopicArn": TOPIC + "x"}, {"TopicArn": TOPIC.replace("123", "124")}, {"TopicArn": [TOPIC]}, {"SigningCertURL": None},
            *({"SigningCertURL": url} for url in ELSEWHERE),
        ):  # fmt: skip
            yield posted(envelope | change, genuine.received_at)


ELSEWHERE = [
    "http://sns.eu-central-1.amazonaws.com/x.pem", "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem",
    "https://evil.example/sns.eu-central-1.amazonaws.com/x.pem", "https://sns.eu-central-1.amazonaws.com@evil.example/x.pem",
    "https://sns.eu-central-1.amazonaws.com:8443/x.pem", "https://s3.amazonaws.com/x.pem", "https://sns.a.amazonaws.com/x.pem",
    "https://sns.eu-central-1.amazonaws.com/a/../b.pem", "https://sns.eu-central-1.amazonaws.com/x.pem?y",
    "https://sns.eu-central-1.amazonaws.com/x.pem#y", "https://127.0.0.1/x.pem", "https://sns.eu-central-1.amazonaws.com/x.pem\n",
    "https://snsXeu-central-1.amazonaws.com/x.pem", "//sns.eu-central-1.amazonaws.com/x.pem", "",
]  # fmt: skip


def posted(envelope: dict[str, Any], at: datetime) -> Callback:
    headers = {
        "x-amz-sns-message-type": str(envelope.get("Type")),
        "content-type": "text/plain; charset=UTF-8",
    }
    body = json.dumps(envelope).encode()
    return Callback("POST", "https://treue.example.com/v1/receipts/email", headers, body, at)


def notification(message: str, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    envelope = {
        "Type": "Notification", "MessageId": sha256(message.encode(errors="replace")).hexdigest(), "TopicArn": TOPIC,
        "Message": message, "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    }  # fmt: skip
    return signed(envelope | more, ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"))


def signed(envelope: dict[str, Any], names: tuple[str, ...], version: str = "2") -> dict[str, Any]:
    """Sign by hand, apart from the code under test: name and value, a line each, those that are there."""
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    made = PRIVATE.sign(text.encode(errors="replace"), PKCS1v15(), SHA1() if version == "1" else SHA256())
    return envelope | {
        "SignatureVersion": version, "Signature": b64encode(made).decode(), "SigningCertURL": CERTIFICATE,
    }  # fmt: skip


MAIL = {
    "timestamp": "2026-08-05T00:40:02.012Z", "source": "Shop <shop@example.com>", "sendingAccountId": "123456789012",
    "messageId": "EXAMPLE7c191be45-e9aedb9a", "destination": ["ada@example.com"], "headersTruncated": False,
    "headers": [{"name": "Subject", "value": "Hello"}], "commonHeaders": {"to": ["ada@example.com"]},
    "tags": {"ses:configuration-set": ["treue"], "treue-key": ["k1"], "journey": ["welcome"]},
}  # fmt: skip
AT = "2026-08-05T00:41:02.669Z"


def event(name: str, key: str, **details: Any) -> dict[str, Any]:
    return {"eventType": name, key: {"timestamp": AT} | details, "mail": MAIL}


def bounce(type_: str = "Permanent", subtype: str = "General", status: str = "5.1.1",
           said: str = "smtp; 550 5.1.1 user unknown") -> dict[str, Any]:  # fmt: skip
    told = {"emailAddress": "ada@example.com", "action": "failed", "status": status, "diagnosticCode": said}
    return event(
        "Bounce", "bounce", bounceType=type_, bounceSubType=subtype, bouncedRecipients=[told], feedbackId="f"
    )


COMPLAINED = [{"emailAddress": "ada@example.com"}]
EVENTS = [
    event("Send", "send"), event("Delivery", "delivery", recipients=["ada@example.com"], smtpResponse="250 2.6.0 queued"),
    event("DeliveryDelay", "deliveryDelay", delayType="MailboxFull", delayedRecipients=[
        {"emailAddress": "ada@example.com", "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 full"}]),
    bounce(), event("Complaint", "complaint", complainedRecipients=COMPLAINED, complaintFeedbackType="abuse", feedbackId="f"),
    event("Reject", "reject", reason="Bad content"), event("Rendering Failure", "failure", errorMessage="Attribute 'x' missing"),
    event("Open", "open", ipAddress="192.0.2.1", userAgent="Mozilla/5.0"), event("Click", "click", link="https://example.com/x"),
    event("Subscription", "subscription", source="UnsubscribeHeader", newTopicPreferences={"unsubscribeAll": True}),
    {"notificationType": "Bounce", "bounce": bounce()["bounce"], "mail": {k: v for k, v in MAIL.items() if k != "tags"}},
]  # fmt: skip


def send(adapter: Ses, *messages: Outgoing) -> list[Receipt]:
    return adapter.send(messages, Log())


def read(document: Any, **more: Any) -> list[DeliveryEvent]:
    callback = posted(notification(json.dumps(document), **more), NOW)
    return Ses(REGION, webhook_topic=TOPIC, get=get).read_receipts(callback)


def test_a_message_goes_as_it_is_and_signed(ses: Ses, provider: SesServer) -> None:
    message = example_message("email", 1)
    assert send(ses, message) == [Accepted("0107019aexample-000001")]
    ((document, mail),) = provider.sent
    assert b64decode(document["Content"]["Raw"]["Data"]) == message.raw
    assert mail["Subject"] == "Message 1"
    assert document["Destination"] == {"ToAddresses": ["customer1@example.com"]}
    assert document["ConfigurationSetName"] == SET
    assert {tag["Name"]: tag["Value"] for tag in document["EmailTags"]} == {
        "treue-key": "contract-1", "journey": "welcome", "template": "hello", "category": "promotional",
    }  # fmt: skip


def test_credentials_of_a_session_are_signed_with_it(provider: SesServer) -> None:
    adapter = connected(provider.url, session_token="the-session-token")
    assert isinstance(send(adapter, example_message("email", 1))[0], Accepted)
    adapter.close()
    assert provider.asked[0].headers["x-amz-security-token"] == "the-session-token"
    assert "x-amz-security-token" in provider.asked[0].headers["authorization"]


def test_the_machines_credentials_are_found(provider: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    adapter = Ses(REGION, url=provider.url)
    assert isinstance(send(adapter, example_message("email", 1))[0], Accepted)
    adapter.close()


def test_no_credentials_at_all_are_our_fault(provider: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    adapter = Ses(REGION, url=provider.url)
    (receipt,) = send(adapter, example_message("email", 1))
    adapter.close()
    assert isinstance(receipt, Retry)
    assert receipt.everyone
    assert "access_key_id" in receipt.reason


def test_a_message_without_bytes_is_refused(ses: Ses, provider: SesServer) -> None:
    assert isinstance(send(ses, rich_message())[0], Refused)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error("TooManyRequestsException", "Maximum sending rate exceeded.", 429), Retry("", 5, everyone=True)),
        (error("TooManyRequestsException", "Daily message quota exceeded.", 429), Retry("", 3600, everyone=True)),
        (error("ThrottlingException", "Rate exceeded", 400), Retry("", 5, everyone=True)),
        (error("AccountSuspendedException", "Suspended", 400), Retry("", 300, everyone=True, ours=True)),
        (error("SendingPausedException", "Paused", 400), Retry("", 300, everyone=True, ours=True)),
        (error("MailFromDomainNotVerifiedException", "x", 400), Retry("", 300, everyone=True, ours=True)),
        (error("LimitExceededException", "x", 400), Retry("", 300, everyone=True, ours=True)),
        (error("MessageRejected", "Email address is not verified. The following identities failed the check in region "
               "EU-CENTRAL-1: shop@example.com", 400), Retry("", 300, ours=True)),
        (error("MessageRejected", "Message contains a virus.", 400), Retry("", 300, ours=True)),
        (error("BadRequestException", "Missing final '@domain'", 400), Retry("", 300, ours=True)),
        (error("NotFoundException", "Configuration set <x> does not exist.", 404), Retry("", 300, everyone=True, ours=True)),
        (error("AccessDeniedException", "not authorized to perform: ses:SendEmail", 403), Retry("", 300, everyone=True, ours=True)),
        (Reply.json({"__type": "com.amazon#MessageRejected", "Message": "x"}, 400), Retry("", 300, ours=True)),
    ],
)  # fmt: skip
def test_what_an_exception_means(ses: Ses, provider: SesServer, reply: Reply, expected: Receipt) -> None:
    provider.next(reply)
    assert without_reason(send(ses, example_message("email", 1))[0]) == expected


@pytest.mark.parametrize(
    "options",
    [{"region": ""}, {"region": "europe"}, {"region": "eu-central-1/x"}, {"access_key_id": "AKID"}, {"secret_access_key": "x"},
     {"webhook_topic": "treue"}, {"webhook_topic": "arn:aws:sns:evil.example/x:123456789012:treue"}],
)  # fmt: skip
def test_settings_that_are_none_are_said_at_the_start(options: dict[str, str]) -> None:
    with pytest.raises(ChannelError):
        Ses(**{"region": REGION, **options})


def test_each_region_has_its_address() -> None:
    assert Ses("eu-central-1").url == "https://email.eu-central-1.amazonaws.com"
    assert Ses("us-gov-west-1").url == "https://email.us-gov-west-1.amazonaws.com"
    assert Ses("cn-north-1").url == "https://email.cn-north-1.amazonaws.com.cn"


# --- callbacks ------------------------------------------------------------------------------------------------


def test_events_are_read_in_full() -> None:
    found = [one for each in EVENTS for one in read(each)]
    assert [one.kind.value for one in found] == [
        "accepted", "delivered", "deferred", "bounced", "complained", "failed", "failed", "opened", "clicked", "unsubscribed",
        "bounced",
    ]  # fmt: skip
    assert [one.key for one in found] == ["k1"] * 10 + [""]
    assert {one.provider_id for one in found} == {"EXAMPLE7c191be45-e9aedb9a"}
    assert {one.address for one in found} == {"ada@example.com"}
    told = found[3]
    assert (told.status, told.reason, told.hard) == ("5.1.1", "smtp; 550 5.1.1 user unknown", True)
    assert told.at.isoformat() == "2026-08-05T00:41:02.669000+00:00"
    assert found[8].url == "https://example.com/x"


@pytest.mark.parametrize(
    ("document", "kind", "hard"),
    [
        (bounce(), "bounced", True),
        (bounce("Permanent", "NoEmail", "", ""), "bounced", True),
        (bounce("Permanent", "Suppressed", "5.1.1", "Amazon SES has suppressed sending"), "bounced", True),
        (bounce("Permanent", "OnAccountSuppressionList"), "failed", False),
        (bounce("Permanent", "General", "5.7.1", "smtp; 550 5.7.1 denied by policy"), "bounced", False),
        (bounce("Permanent", "General", "5.7.26", "smtp; 550-5.7.26 not authenticated"), "bounced", False),
        (bounce("Transient", "MailboxFull", "5.2.2", "smtp; 552 5.2.2 full"), "bounced", False),
        (bounce("Transient", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"), "bounced", False),
        (bounce("Undetermined", "Undetermined", "", ""), "bounced", False),
        (event("Complaint", "complaint", complainedRecipients=COMPLAINED, complaintSubType="OnAccountSuppressionList"),
         "failed", False),
        (event("Complaint", "complaint", complainedRecipients=COMPLAINED, complaintFeedbackType="not-spam"), None, False),
        (event("Subscription", "subscription", newTopicPreferences={"unsubscribeAll": False}), None, False),
    ],
)  # fmt: skip
def test_what_a_record_means(document: dict[str, Any], kind: str | None, hard: bool) -> None:
    found = read(document)
    assert [(one.kind.value, one.hard) for one in found] == ([(kind, hard)] if kind else [])


def test_both_versions_of_signatures_and_a_subject_verify() -> None:
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    envelope = notification(json.dumps(EVENTS[0]), Subject="Amazon SES Email Event Notification")
    adapter = Ses(REGION, webhook_topic=TOPIC, get=get)
    for version in ("1", "2"):
        assert adapter.read_receipts(posted(signed(envelope, names, version), NOW))


def test_a_word_of_sns_of_its_own_is_no_event() -> None:
    envelope = notification("Successfully validated SNS topic for Amazon SES event publishing.")
    assert Ses(REGION, webhook_topic=TOPIC, get=get).read_receipts(posted(envelope, NOW)) == []


def test_a_certificate_is_fetched_once() -> None:
    fetched: list[str] = []

    def counted(url: str) -> bytes:
        fetched.append(url)
        return PEM

    adapter = Ses(REGION, webhook_topic=TOPIC, get=counted)
    for document in EVENTS:
        adapter.read_receipts(posted(notification(json.dumps(document)), NOW))
    assert fetched == [CERTIFICATE]


def confirmation(**more: Any) -> dict[str, Any]:
    envelope = {
        "Type": "SubscriptionConfirmation", "MessageId": "165545c9", "Token": "2336412f37", "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to the topic.", "SubscribeURL": "https://evil.example/confirm",
        "Timestamp": "2026-11-22T09:00:00.000Z",
    }  # fmt: skip
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    return signed(envelope | more, names)


def test_a_subscription_is_confirmed_at_amazons_address_only() -> None:
    fetched: list[str] = []

    def noted(url: str) -> bytes:
        fetched.append(url)
        return PEM

    assert Ses(REGION, webhook_topic=TOPIC, get=noted).read_receipts(posted(confirmation(), NOW)) == []
    asked = dict(parse_qsl(urlsplit(fetched[1]).query))
    assert asked.pop("Action") == "ConfirmSubscription"
    assert AmazonsModel("sns", "ConfirmSubscription").faults_of_input(asked) == []
    assert fetched == [
        CERTIFICATE,
        f"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={quote(TOPIC)}&Token=2336412f37",
    ]


def test_the_subscription_of_another_topic_is_not_confirmed() -> None:
    with pytest.raises(BadCallback, match="topic"):
        Ses(REGION, webhook_topic=TOPIC, get=get).read_receipts(
            posted(confirmation(TopicArn=TOPIC + "2"), NOW)
        )


@pytest.mark.parametrize("failure", [OSError("down"), httpx.ConnectError("down"), b"<html>", b""])
def test_where_amazon_cannot_be_reached_it_is_asked_to_come_again(failure: Exception | bytes) -> None:
    def failing(url: str) -> bytes:
        if isinstance(failure, Exception):
            raise failure
        return failure

    with pytest.raises(BadCallback) as raised:
        Ses(REGION, webhook_topic=TOPIC, get=failing).read_receipts(posted(notification("{}"), NOW))
    assert raised.value.status == 503
