"""Vonage's Messages API, version 1, as its documentation describes it (developer.vonage.com/en/api/messages)."""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any
from uuid import UUID

from tests.channels.descriptions import PublishedServer, published
from treue.channel import Callback
from treue.testing.provider_server import Asked, Reply

KEY, SECRET = "a1b2c3d4", "the-api-secret-16"
SIGNATURE_SECRET = "the-signature-secret-of-the-account"
OPTED_OUT, NO_NUMBER, DEMO, REGULATED = "+4915110000901", "+4915110000902", "+4915110000903", "+15550001111"
_NUMBER = re.compile(r"[1-9]\d{6,14}")


class VonageServer(PublishedServer):
    """Takes one message a request and never recognises one it has had; says no as RFC 7807 problems."""

    description = published("vonage")

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, Any]] = {}
        self.credit = True
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", "/v1/messages"):
            return problem(404, "#not-found", "Not Found", "The requested resource does not exist.")
        if asked.basic() != (KEY, SECRET):
            return problem(401, "#unauthorized", "Unauthorized", "You did not provide correct credentials.")
        found = asked.json()
        if asked.headers.get("content-type") != "application/json" or not isinstance(found, dict):
            return problem(415, "#unsupported", "Unsupported Media Type", "Only JSON is taken.")
        if not self.credit:
            return problem(402, "#low-balance", "Low balance", "Your account balance is too low.")
        return self._wrong(found) or self._taken(found)

    def too_fast(self) -> Reply:
        return problem(429, "/messages#1000", "Throttled", "You have exceeded the submission capacity.")

    def _taken(self, found: dict[str, Any]) -> Reply:
        uuid = str(UUID(int=next(self._ids)))
        self.sent[uuid] = found
        return Reply.json({"message_uuid": uuid}, 202)

    def _wrong(self, found: dict[str, Any]) -> Reply | None:
        to, text = found.get("to"), found.get("text")
        if found.get("channel") != "sms" or found.get("message_type") != "text":
            return invalid("channel")
        if not isinstance(to, str) or not _NUMBER.fullmatch(to):
            return invalid("to")
        if not isinstance(text, str) or not 1 <= len(text) <= 3200:
            return invalid("text")
        sender = found.get("from")
        if not isinstance(sender, str) or not re.fullmatch(r"[1-9]\d{2,14}|[A-Za-z0-9 ]{1,11}", sender):
            return invalid("from")
        if len(found.get("client_ref", "")) > 100:
            return invalid("client_ref")
        if not 20 <= found.get("ttl", 259_200) <= 604_800:
            return invalid("ttl")
        codes = {OPTED_OUT: 1240, NO_NUMBER: 1170, DEMO: 1160, REGULATED: 1120}
        code = codes.get(f"+{to}")
        return code and problem(422, f"/messages#{code}", str(code), f"{code} it is.")  # type: ignore[return-value]

    def tells(self, uuid: str, status: str, at: datetime, **more: Any) -> Callback:
        """Return Vonage's callback about a message, at the address the message named."""
        message = self.sent[uuid]
        found = {
            "message_uuid": uuid, "to": message["to"], "from": message["from"], "timestamp": at.isoformat(),
            "status": status, "channel": "sms", "client_ref": message["client_ref"], **more,
        }  # fmt: skip
        return signed(message["webhook_url"], json.dumps(found).encode(), at)


def signed(url: str, body: bytes, at: datetime, secret: str = SIGNATURE_SECRET, **claims: Any) -> Callback:
    """Return a callback with the JWT that Vonage documents."""
    told = {
        "iat": int(at.timestamp()), "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5", "iss": "Vonage",
        "payload_hash": sha256(body).hexdigest(), "api_key": KEY, **claims,
    }  # fmt: skip
    token = jwt({"alg": "HS256", "typ": "JWT"}, told, secret)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return Callback("POST", url, headers, body, at)


def jwt(head: dict[str, Any], claims: dict[str, Any], secret: str) -> str:
    """Return a JSON Web Token (RFC 7519) by HS256, whatever its head says."""
    signed_ = ".".join(_part(json.dumps(one).encode()) for one in (head, claims))
    return f"{signed_}.{_part(hmac.digest(secret.encode(), signed_.encode(), 'sha256'))}"


def problem(status: int, type_: str, title: str, detail: str, **more: Any) -> Reply:
    """Return an answer that says no (RFC 7807)."""
    found = {
        "type": f"https://developer.vonage.com/api-errors{type_}",
        "title": title,
        "detail": detail,
        **more,
    }
    return Reply.json({**found, "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf"}, status)


def invalid(name: str) -> Reply:
    """Return the answer to a field that is wrong."""
    wrong = [{"name": name, "reason": "invalid value"}]
    said = "The value of one or more parameters is invalid."
    return problem(422, "/messages#1150", "Invalid params", said, invalid_parameters=wrong)


def _part(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
