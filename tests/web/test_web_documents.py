"""Bodies of all kinds: what fits is kept as declared, what does not is named by its place, nothing is a fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import select

from tests.web.serving import KEY, Site, copy_workspace
from treue.composition.assembly import assembled
from treue.model.tables import arrival, consent, customer, event, event_conflict
from treue.vocabulary.workspace import load
from treue.web.app import create_app
from treue.web.schemas import SCHEMAS

ORDERED = event.c.name == "order.placed"
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**300), max_value=2**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
_time = st.sampled_from(
    ["2026-03-01", "2026-03-01T10:00", "2026-03-01T10:00:00.123456789+02:00", "0001-01-01T00:00"]
)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return strategy | _json


_event = st.fixed_dictionaries(
    {},
    optional={
        "id": _maybe(st.text(min_size=1, max_size=300)),
        "customer": _maybe(st.sampled_from(["ada", "bob"])),
        "customer_id": _json,
        "event": _maybe(
            st.sampled_from(["order.placed", "consent.given", "consent.withdrawn", "cart.abandoned"])
        ),
        "name": _json,
        "at": _maybe(_time),
        "properties": _maybe(
            st.fixed_dictionaries(
                {},
                optional={
                    "channel": _maybe(st.just("email")),
                    "total": _json,
                    "proof": _json,
                    "basis": _json,
                },
            )
        ),
        "more": _json,
    },
)
_word = st.fixed_dictionaries(
    {},
    optional={
        "channel": _maybe(st.sampled_from(["email", "sms"])),
        "given": _maybe(st.booleans()),
        "at": _maybe(_time),
        "source": _maybe(st.text(max_size=20)),
        "basis": _maybe(st.sampled_from(["consent", "existing_customer"])),
        "proof": _json,
        "wording": _json,
    },
)
_customer = st.fixed_dictionaries(
    {},
    optional={
        "id": _maybe(st.sampled_from(["ada", "bob"])),
        "email": _maybe(st.sampled_from(["ada@example.com", "ADA@Example.COM", "a@b@c"])),
        "phone": _json,
        "push_token": _json,
        "locale": _json,
        "timezone": _maybe(st.just("Europe/Berlin")),
        "attributes": _maybe(
            st.dictionaries(st.sampled_from(["first_name", "birthday", "email", "x"]), _json)
        ),
        "consent": _maybe(
            st.dictionaries(st.sampled_from(["email", "sms", "fax"]), _maybe(_word)) | st.lists(_word)
        ),
    },
)


class Door:
    """The web's app, called in this process; a fault of ours is raised here."""

    def __init__(self, app: Any) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {KEY}"},
        )
        self.runner = asyncio.Runner()

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.runner.run(self.client.post(path, content=body))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def door(
    request: pytest.FixtureRequest, tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Door]:
    """The app on each database."""
    monkeypatch.setenv("TREUE_DATABASE", request.getfixturevalue(f"{request.param}_url"))
    root = tmp_path / "workspace"
    root.mkdir()
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    with assembled(load(copy_workspace(root)), deliver=False) as assembly:
        assembly.publish(now)
        made = Door(create_app(assembly, clock=lambda: now))
        yield made
        made.runner.close()


def _schema(name: str) -> Draft202012Validator:
    """Return what the description says of a body: one of that name, or several."""
    one = {"$ref": f"#/components/schemas/{name}"}
    told = {"anyOf": [one, {"type": "array", "items": one}], "components": {"schemas": SCHEMAS}}
    return Draft202012Validator(json.loads(json.dumps(told)))


EVENTS, CUSTOMERS, ENROLMENT = map(_schema, ("Event", "Customer", "Enrolment"))


def _check(answer: httpx.Response, body: Any, described: Draft202012Validator) -> None:
    """What is taken fits its description; what is refused is refused with a sentence."""
    assert answer.status_code in (202, 400, 422), answer.text
    if answer.status_code == 202:
        described.validate(body)
    if answer.status_code != 202:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@FUZZ
