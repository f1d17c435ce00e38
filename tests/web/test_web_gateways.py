"""From the settings to the provider and back: an order goes out by SMS and push, and what becomes of it is known."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook as Library

from tests.web.serving import Site, served

sys.path.insert(0, str(Path(__file__).parents[1] / "channels"))

from tests.channels.google_fcm import Firebase, TokenServer, account_key, fcm_error
from tests.channels.test_webhook import SECRET, Gateway
from treue.engine.passes.chronology import run_pass
from treue.model.tables import customer, message

SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels:
  sms: {adapter: webhook, url: "${GATEWAY_URL}", secret: "${GATEWAY_SECRET}"}
  push: {adapter: fcm, credentials: "${FCM_CREDENTIALS}", url: "${FCM_URL}"}
events: {order.ready: {shelf: text}}
"""
JOURNEY = """\
description: Say that it is ready.
category: transactional
enter: {event: order.ready, again: always}
steps:
  - {send: ready, on: sms}
  - {send: ready, on: push}
"""
PUSH = "---\ntitle: Ready\nlink: https://shop.example/orders\n---\nShelf {{ event.shelf }}.\n"
PHONE, TOKEN = "+4915112345678", "device-1:APA91b"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def firebase() -> Iterator[Firebase]:
    key, public = account_key()
    with TokenServer(public) as tokens, Firebase(tokens) as running:
        running.credentials = tokens.account(key)
        yield running


@pytest.fixture
def site(
    tmp_path: Path, surroundings: None, gateway: Gateway, firebase: Firebase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A small shop with both channels set up, one customer, and her order ready on shelf 7."""
    files = {"treue.yaml": SETTINGS, "journeys/ready.yaml": JOURNEY, "templates/ready/push.txt": PUSH}
    files["templates/ready/sms.txt"] = "Ready on shelf {{ event.shelf }}.\n"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("GATEWAY_URL", gateway.url)
    monkeypatch.setenv("GATEWAY_SECRET", SECRET)
    monkeypatch.setenv("FCM_CREDENTIALS", firebase.credentials)
    monkeypatch.setenv("FCM_URL", firebase.url)
    with served(tmp_path) as made:
        ada = {"id": "ada", "phone": PHONE, "push_token": TOKEN}
        assert made.post("/v1/customers", ada).status_code == 202
        order = {"id": "1", "customer": "ada", "event": "order.ready", "properties": {"shelf": "7"}}
        assert made.post("/v1/events", order).status_code == 202
        yield made


def states(site: Site) -> dict[str, str]:
    return {row.channel: row.state for row in site.rows(select(message))}


def test_a_message_goes_out_on_both_and_the_gateway_tells_that_it_arrived(
    site: Site, gateway: Gateway, firebase: Firebase
) -> None:
    run_pass(site.assembly.engine, site.now)
    (asked,) = gateway.asked
    assert (asked.json()["to"], asked.json()["text"]) == (PHONE, "Ready on shelf 7.")
    (shown,) = firebase.messages
    assert shown["notification"] == {"title": "Ready", "body": "Shelf 7."}
    assert shown["data"]["link"] == "https://shop.example/orders"
    assert states(site) == {"sms": "sent", "push": "sent"}

    told = json.dumps({"kind": "delivered", "key": asked.json()["key"], "at": site.now.isoformat()})
    headers = {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(int(site.now.timestamp())),
        "webhook-signature": Library(SECRET).sign("evt-1", site.now, told),
    }
    answers = [site.client.post("/v1/receipts/sms", content=told, headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.json()["new"]) for answer in answers] == [(200, 1), (200, 0)]
    forged = {**headers, "webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}
    assert site.client.post("/v1/receipts/sms", content=told, headers=forged).status_code == 401
    assert site.client.post("/v1/receipts/push", content=told, headers=headers).status_code == 404


def test_a_dead_token_is_forgotten_and_a_dead_number_suppressed(
    site: Site, gateway: Gateway, firebase: Firebase
) -> None:
    gateway.dead.add(PHONE)
    firebase.devices[TOKEN] = fcm_error(404, "NOT_FOUND", "UNREGISTERED")
    run_pass(site.assembly.engine, site.now)
    assert states(site) == {"sms": "refused", "push": "refused"}
    assert site.rows(select(customer.c.push_token)) == [(None,)]

    order = {"id": "2", "customer": "ada", "event": "order.ready", "properties": {"shelf": "8"}}
    assert site.post("/v1/events", order).status_code == 202
    run_pass(site.assembly.engine, site.now)
    reasons = {
        (row.channel, row.reason) for row in site.rows(select(message).order_by(message.c.id.desc()).limit(2))
    }
    assert reasons == {("sms", "suppressed"), ("push", "no_address")}
    assert (len(gateway.asked), len(firebase.asked)) == (1, 1)
