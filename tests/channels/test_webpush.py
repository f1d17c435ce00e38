"""Push to browsers: only to known push services, sealed so that only the browser can read it, signed as ours."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.channels.calls import PUBLIC, Network, Receiver, certificate, receiving, resolving, trusting
from tests.channels.push_service import Browser, checked, decoded
from treue.channel import Accepted, Channel, Kind, Outgoing, Receipt, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.errors import ChannelError
from treue.store import addresses
from treue.testing.channel_contract import ChannelContract, Log
from treue_channels.webpush import LARGEST, SERVICES, WebPush

HOST = "updates.push.services.mozilla.com"
VAPID = ec.generate_private_key(ec.SECP256R1())
KEY = VAPID.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
BROWSER = Browser(f"https://{HOST}/wpush/v2/gAAAAA")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("push"), HOST)


@pytest.fixture
def service(files: tuple[Path, Path]) -> Iterator[Receiver]:
    with receiving(files) as made:
        made.usual = 201, {"Location": f"https://{HOST}/m/1"}, b""
        yield made


@pytest.fixture
def network(service: Receiver) -> Network:
    return Network(service.port)


def adapter(network: Network, files: tuple[Path, Path], **options: Any) -> WebPush:
    given = {"vapid_key": KEY, "contact": "ops@shop.example", "resolve": resolving(PUBLIC), **options}
    return WebPush(network=network, trust=trusting(files), **given)


@pytest.fixture
def webpush(network: Network, files: tuple[Path, Path]) -> Iterator[WebPush]:
    made = adapter(network, files)
    yield made
    made.close()


def push(number: int = 0, **changes: Any) -> Outgoing:
    message = Outgoing(f"push-{number}", BROWSER.token, text="Wieder da: Blue Train", title="Klangladen")
    return replace(message, **changes)


def send(channel: WebPush, *messages: Outgoing) -> list[Receipt]:
    return channel.send(messages, Log())


class TestWebPushKeepsTheContract(ChannelContract):
    secrets = (KEY, KEY.splitlines()[1])

    @pytest.fixture
    def channel(self, webpush: WebPush) -> WebPush:
        return webpush

    @pytest.fixture
    def unreachable(self, files: tuple[Path, Path]) -> WebPush:
        return adapter(Network(9), files)

    def message(self, number: int, kind: Kind = "push") -> Outgoing:
        return push(number)

    def refused_message(self) -> Outgoing:
        return push(99, text="x" * 5_000)

    def objections(self, channel: Channel, request: pytest.FixtureRequest) -> Iterator[str]:
        service = request.getfixturevalue("service")
        for status, words in (
            (401, b'{"code":401,"errno":109,"error":"Unauthorized","message":"Invalid authentication"}'),
            (403, (b"the VAPID credentials in the authorization header do not correspond to the credentials used to create "
                  b"the subscriptions.")),
            (403, b'{"reason":"BadJwtToken"}'), (400, b'{"reason":"VapidPkHashMismatch"}'), (400, b"UnauthorizedRegistration"),
        ):  # fmt: skip
            service.usual = status, {}, words
            yield words.decode()


# --- what is sent -------------------------------------------------------------------------------------------


def test_the_sealed_document_of_rfc_8291_opens() -> None:
    """The published example (RFC 8291 section 5 and appendix A): what opens our messages opens theirs."""
    number = int.from_bytes(decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
    browser = Browser("", ec.derive_private_key(number, ec.SECP256R1()), decoded("BTBZMqHH6r4Tts7J_aSIgg"))
    sealed = (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.opened(decoded(sealed)) == b"When I grow up, I want to be a watermelon"


def test_the_browser_reads_title_body_link_and_key_and_nobody_else_can(
    webpush: WebPush, service: Receiver
) -> None:
    message = push(1, link="https://klangladen.example/x")
    assert send(webpush, message) == [Accepted(f"https://{HOST}/m/1")]
    (came,) = service.received
    assert (came.method, came.path) == ("POST", "/wpush/v2/gAAAAA")
    assert json.loads(BROWSER.opened(came.body)) == {
        "web_push": 8030,
        "notification": {"title": "Klangladen", "body": message.text, "navigate": message.link},
        "key": "push-1",
    }
    assert b"Klangladen" not in came.body
    with pytest.raises(InvalidTag):
        Browser("").opened(came.body)


def test_what_browsers_can_and_we_do_not_know_goes_along(
    network: Network, files: tuple[Path, Path], service: Receiver
) -> None:
    made = adapter(network, files, extra={"notification": {"lang": "de"}})
    send(made, push())
    made.close()
    shown = json.loads(BROWSER.opened(service.received[0].body))["notification"]
    assert (shown["lang"], shown["title"]) == ("de", "Klangladen")


def test_the_push_service_knows_who_sends(webpush: WebPush, service: Receiver) -> None:
    send(webpush, push())
    claims = checked(service.received[0].headers, HOST, time.time(), VAPID.public_key())
    assert claims["sub"] == "mailto:ops@shop.example"


def test_connections_are_kept_for_a_batch_and_no_longer(webpush: WebPush, service: Receiver) -> None:
    assert {type(receipt) for receipt in send(webpush, *[push(n) for n in range(80)])} == {Accepted}
    assert service.connections <= 16
    send(webpush, push())
    assert service.connections <= 17


def test_a_connection_that_the_service_closes_costs_nothing(webpush: WebPush, service: Receiver) -> None:
    service.usual = 201, {"Connection": "close"}, b""
    assert {type(receipt) for receipt in send(webpush, *[push(n) for n in range(40)])} == {Accepted}
    assert service.connections == 40


def test_each_message_has_a_seal_of_its_own(webpush: WebPush, service: Receiver) -> None:
    send(webpush, push(), push())
    first, second = (came.body for came in service.received)
    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]


def test_a_message_without_a_title_shows_its_text(webpush: WebPush, service: Receiver) -> None:
    send(webpush, push(title=""))
    assert json.loads(BROWSER.opened(service.received[0].body))["notification"] == {"title": push().text}


@pytest.mark.parametrize(
    ("ends", "wanted"), [(timedelta(hours=1), 3600), (timedelta(-1), 0), (timedelta(90), 2_419_200)]
)
def test_the_time_to_live_ends_with_the_message(
    network: Network, files: tuple[Path, Path], service: Receiver, ends: timedelta, wanted: int
) -> None:
    now = utc_now()
    channel = adapter(network, files, clock=lambda: now)
    send(channel, push(expires_at=now + ends), push(1))
    channel.close()
    assert sorted(int(came.headers["ttl"]) for came in service.received) == sorted([wanted, 2_419_200])


def test_one_that_is_too_large_is_refused_and_the_largest_is_4096_bytes(
    webpush: WebPush, service: Receiver
) -> None:
    room = LARGEST - len('{"web_push":8030,"notification":{"title":"Klangladen","body":""},"key":"push-0"}')
    receipts = send(webpush, push(text="x" * room), push(text="x" * (room + 1)))
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused]
    assert [len(came.body) for came in service.received] == [4_096]


# --- where it goes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://updates.push.services.mozilla.com/x", "https://evil.example/x", "https://127.0.0.1/x", "https://[::1]/x",
        "https://updates.push.services.mozilla.com.evil.example/x", "https://evilnotify.windows.com/x",
        "https://updates.push.services.mozilla.com:8443/x", "https://user@updates.push.services.mozilla.com/x",
        "https://updates.push.services.mozilla.com@evil.example/x", "https://updates.push.services.mozilla.com\\@evil.example",
        "//updates.push.services.mozilla.com/x", "file:///etc/passwd", "https://metadata.google.internal/", "",
        "https://updates.push.services.mozilla.com/\r\nHost: evil.example",
    ],
)  # fmt: skip
def test_a_customers_endpoint_leads_to_known_push_services_only(
    webpush: WebPush, network: Network, service: Receiver, endpoint: str
) -> None:
    (receipt,) = send(webpush, push(to=Browser(endpoint).token))
    assert isinstance(receipt, Refused)
    assert receipt.forbidden
    assert (network.hits, service.received) == ([], [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "64:ff9b::7f00:1"])
def test_a_known_name_that_means_a_private_address_is_not_called(
    network: Network, files: tuple[Path, Path], service: Receiver, address: str
) -> None:
    channel = adapter(network, files, resolve=resolving(PUBLIC, address))
    (receipt,) = send(channel, push())
    channel.close()
    assert isinstance(receipt, Refused)
    assert receipt.forbidden
    assert (network.hits, service.received) == ([], [])


def test_the_browsers_services_are_known_and_more_can_be_named(
    network: Network, files: tuple[Path, Path]
) -> None:
    hosts = [*SERVICES, "wns2-par02p.notify.windows.com", "push.example.org", "eu.push.example.org"]
    channel = adapter(network, files, services="push.example.org")
    assert all(channel._knows(host) for host in hosts)
    assert not channel._knows("example.org")


def test_a_redirect_is_not_followed(webpush: WebPush, network: Network, service: Receiver) -> None:
    service.answers = [(307, {"Location": "http://169.254.169.254/"}, b"")]
    assert isinstance(send(webpush, push())[0], Retry)
    assert (len(service.received), network.hits) == (1, [])


@pytest.mark.parametrize(
    "token",
    ["", "{", "[]", "null", "{}", '{"endpoint":"https://x"}', '{"endpoint":1,"keys":{"p256dh":"a","auth":"b"}}',
     '{"endpoint":"x","keys":{"p256dh":"a","auth":"b"}}', '{"keys":[]}', "[" * 3_000, "token-1", "\ud800"],
)  # fmt: skip
def test_what_is_no_subscription_is_refused(webpush: WebPush, service: Receiver, token: str) -> None:
    (receipt,) = send(webpush, push(to=token))
    assert isinstance(receipt, Refused)
    assert not receipt.suppress
    assert service.received == []


def test_a_key_that_is_no_point_of_the_curve_is_refused(webpush: WebPush, service: Receiver) -> None:
    document = json.loads(BROWSER.token)
    document["keys"]["p256dh"] = "B" + "A" * 86
    assert send(webpush, push(to=json.dumps(document))) == [
        Refused("The subscription's key is no point of P-256.")
    ]
    assert service.received == []


def test_a_subscription_fits_where_push_tokens_are_kept() -> None:
    assert addresses.push_token(BROWSER.token) == BROWSER.token


# --- what the push service answers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (200, Accepted()),
        (201, Accepted()),
        (404, Refused(f"{HOST} answered 404 gone", suppress=True)),
        (410, Refused(f"{HOST} answered 410 gone", suppress=True)),
        (400, Retry(f"{HOST} answered 400 gone", 300.0, ours=True)),
        (413, Refused(f"{HOST} answered 413 gone")),
        (401, Retry(f"{HOST} answered 401 gone", 300.0, ours=True)),
        (403, Retry(f"{HOST} answered 403 gone", 300.0, ours=True)),
        (406, Retry(f"{HOST} answered 406 gone", 60.0)),
        (429, Retry(f"{HOST} answered 429 gone", 60.0)),
        (503, Retry(f"{HOST} answered 503 gone", 60.0)),
        (500, Unknown(f"{HOST} answered 500 gone")),
    ],
)
def test_an_answer_concerns_that_message_alone(
    webpush: WebPush, service: Receiver, status: int, wanted: Receipt
) -> None:
    service.usual = status, {}, b"gone"
    assert send(webpush, push(), push(1)) == [wanted] * 2


def test_retry_after_is_heeded(webpush: WebPush, service: Receiver) -> None:
    service.answers = [(429, {"Retry-After": "7"}, b"")]
    assert send(webpush, push()) == [Retry(f"{HOST} answered 429", 7.0)]


# --- settings -----------------------------------------------------------------------------------------------


def test_the_key_may_be_a_file(
    network: Network, files: tuple[Path, Path], service: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "vapid.pem").write_text(KEY)
    channel = adapter(network, files, vapid_key=str(tmp_path / "vapid.pem"))
    assert isinstance(send(channel, push())[0], Accepted)
    channel.close()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("vapid_key", "/nowhere/vapid.pem", "names a file that cannot be read"),
        (
            "vapid_key",
            "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----",
            "PEM file with a private key of P-256",
        ),
        ("contact", "ops@localhost", "`contact`"),
        ("contact", "", "`contact`"),
    ],
)
def test_settings_that_cannot_be_used_are_told_by_name(option: str, value: str, said: str) -> None:
    with pytest.raises(ChannelError) as raised:
        WebPush(**{"vapid_key": KEY, "contact": "ops@shop.example", option: value})  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