@given(body=st.lists(_event, max_size=3) | _event | _json)
def test_whatever_is_posted_as_events_is_taken_or_refused_with_a_sentence(door: Door, body: Any) -> None:
    _check(door.post("/v1/events", json.dumps(body).encode()), body, EVENTS)


@FUZZ
@given(body=st.lists(_customer, max_size=3) | _customer | _json)
def test_whatever_is_posted_as_customers_is_taken_or_refused_with_a_sentence(door: Door, body: Any) -> None:
    _check(door.post("/v1/customers", json.dumps(body).encode()), body, CUSTOMERS)


@FUZZ
@given(body=st.fixed_dictionaries({"customers": _json | st.lists(_json | st.just("ada"))}) | _json)
def test_whatever_is_posted_for_enrolment_is_taken_or_refused_with_a_sentence(door: Door, body: Any) -> None:
    _check(door.post("/v1/journeys/by-hand/enroll", json.dumps(body).encode()), body, ENROLMENT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"NaN",
        b'{"customer": "a", "event": "order.placed", "properties": {"total": 1e999}}',
        b'{"customer": "a", "event": "order.placed", "properties": {"total": ' + b"9" * 5_000 + b"}}",
        b'{"customer": "\\ud800", "event": "order.placed"}',
        b'{"customer": "a", "event": "order.placed", "properties": {"order_id": "\\udfff"}}',
        b'{"customer": "a\\u0000", "event": "order.placed"}',
        b'{"customer": "a", "event": "order.placed", "properties": {"order_id": "\\u0000"}}',
        b"[]",
        b"[[]]",
        b"null",
    ],
)
def test_hostile_json_is_refused_with_a_sentence(door: Door, body: bytes) -> None:
    answer = door.post("/v1/events", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def _order(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"o{n}", "customer": "ada", "event": "order.placed", "properties": {"total": n}} | more


def test_a_batch_of_a_thousand_is_taken_and_one_more_is_refused(world_on_each_database: Site) -> None:
    site = world_on_each_database
    first = site.post("/v1/events", [_order(n) for n in range(1000)]).json()
    assert (first["accepted"], first["duplicates"], first["conflicts"]) == (1000, 0, 0)
    assert first["events"] == [{"id": f"o{n}", "status": "accepted"} for n in range(1000)]
    assert site.post("/v1/events", [_order(n) for n in range(1001)]).status_code == 422
    last = site.post("/v1/events", [_order(n) for n in range(500, 1500)]).json()
    assert (last["accepted"], last["duplicates"], last["conflicts"]) == (500, 500, 0)
    assert [one["status"] for one in last["events"]] == ["duplicate"] * 500 + ["accepted"] * 500
    assert site.count(event, event.c.name == "order.placed") == 1500


def _told(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 202, answer.text
    return [one["status"] for one in answer.json()["events"]]


def test_an_id_of_another_event_or_customer_is_another_event(world_on_each_database: Site) -> None:
    site, placed = world_on_each_database, event.c.name == "order.placed"
    assert _told(site.post("/v1/events", _order(1001))) == ["accepted"]
    assert _told(site.post("/v1/events", _order(1001, event="cart.abandoned"))) == ["accepted"]
    assert _told(site.post("/v1/events", _order(1001, customer="ben"))) == ["accepted"]
    assert (site.count(event, placed), site.count(event, event.c.name == "cart.abandoned")) == (2, 1)


def test_a_used_id_with_another_content_is_a_conflict_told_and_set_aside_whole(
    world_on_each_database: Site,
) -> None:
    site, at = world_on_each_database, "2026-03-01T10:00:00+01:00"
    site.post("/v1/events", _order(1, at=at))
    batch = [_order(1, at=at), _order(1, at=at, properties={"total": 2}), _order(1), _order(2)]
    answer = site.post("/v1/events", batch)
    assert _told(answer) == ["duplicate", "conflict", "conflict", "accepted"]
    assert "'o1' was used before" in answer.json()["events"][1]["detail"]
    assert answer.json()["conflicts"] == 2
    aside = site.rows(select(event_conflict.c.properties, event_conflict.c.at).order_by(event_conflict.c.id))
    assert sorted((row.properties["total"], row.at) for row in aside) == [
        (1, None),
        (2, datetime(2026, 3, 1, 9, tzinfo=UTC)),
    ]
    assert {row.properties["total"] for row in site.rows(select(event.c.properties).where(ORDERED))} == {1, 2}


@pytest.mark.parametrize(
    "again",
    [
        {"properties": {"total": 40.0, "order_id": "1"}},
        {"properties": {"order_id": 1, "total": "40"}},
        {"properties": {"total": 4e1, "order_id": "1"}, "customer": None, "customer_id": "ada"},
    ],
)
def test_the_same_written_otherwise_is_a_duplicate(world: Site, again: dict[str, Any]) -> None:
    world.post("/v1/events", _order(1, properties={"total": 40, "order_id": "1"}))
    world.now += timedelta(hours=1)
    sent = {name: value for name, value in _order(1, **again).items() if value is not None}
    assert _told(world.post("/v1/events", sent)) == ["duplicate"], (
        "and without `at` time alone changes nothing"
    )


def test_a_time_is_compared_as_an_instant(world: Site) -> None:
    for at in ("2026-03-01T10:00:00", "2026-03-01T09:00:00Z", "2026-03-01T11:00:00+02:00"):
        last = _told(world.post("/v1/events", _order(1, at=at)))
    assert last == ["duplicate"]


def test_a_clock_a_little_ahead_does_not_make_a_repetition_a_conflict(world: Site) -> None:
    for _ in range(2):
        last = _told(world.post("/v1/events", _order(1, at="2026-03-02T09:04:00Z")))
        world.now += timedelta(minutes=1)
    assert last == ["duplicate"]


def test_each_misfit_of_a_batch_is_named_by_its_place(world: Site) -> None:
    batch = [
        _order(0),
        _order(1, properties={"total": "much", "quantity": [1]}),
        _order(2, at="yesterday"),
        _order(3, customer=""),
        _order(4, evnt="x"),
    ]
    answer = world.post("/v1/events", batch)
    assert answer.status_code == 422
    places = [error["pointer"] for error in answer.json()["errors"]]
    assert places == ["/1/properties", "/1/properties", "/2/at", "/3", "/4/evnt"]
    assert "Did you mean `event`?" in answer.text


def test_values_are_kept_as_their_declared_types(world: Site) -> None:
    told = {"total": "40.50", "order_id": 7, "quantity": 2.0, "undeclared": [1, {"a": None}]}
    sent = _order(1, customer=42, at="2026-03-01T10:00", properties=told)
    assert world.post("/v1/events", sent).status_code == 202
    ((key, at, kept),) = world.rows(
        select(customer.c.key, event.c.at, event.c.properties)
        .join(customer, customer.c.id == event.c.customer_id)
        .where(event.c.name == "order.placed")
    )
    assert key == "42"
    assert at == datetime(2026, 3, 1, 9, tzinfo=UTC), "a time without an offset is the workspace's"
    assert kept == {"total": 40.5, "order_id": "7", "quantity": 2.0, "undeclared": [1, {"a": None}]}


def test_an_event_from_the_future_is_refused(world: Site) -> None:
    answer = world.post("/v1/events", _order(1, at="2026-03-02T09:06:00Z"))
    assert answer.status_code == 422
    assert "future" in answer.json()["detail"]


def test_without_an_id_the_same_event_twice_counts_twice(world: Site) -> None:
    for _ in range(2):
        world.post("/v1/events", {"customer": "ada", "event": "order.placed"})
    assert world.count(event, event.c.name == "order.placed") == 2


@pytest.mark.parametrize("sent", [{"id": "treue:x", "event": "order.placed"}, {"event": "customer.created"}])
def test_what_is_kept_for_treues_own_events_is_refused(world: Site, sent: dict[str, str]) -> None:
    assert world.post("/v1/events", {"customer": "ada", **sent}).status_code == 422
    assert world.count(event) == 0


def test_a_null_removes_and_what_is_not_named_stays(world: Site) -> None:
    first = {
        "id": "ada",
        "email": "ada@example.com",
        "phone": "+49 40 123456",
        "attributes": {"city": "Köln", "x": 1},
    }
    world.post("/v1/customers", first)
    assert (
        world.post("/v1/customers", {"id": "ada", "phone": None, "attributes": {"x": None}}).status_code
        == 202
    )
    ((email, phone, attributes),) = world.rows(
        select(customer.c.email, customer.c.phone, customer.c.attributes)
    )
    assert (email, phone, attributes) == ("ada@example.com", None, {"city": "Köln"})


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (True, "proves nothing"),
        ({"given": True}, "needs `source`"),
        ({"source": "shop", "basis": "existing_customer", "sale": "order 1"}, "similar_goods, notice"),
        ({"source": "shop", "basis": "hope"}, "`basis` is one of"),
        ({"source": "shop", "at": "2027-01-01"}, "future"),
    ],
)
def test_a_consent_without_its_proof_is_refused(world: Site, word: Any, sentence: str) -> None:
    answer = world.post("/v1/customers", {"id": "ada", "consent": {"email": word}})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert world.count(customer) == 0


