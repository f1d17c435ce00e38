"""Bird's SMS messages, as its documentation and the OpenAPI behind its SDK describe them (bird.com/docs)."""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64decode, b64encode
from datetime import datetime
from itertools import count
from typing import Any

from tests.channels.descriptions import PublishedServer, published
from treue.channel import Callback
from treue.testing.provider_server import Asked, Reply

KEY = "bk_eu1_0123456789abcdefghij"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENDERS = ("+4915799999999", "Klangladen")
NOWHERE = "+4915110000901"
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_OF_A_TEMPLATE = (
    "requested_language", "resolved_language", "template_id", "template_version_id", "template_content_hash",
)  # fmt: skip
_CATEGORIES = ("marketing", "transactional", "service", "authentication")


class BirdServer(PublishedServer):
    """Takes one message a request and remembers what it said to each idempotency key."""

    description = published("bird")

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, Any]] = {}
        self._said: dict[str, tuple[bytes, Reply]] = {}
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", "/v1/sms/messages"):
            return error(404, "E01003", "NotFound", "No such resource.")
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return error(401, "E01001", "Unauthorized", "The API key is missing or wrong.")
        if asked.headers.get("content-type") != "application/json":
            return error(415, "E01002", "InvalidRequest", "The body must be JSON.")
        key = asked.headers.get("idempotency-key", "")
        if "idempotency-key" in asked.headers and not 1 <= len(key) <= 255:
            return error(400, "E01002", "InvalidRequest", "The idempotency key is empty or too long.")
        if key in self._said:
            return self._again(key, asked.body)
        reply = self._first(asked.json())
        self._said[key] = (asked.body, reply)
        return reply

    def too_fast(self) -> Reply:
        return error(429, "E01010", "RateLimited", "Too many requests.")

    def _again(self, key: str, body: bytes) -> Reply:
        first, reply = self._said[key]
        if first != body:
            return error(409, "E01005", "IdempotencyKeyReuse", "This key was used for another request.")
        return Reply(reply.status, {**reply.headers, "Idempotency-Replay": "true"}, reply.body)

    def _first(self, found: Any) -> Reply:
        if not isinstance(found, dict):
            return error(400, "E01002", "InvalidRequest", "The body must be an object.")
        return self._wrong(found) or self._taken(found)

    def _taken(self, found: dict[str, Any]) -> Reply:
        id_ = f"sms_{next(self._ids):026d}"
        self.sent[id_] = found
        taken = {
            "id": id_,
            "direction": "outbound",
            "status": "accepted",
            "to": found["to"],
            "from": found["from"],
            "text": found["text"],
            "category": found["category"],
            "segments": {"count": 1, "encoding": "GSM_7BIT"},
            "created_at": "2026-11-22T09:00:00Z",
            **dict.fromkeys(_OF_A_TEMPLATE),
        }
        return Reply.json(taken, 202)

    def _wrong(self, found: dict[str, Any]) -> Reply | None:
        to, text = found.get("to"), found.get("text")
        if not isinstance(to, str) or not _E164.fullmatch(to) or to == NOWHERE:
            return error(422, "E05001", "SMSInvalidRecipient", "The recipient cannot be routed.", "to")
        if not isinstance(text, str) or not 1 <= len(text) <= 1836:
            return error(422, "E05002", "SMSTextTooLong", "The text has more than 12 segments.", "text")
        if found.get("from") not in SENDERS:
            return error(422, "E05003", "SMSSenderNotConfigured", "The workspace has no such sender.", "from")
        if found.get("category") not in _CATEGORIES:
            return error(422, "E05004", "ValidationError", "A category is required.", "category")
        if len(json.dumps(found.get("metadata", {}))) > 2_048:
            return error(422, "E05005", "ValidationError", "The metadata is larger than 2 KB.", "metadata")
        return None

    def tells(self, id_: str, kind: str, at: datetime, **more: Any) -> Callback:
        """Return Bird's callback about a message."""
        message = self.sent[id_]
        data = {
            "sms_id": id_,
            "to": message["to"],
            "from": message["from"],
            "metadata": message["metadata"],
            **more,
        }
        found = {"type": kind, "timestamp": at.isoformat(), "data": data}
        return signed("https://shop.example/v1/receipts/sms", json.dumps(found).encode(), at)


def signed(url: str, body: bytes, at: datetime, secret: str = SECRET, id_: str = "msg_1") -> Callback:
    """Return a callback signed by Standard Webhooks 1.0.0."""
    seconds = str(int(at.timestamp()))
    key = b64decode(secret.removeprefix("whsec_"))
    signature = b64encode(hmac.digest(key, f"{id_}.{seconds}.".encode() + body, "sha256")).decode()
    headers = {"webhook-id": id_, "webhook-timestamp": seconds, "webhook-signature": f"v1,{signature}"}
    return Callback("POST", url, headers, body, at)


def error(status: int, code: str, name: str, message: str, param: str = "") -> Reply:
    """Return an answer that says no."""
    found = {"type": "validation_error" if status == 422 else "bad_request_error", "code": code, "name": name,
             "message": message, "request_id": "req_1", "param": param or None}  # fmt: skip
    return Reply.json({"error": found}, status)
