"""Providers' callbacks over HTTP: verified by the channel's adapter, kept once, refused otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.web.serving import Site, copy_workspace, served
from treue.model.tables import delivery_event, suppression

BOUNCE = {
    "RecordType": "Bounce", "ID": 42, "Type": "HardBounce", "TypeCode": 1, "MessageID": "883953f4",
    "Email": "ada@example.com", "BouncedAt": "2026-03-02T08:59:00Z", "Description": "<b>unknown user</b>",
    "Details": "smtp;550 5.1.1 unknown user", "Metadata": {},
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The reference workspace with Postmark for its mails."""
    monkeypatch.setenv("POSTMARK_TOKEN", "a-token")
    monkeypatch.setenv("POSTMARK_PASSWORD", "a-password")
    root = copy_workspace(tmp_path)
    settings = (root / "treue.yaml").read_text(encoding="utf-8")
    old = '{adapter: smtp, url: "${SMTP_URL:-}"}'
    assert old in settings
    new = '{adapter: postmark, token: "${POSTMARK_TOKEN}", webhook_password: "${POSTMARK_PASSWORD:-}"}'
    (root / "treue.yaml").write_text(settings.replace(old, new), encoding="utf-8")
    with served(root) as made:
        yield made


def _tell(
    site: Site, body: bytes, password: str = "a-password", channel: str = "email"
) -> tuple[int, dict[str, object]]:
    answer = site.client.post(f"/v1/receipts/{channel}", content=body, auth=("treue", password))
    return answer.status_code, answer.json()


def test_a_genuine_callback_is_kept_once_and_has_its_consequence(site: Site) -> None:
    body = json.dumps(BOUNCE).encode()
    assert _tell(site, body) == (200, {"status": "accepted", "events": 1, "new": 1})
    assert _tell(site, body) == (200, {"status": "accepted", "events": 1, "new": 0})
    [row] = site.rows(select(delivery_event))
    assert (row.channel, row.kind, row.hard, row.raw["Description"]) == (
        "email",
        "bounced",
        True,
        BOUNCE["Description"],
    )
    assert [one.address for one in site.rows(select(suppression))] == ["ada@example.com"]
    assert site.woken.is_set()


@pytest.mark.parametrize("password", ["", "wrong", "a-password "])
def test_a_callback_that_is_not_the_providers_changes_nothing(site: Site, password: str) -> None:
    status, document = _tell(site, json.dumps(BOUNCE).encode(), password)
    assert (status, document["title"]) == (401, "Unauthorized")
    assert site.count(delivery_event) == site.count(suppression) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[[]]", b'"x"', b"\xff\xfe", b"[" * 4_000])
def test_what_cannot_be_read_is_a_problem_of_the_sender_and_never_ours(site: Site, body: bytes) -> None:
    status, document = _tell(site, body)
    assert 400 <= status < 500, document
    assert site.count(delivery_event) == 0


@pytest.mark.parametrize("channel", ["sms", "letter", "../email", "webhook"])
def test_a_channel_that_never_calls_back_is_not_there(site: Site, channel: str) -> None:
    assert _tell(site, b"{}", channel=channel)[0] == 404


def test_without_a_secret_every_callback_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTMARK_PASSWORD")
    site.assembly.receivers._made.clear()
    assert _tell(site, json.dumps(BOUNCE).encode())[0] == 401
