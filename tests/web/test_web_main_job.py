"""What comes in by HTTP: kept before it is answered, once, and only from those who may."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from treue.composition.assembly import Assembly, assembled
from treue.engine.passes.chronology import run_pass
from treue.model.tables import consent, customer, enrollment, event, message
from treue.vocabulary.workspace import load
from treue.web.app import create_app
from treue.web.sessions import Sessions

ROOT = Path(__file__).parents[2]
KEY = "test-key"
SHOPIFY_SECRET = "hush"
CRM_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Site:
    """The reference workspace's web on a fresh database; `now` is its clock, `woken` counts its wakes."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.now, self.woken = assembly, datetime(2026, 3, 2, 9, tzinfo=UTC), 0
        assembly.publish(self.now)
        self.app = create_app(assembly, self._wake, lambda: self.now)

    def _wake(self) -> None:
        self.woken += 1

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8420") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(ask())

    def post(self, path: str, document: Any, key: str | None = KEY) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.call("POST", path, json=document, headers=headers)

    def count(self, table: Any, *where: Any) -> int:
        with self.assembly.store.reading() as connection:
            return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "treue.yaml", tmp_path)
    monkeypatch.setenv("TREUE_API_KEY", KEY)
    monkeypatch.setenv("SHOPIFY_SECRET", SHOPIFY_SECRET)
    monkeypatch.setenv("CRM_SECRET", CRM_SECRET)
    monkeypatch.delenv("TREUE_DATABASE", raising=False)
    with assembled(load(tmp_path)) as assembly:
        yield Site(assembly)


def _order(id_: str = "order-1", **more: Any) -> dict[str, Any]:
    properties = {"order_id": "1", "total": 20, "currency": "EUR", "quantity": 1}
    return {"id": id_, "customer": "ada", "event": "order.placed", "properties": properties} | more


def test_an_event_is_in_the_database_when_it_is_answered_and_wakes_the_pass(site: Site) -> None:
    answer = site.post("/v1/events", _order())
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert site.count(event, event.c.key == "order-1") == 1
    assert site.woken == 1


def test_the_same_event_again_changes_nothing(site: Site) -> None:
    for _ in range(5):
        last = site.post("/v1/events", _order())
    assert (last.status_code, last.json()["duplicates"]) == (202, 1)
    assert site.count(event, event.c.name == "order.placed") == 1


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x"])
def test_without_the_key_nothing_is_taken(site: Site, key: str | None) -> None:
    answer = site.post("/v1/events", _order(), key)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert site.count(event) == 0


def test_an_unknown_event_is_refused_with_the_nearest_name(site: Site) -> None:
    answer = site.post("/v1/events", _order(event="order.plaecd"))
    assert answer.status_code == 422
    assert "order.placed" in answer.text


def test_a_batch_with_one_bad_event_keeps_nothing_and_names_the_place(site: Site) -> None:
    answer = site.post("/v1/events", [_order("a"), _order("b", properties={"total": "much"})])
    assert answer.status_code == 422
    assert "total" in answer.text
    assert site.count(event) == 0


def test_a_customer_comes_with_attributes_and_consent(site: Site) -> None:
    given = {
        "id": "ada",
        "email": "Ada@Example.com",
        "attributes": {"first_name": "Ada"},
        "consent": {"email": {"given": True, "source": "form"}},
    }
    assert site.post("/v1/customers", given).status_code == 202
    assert site.count(customer, customer.c.key == "ada") == 1
    assert site.count(consent, consent.c.channel == "email", consent.c.given) == 1


def test_a_body_over_a_mebibyte_is_refused(site: Site) -> None:
    answer = site.post("/v1/events", _order(properties={"order_id": "x" * 1_100_000}))
    assert answer.status_code == 413
    assert site.count(event) == 0


def test_a_compressed_body_is_refused(site: Site) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Encoding": "gzip"}
    answer = site.call(
        "POST", "/v1/events", content=gzip.compress(json.dumps(_order()).encode()), headers=headers
    )
    assert answer.status_code == 415


# --- webhooks -----------------------------------------------------------------------------------------------


def _shopify(site: Site, body: bytes, signature: str | None = None, id_: str = "w-1") -> httpx.Response:
    good = base64.b64encode(hmac.digest(SHOPIFY_SECRET.encode(), body, "sha256")).decode()
    headers = {
        "X-Shopify-Hmac-SHA256": signature or good,
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Webhook-Id": id_,
    }
    return site.call("POST", "/v1/hooks/shop", content=body, headers=headers)


@pytest.fixture
def order_body(data_dir: Path) -> bytes:
    """A real Shopify order."""
    document = json.loads((data_dir / "shopify" / "orders__create.json").read_text())
    return json.dumps(document["payload"] | {"test": False}).encode()


@pytest.mark.data
def test_a_signed_shopify_order_starts_welcome_and_the_mail_goes_out(site: Site, order_body: bytes) -> None:
    assert _shopify(site, order_body).status_code in (200, 202)
    run_pass(site.assembly.engine, site.now)
    assert site.count(enrollment) >= 1
    assert site.count(message, message.c.state == "sent", message.c.template == "welcome") == 1


@pytest.mark.data
def test_a_replayed_webhook_changes_nothing_however_often_it_comes(site: Site, order_body: bytes) -> None:
    _shopify(site, order_body)
    before = site.count(event)
    for _ in range(20):
        assert _shopify(site, order_body).status_code == 200
    assert site.count(event) == before


