"""What all adapters to HTTP APIs share, by an adapter and a provider that are made of nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.channels.calls import certificate, receiving
from treue.channel import TAKEN_OVER, Accepted, Capabilities, Outgoing, Receipt, Refused, Retry, Unknown
from treue.errors import ChannelError
from treue.testing.channel_contract import Log, example_message
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Asked, Mishap, ProviderServer, Reply
from treue_channels.http.answers import HttpAnswer, asked_pause, by_status
from treue_channels.http.api import HttpRequest, json_request
from treue_channels.http.mail import MailApi, mail_of, written

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = "the-plain-api-key"


class Plain(MailApi):
    provider = "Plain"
    capabilities = Capabilities("email", address="an e-mail address")

    def __init__(self, url: str, key: str = KEY, **options: Any) -> None:
        super().__init__(url, [key], **options)
        self._key = key

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        if any(mail_of(message).subject == "cannot be put" for message in messages):
            raise ValueError(KEY)
        documents = [{"key": message.key, "to": message.to} for message in messages]
        return json_request("/send", documents, {"Authorization": self._key})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        return [Accepted(one["id"]) for one in answer.json()]


class FourAtOnce(Plain):
    capabilities = replace(Plain.capabilities, at_once=4)


class Batches(Plain):
    capabilities = replace(Plain.capabilities, batch=3, at_once=2)


class BigBatches(Plain):
    capabilities = replace(Plain.capabilities, batch=16)


class Hundreds(Plain):
    capabilities = replace(Plain.capabilities, batch=200)


class PlainServer(ProviderServer):
    """Refuses a whole request for the sake of one address."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != KEY:
            return Reply.json({"message": f"Unknown key {asked.headers.get('authorization')}"}, 401)
        messages = json.loads(asked.body)
        if any("refused" in message["to"] for message in messages):
            return Reply.json({"message": "One of the addresses is none."}, 422)
        self.sent += [message["key"] for message in messages]
        return Reply.json([{"id": message["key"]} for message in messages])


@pytest.fixture
def provider() -> Iterator[PlainServer]:
    with PlainServer() as running:
        yield running


class TestOneByOne(HttpChannelContract):
    secrets = (KEY,)
    plain: type[Plain] = Plain

    @pytest.fixture
    def provider(self, provider: PlainServer) -> PlainServer:
        return provider

    def adapter(self, url: str, **options: Any) -> Plain:
        return self.plain(url, **options)

    def stranger(self, url: str) -> Plain:
        return self.plain(url, "another-key")

    def refused_message(self) -> Outgoing:
        return replace(self.message(90), to="two@refused@example.com")


class TestSideBySide(TestOneByOne):
    plain = FourAtOnce


class TestBatchesSideBySide(TestOneByOne):
    plain = Batches


def messages(count: int) -> list[Outgoing]:
    return [example_message("email", n) for n in range(count)]


def test_requests_go_side_by_side_and_are_settled_in_order(provider: PlainServer) -> None:
    arrived = threading.Barrier(4, timeout=5)

    def together(asked: Asked) -> Reply:
        arrived.wait()  # nobody is answered before four are there
        return PlainServer.answer(provider, asked)

    provider.happening = together  # type: ignore[method-assign]
    channel, log, batch = FourAtOnce(provider.url), Log(), messages(8)
    receipts = channel.send(batch, log)
    channel.close()
    assert receipts == [Accepted(message.key) for message in batch]
    for what in ("started", "settled"):
        assert [key for said, key in log.calls if said == what] == [message.key for message in batch]


def test_one_message_of_a_batch_costs_only_itself(provider: PlainServer) -> None:
    batch = messages(16)
    batch[5] = replace(batch[5], to="refused@example.com")
    channel, log = BigBatches(provider.url), Log()
    receipts = channel.send(batch, log)
    channel.close()
    assert [n for n, receipt in enumerate(receipts) if isinstance(receipt, Retry) and receipt.ours] == [5]
    assert sorted(provider.sent) == sorted(m.key for n, m in enumerate(batch) if n != 5)
    assert [log.of(message.key) for message in batch] == [["started", "settled"]] * 16


def test_what_all_of_a_batch_wait_for_is_not_asked_for_each(provider: PlainServer) -> None:
    """A sender that is not verified is none for any of the mails: a few tell it."""
    provider.always(Reply.json({"message": "This sender is not verified."}, 422))
    channel = Hundreds(provider.url)
    receipts = channel.send(messages(200), Log())
    channel.close()
    assert {(type(one), getattr(one, "ours", None)) for one in receipts} == {(Retry, True)}
    assert len(provider.asked) < 30


def test_a_pause_in_the_midst_of_halves_ends_them(provider: PlainServer) -> None:
    provider.next(Reply(422), Reply.json([{"id": "a"}, {"id": "b"}]), Reply(429))
    channel = BigBatches(provider.url)
    receipts = channel.send(messages(4), Log())
    channel.close()
    assert [type(receipt) for receipt in receipts] == [Accepted, Accepted, Retry, Retry]


