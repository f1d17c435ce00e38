"""From a workspace's files to the provider: each e-mail API set up as its page says, a mail sent, a callback read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from tests.channels import (
    brevo_server,
    mailgun_server,
    postmark_server,
    resend_server,
    sendgrid_server,
    ses_server,
    test_brevo,
    test_mailgun,
    test_postmark,
    test_resend,
    test_sendgrid,
    test_ses,
)
from treue.channel import DeliveryEvent, installed_adapters
from treue.composition.assembly import Assembly, assembled
from treue.delivery import receipts
from treue.engine.passes.chronology import run_pass
from treue.model.tables import message
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.testing.provider_server import ProviderServer
from treue.vocabulary.workspace import load

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)
PAGES = Path(__file__).parents[2] / "docs" / "channels"
SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@example.com, postal_address: "Hafenstr. 1, 20457 Hamburg"}
customer: {first_name: text}
events: {order.placed: {total: number}}
"""
JOURNEY = """\
description: Thanks for the order.
category: promotional
basis: consent
enter: {event: order.placed}
steps: [{id: thanks, send: thanks, on: email}]
"""
TEMPLATE = """\
---
subject: Thank you, {{ customer.first_name }}
category: promotional
---
<html><body><p>Hello {{ customer.first_name }}, <a href="{{ links.unsubscribe }}">no more</a>.
{{ sender.postal_address }}</p></body></html>
"""
KEYS = {
    "postmark": (postmark_server.PostmarkServer, {"POSTMARK_TOKEN": postmark_server.TOKEN}),
    "sendgrid": (sendgrid_server.SendGridServer, {"SENDGRID_API_KEY": sendgrid_server.KEY}),
    "mailgun": (mailgun_server.MailgunServer, {"MAILGUN_API_KEY": mailgun_server.KEY}),
    "resend": (resend_server.ResendServer, {"RESEND_API_KEY": resend_server.KEY}),
    "brevo": (brevo_server.BrevoServer, {"BREVO_API_KEY": brevo_server.KEY}),
    "ses": (
        ses_server.SesServer,
        {"AWS_ACCESS_KEY_ID": ses_server.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": ses_server.SECRET_KEY},
    ),
}


@pytest.fixture(params=sorted(KEYS))
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(adapter: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server, keys = KEYS[adapter]
    for name in re.findall(r"\$\{(\w+)\}", (PAGES / f"{adapter}.md").read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "whsec_c2VjcmV0")
    with server() as running:
        for name, value in {**keys, "PROVIDER_URL": running.url}.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def workspace(adapter: str, provider: ProviderServer, tmp_path: Path) -> Path:
    """A workspace with the channel as the adapter's page shows it, and the provider on this machine."""
    (shown,) = re.findall(
        r"^```yaml\n(.*?)^```$",
        (PAGES / f"{adapter}.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    files = {
        "treue.yaml": SETTINGS + shown + '    url: "${PROVIDER_URL}"\n',
        "journeys/thanks.yaml": JOURNEY,
        "templates/thanks/email.html": TEMPLATE,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def assembly(workspace: Path) -> Iterator[Assembly]:
    """The workspace at work: Ada ordered, and her mail has gone."""
    with assembled(load(workspace, installed_adapters).require()) as assembly:
        assembly.publish(NOW)
        with assembly.store.transaction() as connection:
            ada = CustomerInput("ada", email="ada@example.com", attributes={"first_name": "Ada"})
            customers.upsert(connection, [ada], NOW)
            consents.give(connection, [ConsentInput("ada", "email", NOW)], NOW)
            events.record(connection, [EventInput("ada", "order.placed", LATER, {"total": 5})], LATER)
        run_pass(assembly.engine, LATER)
        yield assembly


def sent(assembly: Assembly) -> Row[Any]:
    with assembly.store.reading() as connection:
        return connection.execute(select(message)).one()


def delivered(adapter: str, key: str, number: str) -> list[DeliveryEvent]:
    """Return what the provider's callback about a delivery, as its documentation shows it, is read as."""
    match adapter:
        case "postmark":
            told = {"MessageID": number, "Metadata": {"treue-key": key}}
            return test_postmark.read(test_postmark.DELIVERY | told)
        case "sendgrid":
            told = {"sg_message_id": f"{number}.filter0001.16648.5515E0B88.0", "treue-key": key}
            return test_sendgrid.read(test_sendgrid.event("delivered", **told))
        case "mailgun":
            told = {"message": {"headers": {"message-id": number}}, "user-variables": {"treue-key": key}}
            return test_mailgun.read(test_mailgun.event("delivered", **told))
        case "resend":
            return test_resend.read(test_resend.event("delivered", email_id=number, tags={"treue-key": key}))
        case "brevo":
            told = {"message-id": f"<{number}>", "X-Mailin-custom": json.dumps({"treue-key": key})}
            return test_brevo.read(test_brevo.event("delivered", **told))
    mail = test_ses.MAIL | {"messageId": number, "tags": {"treue-key": [key]}}
    return test_ses.read(
        test_ses.event("Delivery", "delivery", recipients=["ada@example.com"]) | {"mail": mail}
    )


def test_a_mail_goes_from_the_files_to_the_provider(
    adapter: str, provider: ProviderServer, assembly: Assembly
) -> None:
    row = sent(assembly)
    assert row.state == "sent"
    assert row.provider_id
    (asked,) = provider.asked
    assert b"ada@example.com" in asked.body
    said = str(provider.sent[0])  # type: ignore[attr-defined]
    assert "thanks" in said, "the journey's name goes along as a tag"
    assert adapter != "postmark" or "'MessageStream': 'broadcast'" in said
    mail = provider.sent[0][1] if isinstance(provider.sent[0], tuple) else None  # type: ignore[attr-defined]
    if isinstance(mail, EmailMessage):
        assert mail["Subject"] == "Thank you, Ada"
        assert mail["List-Unsubscribe"]
    else:
        assert "Thank you, Ada" in said
        assert "List-Unsubscribe" in said


@pytest.mark.parametrize("by", ["our key", "its number"])
def test_what_the_provider_tells_later_finds_the_message(
    adapter: str, provider: ProviderServer, assembly: Assembly, by: str
) -> None:
    if (adapter, by) == ("mailgun", "its number"):
        pytest.skip("Mailgun's events are believed by our key only")
    (key,) = re.findall(r"treue-key\W+(?:[Vv]alue\W+)?(\d+-[0-9a-z]+)", provider.asked[0].body.decode())
    events = delivered(
        adapter,
        key if by == "our key" else "",
        sent(assembly).provider_id if by == "its number" else "another",
    )
    with assembly.store.transaction() as connection:
        assert receipts.take(connection, "email", events, LATER + timedelta(hours=1)) == 1
    assert sent(assembly).delivered_at is not None
