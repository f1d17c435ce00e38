"""What providers publish of their APIs, and whether requests and answers keep to it.

Each file in `published` has the fields and limits of the requests that we make, with its source and day; of Amazon's
APIs botocore has the models. A `PublishedServer` holds every request that comes, and every answer of its own, to them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from email import message_from_bytes, policy
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import yaml
from botocore.session import Session
from botocore.validate import ParamValidator
from jsonschema import Draft202012Validator

from treue.testing.provider_server import Asked, Mishap, ProviderServer, Reply

FOLDER = Path(__file__).parent / "published"

COMMON_ERRORS = (
    "InvalidSignatureException", "MissingAuthenticationTokenException", "UnknownOperationException",
    "UnrecognizedClientException",
)  # fmt: skip
"""What any of Amazon's APIs may answer; its models have the errors of each operation alone."""


class Description(Protocol):
    """What a provider publishes: what is wrong with a request, and with an answer to it, in words."""

    def faults_of_request(self, asked: Asked) -> list[str]: ...

    def faults_of_answer(self, asked: Asked, reply: Reply) -> list[str]: ...


class PublishedServer(ProviderServer):
    """A provider whose API is described; at its end it fails where a request or an answer of its own was another.

    A request that breaks the description is for the provider to refuse, as Twilio refuses a text that is too long.
    Answers that a test puts before its own (`next`, `always`) are not looked at: proxies and load balancers answer, too.
    """

    description: ClassVar[Description]

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def happening(self, asked: Asked) -> Reply | Mishap:
        own = not self._next and self._always is None
        happening = super().happening(asked)
        answer = happening if own and isinstance(happening, Reply) else None
        if answer is None or not self.refuses(answer):
            self.faults += self.description.faults_of_request(asked)
        if answer is not None:
            self.faults += self.description.faults_of_answer(asked, answer)
        return happening

    def refuses(self, answer: Reply) -> bool:
        """Whether an answer of its own is a no."""
        return answer.status >= 400

    def __exit__(self, kind: Any = None, *more: object) -> None:
        super().__exit__(kind, *more)
        assert kind is not None or self.faults == [], "\n".join(self.faults)


class Published:
    """The description in a file of the folder `published`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))

    def faults_of_request(self, asked: Asked) -> list[str]:
        operation = self._operation(asked)
        if operation is None:
            return [f"{self.name} publishes no {asked.method} {asked.path}."]
        return list(self._said("request", operation["request"], _content(asked, operation["body"])))

    def faults_of_answer(self, asked: Asked, reply: Reply) -> list[str]:
        operation = self._operation(asked)
        if operation is None or ("json" not in reply.headers.get("Content-Type", "") and reply.body):
            return []
        schema = operation["answer"] if 200 <= reply.status < 300 else self.found["refusal"]
        return list(self._said(f"answer {reply.status}", schema, _document(reply)))

    def _operation(self, asked: Asked) -> dict[str, Any] | None:
        for written, operation in self.found["requests"].items():
            method, _, path = written.partition(" ")
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            if method == asked.method and re.fullmatch(pattern, asked.path):
                return cast("dict[str, Any]", operation)
        return None

    def _said(self, what: str, schema: Any, document: Any) -> Iterator[str]:
        for error in Draft202012Validator(schema).iter_errors(document):
            yield f"{self.name}, {what}, {error.json_path}: {error.message}"


class AmazonsModel:
    """An operation as botocore describes it."""

    def __init__(self, service: str, operation: str) -> None:
        self.model = Session().get_service_model(service).operation_model(operation)

    def faults_of_request(self, asked: Asked) -> list[str]:
        http = self.model.http
        if (asked.method, asked.path) != (http["method"], http["requestUri"]):
            return [
                f"{self.model.name} is {http['method']} {http['requestUri']}, not {asked.method} {asked.path}."
            ]
        return self.faults_of_input(asked.json())

    def faults_of_input(self, found: Any) -> list[str]:
        """Return what is wrong with the parameters of a request."""
        return self._said(_with_bytes(found), self.model.input_shape)

    def faults_of_answer(self, asked: Asked, reply: Reply) -> list[str]:
        if reply.status == 200:
            return self._said(_document(reply), self.model.output_shape)
        named = reply.headers.get("x-amzn-ErrorType", "").partition(":")[0]
        known = [shape.name for shape in self.model.error_shapes]
        return (
            [] if named in known or named in COMMON_ERRORS else [f"{self.model.name} has no error {named!r}."]
        )

    def _said(self, found: Any, shape: Any) -> list[str]:
        report = ParamValidator().validate(found, shape)
        return [f"{self.model.name}: {report.generate_report()}"] if report.has_errors() else []


@cache
def published(name: str) -> Published:
    """Return the description of a provider."""
    return Published(name)


def _content(asked: Asked, form: str) -> Any:
    """Return what a request has in its body, in the form that the provider takes."""
    kind = asked.headers.get("content-type", "").partition(";")[0]
    wanted = {
        "json": "application/json",
        "form": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data",
    }[form]
    if kind != wanted:
        return f"a body of {kind}, not of {wanted}"
    if form == "json":
        return asked.json()
    if form == "form":
        return {name: values[0] if len(values) == 1 else values for name, values in asked.form().items()}
    return _parts(asked)


def _parts(asked: Asked) -> dict[str, list[Any]]:
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    found: dict[str, list[Any]] = {}
    for part in cast("Any", message_from_bytes(head + asked.body, policy=policy.HTTP)).iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = "a file" if part.get_filename() else part.get_payload(decode=True).decode()
        found.setdefault(name, []).append(value)
    return found


def _document(reply: Reply) -> Any:
    return Asked("", "", {}, {}, reply.body).json() if reply.body else ""


def _with_bytes(found: Any) -> Any:
    """Return the parameters of SendEmail with its message as bytes, as the model has it."""
    match found:
        case {"Content": {"Raw": {"Data": str(data)}}}:
            return {**found, "Content": {"Raw": {"Data": b64decode(data, validate=True)}}}
    return found
