"""What is said of the API's bodies is so: each field is taken in each of its types and refused in any other, by its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from tests.web.serving import CRM_SECRET, KEY, Site, copy_workspace, served, standard
from treue.web.api_page import api_document
from treue.web.schemas import SCHEMAS

KINDS: dict[str, Any] = {
    "string": "x",
    "integer": 7,
    "number": 0.5,
    "boolean": False,
    "object": {},
    "array": [],
    "null": None,
}
"""A value of each of JSON's types; where a field wants a certain one, GOOD has it."""
GOOD: dict[str, Any] = {
    "event": "order.placed",
    "name": "order.placed",
    "at": "2026-03-01T10:00",
    "timestamp": "2026-03-01T10:00",
    "type": "order.placed",
    "email": "ada@example.com",
    "phone": "+49 151 23456789",
    "channel": "email",
    "basis": "consent",
    "customer": "ada",
    "keep": "ada",
    "merge": "bob",
}
EVENT = {"id": "o1", "customer": "ada", "event": "order.placed"}
CONSENT = {"source": "form"}
DATA = {"customer": {"id": "ada"}}
WEBHOOK = {"type": "order.placed", "data": DATA}
PLACES: dict[str, tuple[str, str, Mapping[str, Any]]] = {
    "Event": ("/v1/events", "", EVENT),
    "Customer": ("/v1/customers", "", {"id": "ada"}),
    "Consent": ("/v1/customers", "/consent/email", CONSENT),
    "Consents": ("/v1/customers", "/consent", {}),
    "Merging": ("/v1/customers/merge", "", {"keep": "ada", "merge": "bob"}),
    "Enrolment": ("/v1/journeys/by-hand/enroll", "", {"customers": ["ada"]}),
    "StandardWebhook": ("/v1/hooks/crm", "", WEBHOOK),
    "WebhookData": ("/v1/hooks/crm", "/data", DATA),
}
"""Of each shape of a body: where it is posted, where it stands in the body, and the least that will do."""
ANSWERS = {"Recorded", "RecordedEvent", "MergedCustomers", "Problem", "BodyError"}
ALIASES = {"customer_id": "customer", "name": "event"}
FIELDS = [(shape, name) for shape in PLACES for name in SCHEMAS[shape]["properties"]]


def _post(site: Site, shape: str, fields: Mapping[str, Any]) -> Any:
    """Post a body with these fields of a shape; return the status and the places of what is wrong."""
    path, at, least = PLACES[shape]
    instead = {ALIASES.get(name) for name, value in fields.items() if value is not None}
    given = {name: value for name, value in least.items() if name not in instead}
    inner: Any = given | fields
    match at:
        case "/consent/email":
            inner = {"id": "ada", "consent": {"email": inner}}
        case "/consent":
            inner = {"id": "ada", "consent": inner}
        case "/data":
            inner = {**WEBHOOK, "data": inner}
    body = json.dumps(inner).encode()
    if shape in ("StandardWebhook", "WebhookData"):
        answer = site.client.post(path, content=body, headers=standard(body, site.now, uuid4().hex))
    else:
        answer = site.post(path, inner)
    return answer.status_code, [one["pointer"] for one in answer.json().get("errors", [])]


def _types(shape: str, name: str) -> set[str]:
    """Return the types of a field; an alternative of other shapes is told by their own types."""
    field = SCHEMAS[shape]["properties"][name]
    if "type" not in field:
        return {"object"} if "anyOf" in field else set(KINDS)
    return {field["type"]} if isinstance(field["type"], str) else set(field["type"])


def _value(shape: str, name: str, kind: str) -> Any:
    if shape == "Consents":
        return CONSENT
    if (shape, name) in (("StandardWebhook", "data"), ("WebhookData", "customer")):
        return {"customer": {"id": "ada"}} if name == "data" else {"id": "ada"}
    if name == "customers":
        return ["ada"]
    return GOOD.get(name, KINDS[kind]) if kind == "string" else KINDS[kind]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A workspace that knows Ada and Bob, for all tests here."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("TREUE_DATABASE", "TREUE_URL", "SMTP_URL", "TREUE_SECRET"):
            environment.delenv(name, raising=False)
        environment.setenv("TREUE_API_KEY", KEY)
        environment.setenv("CRM_SECRET", CRM_SECRET)
        with served(copy_workspace(tmp_path_factory.mktemp("workspace"))) as made:
            made.post("/v1/customers", [{"id": "ada"}, {"id": "bob"}])
            yield made


def test_every_shape_of_a_body_is_held_to_its_word() -> None:
    assert set(PLACES) | ANSWERS == set(SCHEMAS)


