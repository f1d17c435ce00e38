"""A browser, and its push service as RFC 8030 and RFC 8292 have it: it checks who sends, the browser opens what comes."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """One subscription: its keys, and the endpoint at its push service."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = b"sixteen bytes ok"

    @property
    def token(self) -> str:
        """The PushSubscription as compact JSON."""
        keys = {"p256dh": encoded(point(self.key.public_key())), "auth": encoded(self.auth)}
        document = {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}
        return json.dumps(document, separators=(",", ":"))

    def opened(self, body: bytes) -> bytes:
        """Decrypt a body as RFC 8291 section 3.4 and RFC 8188 section 2 say, written from them."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
        secret = self.key.exchange(ec.ECDH(), sender)
        info = b"WebPush: info\0" + point(self.key.public_key()) + theirs
        material = _hkdf(self.auth, secret, info, 32)
        key = _hkdf(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, material, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert plain.endswith(b"\x02"), "the last record's delimiter"
        return plain[:-1]


def _hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def checked(
    headers: dict[str, str], host: str, now: float, public: ec.EllipticCurvePublicKey
) -> dict[str, Any]:
    """Return the claims of a request's VAPID header, or fail as a push service would (RFC 8292 section 4.2)."""
    scheme, _, rest = headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    assert decoded(parts["k"]) == point(public)
    claims: dict[str, Any] = jwt.decode(
        parts["t"], public, ["ES256"], audience=f"https://{host}", options={"require": ["aud", "exp", "sub"]}
    )
    assert now < claims["exp"] <= now + 24 * 3600
    assert headers["content-encoding"] == "aes128gcm"
    assert headers["ttl"].isdigit()
    return claims
