"""Standard Webhooks 1.0.0 (standardwebhooks.com): HMAC-SHA256 over `{id}.{timestamp}.{body}`, base64."""

from __future__ import annotations

import base64
import contextlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime

from treue.channel import BadCallback, Callback
from treue_channels.http.callbacks import require_fresh, same


def key_of(secret: str) -> bytes:
    """Return the key of a secret, `whsec_` and base64. Raises ValueError, which does not quote it, where it is none."""
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("no secret: `whsec_` and base64")
    return key


def signed_headers(key: bytes, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed request."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": _mac(key, f"{id_}.{int(at.timestamp())}.".encode() + body),
    }


def require_standard(request: Callback, secrets: Iterable[str], prefix: str = "webhook-") -> str:
    """Return a callback's id; raise BadCallback unless it is signed with one of the secrets, five minutes ago at most.

    `prefix` is `svix-` for some. A secret that is none verifies nothing.
    """
    id_, seconds, given = (
        request.headers.get(prefix + name, "") for name in ("id", "timestamp", "signature")
    )
    signed = f"{id_}.{seconds}.".encode(errors="replace") + request.body
    wanted = [_mac(key, signed) for key in _keys(secrets)]
    if not id_ or not any(same(one, wanted) for one in given.split(" ")):
        raise BadCallback("The callback's signature is missing or wrong.")
    require_fresh(seconds, request.received_at)
    return id_


def _keys(secrets: Iterable[str]) -> Iterator[bytes]:
    for secret in secrets:
        with contextlib.suppress(ValueError):
            yield key_of(secret)


def _mac(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
