"""The pictures in mails: kept when a mail first shows them, served for ever, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.web.serving import Site, copy_workspace, served
from treue.engine.passes.chronology import run_pass

PNG = b"\x89PNG\r\n\x1a\n" + b"a record"


@pytest.fixture
def shop(
    tmp_path: Path, surroundings: None, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The reference workspace with a picture in the mail that welcomes; once on each database."""
    monkeypatch.setenv("TREUE_DATABASE", store_url)
    root = tmp_path / "workspace"
    root.mkdir()
    copy_workspace(root)
    (root / "templates" / "welcome" / "record.png").write_bytes(PNG)
    for mail in (root / "templates" / "welcome").glob("email*.mjml"):
        picture = '<mj-image src="record.png" alt="A record" width="100px" />'
        mail.write_text(
            mail.read_text(encoding="utf-8").replace("<mj-button", f"{picture}<mj-button"), encoding="utf-8"
        )
    with served(root) as site:
        yield site


def shown(site: Site) -> str:
    """Send the mail and return the path of the picture in it."""
    site.post(
        "/v1/customers",
        {"id": "a", "email": "a@example.com", "consent": {"email": {"source": "form", "wording": "Ja"}}},
    )
    site.post("/v1/events", {"id": "o", "customer": "a", "event": "order.placed"})
    run_pass(site.assembly.engine, site.now)
    (listed,) = site.client.get("/inbox/api/messages").json()["messages"]
    html = site.client.get(f"/inbox/api/messages/{listed['id']}").json()["html"]
    policy = site.client.get(f"/inbox/{listed['id']}/html").headers["content-security-policy"]
    assert f"img-src data: http://127.0.0.1:{site.port}/a/;" in policy
    (path,) = re.findall(r'src="http://localhost:8420(/a/[^"]+)"', html)
    return str(path)


def test_a_picture_that_a_mail_shows_is_served_for_ever(shop: Site) -> None:
    path = shown(shop)
    answer = shop.client.get(path)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "sandbox" in answer.headers["content-security-policy"]
    again = shop.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert shop.client.head(path).headers["content-length"] == str(len(PNG))


def test_it_is_served_when_the_template_shows_another_by_now(shop: Site) -> None:
    path = shown(shop)
    root = shop.assembly.workspace.root
    (root / "templates" / "welcome" / "record.png").write_bytes(PNG + b" of another kind")
    shop.assembly.renderer.refresh()
    assert shop.client.get(path).content == PNG


def test_nothing_else_is_served(shop: Site) -> None:
    path = shown(shop)
    digest = path.split("/")[2]
    (shop.assembly.workspace.root / "templates" / "welcome" / "other.png").write_bytes(PNG)
    for wrong in (
        f"/a/{digest}/other.png", f"/a/{'0' * 32}/record.png", f"/a/{digest}/", f"/a/{digest}/..%2Ftreue.yaml",
        "/a/..%2F..%2Ftreue.yaml/record.png", "/a/record.png",
    ):  # fmt: skip
        assert shop.client.get(wrong).status_code == 404, wrong
    assert shop.client.post(path).status_code == 405


def test_attachments_and_attached_pictures_arrive_in_the_mail(
    tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "workspace"
    root.mkdir()
    folder = copy_workspace(root) / "templates" / "welcome"
    (folder / "record.png").write_bytes(PNG)
    (folder / "Grüße.pdf").write_bytes(b"%PDF-1.7 greetings")
    for mail in folder.glob("email*.mjml"):
        text = mail.read_text(encoding="utf-8").replace(
            "---\n", "---\nattach: [Grüße.pdf]\npictures: attached\n", 1
        )
        picture = '<mj-image src="record.png" alt="A record" width="100px" />'
        mail.write_text(text.replace("<mj-button", f"{picture}<mj-button", 1), encoding="utf-8")
    with served(root) as site:
        site.post(
            "/v1/customers",
            {"id": "a", "email": "a@example.com", "consent": {"email": {"source": "form", "wording": "Ja"}}},
        )
        site.post("/v1/events", {"id": "o", "customer": "a", "event": "order.placed"})
        run_pass(site.assembly.engine, site.now)
        (listed,) = site.client.get("/inbox/api/messages").json()["messages"]
        raw = site.client.get(f"/inbox/{listed['id']}/raw").content
    message = message_from_bytes(raw, policy=policy.default)
    parts = {part.get_content_type(): part for part in message.walk()}
    (source,) = re.findall(r'src="(cid:[^"]+)"', parts["text/html"].get_content())
    assert parts["image/png"]["Content-ID"] == f"<{source.removeprefix('cid:')}>"
    assert parts["image/png"].get_content() == PNG
    assert parts["application/pdf"].get_filename() == "Grüße.pdf"
    assert parts["application/pdf"].get_content() == b"%PDF-1.7 greetings"