def test_an_existing_customers_facts_cannot_be_skipped_by_posting_the_event(world: Site) -> None:
    told = {"channel": "email", "basis": "existing_customer"}
    answer = world.post("/v1/events", {"customer": "ada", "event": "consent.given", "properties": told})
    assert answer.status_code == 422
    assert world.count(consent) == 0


def test_consents_are_kept_with_their_wording_and_withdrawn_again(world: Site) -> None:
    wording = "Ja, schickt mir Post über neue Platten."
    given = [{"channel": "email", "source": "https://shop.example/form", "wording": wording}]
    assert world.post("/v1/customers", {"id": "ada", "consent": given}).status_code == 202
    ((proof, source),) = world.rows(select(consent.c.proof, consent.c.source))
    assert (proof["wording"], source) == (wording, "https://shop.example/form")
    world.post("/v1/customers", {"id": "ada", "consent": {"email": False}})
    assert world.count(consent, consent.c.given) == 0


def test_customers_are_brought_to_the_door_of_a_journey_entered_by_hand(world: Site) -> None:
    world.post("/v1/customers", [{"id": "ada"}, {"id": "bob"}])
    answer = world.post("/v1/journeys/by-hand/enroll", {"customers": ["ada", "bob", "ada"]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    assert world.count(arrival, arrival.c.kind == "manual") == 2


@pytest.mark.parametrize(
    ("journey", "customers", "status"),
    [("by-hand", ["ada", "nobody"], 422), ("welcome", ["ada"], 409), ("welcom", ["ada"], 404)],
)
def test_enrolment_that_cannot_be_says_why_and_enrols_nobody(
    world: Site, journey: str, customers: list[str], status: int
) -> None:
    world.post("/v1/customers", {"id": "ada"})
    answer = world.post(f"/v1/journeys/{journey}/enroll", {"customers": customers})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert world.count(arrival) == 0


def test_two_customers_are_merged_once_and_both_ids_mean_one(world_on_each_database: Site) -> None:
    site = world_on_each_database
    site.post("/v1/customers", [{"id": "ada"}, {"id": "bob"}])
    told = {"order_id": "1", "total": 40, "currency": "EUR", "quantity": 1}
    order = {"id": "o1", "customer": "bob", "event": "order.placed", "properties": told}
    assert site.post("/v1/events", order).json()["accepted"] == 1
    merged = [site.post("/v1/customers/merge", {"keep": "ada", "merge": "bob"}) for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in merged] == [
        (200, "merged"),
        (200, "duplicate"),
    ]
    assert site.post("/v1/events", order).json()["duplicates"] == 1
    assert site.post("/v1/events", {**order, "id": "o2"}).json()["accepted"] == 1
    assert site.count(customer) == 1
    circle = site.post("/v1/customers/merge", {"keep": "bob", "merge": "ada"})
    assert circle.status_code == 422
    assert "they are one record" in circle.json()["detail"]
    for body in ({"keep": "ada"}, {"keep": "ada", "merge": 7}, ["ada", "bob"]):
        assert site.post("/v1/customers/merge", body).status_code == 422