def test_what_is_another_workers_is_not_in_the_request(provider: PlainServer) -> None:
    batch = messages(4)
    channel, log = BigBatches(provider.url), Log(taken=frozenset({batch[0].key, batch[2].key}))
    receipts = channel.send(batch, log)
    channel.close()
    assert receipts == [TAKEN_OVER, Accepted(batch[1].key), TAKEN_OVER, Accepted(batch[3].key)]
    assert provider.sent == [batch[1].key, batch[3].key]


def test_what_cannot_be_put_as_a_request_is_not_sent(provider: PlainServer) -> None:
    odd = example_message("email", 0)
    assert odd.mail is not None
    odd = replace(odd, mail=replace(odd.mail, subject="cannot be put"))
    channel = Plain(provider.url)
    (receipt,) = channel.send([odd], Log())
    assert isinstance(receipt, Retry)
    assert not receipt.everyone
    assert KEY not in receipt.reason
    assert isinstance(channel.send([replace(odd, mail=None)], Log())[0], Refused)
    channel.close()
    assert provider.asked == []


def test_a_key_that_no_header_can_carry_is_our_fault(provider: PlainServer) -> None:
    for key in ("a\r\nX-Other: b", "schlüssel\udcff"):
        channel = Plain(provider.url, key)
        (receipt,) = channel.send(messages(1), Log())
        channel.close()
        assert isinstance(receipt, Retry)
        assert receipt.everyone
    assert provider.asked == []


def test_a_doubt_now_and_then_does_not_stop_a_batch(provider: PlainServer) -> None:
    provider.next(Mishap.hang_up, Mishap.hang_up)
    channel = Plain(provider.url)
    receipts = channel.send(messages(5), Log())
    channel.close()
    assert [type(receipt) for receipt in receipts] == [Unknown, Unknown, Accepted, Accepted, Accepted]


def test_a_certificate_that_nobody_vouches_for_gets_no_key(tmp_path: Path) -> None:
    with receiving(certificate(tmp_path)) as impostor:
        channel = Plain(f"https://127.0.0.1:{impostor.port}")
        (receipt,) = channel.send(messages(1), Log())
        channel.close()
        assert isinstance(receipt, Retry)
        assert receipt.everyone
        assert impostor.received == []


def test_an_endless_answer_is_not_read_to_its_end(provider: PlainServer) -> None:
    provider.next(Reply(422, {}, b"x" * 20_000_000))
    channel = Plain(provider.url)
    (receipt,) = channel.send(messages(1), Log())
    channel.close()
    assert isinstance(receipt, Retry)
    assert len(receipt.reason) <= 300


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "172800"}, 86_400),
        ({"retry-after": "Sun, 22 Nov 2026 09:02:00 GMT"}, 120),
        ({"retry-after": "Sun, 22 Nov 2026 08:00:00 GMT"}, 1),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "Sun, 22 Nov 2026 09:02:00"}, 60),
        ({"retry-after": "tomorrow"}, 60),
        ({"retry-after": "-1"}, 60),
        ({"retry-after": "٣"}, 60),
        ({"x-reset": "1795338030"}, 30),
        ({"x-reset": "1795338030000"}, 30),
        ({"x-reset": "30"}, 30),
        ({"retry-after": "5", "x-reset": "30"}, 5),
        ({"retry-after": "soon", "x-reset": "30"}, 30),
    ],
)
def test_how_long_a_provider_wants_to_be_left_alone(headers: dict[str, str], seconds: float) -> None:
    assert asked_pause(headers, NOW, "x-reset") == seconds


@pytest.mark.parametrize(
    ("status", "headers", "kind", "everyone"),
    [
        (408, {}, Retry, False), (425, {}, Retry, False), (429, {}, Retry, True),
        (503, {"retry-after": "5"}, Retry, True), (503, {}, Unknown, None), (500, {}, Unknown, None), (504, {}, Unknown, None),
        (301, {}, Retry, True), (401, {}, Retry, True), (402, {}, Retry, True), (403, {}, Retry, True), (404, {}, Retry, True),
        (400, {}, Retry, False), (413, {}, Refused, None), (422, {}, Retry, False), (451, {}, Retry, False),
    ],
)  # fmt: skip
def test_what_a_status_means(
    status: int, headers: dict[str, str], kind: type[Receipt], everyone: bool | None
) -> None:
    receipt = by_status(HttpAnswer(status, headers), "reason", 5)
    assert isinstance(receipt, kind)
    assert not isinstance(receipt, Retry) or receipt.everyone is everyone
    assert getattr(receipt, "ours", False) is (status in (301, 400, 401, 402, 403, 404, 422, 451))


@pytest.mark.parametrize("key", ["", None])
def test_an_empty_key_is_said_at_the_start(key: Any) -> None:
    with pytest.raises(ChannelError, match="its key"):
        Plain("https://api.example.com", key)


@pytest.mark.parametrize("timeout", [0, -1, "soon", 1e9, float("nan"), None])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ChannelError, match="timeout"):
        Plain("https://api.example.com", timeout=timeout)


def test_a_name_is_quoted() -> None:
    mail = mail_of(example_message("email", 0))
    assert written(replace_name(mail.to, 'A "B" \\ C, D')) == '"A \\"B\\" \\\\ C, D" <customer0@example.com>'


def replace_name(box: Any, name: str) -> Any:
    return box._replace(name=name)
