"""Push to browsers: Web Push with VAPID (RFC 8030, 8188, 8291, 8292).

A customer's push token is the browser's PushSubscription as compact JSON. Its `endpoint` is a URL that comes from the
customer, so messages go to known push services only (`public_calls`).
"""

from __future__ import annotations

import json
import re
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpcore

from treue.channel import Accepted, Capabilities, Kind, Outgoing, Receipt, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, about_us, asked_pause, printable
from treue_channels.http.api import NO_EXTRA, Extra, checked_extra, merged
from treue_channels.http.public_calls import AT_ONCE, PublicCall, PublicCalls, host_of
from treue_channels.http.public_network import Resolve, look_up
from treue_channels.p256 import private_key

SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "notify.windows.com",
    "web.push.apple.com",
)
"""Hosts of the browsers' push services; names below them count as well."""

LARGEST = 3_993
"""Bytes of a document: what is left of 4,096 after the header (RFC 8188 section 2.1), the delimiter and the tag."""

LONGEST_TTL = 2_419_200
"""Seconds, four weeks: the most that push services keep a message for."""

SECONDS = 10.0

_CONTACT = re.compile(r"[^@\s<>]+@[^@\s<>.]+(?:\.[^@\s<>.]+)+")
"""Apple takes no address at localhost (reported: web-push-libs/web-push issue 947)."""
_CLAIMED = 12 * 3600
_TOO_MANY = (406, 429)  # 406 is how Windows' service says it


class WebPush(PublicCalls):
    """Sends to browsers that subscribed with the public half of `vapid_key`.

    `vapid_key` is the private key: the path of a PEM file, or its text. `contact` is the e-mail address that a push service
    can turn to. `services` are further hosts, separated by blanks, beside those of the browsers. Raises ChannelError
    where one of them cannot be used.
    """

    capabilities = Capabilities(
        kind="push", batch=20, at_once=AT_ONCE, address="the browser's PushSubscription as compact JSON"
    )

    def __init__(
        self,
        vapid_key: str,
        contact: str,
        kind: Kind = "push",
        services: str = "",
        *,
        extra: Extra = NO_EXTRA,
        resolve: Resolve = look_up,
        network: httpcore.NetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(resolve=resolve, network=network, trust=trust, seconds=seconds)
        if not _CONTACT.fullmatch(contact):
            raise ChannelError(
                "The option `contact` of webpush is an e-mail address, such as ops@example.com."
            )
        self._services = (*SERVICES, *services.lower().split())
        self._library = _library(vapid_key, contact)
        self._clock, self._extra = clock, checked_extra(extra, "webpush")

    def __repr__(self) -> str:
        return f"WebPush({', '.join(self._services)})"

    def call(self, message: Outgoing) -> PublicCall | Receipt:
        """Return the request: the document encrypted for the browser, signed for its push service."""
        try:
            endpoint, p256dh, auth = subscription(message.to)
        except ValueError as error:
            return Refused(f"The push token is no subscription of a browser: {error}.")
        host = host_of(endpoint)
        if host is None or not self._knows(host):
            return Refused(
                f"{printable(host or 'The endpoint', 80)} is no push service that we know.", forbidden=True
            )
        document = _document(message, self._extra)
        if len(document) > LARGEST:
            return Refused(f"The document has {len(document)} bytes; push services take {LARGEST}.")
        try:
            body, authorization = self._sealed(document, endpoint, p256dh, auth)
        except ValueError:
            return Refused("The subscription's key is no point of P-256.")
        headers = [
            ("User-Agent", "Treue"),
            ("Content-Type", "application/octet-stream"),
            ("Content-Encoding", "aes128gcm"),
            ("TTL", str(self._ttl(message))),
            ("Authorization", authorization),
        ]
        return PublicCall("POST", endpoint, host, headers, body)

    def receipt(self, host: str, answer: HttpAnswer) -> Receipt:
        """Return what a push service means (RFC 8030 sections 5, 7.3 and 8.4, RFC 8292 section 4.2)."""
        reason = (
            f"{host} answered {answer.status} {printable(answer.body.decode(errors='replace'), 120)}".rstrip()
        )
        if answer.ok:
            return Accepted(printable(answer.headers.get("location", "")))
        if answer.status in (404, 410):
            return Refused(reason, suppress=True)
        if answer.status in _TOO_MANY or answer.status == 503:
            return Retry(reason, asked_pause(answer.headers, self._clock()))
        if answer.status >= 500:
            return Unknown(reason)
        return Refused(reason) if answer.status == 413 else about_us(reason)

    def _sealed(self, document: bytes, endpoint: str, p256dh: str, auth: str) -> tuple[bytes, str]:
        """Return the encrypted body and the header of VAPID. Raises ValueError where the key is none."""
        from webpush import WebPushSubscription
        from webpush.types import WebPushKeys

        keys = WebPushKeys(auth=auth, p256dh=p256dh)
        made = self._library.get(document, WebPushSubscription(endpoint=endpoint, keys=keys))
        return made.encrypted, made.headers["authorization"]

    def _knows(self, host: str) -> bool:
        return any(host == one or host.endswith("." + one) for one in self._services)

    def _ttl(self, message: Outgoing) -> int:
        if message.expires_at is None:
            return LONGEST_TTL
        seconds = int((message.expires_at - self._clock()).total_seconds())
        return min(max(seconds, 0), LONGEST_TTL)


def subscription(token: str) -> tuple[str, str, str]:
    """Return endpoint, p256dh and auth of a PushSubscription (w3c.github.io/push-api, toJSON).

    Raises ValueError with what is missing or wrong.
    """
    try:
        found = json.loads(token)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, dict):
        raise ValueError("it has no `keys`")
    endpoint, p256dh, auth = found.get("endpoint"), keys.get("p256dh"), keys.get("auth")
    if not isinstance(endpoint, str):
        raise ValueError("it has no `endpoint`")
    if len(_bytes(p256dh)) != 65 or len(_bytes(auth)) != 16:
        raise ValueError("its keys are not 65 and 16 bytes in base64url")
    return endpoint, str(p256dh), str(auth)


def _document(message: Outgoing, extra: Extra) -> bytes:
    """Return what the browser gets: a declarative push message (w3c.github.io/push-api), which a service worker reads as well."""
    notification: dict[str, Any] = {"title": message.title or message.text}
    if message.title:
        notification["body"] = message.text
    if message.link:
        notification["navigate"] = message.link
    document = {"web_push": 8030, "notification": notification, "key": message.key}
    document = merged(document, extra)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _library(key: str, contact: str) -> Any:
    """Return the library's object for a key. The errors never quote what was given: it may be the key."""
    from cryptography.hazmat.primitives import serialization as forms
    from webpush import WebPush as Library

    found = private_key(key, "vapid_key", "webpush", "a PEM file with a private key of P-256, or its text")
    private = found.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = found.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return Library(private, public, subscriber=contact, expiration=_CLAIMED)


def _bytes(text: Any) -> bytes:
    """Return what base64url text means, with or without its padding; nothing where it is none."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}={0,2}", text):
        return b""
    bare = text.rstrip("=")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        return b""
