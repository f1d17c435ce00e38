"""What Pigeon tells later: one event a callback, signed with HMAC-SHA256 over `{time}.{body}`."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from treue.channel import BadCallback, Callback, DeliveryEvent, DeliveryEventKind

TOLERANCE = 300
"""Seconds by which the two clocks may differ."""

KINDS = {"DELIVERED": DeliveryEventKind.delivered, "EXPIRED": DeliveryEventKind.failed}


def events(request: Callback, secret: str) -> list[DeliveryEvent]:
    """Return the event of a callback; none where it is of a kind we do not know. Raises BadCallback."""
    _require_genuine(request, secret)
    told = _document(request.body)
    kind, id_, key = KINDS.get(_text(told, "status")), _text(told, "event"), _text(told, "reference")
    if kind is None or not id_ or not key:
        return []
    raw = {name: _text(told, name) for name in ("status", "event", "reference", "at", "reason")}
    return [
        DeliveryEvent(
            id=id_,
            kind=kind,
            at=_instant(raw["at"], request.received_at),
            key=key,
            reason=raw["reason"],
            raw=raw,
        )
    ]


def _require_genuine(request: Callback, secret: str) -> None:
    if not secret:
        raise BadCallback("The channel has no `webhook_secret`.")
    time, given = (request.headers.get(f"x-pigeon-{name}", "") for name in ("time", "signature"))
    wanted = hmac.new(
        secret.encode(), time.encode(errors="replace") + b"." + request.body, sha256
    ).hexdigest()
    if not hmac.compare_digest(given.encode(errors="replace"), wanted.encode()):
        raise BadCallback("The signature is missing or wrong.")
    if not time.isdigit() or abs(int(time) - request.received_at.timestamp()) > TOLERANCE:
        raise BadCallback("The callback is too old.")


def _document(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadCallback("The callback's body is no JSON object.", 400)
    return told


def _text(told: dict[str, Any], name: str) -> str:
    """Return a field as one printable line: strangers may have written it."""
    value = told.get(name)
    return "".join(c for c in value if c.isprintable())[:200] if isinstance(value, str) else ""


def _instant(text: str, received_at: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return received_at
    return min(at, received_at)
