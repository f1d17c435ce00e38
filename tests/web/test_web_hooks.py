"""Signed webhooks: who is believed, what is kept, and that it is kept once."""

from __future__ import annotations

import base64
import hmac
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.datastructures import Headers

from tests.web.serving import CRM_SECRET, SHOPIFY_SECRET, Site, crm_event, shopify, standard
from treue.errors import BadSignature
from treue.model.tables import consent, customer, event, event_conflict, receiving
from treue.web.hooks.shopify import Shopify
from treue.web.hooks.standard_webhooks import StandardWebhooks

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _believed(scheme: Any, headers: dict[str, str], body: bytes, *secrets: str, now: datetime = NOW) -> bool:
    try:
        scheme.verify(Headers(headers), body, secrets, now)
    except BadSignature:
        return False
    return True


def _mutations(text: bytes, seed: int, times: int) -> list[bytes]:
    """Return the text with one byte changed, removed or added, at random places."""
    draw = random.Random(seed)
    found = []
    for _ in range(times):
        at, other = draw.randrange(len(text)), draw.choice(list(range(33, 127)))
        way = draw.randrange(3)
        if way == 0:
            made = text[:at] + bytes([other]) + text[at + 1 :]
        elif way == 1:
            made = text[:at] + text[at + 1 :]
        else:
            made = text[:at] + bytes([other]) + text[at:]
        if made != text:
            found.append(made)
    return found


@pytest.mark.data
def test_every_published_vector_of_standard_webhooks_verifies(vectors: dict[str, Any]) -> None:
    assert vectors["standard_webhooks"]
    for vector in vectors["standard_webhooks"]:
        now = datetime.fromtimestamp(int(vector["timestamp"]), UTC)
        headers = {f"webhook-{name}": vector[name] for name in ("id", "timestamp", "signature")}
        assert _believed(StandardWebhooks(), headers, vector["body"].encode(), vector["secret"], now=now)


@pytest.mark.data
def test_the_published_hmac_is_what_the_shopify_scheme_computes(vectors: dict[str, Any]) -> None:
    """Shopify publishes no vector; its signature is the base64 of the HMAC that GitHub publishes in hex."""
    for vector in vectors["github_style_hmac"]:
        signature = base64.b64encode(bytes.fromhex(vector["signature"])).decode()
        headers = {"x-shopify-hmac-sha256": signature}
        assert _believed(Shopify(), headers, vector["body"].encode(), vector["secret"].replace(" ", " "))


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_mutation_of_a_standard_webhook_is_believed(part: str) -> None:
    body = crm_event()
    headers = standard(body, NOW)
    assert _believed(StandardWebhooks(), headers, body, CRM_SECRET)
    original = body if part == "body" else headers[part].encode()
    for made in _mutations(original, seed=1, times=3_000):
        changed = headers if part == "body" else headers | {part: made.decode()}
        assert not _believed(StandardWebhooks(), changed, made if part == "body" else body, CRM_SECRET), made


@pytest.mark.parametrize("part", ["body", "signature"])
def test_no_mutation_of_a_shopify_webhook_is_believed(part: str) -> None:
    body = b'{"id": 820982911946154508, "total_price": "404.95"}'
    headers = shopify(body)
    assert _believed(Shopify(), headers, body, SHOPIFY_SECRET)
    name = "X-Shopify-Hmac-SHA256"
    for made in _mutations(body if part == "body" else headers[name].encode(), seed=2, times=5_000):
        changed = headers if part == "body" else headers | {name: made.decode()}
        assert not _believed(Shopify(), changed, made if part == "body" else body, SHOPIFY_SECRET), made


def test_any_of_several_signatures_and_of_several_secrets_will_do() -> None:
    body = crm_event()
    other = "whsec_" + base64.b64encode(b"another secret of 32 bytes, maybe").decode()
    headers = standard(body, NOW)
    several = f"v1a,AAAA v1,{'A' * 43}= {headers['webhook-signature']}"
    assert _believed(StandardWebhooks(), headers | {"webhook-signature": several}, body, other, CRM_SECRET)
    assert not _believed(StandardWebhooks(), headers, body, other)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "ü"])
