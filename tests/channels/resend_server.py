"""Resend's API for mails, as its documentation describes it (resend.com/docs/api-reference)."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, Reply

KEY = "re_123456789abcdefghijk"
_ADDR = r"[^\s<>,@\"]+@[^\s<>,@\"]+\.[^\s<>,@\"]+"
_SENDER = re.compile(rf"{_ADDR}|(?!=\?)[^<>,;@\"]+ <{_ADDR}>")
_READER = re.compile(
    rf"{_ADDR}|(?:[A-Za-z0-9 !#$%&'*+/^_`{{|}}~-]+|=\?utf-8\?b\?[A-Za-z0-9+/= ?-]+\?=) <{_ADDR}>"
)
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class ResendServer(PublishedServer):
    """Takes mails for one key, alone or 100 together; remembers idempotency keys with what it answered.

    Its documentation says no more of names than `Name <email@example.com>`. That quoted names are refused everywhere, and
    encoded words in `from`, is what django-anymail found (anymail/backends/resend.py).
    """

    description = published("resend")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.known: dict[str, tuple[bytes, Reply]] = {}
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return error("invalid_api_key", "API key is invalid", 403)
        if asked.method != "POST" or asked.path not in ("/emails", "/emails/batch"):
            return error("not_found", "The requested endpoint does not exist.", 404)
        key = asked.headers.get("idempotency-key", "")
        if len(key) > 256:
            return error("invalid_idempotency_key", "The key must be between 1-256 chars.", 400)
        if key not in self.known:
            reply = self._batch(asked) if asked.path == "/emails/batch" else self._one(asked.json())
            if reply.status != 200:
                return reply
            self.known[key] = asked.body, reply
        body, reply = self.known[key]
        if body != asked.body:
            return error(
                "invalid_idempotent_request",
                "Same idempotency key used with a different request payload.",
                409,
            )
        return reply

    def too_fast(self) -> Reply:
        headers = {
            "ratelimit-limit": "2",
            "ratelimit-remaining": "0",
            "ratelimit-reset": "1",
            "retry-after": "1",
        }
        return error(
            "rate_limit_exceeded", "Too many requests. You can only make 2 requests per second.", 429, headers
        )

    def _one(self, mail: dict[str, Any]) -> Reply:
        wrong = self._wrong(mail)
        if str(mail.get("from")).startswith("=?"):
            return error("security_error", "The email payload contain invalid characters", 451)
        return error("validation_error", wrong, 422) if wrong else Reply.json({"id": self._sent(mail)})

    def _batch(self, asked: Asked) -> Reply:
        mails = asked.json()
        if len(mails) > 100:
            return error("validation_error", "The batch must have at most 100 emails.", 422)
        if any("attachments" in mail for mail in mails):
            return error("validation_error", "The `attachments` field is not supported in batches.", 422)
        wrong = {n: said for n, mail in enumerate(mails) if (said := self._wrong(mail))}
        if wrong and asked.headers.get("x-batch-validation") != "permissive":
            return error("validation_error", next(iter(wrong.values())), 422)
        ids = [{"id": self._sent(mail)} for n, mail in enumerate(mails) if n not in wrong]
        errors = [{"index": n, "message": said} for n, said in wrong.items()]
        return Reply.json({"data": ids, **({"errors": errors} if errors else {})})

    def _sent(self, mail: dict[str, Any]) -> str:
        self.sent.append(mail)
        return f"49a3999c-0ce1-4ea6-ab68-{next(self._ids):012d}"

    def _wrong(self, mail: dict[str, Any]) -> str:
        for field, form in (("from", _SENDER), ("to", _READER), ("reply_to", _READER)):
            found = mail.get(field, [])
            for one in found if isinstance(found, list) else [found]:
                if not isinstance(one, str) or not form.fullmatch(one):
                    return f"Invalid `{field}` field. The email address needs to follow the `email@example.com` format."
        if not (mail.get("text") or mail.get("html")):
            return "Missing `html` or `text` field."
        tags = [text for tag in mail.get("tags", []) for text in (tag["name"], tag["value"])]
        if not all(_TAG.fullmatch(text) for text in tags):
            return "Tags should only contain ASCII letters, numbers, underscores, or dashes."
        return ""


def error(name: str, message: str, status: int, headers: dict[str, str] | None = None) -> Reply:
    return Reply.json({"statusCode": status, "name": name, "message": message}, status, headers)
