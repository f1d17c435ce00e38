"""SendGrid's Mail Send, as its documentation describes it (api-reference/mail-send, /how-to-use-.../rate-limits)."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, Reply

KEY = "SG.aGVsbG8.d29ybGQtd29ybGQ"
RESERVED = {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to",
            "from", "subject", "reply-to", "cc", "bcc"}  # fmt: skip


class SendGridServer(PublishedServer):
    """Takes one mail a request for one key and one verified sender, and says no in SendGrid's words."""

    description = published("sendgrid")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", "/v3/mail/send"):
            return error(None, "Not found", 404)
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return error(None, "The provided authorization grant is invalid, expired, or revoked", 401)
        mail = asked.json()
        if not isinstance(mail, dict):
            return error(None, "Bad Request", 400)
        wrong = self._wrong(mail)
        if wrong:
            return error(*wrong)
        self.sent.append(mail)
        return Reply(202, {"X-Message-Id": f"id{next(self._ids):020d}"})

    def too_fast(self) -> Reply:
        headers = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0"}
        return error(
            None, "too many requests", 429, headers | {"X-RateLimit-Reset": str(int(time.time()) + 60)}
        )

    def _wrong(self, mail: dict[str, Any]) -> tuple[str | None, str, int] | None:
        if not mail.get("personalizations") or len(mail["personalizations"]) > 1000:
            return (
                "personalizations",
                "The personalizations field is required and must have at least one.",
                400,
            )
        for n, one in enumerate(mail["personalizations"]):
            for m, box in enumerate(one["to"]):
                if "." not in box["email"].partition("@")[2]:
                    return f"personalizations.{n}.to.{m}.email", "Does not contain a valid address.", 400
        if not mail["from"]["email"].endswith("@example.com"):
            return "from", "The from address does not match a verified Sender Identity.", 403
        if not mail.get("content") or not all(part["value"] for part in mail["content"]):
            return "content", "The content value must be a string at least one character in length.", 400
        if [part["type"] for part in mail["content"]] not in (
            ["text/plain"],
            ["text/html"],
            ["text/plain", "text/html"],
        ):
            return "content", "text/plain must come before text/html.", 400
        taken = [name for name in mail.get("headers", {}) if name.lower() in RESERVED]
        if taken:
            return f"headers.{taken[0]}", "The header is reserved and cannot be used.", 400
        if len(mail.get("categories", [])) > 10 or any(len(one) > 255 for one in mail.get("categories", [])):
            return "categories", "At most 10 categories of 255 characters.", 400
        if len(set(mail.get("categories", []))) < len(mail.get("categories", [])):
            return "categories", "The categories must be unique.", 400
        return None


def error(field: str | None, message: str, status: int, headers: dict[str, str] | None = None) -> Reply:
    return Reply.json({"errors": [{"message": message, "field": field, "help": None}]}, status, headers)