def test_a_secret_that_is_none_lets_nobody_in(secret: str) -> None:
    body = crm_event()
    for key in (b"", secret.encode()):
        signed = f"msg_1.{int(NOW.timestamp())}.".encode() + body
        forged = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        headers = standard(body, NOW) | {"webhook-signature": forged}
        assert not _believed(StandardWebhooks(), headers, body, secret)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_standard_webhook_with_a_header_missing_is_refused(world: Site, missing: str) -> None:
    body = crm_event()
    headers = {name: value for name, value in standard(body, world.now).items() if name != missing}
    answer = world.client.post("/v1/hooks/crm", content=body, headers=headers)
    assert answer.status_code == 401
    assert world.count(receiving) == 0


def test_svix_header_names_are_the_same_scheme(world: Site) -> None:
    body = crm_event()
    headers = {name.replace("webhook", "svix"): value for name, value in standard(body, world.now).items()}
    assert world.client.post("/v1/hooks/crm", content=body, headers=headers).status_code == 202
    assert world.count(event, event.c.name == "order.placed") == 1


@pytest.mark.parametrize(("offset", "status"), [(-301, 401), (-300, 202), (300, 202), (301, 401)])
def test_the_server_takes_signatures_of_five_minutes_either_way(
    world: Site, offset: int, status: int
) -> None:
    body = crm_event()
    headers = standard(body, world.now + timedelta(seconds=offset))
    assert world.client.post("/v1/hooks/crm", content=body, headers=headers).status_code == status


def test_deliveries_three_times_over_in_any_order_count_once(world_on_each_database: Site) -> None:
    site, draw = world_on_each_database, random.Random(7)
    bodies = {f"msg_{n}": crm_event(f"c{n % 20}", order_id=str(n), total=n) for n in range(60)}
    sent = [(id_, attempt) for id_ in bodies for attempt in range(3)]
    draw.shuffle(sent)
    statuses = []
    for id_, attempt in sent:
        headers = standard(bodies[id_], site.now + timedelta(seconds=attempt), id_)
        statuses.append(site.client.post("/v1/hooks/crm", content=bodies[id_], headers=headers).status_code)
    assert (statuses.count(202), statuses.count(200)) == (60, 120)
    assert site.count(event, event.c.name == "order.placed") == 60
    assert site.count(customer) == 20


def _deliver(site: Site, body: bytes, id_: str = "msg_1") -> tuple[int, str]:
    answer = site.client.post("/v1/hooks/crm", content=body, headers=standard(body, site.now, id_))
    return answer.status_code, answer.json()["status"]


def test_the_same_id_with_another_body_is_a_conflict_that_the_sender_need_not_repeat(
    world_on_each_database: Site,
) -> None:
    site = world_on_each_database
    assert _deliver(site, crm_event(total=1)) == (202, "accepted")
    for _ in range(2):
        assert _deliver(site, crm_event(total=1)) == (200, "duplicate")
    assert _deliver(site, crm_event(total=2)) == (202, "conflict")
    assert site.count(event, event.c.name == "order.placed") == 1
    assert [row.properties for row in site.rows(select(event_conflict))] == [{"total": 2}]


def test_the_same_id_of_another_event_or_customer_is_another_event(world: Site) -> None:
    for body in (crm_event(total=1), crm_event("bob", total=1), crm_event(type_="cart.abandoned", total=1)):
        assert _deliver(world, body) == (202, "accepted")
    assert world.count(event, event.c.name.in_(["order.placed", "cart.abandoned"])) == 3


def test_the_same_event_in_another_body_is_a_duplicate_and_brings_the_customer_up_to_date(
    world: Site,
) -> None:
    for city in ("Kiel", "Bonn"):
        person = {"id": "ada", "attributes": {"city": city}}
        told = {"type": "order.placed", "data": {"customer": person, "properties": {"total": 1}}}
        last = _deliver(world, json.dumps(told).encode())
    assert last == (200, "duplicate")
    assert [row.attributes for row in world.rows(select(customer))] == [{"city": "Bonn"}]


def test_a_withdrawal_counts_although_its_event_is_a_conflict(world: Site) -> None:
    for given, total in ((True, 1), (False, 2)):
        person = {"id": "ada", "consent": {"email": {"given": given, "source": "form"}}}
        told = {"type": "order.placed", "data": {"customer": person, "properties": {"total": total}}}
        last = _deliver(world, json.dumps(told).encode())
        world.now += timedelta(minutes=1)
    assert last == (202, "conflict")
    assert [row.given for row in world.rows(select(consent))] == [False]


