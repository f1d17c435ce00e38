"""Push by Firebase Cloud Messaging, against a token server and a service that behave as Google documents them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.channels.google_fcm import PROJECT, QUOTA, Firebase, TokenServer, account_key, error, fcm_error
from treue.channel import Accepted, Kind, Outgoing, Receipt, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.errors import ChannelError
from treue.testing.channel_contract import Log
from treue.testing.http_channel_contract import HttpChannelContract
from treue.testing.provider_server import Reply
from treue_channels.fcm import Fcm

KEY, PUBLIC_KEY = account_key()


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer(PUBLIC_KEY) as running:
        yield running


@pytest.fixture
def firebase(tokens: TokenServer) -> Iterator[Firebase]:
    with Firebase(tokens) as running:
        yield running


@pytest.fixture
def fcm(firebase: Firebase, tokens: TokenServer) -> Iterator[Fcm]:
    made = Fcm(tokens.account(KEY), url=firebase.url)
    yield made
    made.close()


def push(number: int = 0, **changes: Any) -> Outgoing:
    message = Outgoing(f"push-{number}", f"device-{number}:APA91b_-", text="In stock again", title="Shop")
    return replace(message, **changes)


def send(channel: Fcm, *messages: Outgoing) -> list[Receipt]:
    return channel.send(messages, Log())


class TestFcmKeepsTheContract(HttpChannelContract):
    secrets = (KEY, *KEY.splitlines()[1:-1], "key-id-0123456789", "ya29.token-0")
    answers_about_us = (
        fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        fcm_error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        Reply(403), Reply(404),
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def _tokens(self, tokens: TokenServer) -> None:
        self.tokens = tokens

    @pytest.fixture
    def provider(self, firebase: Firebase) -> Firebase:
        return firebase

    def adapter(self, url: str, **options: Any) -> Fcm:
        return Fcm(self.tokens.account(KEY), url=url, **options)

    def stranger(self, url: str) -> Fcm:
        return Fcm(self.tokens.account(account_key()[0]), url=url)

    def message(self, number: int, kind: Kind = "push") -> Outgoing:
        return push(number)

    def refused_message(self) -> Outgoing:
        return push(99, text="x" * 4_097)


# --- what is sent -------------------------------------------------------------------------------------------


def test_a_message_has_a_notification_our_key_the_link_and_its_end_on_every_platform(
    fcm: Fcm, firebase: Firebase
) -> None:
    ends = utc_now() + timedelta(hours=1, seconds=5)
    (receipt,) = send(fcm, push(1, link="https://shop.example/x", expires_at=ends))
    (message,) = firebase.messages
    assert receipt == Accepted(f"projects/{PROJECT}/messages/0:1")
    assert message["token"] == "device-1:APA91b_-"
    assert message["notification"] == {"title": "Shop", "body": "In stock again"}
    assert message["data"] == {"key": "push-1", "link": "https://shop.example/x"}
    ttl = message["android"]["ttl"]
    assert 3600 <= int(ttl.removesuffix("s")) <= 3605
    assert message["apns"] == {"headers": {"apns-expiration": str(int(ends.timestamp()))}}
    assert message["webpush"]["headers"] == {"TTL": ttl.removesuffix("s")}
    assert message["webpush"]["fcmOptions"] == {"link": "https://shop.example/x"}


@pytest.mark.parametrize(("days", "wanted"), [(-1, "0s"), (365, "2419200s")])
def test_an_end_is_never_in_the_past_nor_later_than_four_weeks(
    fcm: Fcm, firebase: Firebase, days: int, wanted: str
) -> None:
    send(fcm, push(expires_at=utc_now() + timedelta(days=days)))
    assert firebase.messages[0]["android"]["ttl"] == wanted


def test_without_an_end_or_with_a_link_into_the_app_nothing_is_made_up(fcm: Fcm, firebase: Firebase) -> None:
    send(fcm, push(link="shop://basket"))
    assert set(firebase.messages[0]) == {"token", "notification", "data"}


def test_one_that_is_too_large_is_refused_before_it_is_sent(fcm: Fcm, firebase: Firebase) -> None:
    room = 4_096 - len(json.dumps([{"title": "Shop", "body": ""}, {"key": "push-0"}]))
    receipts = send(fcm, push(text="x" * room), push(text="x" * (room + 1)), push(text="ä" * (room // 2 + 1)))
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused, Refused]
    assert len(firebase.asked) == 1


# --- what Google answers ------------------------------------------------------------------------------------

GONE = fcm_error(404, "NOT_FOUND", "UNREGISTERED")
OF_ONE_DEVICE = {
    "@type": QUOTA,
    "violations": [{"subject": "device:1", "description": "Device rate exceeded"}],
}
OF_ALL = {"@type": QUOTA, "violations": [{"subject": "project:1", "description": "Message rate exceeded"}]}


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (GONE, Refused("FCM answered 404: UNREGISTERED Words about UNREGISTERED.", suppress=True)),
        (
            fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
            Refused("FCM answered 403: SENDER_ID_MISMATCH Words about SENDER_ID_MISMATCH."),
        ),
        (
            fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
            Refused("FCM answered 400: INVALID_ARGUMENT Words about INVALID_ARGUMENT."),
        ),
        (
            fcm_error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
            Retry(
                "FCM answered 401: THIRD_PARTY_AUTH_ERROR Words about THIRD_PARTY_AUTH_ERROR.",
                300.0,
                ours=True,
            ),
        ),
        (
            fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", OF_ONE_DEVICE),
            Retry("FCM answered 429: QUOTA_EXCEEDED Words about QUOTA_EXCEEDED.", 60.0),
        ),
        (
            fcm_error(500, "INTERNAL", "INTERNAL"),
            Unknown("FCM answered 500: INTERNAL Words about INTERNAL."),
        ),
    ],
)
def test_what_is_one_tokens_matter_costs_only_that_message(
    fcm: Fcm, firebase: Firebase, answer: Reply, wanted: Receipt
) -> None:
    assert isinstance(send(fcm, push(0))[0], Accepted)
    firebase.devices[push(1).to] = answer
    receipts = send(fcm, *[push(n) for n in range(4)])
    assert [type(receipt) for receipt in receipts[:1] + receipts[2:]] == [Accepted] * 3
    assert receipts[1] == wanted


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", OF_ALL, **{"Retry-After": "7"}), 7.0),
        (fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), 60.0),
        (fcm_error(503, "UNAVAILABLE", "UNAVAILABLE", **{"Retry-After": "30"}), 30.0),
        (fcm_error(503, "UNAVAILABLE", "UNAVAILABLE"), 60.0),
        (error(403, "PERMISSION_DENIED", "The API has not been used in project 1 before."), 300.0),
        (error(404, "NOT_FOUND", "Requested entity was not found."), 300.0),
    ],
)
def test_what_is_everyones_matter_stops_the_batch(
    fcm: Fcm, firebase: Firebase, answer: Reply, after: float
) -> None:
    firebase.always(answer)
    receipts = send(fcm, *[push(n) for n in range(200)])
    assert {type(receipt) for receipt in receipts} == {Retry}
    assert {(r.after, r.everyone) for r in receipts if isinstance(r, Retry)} == {(after, True)}
    assert len(firebase.asked) <= fcm.capabilities.at_once


def test_a_token_of_another_sender_is_not_to_blame_before_the_project_was_ever_right_and_stays(
    fcm: Fcm, firebase: Firebase
) -> None:
    mismatch = fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")
    firebase.devices = {push(n).to: mismatch for n in range(3)}
    receipts = send(fcm, *[push(n) for n in range(3)])
    assert [(type(one), getattr(one, "ours", None)) for one in receipts] == [(Retry, True)] * 3
    send(fcm, push(3))
    (receipt,) = send(fcm, push(0))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress


# --- the access token ---------------------------------------------------------------------------------------


def test_one_access_token_serves_many_messages(fcm: Fcm, tokens: TokenServer) -> None:
    assert {type(r) for r in send(fcm, *[push(n) for n in range(100)])} == {Accepted}
    assert len(tokens.asked) == 1


def test_a_token_is_renewed_before_it_ends(fcm: Fcm, tokens: TokenServer) -> None:
    tokens.lifetime = 60
    for n in range(3):
        assert isinstance(send(fcm, push(n))[0], Accepted)
    assert len(tokens.given) >= 3


def test_a_token_that_is_refused_is_fetched_anew_once_and_the_message_sent(
    fcm: Fcm, firebase: Firebase, tokens: TokenServer
) -> None:
    send(fcm, push(0))
    firebase.revoked.update(tokens.given)
    log, batch = Log(), [push(n) for n in range(1, 50)]
    assert {type(receipt) for receipt in fcm.send(batch, log)} == {Accepted}
    assert len(tokens.given) == 2
    assert [log.of(message.key) for message in batch] == [["started", "settled"]] * 49


def test_where_every_token_is_refused_everybody_waits(
    fcm: Fcm, firebase: Firebase, tokens: TokenServer
) -> None:
    firebase.always(error(401, "UNAUTHENTICATED", "No."))
    receipts = send(fcm, push(0), push(1))
    assert [(r.everyone, r.after) for r in receipts if isinstance(r, Retry)] == [(True, 300.0)] * 2


def test_where_the_token_server_is_gone_everybody_waits_and_nothing_was_sent(
    fcm: Fcm, firebase: Firebase, tokens: TokenServer
) -> None:
    tokens.go_away()
    receipts = send(fcm, *[push(n) for n in range(3)])
    assert [(r.everyone, r.after) for r in receipts if isinstance(r, Retry)] == [(True, 60.0)] * 3
    assert "token server cannot be reached" in receipts[0].reason  # type: ignore[union-attr]
    assert firebase.asked == []


def test_a_token_server_that_gives_none_is_not_asked_by_every_message(fcm: Fcm, tokens: TokenServer) -> None:
    tokens.always(Reply.json({"error": "invalid_client"}, 401))
    assert {type(receipt) for receipt in send(fcm, *[push(n) for n in range(100)])} == {Retry}
    assert len(tokens.asked) == 1


def test_where_the_token_server_refuses_the_account_everybody_waits(fcm: Fcm, tokens: TokenServer) -> None:
    tokens.always(Reply.json({"error": "invalid_grant", "error_description": "Account deleted."}, 400))
    (receipt,) = send(fcm, push(0))
    assert isinstance(receipt, Retry)
    assert (receipt.everyone, receipt.after) == (True, 300.0)
    assert "invalid_grant" in receipt.reason


# --- settings -----------------------------------------------------------------------------------------------


def test_the_credentials_may_be_a_file(tmp_path: Path, firebase: Firebase, tokens: TokenServer) -> None:
    (tmp_path / "account.json").write_text(tokens.account(KEY))
    channel = Fcm(str(tmp_path / "account.json"), url=firebase.url)
    assert isinstance(send(channel, push())[0], Accepted)
    channel.close()


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        ("/nowhere/account.json", "names a file that cannot be read"),
        ('{"private_key": "secret"}', "JSON file of a service account"),
        ("{", "JSON file of a service account"),
        ('{"private_key": "secret", "private_key_id": "a", "client_email": "b", "token_uri": "c", "project_id": "shop-1"}',
         "JSON file of a service account"),
    ],
)  # fmt: skip
def test_credentials_that_cannot_be_used_are_told_without_being_quoted(credentials: str, said: str) -> None:
    with pytest.raises(ChannelError) as raised:
        Fcm(credentials)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_project_that_is_none_is_told(tokens: TokenServer) -> None:
    with pytest.raises(ChannelError, match="`project`"):
        Fcm(tokens.account(KEY), project="../x")
