"""Resend against a server that speaks its documented protocol, alone and in batches, and its signed callbacks."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email.header import decode_header, make_header
from typing import Any

import pytest

from tests.channels.mails import rich_message
from tests.channels.resend_server import KEY, ResendServer, error
from treue.channel import (
    Accepted,
    BadCallback,
    Callback,
    DeliveryEvent,
    Mailbox,
    Outgoing,
    Receipt,
    Refused,
    Retry,
)
from treue.errors import ChannelError
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Mishap, Reply
from treue_channels.http.standard_webhooks import require_standard
from treue_channels.resend import Resend

SECRET = "whsec_" + b64encode(b"the secret of the webhook").decode()
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.fixture
def provider() -> Iterator[ResendServer]:
    with ResendServer() as running:
        yield running


@pytest.fixture
def resend(provider: ResendServer) -> Iterator[Resend]:
    adapter = Resend(KEY, url=provider.url)
    yield adapter
    adapter.close()


@pytest.fixture
def batching(provider: ResendServer) -> Iterator[Resend]:
    adapter = Resend(KEY, url=provider.url, batches=True)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY, SECRET)
    answers_about_us = (
        error("validation_error", "Invalid `from` field. The email address needs to follow the `email@example.com` or "
              "`Name <email@example.com>` format.", 422),
        error("validation_error", "You can only send testing emails to your own email address (shop@example.com). To send "
              "emails to other recipients, please verify a domain at resend.com/domains, and change the `from` address to an "
              "email using this domain.", 403),
        error("validation_error", "The example.com domain is not verified. Please, add and verify your domain on "
              "https://resend.com/domains", 403),
        error("invalid_from_address", "Invalid `from` field.", 422),
        error("security_error", "We may have found a security issue with the request.", 451),
        error("validation_error", "API key is invalid", 400),
        error("validation_error", "API key is invalid", 401),
        error("restricted_api_key", "This API key is restricted to only send emails.", 401),
    )  # fmt: skip
    batches = False

    @pytest.fixture
    def provider(self, provider: ResendServer) -> ResendServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Resend:
        return Resend(KEY, url=url, webhook_secret=SECRET, batches=self.batches, **options)

    def stranger(self, url: str) -> Resend:
        return Resend("re_another", url=url, batches=self.batches)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to="nobody@localhost")

    def slow_down(self, wait: str) -> Reply:
        return error("rate_limit_exceeded", "Too many requests.", 429, {"Retry-After": wait})


class TestBatchesContract(TestContract):
    batches = True

    def test_its_class_says_so_too_without_credentials(self, channel: Any) -> None:
        """The class declares what it does by default; batches are another bargain."""
        assert (channel.capabilities.batch, channel.capabilities.dedup_window) == (100, 0)
        assert (Resend.capabilities.batch, Resend.capabilities.dedup_window) == (1, 86_400)


class TestCallbacks(CallbackContract):
    proof_header = "svix-signature"
    covers_body = True
    covers_time = True
    secrets = (SECRET, SECRET[6:])

    @pytest.fixture
    def receiver(self) -> Resend:
        return Resend(KEY, webhook_secret=f"whsec_bmV4dA== {SECRET}")

    @pytest.fixture
    def without_secret(self) -> Resend:
        return Resend(KEY)

    def documents(self) -> list[Any]:
        return EVENTS

    def unheard_of(self) -> Any:
        return event("sung")

    def callback(self, body: bytes, at: datetime) -> Callback:
        return signed(body, at, id_=f"msg_{abs(hash(body))}")


def signed(body: bytes, at: datetime, id_: str = ID, secret: str = SECRET) -> Callback:
    from base64 import b64decode

    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(b64decode(secret[6:]), f"{id_}.{timestamp}.".encode() + body, "sha256")
    headers = {
        "svix-id": id_,
        "svix-timestamp": timestamp,
        "svix-signature": "v1," + b64encode(digest).decode(),
    }
    return Callback("POST", "https://treue.example.com/v1/receipts/email", headers, body, at)


def event(name: str, **more: Any) -> dict[str, Any]:
    data = {
        "created_at": "2026-02-22T23:41:11.894719+00:00", "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "from": "Acme <onboarding@resend.dev>", "to": ["ada@example.com"], "subject": "Sending this example",
        "tags": {"treue-key": "k1", "journey": "welcome"},
    }  # fmt: skip
    return {"type": f"email.{name}", "created_at": "2026-02-22T23:41:12.126Z", "data": data | more}


BOUNCE = event("bounced", bounce={
    "message": "The recipient's email provider sent a hard bounce message.", "type": "Permanent", "subType": "General",
    "diagnosticCode": ["smtp; 550 5.1.1 no such user"]})  # fmt: skip
EVENTS = [
    event("sent"), event("delivered"), event("delivery_delayed"), BOUNCE, event("failed", failed={"reason": "reached_daily_quota"}),
    event("suppressed", suppressed={
        "message": "on the suppression list", "type": "OnAccountSuppressionList", "reason": "previous_complaint",
        "diagnosticCode": []}),
    event("complained"), event("opened", open={"userAgent": "x"}), event("clicked", click={"link": "https://example.com/x"}),
]  # fmt: skip


def send(adapter: Resend, *messages: Outgoing) -> list[Receipt]:
    return adapter.send(messages, Log())


def read(document: Any) -> list[DeliveryEvent]:
    return Resend(KEY, webhook_secret=SECRET).read_receipts(signed(json.dumps(document).encode(), NOW))


def test_a_mail_is_put_as_the_documentation_says(resend: Resend, provider: ResendServer) -> None:
    assert send(resend, rich_message()) == [Accepted("49a3999c-0ce1-4ea6-ab68-000000000001")]
    (sent,) = provider.sent
    assert sent["from"] == "Klangladen <shop@example.com>"
    assert shown(sent["to"][0]) == 'Ada "Countess" Løvelace'
    assert sent["reply_to"] == "answers@example.com"
    assert sent["headers"]["List-Unsubscribe"] == "<https://example.com/u/1>"
    assert {tag["name"]: tag["value"] for tag in sent["tags"]} == {
        "treue-key": "k1", "journey": "welcome", "template": "hello", "category": "promotional",
    }  # fmt: skip
    assert sent["attachments"][1] == {
        "filename": "l.png", "content": "iQ==", "content_type": "image/png", "content_id": "logo",
    }  # fmt: skip


NAMES = ["Ada", "Müller", "Müller, Anna", 'Ada "Countess" Lovelace', "A. & B. (Berlin)", "Ł" * 60, ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipients_name_arrives_whatever_is_in_it(
    resend: Resend, provider: ResendServer, name: str
) -> None:
    reader = Mailbox(name, "ada@example.com")
    assert isinstance(send(resend, rich_message(to=reader, reply_to=reader))[0], Accepted)
    (sent,) = provider.sent
    assert len(provider.asked) == 1
    assert shown(sent["to"][0]) == shown(sent["reply_to"]) == name


@pytest.mark.parametrize("name", ["Klangladen", "Müller & Söhne", "Dr. Müller (Berlin)", ""])
def test_a_senders_name_goes_as_it_is(resend: Resend, provider: ResendServer, name: str) -> None:
    send(resend, rich_message(sender=Mailbox(name, "shop@example.com")))
    assert provider.sent[0]["from"] == (f"{name} <shop@example.com>" if name else "shop@example.com")


@pytest.mark.parametrize("name", ["Klangladen, Hamburg", 'Der "Laden"'])
def test_a_senders_name_that_resend_takes_in_no_form_waits_with_its_words(resend: Resend, name: str) -> None:
    (receipt,) = send(resend, rich_message(sender=Mailbox(name, "shop@example.com")))
    assert isinstance(receipt, Retry)
    assert receipt.ours
    assert "`from`" in receipt.reason


def shown(written: str) -> str:
    """Return the name that a reader sees of a mailbox."""
    return str(make_header(decode_header(written.rpartition(" <")[0])))


def test_tags_have_no_letters_that_resend_refuses(resend: Resend) -> None:
    message = replace(rich_message(), tags={"journey": "Größe & Maß"}, key="a/b c")
    assert isinstance(send(resend, message)[0], Accepted)


def test_a_mail_that_may_have_been_sent_is_sent_again_under_its_key(
    resend: Resend, provider: ResendServer
) -> None:
    (first,) = send(resend, rich_message())
    (again,) = send(resend, rich_message())
    assert first == again
    assert len(provider.sent) == 1


def test_two_mails_never_share_a_key(resend: Resend, provider: ResendServer) -> None:
    one, other = rich_message(), replace(rich_message(), to="grace@example.com")
    send(resend, one, other, replace(rich_message(), key="k2"))
    assert len({asked.headers["idempotency-key"] for asked in provider.asked}) == 3


def test_a_mail_that_was_taken_with_other_words_is_not_sent_again(
    resend: Resend, provider: ResendServer
) -> None:
    send(resend, rich_message())
    assert send(resend, rich_message(subject="Good evening")) == [Accepted()]
    assert [mail["subject"] for mail in provider.sent] == ["Grüße"]


def test_a_key_that_is_being_used_is_tried_again(resend: Resend, provider: ResendServer) -> None:
    provider.next(error("concurrent_idempotent_requests", "Still in progress.", 409))
    (receipt,) = send(resend, rich_message())
    assert isinstance(receipt, Retry)
    assert not receipt.everyone


@pytest.mark.parametrize(
    ("reply", "after"),
    [
        (error("rate_limit_exceeded", "Too many requests.", 429, {"ratelimit-reset": "1"}), 1),
        (error("daily_quota_exceeded", "You have reached your daily email sending quota.", 429), 3600),
        (error("monthly_quota_exceeded", "Monthly quota.", 429, {"retry-after": "7200"}), 7200),
        (error("validation_error", "API key is invalid", 403), 300),
    ],
)
def test_what_is_nobodys_fault_pauses_everyone(
    resend: Resend, provider: ResendServer, reply: Reply, after: float
) -> None:
    provider.next(reply)
    (receipt,) = send(resend, rich_message())
    assert isinstance(receipt, Retry)
    assert (receipt.everyone, receipt.after) == (True, after)


def test_a_recipient_that_is_no_address_is_dead(resend: Resend) -> None:
    (receipt,) = send(resend, replace(rich_message(), to="ada@localhost"))
    assert isinstance(receipt, Refused)
    assert receipt.suppress


# --- batches --------------------------------------------------------------------------------------------------


def test_in_a_batch_each_mail_has_its_own_verdict(batching: Resend, provider: ResendServer) -> None:
    batch = [example_message("email", n) for n in range(5)]
    batch[1], batch[3] = (replace(one, to=f"x{n}@localhost") for n, one in enumerate((batch[1], batch[3])))
    receipts = send(batching, *batch)
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused, Accepted, Refused, Accepted]
    assert [mail["to"][0].partition("<")[2] for mail in provider.sent] == [
        f"{batch[n].to}>" for n in (0, 2, 4)
    ]
    assert len(provider.asked) == 2, "those two once more, without their names"


def test_a_recipients_name_that_resend_cannot_read_costs_the_name(
    resend: Resend, provider: ResendServer
) -> None:
    words = "Invalid `to` field. The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
    provider.next(error("validation_error", words, 422))
    (receipt,) = send(resend, rich_message())
    assert isinstance(receipt, Accepted)
    assert [mail["to"] for mail in provider.sent] == [["ada@example.com"]]
    first, second = (asked.headers["idempotency-key"] for asked in provider.asked)
    assert first != second, "the second request is none that Resend knows"


def test_what_has_attachments_goes_alone(batching: Resend, provider: ResendServer) -> None:
    plain = [example_message("email", n) for n in range(4)]
    receipts = send(batching, plain[0], plain[1], rich_message(), plain[2], plain[3])
    assert [type(receipt) for receipt in receipts] == [Accepted] * 5
    assert sorted(asked.path for asked in provider.asked) == ["/emails", "/emails/batch", "/emails/batch"]


@pytest.mark.parametrize("lost", [Mishap.hang_up, Reply(502)])
def test_a_batch_without_an_answer_is_asked_for_again_at_once(
    batching: Resend, provider: ResendServer, lost: Mishap | Reply
) -> None:
    taken: list[Reply] = []

    def swallowed(asked: Any) -> Any:
        provider.asked.append(asked)
        taken.append(provider.answer(asked))
        return lost if len(taken) == 1 else taken[-1]

    provider.happening = swallowed  # type: ignore[method-assign]
    receipts = send(batching, *(example_message("email", n) for n in range(3)))
    assert [type(receipt) for receipt in receipts] == [Accepted] * 3
    assert len(provider.asked) == 2
    assert len(provider.sent) == 3, "the first request had been taken, and the second was known by its key"


# --- callbacks ------------------------------------------------------------------------------------------------


def test_the_published_vector_of_standard_webhooks_verifies() -> None:
    body, at = b'{"test": 2432232314}', datetime.fromisoformat("2021-02-25T15:02:10+00:00")
    headers = {"webhook-id": ID, "webhook-timestamp": "1614265330",
               "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}  # fmt: skip
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    callback = Callback("POST", "", headers, body, at)
    assert require_standard(callback, [secret]) == ID
    several = headers | {"webhook-signature": f"v1,AAAA v1a,x {headers['webhook-signature']}"}
    assert require_standard(replace(callback, headers=several), ["whsec_AAAA", secret]) == ID
    wrong = headers | {"webhook-signature": headers["webhook-signature"][:-2] + "A="}
    for bad in (replace(callback, headers=wrong), replace(callback, headers=headers | {"webhook-id": "x"})):
        with pytest.raises(BadCallback):
            require_standard(bad, [secret])


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!", f"{SECRET} !!"])
def test_a_secret_that_is_none_is_said_at_the_start(secret: str) -> None:
    with pytest.raises(ChannelError, match="webhook_secret") as raised:
        Resend(KEY, webhook_secret=secret)
    assert SECRET not in str(raised.value)


def test_events_are_read_in_full() -> None:
    found = [one for each in EVENTS for one in read(each)]
    assert [one.kind.value for one in found] == [
        "accepted", "delivered", "deferred", "bounced", "failed", "failed", "complained", "opened", "clicked",
    ]  # fmt: skip
    bounce = found[3]
    assert (bounce.key, bounce.provider_id) == ("k1", "56761188-7520-42d8-8898-ff6fc54ce618")
    assert (bounce.address, bounce.status, bounce.hard) == ("ada@example.com", "5.1.1", True)
    assert bounce.id == f"resend:{ID}"
    assert found[8].url == "https://example.com/x"
    assert [one.kind.value for one in read({"type": "domain.created"})] == ["unknown"]


@pytest.mark.parametrize(("reason", "hard"), [("previous_bounce", True), ("previous_complaint", False)])
def test_a_mail_that_was_not_tried_for_an_earlier_bounce_says_that_the_address_is_dead(
    reason: str, hard: bool
) -> None:
    suppressed = {"message": "", "type": "Suppressed", "reason": reason, "diagnosticCode": []}
    (found,) = read(event("suppressed", suppressed=suppressed))
    assert (found.kind.value, found.hard) == ("failed", hard)


@pytest.mark.parametrize(
    ("type_", "subtype", "code", "hard"),
    [
        ("Permanent", "General", "", True),
        ("Permanent", "NoEmail", "", True),
        ("Permanent", "Suppressed", "smtp; 550 5.5.0", True),
        ("Permanent", "OnAccountSuppressionList", "", False),
        ("Permanent", "General", "smtp; 550 5.7.1 denied by policy", False),
        ("Permanent", "General", "smtp; 552 5.2.2 mailbox full", False),
        ("Transient", "MailboxFull", "", False),
        ("Transient", "General", "smtp; 550 5.1.1 no such user", False),
        ("Undetermined", "Undetermined", "", False),
    ],
)
def test_which_bounces_are_hard(type_: str, subtype: str, code: str, hard: bool) -> None:
    bounce = {"type": type_, "subType": subtype, "message": "", "diagnosticCode": [code]}
    (found,) = read(event("bounced", bounce=bounce))
    assert (found.kind.value, found.hard) == ("bounced", hard)
