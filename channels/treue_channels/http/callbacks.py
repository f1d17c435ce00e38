"""What all readers of callbacks share: is it the provider's, is it a document, and what is in it.

A callback is hostile until its signature is checked, and afterwards still holds what strangers wrote: bounce texts,
links, user agents. Nothing here raises anything but BadCallback.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from treue.channel import BadCallback, Callback, DeliveryEvent, DeliveryEventKind
from treue_channels.http.answers import printable
from treue_channels.http.api import basic_authorization

LARGEST = 1_048_576
"""Bytes of a callback's body."""

TOLERANCE = 300
"""By how many seconds a signature's time may differ from ours, either way."""

_SECONDS = re.compile(r"\d{1,12}")
_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")


def active_secrets(text: str) -> tuple[str, ...]:
    """Return the secrets in a setting: several, separated by spaces, while one is being replaced."""
    return tuple(text.split())


def required(secrets: Iterable[str], option: str) -> tuple[str, ...]:
    """Return the active secrets. Raises BadCallback where none is configured: then nothing can be believed."""
    found = tuple(secret for secret in secrets if secret)
    if not found:
        raise BadCallback(
            f"The channel has no `{option}`, so that no callback can be told from a forged one."
        )
    return found


def same(given: str | bytes, wanted: Iterable[str | bytes]) -> bool:
    """Whether a text is one of those wanted; takes as long whatever is the same in them."""
    return sum(hmac.compare_digest(_bytes(given), _bytes(one)) for one in wanted) > 0


def require_basic(request: Callback, user: str, passwords: Iterable[str]) -> None:
    """Raise BadCallback unless the request carries our user and password (RFC 7617)."""
    wanted = [basic_authorization(user, password) for password in passwords]
    if not same(request.headers.get("authorization", ""), wanted):
        raise BadCallback("The callback's user and password are missing or wrong.")


def require_fresh(seconds: str, now: datetime, tolerance: int = TOLERANCE) -> None:
    """Raise BadCallback unless a signed Unix time is as near to now as it has to be."""
    if not _SECONDS.fullmatch(seconds):
        raise BadCallback("The callback's time is no count of seconds.")
    if abs(int(now.timestamp()) - int(seconds)) > tolerance:
        raise BadCallback("The callback's signature is too old, or one of the two clocks is wrong.")


def query_parameter(request: Callback, name: str) -> str:
    """Return one parameter of the URL that was called, or nothing."""
    try:
        return parse_qs(urlsplit(request.url).query, max_num_fields=100).get(name, [""])[0]
    except ValueError:
        return ""


def document(request: Callback) -> Any:
    """Return the JSON document in the body, fit for any database. Raises BadCallback where there is none."""
    return json_document(request.body)


def json_document(body: bytes | str) -> Any:
    """Return a JSON document, fit for any database: no NUL, no half characters, no infinite numbers."""
    if len(body) > LARGEST:
        raise BadCallback("The callback is larger than a megabyte.", 413)
    try:
        return _fit(json.loads(body))
    except (ValueError, RecursionError):
        raise BadCallback("The callback's body is no JSON document.", 400) from None


def form(request: Callback) -> dict[str, list[str]]:
    """Return the fields of a body that is a form. Raises BadCallback where there is none."""
    if len(request.body) > LARGEST:
        raise BadCallback("The callback is larger than a megabyte.", 413)
    try:
        fields = parse_qs(
            request.body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(request.body),
            max_num_fields=1_000,
        )
    except ValueError:
        raise BadCallback("The callback's body is no form.", 400) from None
    return {_clean(name): [_clean(value) for value in values] for name, values in fields.items()}


def objects(found: Any) -> list[dict[str, Any]]:
    """Return a list of objects, or an object as a list of one. Raises BadCallback for anything else."""
    several = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in several):
        raise BadCallback("The callback's body is neither an object nor a list of them.", 400)
    return several


def part(found: Any, *path: str) -> Any:
    """Return what lies at a path of keys, or None."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def text(found: Any, *path: str, longest: int = 500) -> str:
    """Return the text or number at a path as one printable line; nothing where something else is there."""
    value = part(found, *path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return printable(str(value), longest)


def moment(value: Any, received_at: datetime) -> datetime:
    """Return the instant in UTC that an ISO 8601 text or a Unix time in seconds means, `received_at` at the latest."""
    at = instant(value)
    return min(at, received_at) if at and at.year > 1970 else received_at


def instant(value: Any) -> datetime | None:
    """Return the instant in UTC that a value means, None where it means none."""
    try:
        return _instant(value)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def event_id(*parts: object) -> str:
    """Return what identifies an event: its parts where they are short and plain, else their digest."""
    joined = ":".join(str(one) for one in parts)
    if len(joined) <= 150 and joined.isascii() and joined.isprintable():
        return joined
    return f"{parts[0]}:sha256-" + sha256(joined.encode(errors="surrogatepass")).hexdigest()


def unknown(
    provider: str,
    name: str,
    found: Mapping[str, Any],
    request: Callback,
    *,
    key: str = "",
    provider_id: str = "",
) -> DeliveryEvent:
    """Return an event of a kind `name` that nobody here knows, in its own words; it is known by them, too."""
    words = json.dumps(found, sort_keys=True).encode(errors="surrogatepass")
    id_, kind = event_id(provider, "unknown", sha256(words).hexdigest()), DeliveryEventKind.unknown
    at, status = request.received_at, name or "unknown"
    return DeliveryEvent(id_, kind, at, key=key, provider_id=provider_id, status=status, raw=found)


def _instant(value: Any) -> datetime:
    if isinstance(value, str) and not re.fullmatch(r"\d{1,11}(?:\.\d+)?", value):
        at = datetime.fromisoformat(_FRACTION.sub(lambda m: "." + m[1].ljust(6, "0"), value.strip()))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    if isinstance(value, bool):
        raise TypeError
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(value))


def _fit(found: Any) -> Any:
    if isinstance(found, str):
        return _clean(found)
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, list):
        return [_fit(one) for one in found]
    if isinstance(found, Mapping):
        return {_clean(name): _fit(value) for name, value in found.items()}
    return found


def _clean(value: str) -> str:
    return _UNREADABLE.sub("�", value)


def _bytes(value: str | bytes) -> bytes:
    return value.encode(errors="surrogatepass") if isinstance(value, str) else value