@pytest.mark.data
def test_no_changed_byte_of_a_signed_body_is_accepted(site: Site, order_body: bytes) -> None:
    good = base64.b64encode(hmac.digest(SHOPIFY_SECRET.encode(), order_body, "sha256")).decode()
    for position in range(0, len(order_body), len(order_body) // 40):
        changed = bytearray(order_body)
        changed[position] ^= 1
        assert _shopify(site, bytes(changed), good).status_code == 401
    assert site.count(event) == 0


@pytest.mark.parametrize(("offset", "status"), [(-301, 401), (-300, 202), (0, 202), (300, 202), (301, 401)])
def test_a_standard_webhook_counts_five_minutes_either_way(site: Site, offset: int, status: int) -> None:
    body = json.dumps(
        {"type": "order.placed", "data": {"customer": {"id": "ada"}, "properties": {"total": 5}}}
    ).encode()
    timestamp = str(int(site.now.timestamp()) + offset)
    assert _standard(site, body, timestamp).status_code == status


def _standard(site: Site, body: bytes, timestamp: str, id_: str = "msg_1") -> httpx.Response:
    secret = base64.b64decode(CRM_SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(
        hmac.new(secret, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    ).decode()
    headers = {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    return site.call("POST", "/v1/hooks/crm", content=body, headers=headers)


@pytest.mark.data
def test_the_published_vector_of_standard_webhooks_verifies_and_its_mutations_do_not(data_dir: Path) -> None:
    from starlette.datastructures import Headers

    from treue.errors import BadSignature
    from treue.web.hooks.standard_webhooks import StandardWebhooks

    vectors = json.loads((data_dir.parent / "wire" / "signature-vectors.json").read_text())[
        "standard_webhooks"
    ]
    for vector in vectors:
        now = datetime.fromtimestamp(int(vector["timestamp"]), UTC)
        headers = {
            "webhook-id": vector["id"],
            "webhook-timestamp": vector["timestamp"],
            "webhook-signature": vector["signature"],
        }
        StandardWebhooks().verify(Headers(headers), vector["body"].encode(), [vector["secret"]], now)
        wrong = headers | {"webhook-signature": vector["signature"][:-2] + "A="}
        with pytest.raises(BadSignature):
            StandardWebhooks().verify(Headers(wrong), vector["body"].encode(), [vector["secret"]], now)


def test_a_source_without_a_secret_lets_nobody_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPIFY_SECRET")
    body = b"{}"
    unsigned = base64.b64encode(hmac.digest(b"", body, "sha256")).decode()
    assert _shopify(site, body, unsigned).status_code == 401


def test_a_customer_told_of_three_seconds_after_her_order_gets_the_welcome(site: Site) -> None:
    site.post("/v1/events", _order())
    run_pass(site.assembly.engine, site.now)
    site.now += timedelta(seconds=3)
    given = {"id": "ada", "email": "ada@example.com", "consent": {"email": {"given": True, "source": "form"}}}
    assert site.post("/v1/customers", given).status_code == 202
    run_pass(site.assembly.engine, site.now)
    welcome = (message.c.template == "welcome", message.c.state == "sent")
    assert site.count(message, *welcome) == 0
    site.now += timedelta(minutes=5)
    run_pass(site.assembly.engine, site.now)
    assert site.count(message, *welcome) == 1


# --- unsubscribe --------------------------------------------------------------------------------------------


@pytest.fixture
def token(site: Site) -> str:
    """The token of a mail that has been sent to Ada."""
    given = {"id": "ada", "email": "ada@example.com", "consent": {"email": {"given": True, "source": "form"}}}
    site.post("/v1/customers", given)
    site.post("/v1/events", _order())
    run_pass(site.assembly.engine, site.now)
    with site.assembly.store.reading() as connection:
        found = connection.scalar(select(message.c.id).where(message.c.state == "sent"))
    assert found
    return site.assembly.links.token("unsubscribe", found, "email")


def _agreed(site: Site) -> int:
    return site.count(consent, consent.c.channel == "email", consent.c.given)


def test_looking_never_unsubscribes(site: Site, token: str) -> None:
    for _ in range(10):
        assert site.call("GET", f"/u/{token}").status_code == 200
    assert _agreed(site) == 1


@pytest.mark.parametrize("form", ["data", "files"])
def test_one_click_unsubscribes_with_no_redirect_and_no_cookie(site: Site, token: str, form: str) -> None:
    value = {"List-Unsubscribe": "One-Click"} if form == "data" else {"List-Unsubscribe": (None, "One-Click")}
    answer = site.call("POST", f"/u/{token}", **{form: value})
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert _agreed(site) == 0
    run_pass(site.assembly.engine, site.now)
    assert site.count(enrollment, enrollment.c.outcome == "inside") == 0, (
        "consent.withdrawn ends the journeys"
    )


def test_no_forged_or_changed_token_does_anything(site: Site, token: str) -> None:
    for position in range(len(token)):
        for other in "Az9_":
            changed = token[:position] + other + token[position + 1 :]
            if changed != token:
                assert site.assembly.links.read(changed, "unsubscribe") is None
    assert site.call("POST", f"/u/{token[:-1]}", data={"List-Unsubscribe": "One-Click"}).status_code == 404
    assert site.assembly.links.read(token, "view") is None, "a token is bound to its purpose"
    assert _agreed(site) == 1


def test_the_console_and_the_inbox_answer_only_to_whoever_has_signed_in(site: Site) -> None:
    token = Sessions.of(site.assembly.state).link_token(site.now)
    cookie = site.call("POST", "/sign-in", data={"token": token}).headers["set-cookie"].partition(";")[0]
    for path in ("/", "/inbox/"):
        assert site.call("GET", path).status_code == 401
        assert site.call("GET", path, headers={"Cookie": cookie}).status_code == 200
    assert site.call("GET", "/healthz").status_code == 200
