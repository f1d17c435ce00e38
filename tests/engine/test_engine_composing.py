"""From a claimed message to a ready one: whole or in its parts, with a return path of its own."""

from __future__ import annotations

import email
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest

from treue.channel import Capabilities, Outgoing
from treue.engine.composing import Writer
from treue.engine.delivery.dispatcher import Unwritable
from treue.engine.delivery.outbox import Claimed
from treue.language.settings import Sender
from treue.model.states import Reason
from treue.render.links import Links
from treue.render.renderer import Renderer
from treue.render.return_paths import ReturnPaths
from treue.store.store import Store

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
EXPLOIT = "=?utf-8?b?SGFsbG8NCkJjYzogdmljdGltQHguZGU=?=\r\nBcc: v@x.de"
LATER = NOW + timedelta(hours=6)
SECRET = b"s" * 32
WHOLE = Capabilities("email", mime=True, eight_bit=True, attachments=True)
PARTS = Capabilities("email", attachments=True)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "email.html").write_text(
        '---\nsubject: "Grüße, {{ customer.first_name }}"\nlayout: none\n---\n'
        "<html><body><p>Schön, {{ customer.first_name }}</p></body></html>\n"
    )
    (folder / "sms.txt").write_text("Hallo {{ customer.first_name }}")
    return folder.parent


def writer(templates: Path, can: Capabilities, **sender: Any) -> Writer:
    shop = Sender("Shop", "hello@shop.example", "Hafenstr. 1", **sender)
    links, paths = Links("https://shop.example", SECRET), ReturnPaths(SECRET)
    return Writer(
        cast(Store, None), Renderer(templates), links, shop, "shop", {}, {"email": can}, paths
    )  # fmt: skip


def claimed(name: str = "Ada", channel: str = "email", category: str = "marketing") -> Claimed:
    who = {"first_name": name, "last_name": "Lovelace", "locale": "en", "timezone": "UTC"}
    return Claimed(
        7, 1, 1, "welcome", 1, 1, 1, 1, channel, "hello", category, NOW, NOW, LATER, NOW, 1,
        "ada@example.com", who, None, None,
    )  # fmt: skip


def ready(made: Writer, message: Claimed) -> Outgoing:
    (written,) = made.compose([message], NOW)
    assert isinstance(written, Outgoing), written
    return written


def test_a_channel_that_wants_whole_mails_gets_the_bytes_and_no_parts(templates: Path) -> None:
    out = ready(writer(templates, WHOLE), claimed())
    assert out.mail is None
    assert "Schön, Ada".encode() in out.raw
    assert out.raw.split(b"\r\n\r\n")[0].isascii()


def test_a_channel_that_takes_ascii_only_gets_ascii_only(templates: Path) -> None:
    out = ready(writer(templates, Capabilities("email", mime=True)), claimed())
    assert out.raw.isascii()


def test_a_channel_that_builds_the_mime_gets_the_parts_and_no_bytes(templates: Path) -> None:
    out = ready(writer(templates, PARTS), claimed())
    assert out.raw == b""
    assert out.mail is not None
    assert out.mail.to == ("Ada Lovelace", "ada@example.com")
    assert out.mail.subject == "Grüße, Ada"
    assert "Schön, Ada" in out.mail.html
    assert out.tags == {"journey": "welcome", "template": "hello", "category": "marketing"}
    names = [name for name, _ in out.mail.headers]
    assert names == ["List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Auto-Submitted", "Feedback-ID"]


def test_a_hostile_name_is_harmless_in_the_parts_and_in_the_bytes(templates: Path) -> None:
    parts = ready(writer(templates, PARTS), claimed(EXPLOIT)).mail
    assert parts is not None
    assert [one for one in (parts.subject, parts.to.name) if "\r" in one or "\n" in one or "=?" in one] == []
    whole = email.message_from_bytes(ready(writer(templates, WHOLE), claimed(EXPLOIT)).raw, policy=default)
    assert whole["Bcc"] is None


def test_a_mail_comes_back_to_an_address_of_its_own_where_the_settings_name_a_domain(templates: Path) -> None:
    out = ready(writer(templates, WHOLE, bounces="bounces.shop.example"), claimed())
    assert out.sender.endswith("@bounces.shop.example")
    assert ReturnPaths(SECRET).read(out.sender) == 7
    assert ReturnPaths(b"another secret").read(out.sender) is None


def test_without_such_a_domain_it_comes_back_to_the_sender(templates: Path) -> None:
    assert ready(writer(templates, WHOLE), claimed()).sender == "hello@shop.example"


def test_a_transactional_mail_has_no_way_out(templates: Path) -> None:
    out = ready(writer(templates, PARTS), claimed(category="transactional"))
    assert out.mail is not None
    assert "List-Unsubscribe" not in dict(out.mail.headers)


def test_files_do_not_silently_stay_behind_where_a_channel_carries_none(templates: Path) -> None:
    (templates / "hello" / "paper.pdf").write_bytes(b"%PDF-1.7")
    page = templates / "hello" / "email.html"
    page.write_text(page.read_text().replace("layout: none", "layout: none\nattach: [paper.pdf]"))
    out = ready(writer(templates, PARTS), claimed())
    assert out.mail is not None
    assert [file.name for file in out.mail.attachments] == ["paper.pdf"]
    (refused,) = writer(templates, Capabilities("email")).compose([claimed()], NOW)
    assert isinstance(refused, Unwritable)
    assert refused.reason is Reason.render_failed


def test_an_address_that_is_none_costs_its_own_message(templates: Path) -> None:
    from dataclasses import replace

    for can in (WHOLE, PARTS):
        made = writer(templates, can).compose([replace(claimed(), address="a@b@c"), claimed()], NOW)
        assert isinstance(made[0], Unwritable)
        assert made[0].reason is Reason.no_address
        assert isinstance(made[1], Outgoing)


def test_an_sms_has_a_text_and_no_mail(templates: Path) -> None:
    out = ready(writer(templates, WHOLE), claimed(channel="sms"))
    assert (out.text, out.raw, out.mail) == ("Hallo Ada", b"", None)


def test_an_sms_says_what_it_is_for(templates: Path) -> None:
    for category in ("marketing", "transactional"):
        out = ready(writer(templates, WHOLE), claimed(channel="sms", category=category))
        assert out.category == category


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("can", [WHOLE, PARTS])
def test_it_says_until_when_it_may_be_shown(templates: Path, channel: str, can: Capabilities) -> None:
    assert ready(writer(templates, can), claimed(channel=channel)).expires_at == LATER
