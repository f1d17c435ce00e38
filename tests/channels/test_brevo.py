"""Brevo against a server that speaks its documented protocol, alone and in batches, and its callbacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.channels.brevo_server import KEY, BrevoServer, error
from tests.channels.mails import rich_message, without_reason
from treue.channel import (
    Accepted,
    Attachment,
    Callback,
    DeliveryEvent,
    Mailbox,
    Outgoing,
    Receipt,
    Refused,
    Retry,
)
from treue.testing.callback_contract import NOW, CallbackContract
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Mishap, Reply
from treue_channels.brevo import Brevo
from treue_channels.http.api import basic_authorization

SECRET = "the-token-of-the-webhook"


@pytest.fixture
def provider() -> Iterator[BrevoServer]:
    with BrevoServer() as running:
        yield running


@pytest.fixture
def brevo(provider: BrevoServer) -> Iterator[Brevo]:
    adapter = Brevo(KEY, url=provider.url)
    yield adapter
    adapter.close()


@pytest.fixture
def batching(provider: BrevoServer) -> Iterator[Brevo]:
    adapter = Brevo(KEY, url=provider.url, batches=True)
    yield adapter
    adapter.close()


class TestContract(HttpChannelContract):
    secrets = (KEY, SECRET)
    answers_about_us = (
        error("invalid_parameter", "valid sender email required", 400),
        error("invalid_parameter", "Sender name is missing", 400),
        error("invalid_parameter", "name is not valid in to", 400),
        error("unauthorized", "Key not found", 401),
        error("permission_denied", "Unable to send email. Your SMTP account is not yet activated.", 403),
        error("account_under_validation", "Your account is under validation", 403),
        error("not_enough_credits", "You do not have enough credits", 402),
    )
    batches = False

    @pytest.fixture
    def provider(self, provider: BrevoServer) -> BrevoServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Brevo:
        return Brevo(KEY, url=url, webhook_secret=SECRET, batches=self.batches, **options)

    def stranger(self, url: str) -> Brevo:
        return Brevo("xkeysib-another", url=url, batches=self.batches)

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to="nobody@localhost")

    def slow_down(self, wait: str) -> Reply:
        """Brevo has a header of its own, in seconds; a proxy before it may say Retry-After."""
        name = "x-sib-ratelimit-reset" if wait.isdigit() else "Retry-After"
        return error("too_many_requests", "Rate limit exceeded", 429, {name: wait})


class TestBatchesContract(TestContract):
    batches = True

    def test_its_class_says_so_too_without_credentials(self, channel: Any) -> None:
        """The class declares what it does by default; batches are another bargain."""
        assert (channel.capabilities.batch, channel.capabilities.dedup_window) == (1_000, 0)
        assert (Brevo.capabilities.batch, Brevo.capabilities.dedup_window) == (1, 900)


class TestCallbacks(CallbackContract):
    proof_header = "authorization"
    secrets = (SECRET,)

    @pytest.fixture
    def receiver(self) -> Brevo:
        return Brevo(KEY, webhook_secret=f"the-next-one {SECRET}")

    @pytest.fixture
    def without_secret(self) -> Brevo:
        return Brevo(KEY)

    def documents(self) -> list[Any]:
        return [
            *EVENTS,
            [event("delivered", **{"message-id": "<b1>"}), event("opened", **{"message-id": "<b1>"})],
        ]

    def told_about_us(self) -> list[Any]:
        words = (
            "Sending has been rejected because the sender you used shop@example.com is not valid. Validate your sender or "
            "authenticate your domain"
        )
        return [event("error", reason=words)]

    def unheard_of(self) -> Any:
        return event("sung")

    def callback(self, body: bytes, at: datetime) -> Callback:
        headers = {"authorization": f"Bearer {SECRET}"}
        return Callback("POST", "https://treue.example.com/v1/receipts/email", headers, body, at)


class TestCallbacksByPassword(TestCallbacks):
    def callback(self, body: bytes, at: datetime) -> Callback:
        headers = {"authorization": basic_authorization("treue", SECRET)}
        return Callback("POST", "https://treue.example.com/v1/receipts/email", headers, body, at)


def event(name: str, **more: Any) -> dict[str, Any]:
    common = {
        "event": name, "email": "ada@example.com", "id": 26224, "date": "2025-11-22 09:26:40", "ts": 1763799999,
        "message-id": "<201798300811.5787683@relay.domain.com>", "ts_event": 1763799999, "ts_epoch": 1763800000123,
        "subject": "Hello", "tags": ["welcome"], "X-Mailin-custom": '{"treue-key": "k1"}', "sending_ip": "10.0.0.1",
    }  # fmt: skip
    return common | more


EVENTS = [
    event("request"), event("delivered"), event("deferred", reason="450 4.2.1 try later"), event("soft_bounce", reason="full"),
    event("hard_bounce", reason="550 5.1.1 no such user"), event("invalid_email"), event("blocked"), event("error"),
    event("spam"), event("complaint"), event("opened"), event("unique_opened"), event("proxy_open"), event("unique_proxy_open"),
    event("click", link="https://example.com/x"), event("unsubscribed"),
]  # fmt: skip


def send(adapter: Brevo, *messages: Outgoing) -> list[Receipt]:
    return adapter.send(messages, Log())


def read(*documents: Any) -> list[DeliveryEvent]:
    body = json.dumps(documents).encode()
    return Brevo(KEY, webhook_secret=SECRET).read_receipts(TestCallbacks().callback(body, NOW))


def plain(**changes: Any) -> Outgoing:
    """A mail with a file, but no picture."""
    return rich_message(**{"attachments": (Attachment("terms.pdf", "application/pdf", b"%PDF"),), **changes})


def test_a_mail_is_put_as_the_documentation_says(brevo: Brevo, provider: BrevoServer) -> None:
    assert send(brevo, plain()) == [Accepted("2026112209.1@smtp-relay.mailin.fr")]
    (sent,) = provider.sent
    assert sent["sender"] == {"email": "shop@example.com", "name": "Klangladen"}
    assert [BrevoServer.shown(box) for box in sent["to"]] == ['Ada "Countess" Løvelace']
    assert sent["replyTo"] == {"email": "answers@example.com"}
    assert sent["attachment"] == [{"name": "terms.pdf", "content": "JVBERg=="}]
    assert sent["tags"] == ["welcome", "hello", "promotional"]
    assert sent["headers"]["X-Mailin-custom"] == '{"treue-key": "k1"}'
    assert sent["headers"]["List-Unsubscribe"] == "<https://example.com/u/1>"


@pytest.mark.parametrize(
    "name", ["Ada", "Lovelace, Ada", "Müller", "Müller, Anna", 'Ada "Countess" Løvelace', ""]
)
def test_a_name_arrives_whatever_is_in_it(brevo: Brevo, provider: BrevoServer, name: str) -> None:
    box = Mailbox(name, "shop@example.com")
    send(brevo, plain(sender=box, to=box))
    (sent,) = provider.sent
    assert [BrevoServer.shown(one) for one in (sent["sender"], *sent["to"])] == [name, name]


@pytest.mark.parametrize(
    ("name", "kept"), [("Müller", "Müller"), ("Lovelace, Ada", "Lovelace, Ada"), ("Müller, Anna", None)]
)
def test_where_answers_go_has_no_name_that_brevo_would_not_encode(
    brevo: Brevo, provider: BrevoServer, name: str, kept: str | None
) -> None:
    send(brevo, plain(reply_to=Mailbox(name, "answers@example.com")))
    assert provider.sent[0]["replyTo"].get("name") == kept


def test_attached_pictures_are_refused_with_the_remedy(brevo: Brevo, provider: BrevoServer) -> None:
    (receipt,) = send(brevo, rich_message())
    assert isinstance(receipt, Refused)
    assert "hosted" in receipt.reason
    assert provider.asked == []


def test_a_mail_that_was_taken_is_not_sent_again(brevo: Brevo, provider: BrevoServer) -> None:
    assert [type(send(brevo, plain())[0]) for _ in range(3)] == [Accepted] * 3
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error("invalid_parameter", "email is not valid in to", 400), Refused("", suppress=True)),
        (error("invalid_parameter", "Invalid header", 400), Retry("", 300, ours=True)),
        (error("missing_parameter", "subject is missing", 400), Retry("", 300, ours=True)),
        (error("duplicate_parameter", "Contact already exist", 400), Retry("", 300, ours=True)),
        (error("invalid_parameter", "Sending has been rejected because the sender you used is not valid.", 400),
         Retry("", 300, ours=True)),
        (error("permission_denied", "Your SMTP account is not yet activated.", 403), Retry("", 300, everyone=True, ours=True)),
        (error("account_under_validation", "Your account is under validation", 403), Retry("", 300, everyone=True, ours=True)),
        (error("not_enough_credits", "No credits left", 402), Retry("", 300, everyone=True, ours=True)),
        (error("unauthorized", "Key not found", 401), Retry("", 300, everyone=True, ours=True)),
        (error("too_many_requests", "Slow down", 429, {"x-sib-ratelimit-reset": "12"}), Retry("", 12, everyone=True)),
    ],
)  # fmt: skip
def test_what_an_error_means(brevo: Brevo, provider: BrevoServer, reply: Reply, expected: Receipt) -> None:
    provider.next(reply)
    assert without_reason(send(brevo, plain())[0]) == expected


# --- batches --------------------------------------------------------------------------------------------------


def test_a_batch_has_a_version_for_each_mail(batching: Brevo, provider: BrevoServer) -> None:
    batch = [example_message("email", n) for n in range(3)]
    assert [type(receipt) for receipt in send(batching, *batch)] == [Accepted] * 3
    assert len(provider.asked) == 1
    assert [sent["to"][0]["email"] for sent in provider.sent] == [message.to for message in batch]
    assert [sent["subject"] for sent in provider.sent] == ["Message 0", "Message 1", "Message 2"]
    assert [json.loads(sent["headers"]["X-Mailin-custom"]) for sent in provider.sent] == [
        {"treue-key": message.key} for message in batch
    ]


def test_only_mails_that_share_sender_and_tags_go_together(batching: Brevo, provider: BrevoServer) -> None:
    one, two = (example_message("email", n) for n in range(2))
    other = replace(plain(attachments=(), sender=Mailbox("Other", "other@example.com")), key="k9")
    tagged = replace(plain(attachments=()), tags={"journey": "x"})
    bare, filed = plain(attachments=(), html=""), plain()
    receipts = send(batching, one, two, other, tagged, bare, filed)
    assert [type(receipt) for receipt in receipts] == [Accepted] * 6
    sizes = sorted(len(asked.json().get("messageVersions", [1])) for asked in provider.asked)
    assert sizes == [1] * 4 + [2]


def test_a_batch_without_an_answer_is_asked_for_again_at_once(batching: Brevo, provider: BrevoServer) -> None:
    taken: list[Reply] = []

    def swallowed(asked: Any) -> Any:
        taken.append(provider.answer(asked))
        return Mishap.hang_up if len(taken) == 1 else taken[-1]

    provider.happening = swallowed  # type: ignore[method-assign]
    receipts = send(batching, *(example_message("email", n) for n in range(3)))
    assert receipts == [Accepted()] * 3, "it had been taken; Brevo does not say its ids again"
    assert len(provider.sent) == 3


# --- callbacks ------------------------------------------------------------------------------------------------


def test_events_are_read_in_full() -> None:
    found = read(*EVENTS)
    assert [one.kind.value for one in found] == [
        "accepted", "delivered", "deferred", "bounced", "bounced", "failed", "failed", "failed", "complained", "complained",
        "opened", "opened", "opened", "opened", "clicked", "unsubscribed",
    ]  # fmt: skip
    assert {one.key for one in found} == {"k1"}
    assert {one.provider_id for one in found} == {"201798300811.5787683@relay.domain.com"}
    assert found[0].at.isoformat() == "2025-11-22T08:26:40.123000+00:00"
    assert [one.hard for one in found[3:8]] == [False, True, True, False, False]
    unknown = read(event("list_addition"), event("something new"))
    assert [(one.kind.value, one.key) for one in unknown] == [("unknown", "k1")] * 2


@pytest.mark.parametrize(
    ("reason", "hard"),
    [("550 5.1.1 no such user", True), ("", True), ("550 5.7.1 refused by policy", False), ("552 5.2.2 mailbox full", False)],
)  # fmt: skip
def test_which_hard_bounces_are_hard(reason: str, hard: bool) -> None:
    assert read(event("hard_bounce", reason=reason))[0].hard is hard


@pytest.mark.parametrize("custom", [None, "", "x", "[]", "{}", '{"treue-key": []}', "[" * 9_000])
def test_custom_words_of_others_are_no_key(custom: Any) -> None:
    assert read(event("delivered", **{"X-Mailin-custom": custom}))[0].key == ""
