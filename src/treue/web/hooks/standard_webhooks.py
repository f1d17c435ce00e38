"""Standard Webhooks 1.0.0 (standardwebhooks.com), symmetric signatures; also under Svix's header names.

The body is `{"type": …, "timestamp": …, "data": {…}}`. Here `data` has the customer, in the shape of
`POST /v1/customers`, and the event's properties:

    {"type": "order.placed", "timestamp": "2026-03-31T09:30:00Z",
     "data": {"customer": {"id": "42", "email": "ada@example.com"}, "properties": {"total": 40.5}}}

`customer_id` may stand in place of `customer`. A source's `map` renames types to the workspace's events.
`customer.created` and `customer.updated` bring the customer up to date and are no events of their own; types
that are neither declared nor mapped are ignored. What an older `timestamp` says of a customer changes nothing that a
newer one has said.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from starlette.datastructures import Headers

from treue.errors import BadSignature
from treue.web import schemas
from treue.web.documents import event_name_problem, fitting, refused
from treue.web.hooks.scheme import Ignored, Taken, WebhookSource, short
from treue.web.problems import BodyError, HttpProblem

TOLERANCE = 300
"""By how many seconds a signature's time may differ from ours, either way; the specification's five minutes."""

_SECONDS = re.compile(r"\d{1,12}")
_UPSERTS = ("customer.created", "customer.updated")


class StandardWebhooks:
    """Signed with HMAC-SHA256 over id, time and raw body; deduplicated for ever by id and body."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> None:
        """Raise BadSignature unless one of the `v1` signatures is ours and its time within five minutes."""
        id_, timestamp, signatures = (_header(headers, name) for name in ("id", "timestamp", "signature"))
        if not id_ or not timestamp or not signatures:
            raise BadSignature("The headers webhook-id, webhook-timestamp and webhook-signature are needed.")
        if not _SECONDS.fullmatch(timestamp):
            raise BadSignature("The header webhook-timestamp is no count of seconds.")
        signed = f"{id_}.{timestamp}.".encode("latin-1") + body
        good = [key for secret in secrets if (key := _key(secret))]
        wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in good]
        given = [text.encode("latin-1") for text in signatures.split(" ")]
        if not any(hmac.compare_digest(one, other) for one in wanted for other in given):
            raise BadSignature("The signature is wrong.")
        if abs(int(now.timestamp()) - int(timestamp)) > TOLERANCE:
            raise BadSignature("The signature is too old, or one of the two clocks is wrong.")

    def delivery_key(self, headers: Headers, body: bytes) -> str:
        """Return the id with the body's digest: both stay the same on every attempt."""
        return f"id:{short(_header(headers, 'id'))}:{sha256(body).hexdigest()}"

    def read(self, headers: Headers, payload: Any, source: WebhookSource, now: datetime) -> Taken | Ignored:
        """Return the customer and the event, or ignore a type that nobody declared."""
        if not isinstance(payload, dict) or "type" not in payload:
            raise HttpProblem(422, "The body is an object with `type`, `timestamp` and `data`.")
        found = list[BodyError]()
        fitting(payload, schemas.STANDARD_WEBHOOK, "a webhook", "", found)
        if found:
            raise refused(found)
        name = source.map.get(payload["type"], payload["type"])
        if name not in _UPSERTS and event_name_problem(name, source.reader.schema):
            return Ignored(f"The type {short(payload['type'])} is neither declared nor mapped in treue.yaml.")
        data = payload.get("data")
        if data is None:
            raise refused([BodyError("/data", "`data` is an object with `customer` and `properties`.")])
        key = f"{source.name}:{short(_header(headers, 'id'))}"
        return _read(name, payload.get("timestamp"), data, key, source, now)


def _header(headers: Headers, name: str) -> str:
    return headers.get(f"webhook-{name}") or headers.get(f"svix-{name}") or ""


def _key(secret: str) -> bytes:
    """Return a secret's bytes, or none where it is no base64: then nothing verifies against it."""
    written = secret.removeprefix("whsec_")
    try:
        return base64.b64decode(written + "=" * (-len(written) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _read(
    name: str, timestamp: Any, data: Mapping[str, Any], key: str, source: WebhookSource, now: datetime
) -> Taken:
    reader, found = source.reader, list[BodyError]()
    data, typed = fitting(data, schemas.WEBHOOK_DATA, "`data`", "/data", found)
    if not typed:
        raise refused(found)
    person = data.get("customer", {"id": data.get("customer_id")})
    customer = reader.customer(person, "/data/customer", found)
    if customer is None:
        raise refused(found)
    words = reader.words(customer.key, person.get("consent"), "/data/customer/consent", found, now)
    at = reader.moment(timestamp, "/timestamp", found)
    event = None
    if name not in _UPSERTS:
        told = {"id": key, "customer": customer.key, "event": name, "properties": data.get("properties")}
        if at:
            told["at"] = min(at, now).isoformat()
        event = reader.event(told, "/data", found, now)
    if found:
        raise refused(found)
    named = (replace(customer, as_of=min(at, now) if at else None),) if "customer" in data else ()
    return Taken(named, event, words.given, (), words.withdrawn)
