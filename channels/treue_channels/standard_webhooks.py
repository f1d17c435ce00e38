"""Standard Webhooks 1.0.0 (standardwebhooks.com): HMAC-SHA256 over `{id}.{timestamp}.{body}`, base64."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime

from treue.channel import BadCallback, Callback
from treue_channels.provider_callbacks import require_fresh, same


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


def signature(key: bytes, id_: str, at: datetime, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    signed = f"{id_}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def signed_headers(key: bytes, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed request."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(key, id_, at, body),
    }


def require_signed(request: Callback, keys: Iterable[bytes]) -> None:
    """Raise BadCallback unless a request is signed with one of the keys, at most five minutes ago or ahead."""
    id_, seconds, given = (
        request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    require_fresh(seconds, request.received_at)
    signed = f"{id_}.{seconds}.".encode(errors="surrogatepass") + request.body
    wanted = ["v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    if not any(same(one, wanted) for one in given.split(" ")[:10]):
        raise BadCallback("The callback's signature is missing or wrong.")
