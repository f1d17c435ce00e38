"""The examination of channels: each adapter is made without connecting, and mails come from somebody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.doctor.scene import RELAY, Shop, grades, said
from treue.doctor.channels import check_sender


def test_an_adapter_that_takes_its_settings_is_well_and_nothing_is_connected(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:1")  # nobody listens there
    found = shop.found("channels")
    assert grades(found) == ["well"]
    assert "email: smtp takes its settings" in said(found)


def test_a_channel_that_stays_on_this_machine_is_a_warning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMTP_URL")
    shop.write(f"{RELAY}, sms: {{adapter: inbox}}, push: {{adapter: file}}")
    found = shop.found("channels")
    assert grades(found) == ["warning", "warning", "warning"]
    assert "email: the built-in inbox" in said(found)
    assert "push: a folder of files" in said(found)
    assert not (shop.root / ".treue").exists(), "nothing is made"


def test_no_channel_at_all_is_a_warning(shop: Shop) -> None:
    assert grades(shop.write("").found("channels")) == ["warning"]


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ("email: {adapter: smtp, url: '${RELAY}'}", "RELAY is not set"),
        ("email: {adapter: smtp, url: 'http://mail.shop.de'}", "email: "),
        (
            "email: {adapter: smtp, url: '${SMTP_URL}', dkim_domain: shop.de, dkim_selector: s1, dkim_key: '${KEY}'}",
            "`dkim_key` cannot be used",
        ),
        ("sms: {adapter: smtp, url: '${SMTP_URL}'}", "is for email"),
        ("sms: {adapter: twilio}", "does not fit the adapter twilio"),
    ],
)
def test_an_adapter_that_cannot_be_made_is_wrong_and_the_others_are_looked_at(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, channels: str, told: str
) -> None:
    monkeypatch.setenv("KEY", "/not/there.pem")
    shop.write(f"{channels}, push: {{adapter: inbox}}")
    found = shop.found("channels")
    assert grades(found) == ["wrong", "warning"], said(found)
    assert told in said(found)
    assert f"docs/channels/{'twilio' if 'twilio' in channels else 'smtp'}.md" in said(found)


def test_an_adapter_of_ones_own_that_breaks_is_wrong(shop: Shop) -> None:
    (shop.root / "channels").mkdir()
    (shop.root / "channels" / "pigeon.py").write_text(
        "from treue.channel import Capabilities\n"
        "class Pigeon:\n"
        "    capabilities = Capabilities(kind='email', address='a loft')\n"
        "    def __init__(self, kind): raise RuntimeError('no pigeon')\n"
        "    def send(self, batch, progress): return []\n"
        "    def close(self): pass\n"
    )
    found = shop.write("email: {adapter: pigeon}").found("channels")
    assert grades(found) == ["wrong"]
    assert "RuntimeError: no pigeon" in said(found)


def test_a_sender_with_an_address_of_both_kinds_is_well(shop: Shop) -> None:
    found = shop.found("sender")
    assert grades(found) == ["well"]
    assert "hello@shop.de" in said(found)


def test_no_mail_needs_no_sender(shop: Shop) -> None:
    assert grades(shop.write("sms: {adapter: inbox}").found("sender")) == ["well"]


def test_a_sender_without_a_postal_address_is_wrong(shop: Shop) -> None:
    around = shop.surroundings
    sender = replace(around.workspace.settings.sender, postal_address=" ")
    around.workspace.settings = replace(around.workspace.settings, sender=sender)
    found = list(check_sender(around))
    assert grades(found) == ["wrong"]
    assert "`sender: {postal_address: …}`" in said(found)


@pytest.mark.parametrize("domain", ["shop.example", "example.com", "mail.example.org", "shop.test"])
def test_mails_from_a_domain_nobody_can_have_are_wrong_where_they_leave(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    shop.write(email=f"hello@{domain}")
    assert grades(shop.found("sender")) == ["wrong"]
    monkeypatch.delenv("SMTP_URL")
    assert grades(shop.found("sender")) == ["well"]
