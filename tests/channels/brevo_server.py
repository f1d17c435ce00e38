"""Brevo's transactional mails, as its documentation describes them (developers.brevo.com)."""

from __future__ import annotations

import re
from email.header import decode_header, make_header
from itertools import count
from typing import Any
from uuid import UUID

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, Reply

KEY = "xkeysib-0123456789abcdef-AbCdEf"
_ADDRESS = re.compile(r"[^\s@,<>]+@[^\s@,<>]+\.[^\s@,<>]+")


class BrevoServer(PublishedServer):
    """Takes one mail or 1,000 versions a request for one key and one sender; refuses a known idempotency key."""

    description = published("brevo")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.known: set[str] = set()
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("api-key") != KEY:
            return error("unauthorized", "Key not found", 401)
        if (asked.method, asked.path) != ("POST", "/v3/smtp/email"):
            return error("document_not_found", "Not found", 404)
        document = asked.json()
        if not isinstance(document, dict):
            return error("bad_request", "Input must be a valid JSON object", 400)
        wrong = self._wrong(document)
        return wrong or self._taken(document)

    @staticmethod
    def shown(box: dict[str, str]) -> str:
        """Return the name that a reader sees of a mailbox, as django-anymail found (anymail/backends/brevo.py)."""
        name = box.get("name", "")
        lost = not name.isascii() and re.search(r'[()<>\[\]:;@\\,."]', name)
        return "" if lost else str(make_header(decode_header(name)))

    def too_fast(self) -> Reply:
        headers = {
            "x-sib-ratelimit-limit": "1000",
            "x-sib-ratelimit-remaining": "0",
            "x-sib-ratelimit-reset": "12",
        }
        return error("too_many_requests", "Rate limit exceeded", 429, headers)

    def _taken(self, document: dict[str, Any]) -> Reply:
        key = document.get("headers", {}).get("idempotencyKey")
        if key in self.known:
            return error("duplicate_parameter", "The idempotencyKey has already been used", 400)
        if key:
            self.known.add(str(UUID(key)))
        versions = document.get("messageVersions")
        self.sent += [{**document, **version} for version in versions or [{}]]
        ids = [f"<2026112209.{next(self._ids)}@smtp-relay.mailin.fr>" for _ in versions or [{}]]
        return Reply.json({"messageIds": ids} if versions else {"messageId": ids[0]}, 201)

    def _wrong(self, document: dict[str, Any]) -> Reply | None:
        versions = document.get("messageVersions", [document])
        if len(versions) > 1000:
            return error("out_of_range", "messageVersions: at most 1000", 400)
        if not document["sender"]["email"].endswith("@example.com"):
            return error("invalid_parameter", "Sending has been rejected because the sender you used is not valid. "
                         "Validate your sender or authenticate your domain", 400)  # fmt: skip
        if not all(_ADDRESS.fullmatch(box["email"]) for version in versions for box in version["to"]):
            return error("invalid_parameter", "email is not valid in to", 400)
        if not all({**document, **one}.get("htmlContent") or one.get("textContent") for one in versions):
            return error("missing_parameter", "Htmlcontent is missing", 400)
        return None


def error(code: str, message: str, status: int, headers: dict[str, str] | None = None) -> Reply:
    return Reply.json({"code": code, "message": message}, status, headers)
