"""Links that only we can have made: signed, bound to one purpose, without anything about the person in them.

A token is `KIND.ID.CHANNEL.MAC` in URL-safe base64: the purpose, a number of ours, and 16 bytes of
HMAC-SHA256 under a key derived for that purpose. Unsubscribe tokens never expire (RFC 8058 asks that the link
works for as long as the mail may be read).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from treue.workspace.files import read_or_make_secret

Purpose = Literal["unsubscribe", "preferences", "view"]
_PURPOSES: dict[int, Purpose] = {0: "unsubscribe", 1: "preferences", 2: "view"}
_CHANNELS = {0: "email", 1: "sms", 2: "push"}
"""What the numbers in tokens mean. Mails out there carry them for years: a number never changes its meaning."""

_BODY = struct.Struct(">BBQ")
_MAC = 16
SECRET_VARIABLE = "TREUE_SECRET"  # noqa: S105 - the variable's name, not a secret


@dataclass(frozen=True)
class Signed:
    """What a token says: the message it came with, and the channel it is about."""

    purpose: Purpose
    message_id: int
    channel: str


class Links:
    """Makes and checks tokens, and the addresses customers click on. Older secrets still verify."""

    def __init__(self, public_url: str, secret: bytes, *older: bytes) -> None:
        self.public_url = public_url.rstrip("/")
        self._secrets = (secret, *older)
        self._keys = {
            (n, purpose): hashlib.blake2b(purpose.encode(), key=s[:64], digest_size=32).digest()
            for n, s in enumerate(self._secrets)
            for purpose in _PURPOSES.values()
        }

    def token(self, purpose: Purpose, message_id: int, channel: str) -> str:
        """Return a token for a purpose."""
        body = _BODY.pack(_number(_PURPOSES, purpose), _number(_CHANNELS, channel), message_id)
        return _encode(body + self._mac(0, purpose, body))

    def url(self, purpose: Purpose, message_id: int, channel: str) -> str:
        """Return the address a customer opens."""
        path = "m" if purpose == "view" else "u"
        return f"{self.public_url}/{path}/{self.token(purpose, message_id, channel)}"

    def read(self, token: str, *purposes: Purpose) -> Signed | None:
        """Return what a token says if we made it for one of `purposes`, else None. Never raises."""
        raw = _decode(token)
        if len(raw) != _BODY.size + _MAC:
            return None
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        what, where, message_id = _BODY.unpack(body)
        purpose, channel = _PURPOSES.get(what), _CHANNELS.get(where)
        if purpose not in purposes or channel is None:
            return None
        good = [hmac.compare_digest(mac, self._mac(n, purpose, body)) for n in range(len(self._secrets))]
        return Signed(purpose, message_id, channel) if any(good) else None

    def _mac(self, n: int, purpose: Purpose, body: bytes) -> bytes:
        return hmac.digest(self._keys[n, purpose], body, "sha256")[:_MAC]


def _number(numbers: Mapping[int, str], word: str) -> int:
    return next(number for number, one in numbers.items() if one == word)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    if len(token) > 100 or not token.isascii():
        return b""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    return raw if _encode(raw) == token else b""


def workspace_secret(state: Path) -> bytes:
    """Return the secret links are signed with: from the environment, else kept in the workspace's state folder."""
    given = os.environ.get(SECRET_VARIABLE)
    if given:
        return hashlib.sha256(given.encode()).digest()
    return read_or_make_secret(state / "secret", lambda: secrets.token_bytes(32))
