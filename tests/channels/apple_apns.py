"""A push service that behaves as Apple documents APNs: one stream until a token was good, and every error by its name."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.channels.h2_server import Came, H2Server, Happening, Reply

KEY_ID, TEAM_ID, TOPIC = "ABC123DEFG", "DEF123GHIJ", "com.example.shop"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def signing_key() -> tuple[str, Any]:
    """Return a .p8 file's text, and its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode(), key.public_key()


class Apple(H2Server):
    """`devices` are the tokens that are not simply good, and what each is answered."""

    def __init__(self, files: tuple[Path, Path], public_key: Any) -> None:
        super().__init__(files, streams=1)
        self.public_key, self.now = public_key, NOW
        self.devices: dict[str, tuple[int, str]] = {}
        self.tokens: list[tuple[str, datetime]] = []
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def answer(self, came: Came) -> Happening:
        wrong = self._credentials(came) or self._request(came)
        if wrong:
            return refusal(came, *wrong)
        self.streams = 100
        device = came.path.removeprefix("/3/device/")
        if device in self.devices:
            return refusal(came, *self.devices[device])
        self.shown.append((device, json.loads(came.body)))
        return Reply(200, {"apns-id": came.headers["apns-id"]})

    def _credentials(self, came: Came) -> tuple[int, str] | None:
        scheme, _, token = came.headers.get("authorization", "").partition(" ")
        if scheme != "bearer" or not token:
            return 403, "MissingProviderToken"
        try:
            claims = jwt.decode(token, self.public_key, ["ES256"], options={"verify_iat": False})
        except jwt.InvalidTokenError:
            return 403, "InvalidProviderToken"
        if jwt.get_unverified_header(token).get("kid") != KEY_ID or claims.get("iss") != TEAM_ID:
            return 403, "InvalidProviderToken"
        age = self.now - datetime.fromtimestamp(claims["iat"], UTC)
        if abs(age) > timedelta(hours=1):
            return 403, "ExpiredProviderToken"
        return self._updates(token)

    def _updates(self, token: str) -> tuple[int, str] | None:
        """Look whether tokens change more often than every 20 minutes."""
        if token in [known for known, _ in self.tokens]:
            return None
        if self.tokens and self.now - self.tokens[-1][1] < timedelta(minutes=20):
            return 429, "TooManyProviderTokenUpdates"
        self.tokens.append((token, self.now))
        return None

    def _request(self, came: Came) -> tuple[int, str] | None:
        headers = came.headers
        if headers[":method"] != "POST":
            return 405, "MethodNotAllowed"
        if not re.fullmatch(r"/3/device/[0-9A-Fa-f]+", came.path):
            return 404, "BadPath"
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers.get("apns-id", "")):
            return 400, "BadMessageId"
        if headers.get("apns-push-type") != "alert":
            return 400, "InvalidPushType"
        if headers.get("apns-topic") != TOPIC:
            return 400, "DeviceTokenNotForTopic"
        if not headers.get("apns-expiration", "0").isdigit():
            return 400, "BadExpirationDate"
        return (413, "PayloadTooLarge") if len(came.body) > 4096 else None


def refusal(came: Came, status: int, reason: str) -> Reply:
    """Return an error as Apple words it."""
    document: dict[str, Any] = {"reason": reason}
    if status == 410:
        document["timestamp"] = 1_764_000_000_000
    return Reply(status, {"apns-id": came.headers.get("apns-id", "")}, json.dumps(document).encode())
