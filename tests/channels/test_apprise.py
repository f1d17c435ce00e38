"""The bridge to Apprise: a yes is "handed over", a no is a doubt, and nobody's data choose whom we talk to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from treue.channel import Accepted, Kind, Outgoing, Receipt, Refused, Unknown
from treue.errors import ChannelError
from treue.testing.channel_contract import ChannelContract, Log, reasons
from treue.testing.http_channel_contract import NOBODY
from treue.testing.provider_server import Asked, Mishap, ProviderServer, Reply
from treue.vocabulary.workspace import load
from treue_channels.apprise import Apprise

SECRET = "hunter2-token"


class Service(ProviderServer):
    """What Apprise's `json://` posts to: one address a path."""

    def answer(self, asked: Asked) -> Reply:
        return Reply(200) if asked.basic() == ("shop", SECRET) else Reply(401)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def url(server: ProviderServer | str, path: str = "{to}") -> str:
    address = server if isinstance(server, str) else server.url
    return f"json://shop:{SECRET}@{address.removeprefix('http://')}/{path}"


@pytest.fixture
def apprise(service: Service) -> Iterator[Apprise]:
    made = Apprise(url(service))
    yield made
    made.close()


def push(number: int = 0, **changes: Any) -> Outgoing:
    message = Outgoing(f"push-{number}", f"chat-{number}", text="In stock again", title="Shop")
    return replace(message, **changes)


def send(channel: Apprise, *messages: Outgoing) -> list[Receipt]:
    return channel.send(messages, Log())


class TestAppriseKeepsTheContract(ChannelContract):
    """But for one thing: where a service cannot be reached Apprise says no and not why, so that is a doubt."""

    @pytest.fixture
    def channel(self, apprise: Apprise) -> Apprise:
        return apprise

    def message(self, number: int, kind: Kind = "push") -> Outgoing:
        return push(number)

    def refused_message(self) -> Outgoing:
        return push(99, to="chat-1/chat-2")


def test_it_is_declared_to_be_best_effort() -> None:
    assert Apprise.capabilities.best_effort
    assert Apprise.capabilities.dedup_window == 0


def test_the_customers_address_stands_in_the_url_and_the_link_below_the_text(
    apprise: Apprise, service: Service
) -> None:
    assert send(apprise, push(7, link="https://shop.example/x")) == [Accepted()]
    (asked,) = service.asked
    assert asked.path == "/chat-7"
    document = asked.json()
    assert (document["title"], document["message"]) == ("Shop", "In stock again\nhttps://shop.example/x")


def test_without_a_place_every_message_goes_to_the_same_one(service: Service) -> None:
    channel = Apprise(url(service, "all"))
    assert send(channel, push(1), push(2)) == [Accepted(), Accepted()]
    channel.close()
    assert [asked.path for asked in service.asked] == ["/all", "/all"]


def test_a_message_goes_to_all_services_and_one_no_is_a_doubt(service: Service) -> None:
    channel = Apprise(f"{url(service, 'a')}  {url(service, 'b')}")
    assert send(channel, push()) == [Accepted()]
    service.next(Reply(200), Reply(500))
    assert isinstance(send(channel, push())[0], Unknown)
    channel.close()
    assert [asked.path for asked in service.asked] == ["/a", "/b"] * 2


@pytest.mark.parametrize(
    "happening", [Reply(401), Reply(404), Reply(429), Reply(500), Mishap.hang_up, Mishap.reset]
)
def test_a_no_says_nothing_of_whether_it_was_sent(
    apprise: Apprise, service: Service, happening: Reply | Mishap
) -> None:
    service.always(happening)
    assert send(apprise, push()) == [Unknown("No yes from JSON; Apprise gives no reason.")]


def test_a_service_that_says_nothing_holds_nobody_up(service: Service) -> None:
    channel = Apprise(url(service), timeout=0.2)
    service.next(Mishap.silence)
    assert send(channel, push()) == [Unknown("Apprise took more than 0.2 seconds.")]
    assert send(channel, push(1)) == [Accepted()]
    channel.close()


@pytest.mark.parametrize(
    "to",
    [
        "a/b",
        "a%2Fb",
        "a,b",
        "a b",
        "a\tb",
        "a\\b",
        "a?method=GET",
        "a&b",
        "a#b",
        "../x",
        "ä",
        "x" * 1_001,
        "{to}",
    ],
)
def test_an_address_cannot_add_a_recipient_or_an_option(apprise: Apprise, service: Service, to: str) -> None:
    assert isinstance(send(apprise, push(to=to))[0], Refused)
    assert service.asked == []


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("", "names no service"),
        ("json://{to}/x", "URL 1 of apprise has `{to}` in its host"),
        ("json://user:{to}@shop.example/x", "in its host"),
        ("{to}://shop.example", "in its host"),
        (f"json://shop.example nonsense://shop:{SECRET}@x", "URL 2 of apprise (nonsense://…)"),
        (f"tgram://{SECRET}", "URL 1 of apprise (tgram://…)"),
    ],
)
def test_urls_that_cannot_be_used_are_told_without_their_secrets(urls: str, said: str) -> None:
    with pytest.raises(ChannelError) as raised:
        Apprise(urls)
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


def test_no_secret_is_in_a_reason_or_in_the_adapters_own_description(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Apprise(url(NOBODY))
    receipts = send(channel, push())
    channel.close()
    shown = " ".join([*reasons(receipts), repr(channel), caplog.text])
    assert reasons(receipts)
    assert [
        secret for secret in (SECRET, base64.b64encode(SECRET.encode()).decode()) if secret in shown
    ] == []


def test_urls_come_from_the_environment_for_they_hold_tokens(tmp_path: Path) -> None:
    settings = (
        "workspace: shop\ntimezone: UTC\nsender: {name: S, email: a@b.example, postal_address: Here}\n"
        "channels: {push: {adapter: apprise, urls: 'tgram://123:abc/{to}'}}\n"
    )
    (tmp_path / "treue.yaml").write_text(settings)
    (problem,) = load(tmp_path).problems
    assert (problem.place.line, "${" in (problem.suggestion or "") + problem.message) == (4, True)
    (tmp_path / "treue.yaml").write_text(settings.replace("'tgram://123:abc/{to}'", '"${APPRISE_URLS}"'))
    assert load(tmp_path).problems == []