@pytest.mark.parametrize(("shape", "name"), FIELDS)
def test_a_field_is_taken_in_each_of_its_types_and_refused_in_any_other_by_its_place(
    site: Site, shape: str, name: str
) -> None:
    types, place = _types(shape, name), f"{PLACES[shape][1]}/{name}"
    for kind in sorted(types):
        beside = {"given": False} if (name, kind) == ("source", "null") else {}
        status, wrong = _post(site, shape, {name: _value(shape, name, kind), **beside})
        assert (status, wrong) == (200 if shape == "Merging" else 202, []), kind
    others = KINDS.keys() - types
    if shape == "Consents":
        others -= {"boolean"}
    for kind in sorted(others):
        assert _post(site, shape, {name: KINDS[kind]}) == (422, [place]), kind


@pytest.mark.parametrize("shape", PLACES)
def test_what_is_required_is(site: Site, shape: str) -> None:
    schema, (path, at, least) = SCHEMAS[shape], PLACES[shape]
    assert _post(site, shape, {})[0] == (200 if shape == "Merging" else 202)
    Draft202012Validator({**schema, "components": {"schemas": SCHEMAS}}).validate(dict(least))
    for name in schema.get("required", ()):
        kept = {one: value for one, value in least.items() if one != name}
        body = json.dumps({**WEBHOOK, "data": kept} if at == "/data" else kept).encode()
        headers = (
            standard(body, site.now, uuid4().hex) if "hooks" in path else {"Authorization": f"Bearer {KEY}"}
        )
        assert site.client.post(path, content=body, headers=headers).status_code == 422, name


@pytest.mark.parametrize("shape", PLACES)
def test_what_is_no_field_is_taken_only_where_that_is_said(site: Site, shape: str) -> None:
    name = "unheard_of"
    status, wrong = _post(site, shape, {name: "x"})
    if SCHEMAS[shape]["additionalProperties"]:
        assert status == 202
    else:
        assert (status, wrong) == (422, [f"{PLACES[shape][1]}/{name}"])


@pytest.mark.parametrize(
    ("shape", "name"),
    [(shape, name) for shape, name in FIELDS if "maxLength" in SCHEMAS[shape]["properties"][name]],
)
def test_a_text_longer_than_its_limit_is_refused(site: Site, shape: str, name: str) -> None:
    longest: int = SCHEMAS[shape]["properties"][name]["maxLength"]
    if name != "email":
        assert _post(site, shape, {name: "x" * longest})[0] == 202
    assert _post(site, shape, {name: "x" * (longest + 1)})[0] == 422


@pytest.mark.parametrize(
    ("shape", "name"),
    [(shape, name) for shape, name in FIELDS if "maxProperties" in SCHEMAS[shape]["properties"][name]],
)
def test_an_object_of_more_keys_than_its_limit_is_refused(site: Site, shape: str, name: str) -> None:
    most: int = SCHEMAS[shape]["properties"][name]["maxProperties"]
    assert _post(site, shape, {name: {f"k{n}": n for n in range(most)}})[0] == 202
    assert _post(site, shape, {name: {f"k{n}": n for n in range(most + 1)}})[0] == 422


@pytest.mark.parametrize(
    ("shape", "name", "value"),
    [
        (shape, name, value)
        for shape, name in FIELDS
        for value in (*SCHEMAS[shape]["properties"][name].get("enum", ()), "other")
        if "enum" in SCHEMAS[shape]["properties"][name]
    ],
)
def test_only_the_words_that_are_named_are_taken(site: Site, shape: str, name: str, value: str) -> None:
    proof = {"sale": "1", "similar_goods": "1", "notice": "1", name: value}
    assert _post(site, shape, proof)[0] == (422 if value == "other" else 202)


def test_every_field_and_every_answer_is_described() -> None:
    document = api_document()
    unsaid = [
        f"{place}/{name}"
        for place, schema in _schemas(document, "")
        for name, field in schema["properties"].items()
        if not field.get("description", "").endswith(".")
    ]
    assert unsaid == []
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert all(one["description"] and one["x-authentication"] for one in operations)


def _schemas(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict) and value.get("type") == "object":
            yield place, value
        for name, inner in value.items():
            if name != "example":
                yield from _schemas(inner, f"{place}/{name}")
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _schemas(inner, f"{place}/{n}")


def test_every_example_is_answered_as_it_says(site: Site) -> None:
    document = api_document()
    site.post("/v1/customers", {"id": "43"})
    for path in (
        "/v1/customers",
        "/v1/events",
        "/v1/journeys/{name}/enroll",
        "/v1/customers/merge",
        "/v1/hooks/{source}",
    ):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        described = {**content["schema"], "components": document["components"]}
        Draft202012Validator(described).validate(content["example"])
        status, said = next(iter(operation["responses"].items()))
        body = json.dumps(content["example"]).encode()
        url = path.replace("{name}", "by-hand").replace("{source}", "crm")
        headers = (
            standard(body, site.now, uuid4().hex) if "hooks" in path else {"Authorization": f"Bearer {KEY}"}
        )
        answer = site.client.post(url, content=body, headers=headers)
        told = said["content"]["application/json"]
        Draft202012Validator({**told["schema"], "components": document["components"]}).validate(answer.json())
        assert (str(answer.status_code), answer.json()) == (status, told["example"]), path
