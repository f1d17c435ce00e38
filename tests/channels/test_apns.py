"""Push to Apple devices, against a service that behaves as Apple documents it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.channels.apple_apns import KEY_ID, NOW, TEAM_ID, TOPIC, Apple, signing_key
from tests.channels.calls import certificate
from tests.channels.h2_server import GoAway, HangUp, Reply, Reset, Silence
from treue.channel import Accepted, Channel, Kind, Outgoing, Receipt, Refused, Retry, Unknown
from treue.errors import ChannelError
from treue.testing.channel_contract import ChannelContract, Log
from treue_channels.apns import Apns

KEY, PUBLIC_KEY = signing_key()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("apple"))


@pytest.fixture
def apple(files: tuple[Path, Path]) -> Iterator[Apple]:
    with Apple(files, PUBLIC_KEY) as running:
        assert isinstance(running, Apple)
        yield running


@pytest.fixture
def apns(apple: Apple, files: tuple[Path, Path]) -> Iterator[Apns]:
    made = adapter(apple.address, files, clock=lambda: apple.now)
    yield made
    made.close()


def adapter(server: str, files: tuple[Path, Path], **options: Any) -> Apns:
    given = {
        "signing_key": KEY,
        "key_id": KEY_ID,
        "team_id": TEAM_ID,
        "topic": TOPIC,
        "clock": lambda: NOW,
        **options,
    }
    return Apns(server=server, ca=str(files[0]), **given)


def push(number: int = 0, **changes: Any) -> Outgoing:
    message = Outgoing(f"push-{number}", f"{number:064x}", text="In stock again", title="Shop")
    return replace(message, **changes)


def send(channel: Apns, *messages: Outgoing) -> list[Receipt]:
    return channel.send(messages, Log())


class TestApnsKeepsTheContract(ChannelContract):
    secrets = (KEY, "BEGIN PRIVATE KEY")

    @pytest.fixture
    def channel(self, apns: Apns) -> Apns:
        return apns

    @pytest.fixture
    def unreachable(self, files: tuple[Path, Path]) -> Apns:
        return adapter("127.0.0.1:9", files)

    def message(self, number: int, kind: Kind = "push") -> Outgoing:
        return push(number)

    def refused_message(self) -> Outgoing:
        return push(99, text="x" * 4_097)

    def objections(self, channel: Channel, request: pytest.FixtureRequest) -> Iterator[str]:
        apple = request.getfixturevalue("apple")
        for status, reason in (
            (400, "BadTopic"), (400, "TopicDisallowed"), (400, "MissingTopic"), (400, "InvalidPushType"),
            (400, "BadDeviceToken"), (400, "DeviceTokenNotForTopic"), (403, "InvalidProviderToken"), (403, "Forbidden"),
            (403, "BadCertificateEnvironment"), (404, "BadPath"), (405, "MethodNotAllowed"), (400, "SomethingNew"),
        ):  # fmt: skip
            apple.next = [Reply(status, {}, f'{{"reason":"{reason}"}}'.encode())]
            yield reason


# --- what is sent -------------------------------------------------------------------------------------------


def test_what_apple_can_and_we_do_not_know_goes_along(apple: Apple, files: tuple[Path, Path]) -> None:
    made = adapter(apple.address, files, extra={"aps": {"sound": "default"}, "season": "winter"})
    send(made, push(1))
    made.close()
    ((_, shown),) = apple.shown
    assert (shown["aps"]["sound"], shown["season"], shown["key"]) == ("default", "winter", "push-1")
    assert shown["aps"]["alert"]["title"] == "Shop"


def test_an_alert_has_title_body_key_and_link(apns: Apns, apple: Apple) -> None:
    message = push(1, link="https://shop.example/x", expires_at=NOW + timedelta(hours=1))
    (receipt,) = send(apns, message)
    document = {
        "aps": {"alert": {"title": "Shop", "body": "In stock again"}},
        "key": "push-1",
        "link": message.link,
    }
    assert apple.shown == [(message.to, document)]
    headers = apple.came[0].headers
    assert receipt == Accepted(headers["apns-id"])
    assert headers["apns-expiration"] == str(int(NOW.timestamp()) + 3600)
    assert "apns-collapse-id" not in headers
    assert "apns-expiration" not in send_and_see(apns, apple, push(2))


def send_and_see(apns: Apns, apple: Apple, message: Outgoing) -> dict[str, str]:
    send(apns, message)
    return apple.came[-1].headers


def test_the_id_is_a_uuid_made_of_the_key_and_the_same_on_every_attempt(apns: Apns, apple: Apple) -> None:
    ids = [send_and_see(apns, apple, push(n))["apns-id"] for n in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
    assert str(uuid.UUID(ids[0])) == ids[0]


def test_a_thousand_go_over_one_connection_under_one_token(apns: Apns, apple: Apple) -> None:
    receipts = send(apns, *[push(n) for n in range(1_000)])
    assert [type(receipt) for receipt in receipts] == [Accepted] * 1_000
    assert (apple.connections, len(apple.tokens)) == (1, 1)
    assert len({device for device, _ in apple.shown}) == 1_000


def test_one_that_is_too_large_is_refused_before_it_is_sent(apns: Apns, apple: Apple) -> None:
    room = 4_096 - len('{"aps":{"alert":{"title":"Shop","body":""}},"key":"push-0"}')
    assert [type(r) for r in send(apns, push(text="x" * room), push(text="ä" * room))] == [Accepted, Refused]
    assert len(apple.came) == 1


@pytest.mark.parametrize("to", ["", "abc", "../../x", "g" * 64, "0" * 63 + "\n", "0" * 64 + "?x", "0" * 600])
def test_what_is_no_device_token_never_becomes_a_path(apns: Apns, apple: Apple, to: str) -> None:
    assert [type(receipt) for receipt in send(apns, push(to=to))] == [Refused]
    assert apple.came == []


# --- what Apple answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "wanted"),
    [
        (410, "Unregistered", Refused("APNs answered 410 Unregistered", suppress=True)),
        (410, "ExpiredToken", Refused("APNs answered 410 ExpiredToken", suppress=True)),
        (400, "BadDeviceToken", Refused("APNs answered 400 BadDeviceToken")),
        (400, "DeviceTokenNotForTopic", Refused("APNs answered 400 DeviceTokenNotForTopic")),
        (413, "PayloadTooLarge", Refused("APNs answered 413 PayloadTooLarge")),
        (400, "PayloadEmpty", Refused("APNs answered 400 PayloadEmpty")),
        (429, "TooManyRequests", Retry("APNs answered 429 TooManyRequests", 60.0)),
        (500, "InternalServerError", Unknown("APNs answered 500 InternalServerError")),
    ],
)
def test_what_is_one_tokens_matter_costs_only_that_message(
    apns: Apns, apple: Apple, status: int, reason: str, wanted: Receipt
) -> None:
    apple.devices[push(1).to] = status, reason
    receipts = send(apns, *[push(n) for n in range(4)])
    assert [type(receipt) for receipt in receipts[:1] + receipts[2:]] == [Accepted] * 3
    assert receipts[1] == wanted


@pytest.mark.parametrize("reason", ["BadDeviceToken", "DeviceTokenNotForTopic"])
def test_a_token_is_not_to_blame_before_topic_and_environment_were_ever_right(
    apns: Apns, apple: Apple, reason: str
) -> None:
    apple.devices = {push(n).to: (400, reason) for n in range(3)}
    said = f"APNs answered 400 {reason}"
    assert send(apns, *[push(n) for n in range(3)]) == [Retry(said, 300.0, ours=True)] * 3
    assert send(apns, push(3), push(1))[1] == Refused(said), "and the token stays: its app may be another"


@pytest.mark.parametrize(
    ("status", "reason", "after"),
    [
        (503, "ServiceUnavailable", 60.0),
        (503, "Shutdown", 60.0),
        (403, "Forbidden", 300.0),
        (400, "BadTopic", 300.0),
    ],
)
def test_what_is_everyones_matter_stops_the_batch(
    apns: Apns, apple: Apple, status: int, reason: str, after: float
) -> None:
    apple.devices[push(0).to] = status, reason
    receipts = send(apns, *[push(n) for n in range(50)])
    assert (
        receipts == [Retry(f"APNs answered {status} {reason}", after, everyone=True, ours=status < 500)] * 50
    )
    assert len(apple.came) == 1


def test_retry_after_is_heeded(apns: Apns, apple: Apple) -> None:
    apple.next = [Reply(503, {"retry-after": "7"}, b'{"reason":"ServiceUnavailable"}')]
    assert send(apns, push()) == [Retry("APNs answered 503 ServiceUnavailable", 7.0, everyone=True)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"reason": 7}', b'{"reason": null}', b"\xff" * 100])
@pytest.mark.parametrize("status", [200, 400, 404, 410, 418, 429, 500, 503])
def test_an_answer_of_any_shape_is_a_receipt(apns: Apns, apple: Apple, status: int, body: bytes) -> None:
    apple.next = [Reply(status, {}, body)]
    (receipt,) = send(apns, push())
    wanted = {200: Accepted, 410: Retry, 500: Unknown}
    assert type(receipt) is wanted.get(status, Retry)
    assert not getattr(receipt, "suppress", False)


# --- the provider token -------------------------------------------------------------------------------------


def test_the_token_is_kept_and_renewed_within_the_hour(apns: Apns, apple: Apple) -> None:
    for minutes in range(0, 181, 15):
        apple.now = NOW + timedelta(minutes=minutes)
        assert isinstance(send(apns, push(minutes))[0], Accepted)
    times = [at for _, at in apple.tokens]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert [gap for gap in gaps if not timedelta(minutes=20) <= gap <= timedelta(hours=1)] == []
    assert len(times) == 5


def test_a_token_that_expired_on_apples_clock_is_renewed_once_and_all_go_through(
    apple: Apple, files: tuple[Path, Path]
) -> None:
    ours = [NOW]
    channel = adapter(apple.address, files, clock=lambda: ours[0])
    send(channel, push(0))
    ours[0] += timedelta(minutes=30)
    apple.now = NOW + timedelta(minutes=61)
    receipts = send(channel, *[push(n) for n in range(1, 6)])
    channel.close()
    assert [type(receipt) for receipt in receipts] == [Accepted] * 5
    assert len(apple.tokens) == 2


def test_a_clock_that_is_wrong_is_told_and_no_token_is_made_every_second(
    apple: Apple, files: tuple[Path, Path]
) -> None:
    channel = adapter(apple.address, files, clock=lambda: NOW - timedelta(hours=2))
    log = Log()
    receipts = channel.send([push(n) for n in range(3)], log)
    channel.close()
    assert [(r.everyone, r.after) for r in receipts if isinstance(r, Retry)] == [(True, 1200.0)] * 3
    assert "is this machine's clock right?" in receipts[0].reason  # type: ignore[union-attr]
    assert apple.tokens == []
    assert [log.of(push(n).key) for n in range(3)] == [["started", "settled"]] * 3


def test_two_workers_that_change_tokens_too_often_wait(apns: Apns, apple: Apple) -> None:
    apple.tokens.append(("another worker's", NOW))
    assert (
        send(apns, push(0), push(1))
        == [Retry("APNs answered 429 TooManyProviderTokenUpdates", 1200.0, everyone=True)] * 2
    )


def test_a_key_that_apple_does_not_know_is_our_fault(apple: Apple, files: tuple[Path, Path]) -> None:
    for wrong in ({"signing_key": signing_key()[0]}, {"key_id": "ZZZZZZZZZZ"}, {"team_id": "ZZZZZZZZZZ"}):
        channel = adapter(apple.address, files, **wrong)
        assert send(channel, push()) == [
            Retry("APNs answered 403 InvalidProviderToken", 300.0, everyone=True, ours=True)
        ]
        channel.close()


# --- connections --------------------------------------------------------------------------------------------


def test_the_first_request_goes_alone_until_the_token_was_good(apns: Apns, apple: Apple) -> None:
    apple.next = [Reply(503, {}, b'{"reason":"Shutdown"}')]
    send(apns, *[push(n) for n in range(20)])
    assert apple.most_at_once == 1


def test_a_goodbye_costs_nobody_a_message(apns: Apns, apple: Apple) -> None:
    send(apns, push(0))
    apple.next = [Reply(200), GoAway(last=5)]
    log = Log()
    batch = [push(n) for n in range(1, 30)]
    receipts = apns.send(batch, log)
    assert [type(receipt) for receipt in receipts] == [Accepted, Unknown, *[Accepted] * 27]
    assert [log.of(message.key) for message in batch] == [["started", "settled"]] * 29


def test_a_stream_that_apple_refuses_is_that_messages_matter(apns: Apns, apple: Apple) -> None:
    send(apns, push(0))
    apple.next = [Reset()]
    receipts = send(apns, *[push(n) for n in range(1, 4)])
    assert receipts[0] == Retry("127.0.0.1 refused the stream")
    assert [type(receipt) for receipt in receipts[1:]] == [Accepted] * 2


def test_where_the_answer_is_lost_nobody_knows(apple: Apple, files: tuple[Path, Path]) -> None:
    for happening in (Silence, HangUp):
        channel = adapter(apple.address, files, timeout=0.3)
        apple.next = [happening]
        assert isinstance(send(channel, push())[0], Unknown)
        channel.close()


# --- settings -----------------------------------------------------------------------------------------------


def test_the_key_may_be_a_file(tmp_path: Path, apple: Apple, files: tuple[Path, Path]) -> None:
    (tmp_path / "AuthKey.p8").write_text(KEY)
    channel = adapter(apple.address, files, signing_key=str(tmp_path / "AuthKey.p8"))
    assert isinstance(send(channel, push())[0], Accepted)
    channel.close()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("signing_key", "/nowhere/AuthKey.p8", "names a file that cannot be read"),
        (
            "signing_key",
            "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----",
            "is the .p8 file from Apple",
        ),
        ("key_id", "short", "`key_id`"),
        ("team_id", "", "`team_id`"),
        ("topic", "com.example/../x", "`topic`"),
        ("server", ":x", "`server`"),
        ("ca", "/nowhere.pem", "`ca`"),
        ("timeout", "soon", "`timeout`"),
        ("sandbox", "no", "`sandbox`"),
    ],
)
def test_settings_that_cannot_be_used_are_told_by_name(option: str, value: str, said: str) -> None:
    given = {"signing_key": KEY, "key_id": KEY_ID, "team_id": TEAM_ID, "topic": TOPIC, option: value}
    with pytest.raises(ChannelError) as raised:
        Apns(**given)  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
