"""From a claimed message to a ready one: whole or in its parts, with a return path of its own."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest

from treue.channel import Capabilities, Outgoing
from treue.delivery.dispatcher import Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.delivery.writing.composer import Writer
from treue.language.settings import Sender
from treue.model.states import Reason
from treue.render.mail.links import Links
from treue.render.mail.return_paths import ReturnPaths
from treue.render.sandbox import sandbox
from treue.render.sandbox.confinement import Packed
from treue.render.templates.renderer import Renderer
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
    assert isinstance(written, Written), written
    return written.outgoing


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
    for can in (WHOLE, PARTS):
        made = writer(templates, can).compose([replace(claimed(), address="a@b@c"), claimed()], NOW)
        assert isinstance(made[0], Unwritable)
        assert made[0].reason is Reason.no_address
        assert isinstance(made[1], Written)


def test_what_goes_to_a_shared_address_is_compared_without_the_links_of_its_own(templates: Path) -> None:
    page = templates / "hello" / "email.html"
    links = "".join(
        f'<a href="{{{{ links.{one} }}}}">x</a>' for one in ("unsubscribe", "preferences", "view")
    )
    page.write_text(page.read_text().replace("</p>", f"</p>{links}"))
    first, other, alone = (replace(claimed(), id=n, shared=n < 3) for n in (1, 2, 3))
    named = replace(claimed("Eve"), id=4, shared=True)
    texts = [
        one.text
        for one in writer(templates, PARTS).compose([first, other, alone, named], NOW)
        if isinstance(one, Written)
    ]
    assert texts[0] == texts[1] != texts[3]
    assert "Schön, Ada" in str(texts[0])
    assert texts[2] is None


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


UNPROVEN = "{% set words = [customer.first_name, 'x'] %}{{ words | join(' ') }}"


def test_a_bomb_costs_its_own_message_and_the_rest_of_its_batch_goes_on(templates: Path) -> None:
    (templates / "hello" / "sms.txt").write_text(
        UNPROVEN + "{% for n in customer.flood %}{{ n }}{% endfor %}"
    )
    flood = replace(claimed(channel="sms"), customer={"first_name": "Eve", "flood": [1] * 20_000})
    fine = replace(claimed(channel="sms"), customer={"first_name": "Ada", "flood": [1]})
    made = writer(templates, WHOLE).compose([fine, flood, fine, flood, fine], NOW)
    assert [type(one).__name__ for one in made] == ["Written", "Unwritable"] * 2 + ["Written"]
    assert [one.reason for one in made if isinstance(one, Unwritable)] == [Reason.render_failed] * 2
    assert {one.outgoing.text for one in made if isinstance(one, Written)} == {"Ada x1"}


def test_a_message_that_kills_its_process_costs_itself(
    templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (templates / "hello" / "sms.txt").write_text(UNPROVEN)
    made = writer(templates, WHOLE)
    made.renderer.problems("hello")
    entry = made.renderer._entries["hello"]
    kept = entry.compiled["sms", ""]
    hole = (
        "name, blocks, debug_info = None, {}, ''\n"
        "def root(context):\n    while context.resolve('customer')['first_name'] == 'Eve': pass\n    yield 'Hello'\n"
    )
    part = replace(kept.text, code=Packed.of(compile(hole, "hole", "exec")))
    monkeypatch.setitem(entry.compiled, ("sms", ""), replace(kept, text=part))
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    written = made.compose([claimed(name, "sms") for name in ("Ada", "Eve", "Ada", "Eve", "Grace")], NOW)
    assert [one.outgoing.text for one in written if isinstance(one, Written)] == ["Hello"] * 3
    assert [one.reason for one in written if isinstance(one, Unwritable)] == [Reason.render_failed] * 2
