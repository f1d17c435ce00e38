"""`treue send`: one message to oneself, through the workspace's real channel, and nothing beside it."""

from __future__ import annotations

import email
import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from tests.cli.calling import Run
from tests.cli.processes import free_port
from treue.clock import utc_now
from treue.composition.assembly import assembled
from treue.model.tables import metadata
from treue.store.store import Store
from treue.vocabulary.workspace import load
from treue.web.app import create_app
from treue.web.sessions import Sessions


class Relay:
    """A mail server that takes all mails but those to nobody@."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 There is nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        mail = email.message_from_bytes(envelope.original_content, policy=default)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 2.0.0 queued as 4711"


@pytest.fixture
def relay(lived: Path) -> Iterator[Relay]:
    """A mail server that the workspace's e-mail goes to."""
    relay = Relay()
    port = free_port()
    controller = Controller(relay, hostname="127.0.0.1", port=port)
    controller.start()
    _email(lived, f'{{adapter: smtp, url: "smtp://127.0.0.1:{port}"}}')
    yield relay
    controller.stop()


def _email(root: Path, channel: str) -> None:
    settings = root / "treue.yaml"
    settings.write_text(re.sub(r"email: \{adapter: file\}", f"email: {channel}", settings.read_text()))


def _rows(root: Path) -> dict[str, int]:
    """Return how many rows each table has; a picture in a mail is kept once for all, whoever it goes to."""
    store = Store.open(f"sqlite:///{root / 'treue.db'}")
    try:
        with store.reading() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in metadata.sorted_tables
                if table.name != "picture"
            }
    finally:
        store.close()


def test_it_goes_to_the_given_address_alone_with_the_customer_s_data(
    treue: Run, lived: Path, relay: Relay
) -> None:
    before = _rows(lived)
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "me@shop.example")
    assert done.code == 0, done.err
    ((recipients, mail),) = relay.mails
    assert recipients == ["me@shop.example"]
    assert "c5@example.com" not in mail.as_string()
    assert mail["Subject"].startswith("[Test] Danke")
    assert "Jörg" in mail["To"]
    assert done.out == f"Accepted by smtp for me@shop.example: {mail['Subject']} (id 4711)\n"
    assert _rows(lived) == before


def test_a_link_in_it_does_not_unsubscribe_the_customer(treue: Run, lived: Path, relay: Relay) -> None:
    assert treue(lived, "send", "win-back-letter", "--customer", "c5", "--to", "me@shop.example").code == 0
    ((_, mail),) = relay.mails
    assert "List-Unsubscribe" not in mail
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    (path,) = set(re.findall(r"http://localhost:8420(/u/[\w-]+)", text))
    before = _rows(lived)
    with assembled(load(lived), deliver=False) as assembly:
        client = TestClient(create_app(assembly))
        assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 404
    assert _rows(lived) == before


def test_a_refusal_is_told_with_the_server_s_reason(treue: Run, lived: Path, relay: Relay) -> None:
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "nobody@shop.example")
    assert done.code == 1
    assert done.out.startswith("Refused by smtp: ")
    assert "5.1.1 There is nobody of this name" in done.out
    assert relay.mails == []
    told = treue(lived, "send", "welcome", "--customer", "c5", "--to", "nobody@shop.example", "--json")
    assert told.code == 1
    assert (told.json["outcome"], told.json["to"]) == ("refused", "nobody@shop.example")


def test_a_server_that_is_not_there_is_told(treue: Run, lived: Path) -> None:
    _email(lived, '{adapter: smtp, url: "smtp://127.0.0.1:1"}')
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "me@shop.example")
    assert done.code == 1
    assert done.out.startswith("Not sent, smtp may take it later: ")


def test_an_address_that_is_none_is_refused_before_anything_is_sent(
    treue: Run, lived: Path, relay: Relay
) -> None:
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "me@x\r\nRCPT TO:<c5@example.com>")
    assert done.code == 1
    assert done.out.startswith("Not sent, it cannot be written: ")
    assert relay.mails == []


def test_without_a_mail_server_it_lands_in_the_inbox(treue: Run, lived: Path) -> None:
    _email(lived, '{adapter: smtp, url: "${SMTP_URL:-}"}')
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "me@shop.example", "--locale", "en")
    assert (
        done.out
        == "Accepted by the built-in inbox for me@shop.example: [Test] Thank you, Jörg. Your first order is with us (id 1)\n"
    )
    with assembled(load(lived), deliver=False) as assembly:
        client = TestClient(create_app(assembly))
        client.post("/sign-in", data={"token": Sessions.of(assembly.state).link_token(utc_now())})
        (found,) = client.get("/inbox/api/messages").json()["messages"]
    assert (found["recipient"], found["title"]) == (
        "me@shop.example",
        "[Test] Thank you, Jörg. Your first order is with us",
    )


def test_an_sms_goes_as_it_is_and_says_no_more_than_it_would(treue: Run, lived: Path) -> None:
    done = treue(
        lived, "send", "onboarding-wishlist", "--customer", "c5", "--to", "+4915100000000",
        "--channel", "sms", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (done.json["channel"], done.json["outcome"], done.json["subject"]) == ("sms", "accepted", "")
    shown = treue(lived, "preview", "onboarding-wishlist", "--customer", "c5", "--channel", "sms", "--json")
    (sent,) = [path for path in (lived / ".treue" / "sent").rglob("*") if path.is_file()
               and "+4915100000000" in path.read_text(encoding="utf-8")]  # fmt: skip
    assert json.loads(sent.read_text(encoding="utf-8"))["text"] == shown.json["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("welcom", "--customer", "c5", "--to", "me@shop.example"), "Did you mean `welcome`?"),
        (("welcome", "--customer", "who", "--to", "me@shop.example"), "There is no customer who."),
        (("welcome", "--customer", "c5", "--to", " "), "The address that --to names is empty."),
        (("welcome", "--customer", "c5", "--to", "me@shop.example", "--channel", "sms"), "nothing for `sms`"),
        (("welcome", "--customer", "c5"), "--to"),
        (("welcome", "--to", "me@shop.example"), "--customer"),
    ],
)
def test_what_is_missing_or_misspelt_is_said(
    treue: Run, lived: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = treue(lived, "send", *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_channel_that_is_not_set_up_is_said(treue: Run, lived: Path) -> None:
    for path in (lived / "journeys").iterdir():
        path.unlink()
    settings = lived / "treue.yaml"
    settings.write_text(re.sub(r"(?m)^  email: \{adapter.*\n", "", settings.read_text()))
    done = treue(lived, "send", "welcome", "--customer", "c5", "--to", "me@shop.example")
    assert done.code == 2
    assert "The channel `email` is not set up under `channels` in treue.yaml." in done.err