def _order_of_shopify(site: Site, event_id: str, at: str, **changed: Any) -> tuple[int, str]:
    order = {"id": 1, "customer": {"id": 7}, "total_price": "10.00", **changed}
    body = json.dumps(order).encode()
    headers = shopify(body, **{"X-Shopify-Event-Id": event_id, "X-Shopify-Triggered-At": at})
    answer = site.client.post("/v1/hooks/shop", content=body, headers=headers)
    return answer.status_code, answer.json()["status"]


def test_two_subscriptions_of_shopifys_that_tell_of_one_event_count_once(world: Site) -> None:
    early, late = "2026-03-02T08:00:00Z", "2026-03-02T08:00:03Z"
    assert _order_of_shopify(world, "e1", early) == (202, "accepted")
    assert _order_of_shopify(world, "e1", late, note="not declared here") == (200, "duplicate")
    assert _order_of_shopify(world, "e1", late, total_price="11.00") == (202, "conflict")
    assert _order_of_shopify(world, "e1", late, customer={"id": 8}) == (202, "accepted")
    assert _order_of_shopify(world, "e2", late, total_price="12.00") == (202, "accepted")
    assert world.count(event, event.c.name == "order.placed") == 3
    assert world.count(event_conflict) == 1


@pytest.mark.data
def test_a_shopify_order_brings_the_customer_the_order_and_the_consent(
    world_on_each_database: Site, shopify_samples: dict[str, bytes]
) -> None:
    site, body = world_on_each_database, shopify_samples["orders/create"]
    headers = shopify(body, **{"X-Shopify-Triggered-At": "2026-03-02T08:59:30.877041743Z"})
    assert site.client.post("/v1/hooks/shop", content=body, headers=headers).status_code == 202
    (person,) = site.rows(select(customer))
    assert (person.key, person.email, person.locale) == (
        "shopify:115310627314723950",
        "john@example.com",
        "en",
    )
    assert person.attributes == {
        "first_name": "John",
        "last_name": "Smith",
        "country": "CA",
        "city": "Ottawa",
    }
    (order,) = site.rows(select(event).where(event.c.name == "order.placed"))
    items = json.loads(body)["line_items"]
    assert order.properties == {
        "order_id": "820982911946154500",
        "cart_id": json.loads(body)["token"],
        "total": 404.95,
        "currency": "USD",
        "quantity": sum(item["quantity"] for item in items),
    }
    assert order.at == datetime(2026, 3, 2, 8, 59, 30, 877041, tzinfo=UTC)
    (word,) = site.rows(select(consent))
    assert (word.channel, word.given, word.basis) == ("email", True, "consent")
    assert word.proof["field"] == "buyer_accepts_marketing"


