"""What providers publish of their APIs: every adapter has a description, and each finds what it is there to find."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.channels.descriptions import FOLDER, AmazonsModel, PublishedServer, published
from treue.channel import channel_factory, installed_adapters
from treue.testing.provider_server import Asked, Reply

DOCS = Path(__file__).parents[2] / "docs" / "channels"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
OF_A_MODEL = {"ses"}
NO_DESCRIPTION = {
    "apns": "Apple publishes prose; tests/channels/apple_apns.py keeps to it",
    "apprise": "a library",
    "calls": "whatever answers",
    "file": "no network",
    "inbox": "our own",
    "smtp": "RFC 5321",
    "webhook": "our own, docs/channels/webhook.md",
    "webpush": "RFC 8030",
}


def objects(schema: Any) -> list[dict[str, Any]]:
    """Return all schemas of objects with named fields inside a schema."""
    inside = list(schema.values()) if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    own = [schema] if isinstance(schema, dict) and isinstance(schema.get("properties"), dict) else []
    return own + [one for value in inside for one in objects(value)]


def test_every_adapter_of_a_provider_has_a_description() -> None:
    ours = set(installed_adapters()) & {path.stem for path in DOCS.glob("*.md")}
    assert ours == {*NAMES, *OF_A_MODEL, *NO_DESCRIPTION}


@pytest.mark.parametrize("name", NAMES)
def test_a_description_names_its_source_its_licence_and_its_day(name: str) -> None:
    found = published(name).found
    assert len(found["source"]) > 20
    assert found["licence"]
    assert f"{found['taken']:%Y}" >= "2026"


@pytest.mark.parametrize("name", NAMES)
def test_a_description_lets_no_field_pass_that_it_does_not_name(name: str) -> None:
    """An `if` and its `then` only say more of an object that is described."""
    found = published(name).found
    for operation in found["requests"].values():
        for schema in (operation["request"], operation["answer"], found["refusal"]):
            Draft202012Validator.check_schema(schema)
        for schema in objects(operation["request"]):
            assert schema.get("additionalProperties") is False, list(schema["properties"])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_documented_is_said_on_the_adapters_page(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert all(f"`{field}`" in page for field in published(name).found.get("undocumented", ()))


@pytest.mark.parametrize("name", [name for name in NAMES if "events" in published(name).found])
def test_what_a_provider_says_that_it_tells_is_known_to_the_adapter_or_known_to_be_unknown(name: str) -> None:
    found = published(name).found
    code = inspect.getsource(inspect.getmodule(channel_factory(name)) or channel_factory(name))
    assert [event for event in found["events"] if f'"{event}"' not in code] == []
    assert [event for event in found.get("unknown_events", ()) if f'"{event}"' in code] == []


def asked(path: str, document: Any, kind: str = "application/json") -> Asked:
    return Asked("POST", path, {}, {"content-type": kind}, json.dumps(document).encode())


GOOD = {"from": "a@example.com", "to": ["b@example.com"], "subject": "Hi", "text": "x"}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (asked("/emails", GOOD), []),
        (asked("/emails", {**GOOD, "colour": "red"}), ["resend, request, $: Additional properties"]),
        (asked("/emails", {**GOOD, "to": []}), ["resend, request, $.to: [] is not valid"]),
        (asked("/emails", {"to": ["b@example.com"]}), ["resend, request, $: 'from' is", "resend, request, $: 'subject'"]),
        (asked("/emails", GOOD, "text/plain"), ["resend, request, $: 'a body of text/plain, not of application/json'"]),
        (asked("/mails", GOOD), ["resend publishes no POST /mails."]),
    ],
)  # fmt: skip
def test_a_request_that_breaks_a_description_is_told(request_: Asked, said: list[str]) -> None:
    found = published("resend").faults_of_request(request_)
    assert [one.startswith(start) for one, start in zip(found, said, strict=True)] == [True] * len(said)


def test_an_answer_that_breaks_a_description_is_told() -> None:
    resend = published("resend")
    request = asked("/emails", GOOD)
    assert resend.faults_of_answer(request, Reply.json({"id": "1"})) == []
    assert resend.faults_of_answer(request, Reply.json({"id": 1}))
    assert resend.faults_of_answer(request, Reply.json({"message": "no"}, 422))


def test_amazons_model_tells_what_breaks_it() -> None:
    model = AmazonsModel("sesv2", "SendEmail")
    path = "/v2/email/outbound-emails"
    mail = {"Destination": {"ToAddresses": ["a@example.com"]}, "Content": {"Raw": {"Data": "eA=="}}}
    assert model.faults_of_request(asked(path, mail)) == []
    assert "Unknown parameter" in str(model.faults_of_request(asked(path, {**mail, "Colour": "red"})))
    assert "Missing required" in str(model.faults_of_request(asked(path, {"Destination": {}})))
    assert model.faults_of_request(asked("/v1/email", mail))
    assert model.faults_of_answer(asked(path, mail), Reply.json({"MessageId": "1"})) == []
    assert model.faults_of_answer(asked(path, mail), Reply.json({"MessageId": 1}))
    assert model.faults_of_answer(asked(path, mail), Reply(400, {"x-amzn-ErrorType": "SomethingNew"}))


class Careless(PublishedServer):
    """Takes whatever comes."""

    description = published("resend")

    def answer(self, asked: Asked) -> Reply:
        return Reply.json({"id": "1"} if asked.json().get("subject") else {"id": 1})


@pytest.mark.parametrize("document", [{**GOOD, "colour": "red"}, {**GOOD, "subject": ""}])
def test_a_server_that_takes_or_says_what_is_not_published_fails_its_test(document: Any) -> None:
    with pytest.raises(AssertionError, match="resend, "), Careless() as server:
        server.happening(asked("/emails", document))
