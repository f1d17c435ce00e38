"""What makes an event that event: within what its id is unique, and what its sender said with it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from treue.store.inputs import EventInput

_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode
_SAME = frozenset({str, int, bool, type(None)})

JOURNEY = "journey:"
"""How the source of events that journeys record begins; their ids are made to be unique as they are."""


def scope(given: EventInput) -> str:
    """Return the digest of source, name and customer, within which an event's id is unique; empty for a journey's."""
    if given.source.startswith(JOURNEY):
        return ""
    return digest(f"{given.name}\n{given.customer}\n{given.source}")  # names and keys hold no line break


def content(properties: Mapping[str, Any], at: datetime | None) -> str:
    """Return the digest of what was said: the same for 40 and 40.0, and in whatever order the properties come."""
    when = at.astimezone(UTC).isoformat() if at else ""
    return digest(f"{when}\n{_ENCODE(_canonical(properties))}")


def _canonical(value: Any) -> Any:
    if type(value) in _SAME:
        return value
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case Mapping():
            return {str(name): _canonical(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_canonical(inner) for inner in value]
    return value


def digest(text: str) -> str:
    """Return 96 bits in 16 characters: no more, as every event has two of them."""
    return b64encode(sha256(text.encode()).digest()[:12]).decode()