@pytest.mark.data
def test_a_captured_shopify_body_under_a_new_id_changes_nothing(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    body = shopify_samples["orders/create"]
    for n in range(200):
        headers = shopify(body, **{"X-Shopify-Webhook-Id": f"id-{n}", "X-Shopify-Event-Id": f"event-{n}"})
        status = world.client.post("/v1/hooks/shop", content=body, headers=headers).status_code
        assert status == (202 if n == 0 else 200)
    assert world.count(event, event.c.name == "order.placed") == 1


@pytest.mark.data
def test_the_checkouts_box_does_not_undo_an_unsubscribe(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    order = json.loads(shopify_samples["orders/create"])
    person = "shopify:115310627314723950"
    world.post("/v1/customers", {"id": person, "consent": {"email": False}})
    world.now += timedelta(days=1)
    order["id"] = 1
    body = json.dumps(order).encode()
    assert world.client.post("/v1/hooks/shop", content=body, headers=shopify(body)).status_code == 202
    assert world.count(event, event.c.name == "order.placed") == 1
    assert world.count(consent, consent.c.given) == 0


@pytest.mark.data
def test_an_order_without_the_box_gives_no_consent_and_makes_no_existing_customer(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    order = json.loads(shopify_samples["orders/create"]) | {"buyer_accepts_marketing": False}
    body = json.dumps(order).encode()
    assert world.client.post("/v1/hooks/shop", content=body, headers=shopify(body)).status_code == 202
    assert world.count(consent) == 0


@pytest.mark.data
@pytest.mark.parametrize(("state", "given"), [("subscribed", True), ("unsubscribed", False)])
def test_a_consent_changed_at_shopify_counts_here_without_a_mapping(
    world: Site, shopify_samples: dict[str, bytes], state: str, given: bool
) -> None:
    topic = "customers_email_marketing_consent/update"
    told = json.loads(shopify_samples[topic])
    told["email_marketing_consent"] |= {"state": state, "consent_updated_at": "2026-03-01T10:00:00+01:00"}
    body = json.dumps(told).encode()
    assert world.client.post("/v1/hooks/shop", content=body, headers=shopify(body, topic)).status_code == 202
    (word,) = world.rows(select(consent))
    assert (word.given, word.since) == (given, datetime(2026, 3, 1, 9, tzinfo=UTC))


@pytest.mark.data
def test_a_new_shopify_customer_is_created_once_and_no_event_is_doubled(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    body = shopify_samples["customers/create"]
    answer = world.client.post("/v1/hooks/shop", content=body, headers=shopify(body, "customers/create"))
    assert answer.status_code == 202
    assert world.count(event, event.c.name == "customer.created") == 1


@pytest.mark.data
def test_every_real_shopify_topic_is_answered_and_what_is_not_mapped_is_ignored(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    mapped = set(world.assembly.settings.sources["shop"].map)
    assert len(shopify_samples) >= 25
    for topic, body in shopify_samples.items():
        answer = world.client.post("/v1/hooks/shop", content=body, headers=shopify(body, topic))
        assert answer.status_code == (202 if topic in mapped else 200), topic
    assert world.count(event, event.c.name == "order.placed") == 1


@pytest.mark.data
def test_a_shopify_order_with_any_field_replaced_is_never_a_fault(
    world: Site, shopify_samples: dict[str, bytes]
) -> None:
    order = json.loads(shopify_samples["orders/create"])
    odd: list[Any] = [
        None,
        True,
        5,
        -1,
        2**80,
        1e308,
        "",
        "ü\u0000x",
        [],
        [[]],
        {},
        {"id": None},
        "x" * 40_000,
    ]
    for name in (
        "id",
        "customer",
        "line_items",
        "total_price",
        "email",
        "customer_locale",
        "currency",
        "phone",
    ):
        for value in odd:
            body = json.dumps(order | {name: value}).encode()
            answer = world.client.post("/v1/hooks/shop", content=body, headers=shopify(body))
            assert answer.status_code in (200, 202, 422), (name, value, answer.text)
    for name in ("id", "email", "first_name", "default_address", "phone"):
        for value in odd:
            body = json.dumps(order | {"customer": order["customer"] | {name: value}}).encode()
            answer = world.client.post("/v1/hooks/shop", content=body, headers=shopify(body))
            assert answer.status_code in (200, 202, 422), (name, value, answer.text)


def test_an_undeclared_type_is_ignored_and_a_misfit_names_its_place(world: Site) -> None:
    body = crm_event(type_="moon.landed")
    answer = world.client.post("/v1/hooks/crm", content=body, headers=standard(body, world.now))
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    body = crm_event(total="much")
    answer = world.client.post("/v1/hooks/crm", content=body, headers=standard(body, world.now, "msg_2"))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/data/properties", "detail": "total: 'much' is not a number; write it like 1234.50."}
    ]
    assert world.count(event) == 0


def test_a_crm_updates_a_customer_without_an_event(world: Site) -> None:
    person = {"id": "ada", "email": "ada@example.com", "consent": {"email": {"source": "form"}}}
    told = {"type": "customer.updated", "timestamp": "2026-03-02T08:00:00Z", "data": {"customer": person}}
    body = json.dumps(told).encode()
    assert (
        world.client.post("/v1/hooks/crm", content=body, headers=standard(body, world.now)).status_code == 202
    )
    assert world.rows(select(customer.c.email)) == [("ada@example.com",)]
    assert world.count(consent, consent.c.given) == 1


def test_an_unknown_source_is_not_found(world: Site) -> None:
    assert world.client.post("/v1/hooks/nobody", content=b"{}").status_code == 404


def _shopify_customer(site: Site, topic: str = "customers/update", **told: Any) -> int:
    body = json.dumps({"id": 7, "email": "ada@example.com", **told}).encode()
    return site.client.post("/v1/hooks/shop", content=body, headers=shopify(body, topic)).status_code


def _subscribed(at: str | None, state: str = "subscribed") -> dict[str, Any]:
    return {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": at}


def test_a_shopify_customer_who_subscribed_when_it_was_created_has_agreed_as_of_then(
    world_on_each_database: Site,
) -> None:
    site, told = world_on_each_database, _subscribed("2026-03-01T10:00:00+01:00")
    assert _shopify_customer(site, "customers/create", email_marketing_consent=told) == 202
    (word,) = site.rows(select(consent))
    assert (word.channel, word.given, word.since) == ("email", True, datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert word.proof == {
        "topic": "customers/create",
        "state": "subscribed",
        "opt_in_level": "single_opt_in",
    }


@pytest.mark.parametrize(
    ("told", "agreed"),
    [
        (_subscribed(None), [True]),
        (_subscribed("2026-03-01T10:00:00Z", "unsubscribed"), [False]),
        (_subscribed("2026-03-01T10:00:00Z", "not_subscribed"), []),
        (_subscribed("2026-03-01T10:00:00Z", "pending"), []),
        ("subscribed", []),
    ],
)
def test_what_a_shopify_customers_record_says_of_consent(world: Site, told: Any, agreed: list[bool]) -> None:
    assert _shopify_customer(world, "customers/create", email_marketing_consent=told) == 202
    assert [row.given for row in world.rows(select(consent))] == agreed


@pytest.mark.parametrize("at", ["2026-03-01T10:00:00Z", None])
def test_a_shopify_record_from_before_an_unsubscribe_does_not_undo_it(world: Site, at: str | None) -> None:
    world.post("/v1/customers", {"id": "shopify:7", "consent": {"email": False}})
    world.now += timedelta(days=1)
    assert _shopify_customer(world, "customers/create", email_marketing_consent=_subscribed(at)) == 202
    assert world.count(consent, consent.c.given) == 0


def test_an_older_shopify_record_changes_nothing_that_a_newer_one_has_said(
    world_on_each_database: Site,
) -> None:
    site = world_on_each_database
    newer, older = "2026-03-02T08:00:00Z", "2026-03-02T07:00:00Z"
    created = "customers/create"
    assert (
        _shopify_customer(site, created, updated_at=newer, first_name="Ada", email="new@example.com") == 202
    )
    assert (
        _shopify_customer(site, created, updated_at=older, first_name="Oda", email="old@example.com") == 202
    )
    assert _order_of_shopify(site, "e1", older, customer={"id": 7, "first_name": "Ida", "updated_at": older})
    (person,) = site.rows(select(customer))
    assert (person.email, person.attributes["first_name"]) == ("new@example.com", "Ada")
    assert site.count(event, event.c.name == "order.placed") == 1
    assert _shopify_customer(site, created, updated_at="2026-03-02T08:00:01Z", first_name="Eva") == 202
    assert site.rows(select(customer))[0].attributes["first_name"] == "Eva"


def test_an_older_record_of_a_crm_changes_nothing_that_a_newer_one_has_said(world: Site) -> None:
    def told(city: str, at: str) -> tuple[int, str]:
        person = {"id": "42", "attributes": {"city": city}}
        update = {"type": "customer.updated", "timestamp": at, "data": {"customer": person}}
        return _deliver(world, json.dumps(update).encode(), id_=f"msg_{at[:10]}")

    assert told("Köln", "2026-03-02T08:00:00Z")[0] == 202
    assert told("Bonn", "2026-03-01T08:00:00Z")[0] == 202
    assert [row.attributes["city"] for row in world.rows(select(customer))] == ["Köln"]


def test_an_order_that_only_tries_the_shop_out_counts_nowhere(world: Site) -> None:
    assert _order_of_shopify(world, "e1", "2026-03-02T08:00:00Z", test=True)[0] == 200
    assert world.count(event) == 0
    assert world.count(customer) == 0
