"""Google's token server and FCM, as they are documented: the signed assertion is checked, and so is each message."""

from __future__ import annotations

import json
import re
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, ProviderServer, Reply

PROJECT = "shop-1a2b3"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def account_key() -> tuple[str, Any]:
    """Return a service account's private key as text, and the public one."""
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode(), key.public_key()


class TokenServer(ProviderServer):
    """Gives access tokens for assertions that the account has signed (RFC 7523)."""

    def __init__(self, public_key: Any) -> None:
        super().__init__()
        self.public_key, self.lifetime = public_key, 3600
        self.given: list[str] = []

    def account(self, private_key: str, **changes: str) -> str:
        """Return the JSON file of the service account."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "key-id-0123456789",
                "private_key": private_key,
                "client_email": f"sender@{PROJECT}.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"{self.url}/token",
                **changes,
            }
        )

    def answer(self, asked: Asked) -> Reply:
        form = asked.form()
        if asked.path != "/token" or form.get("grant_type") != [GRANT]:
            return Reply.json({"error": "unsupported_grant_type"}, 400)
        try:
            claims = jwt.decode(
                form["assertion"][0], self.public_key, ["RS256"], audience=AUDIENCE,
                options={"require": ["iss", "aud", "iat", "exp"]},
            )  # fmt: skip
        except jwt.InvalidTokenError:
            return Reply.json({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        assert claims["scope"] == SCOPE
        assert claims["iss"] == f"sender@{PROJECT}.iam.gserviceaccount.com"
        assert claims["exp"] - claims["iat"] <= 3600
        self.given.append(f"ya29.token-{len(self.given)}")
        return Reply.json(
            {"access_token": self.given[-1], "expires_in": self.lifetime, "token_type": "Bearer"}
        )


class Firebase(PublishedServer):
    """Takes messages by HTTP v1. `devices` are the tokens that are not simply good, and what each is answered."""

    description = published("fcm")

    def __init__(self, tokens: TokenServer) -> None:
        super().__init__()
        self.tokens, self.revoked = tokens, set[str]()
        self.devices: dict[str, Reply] = {}
        self.messages: list[dict[str, Any]] = []
        self.credentials = ""

    def answer(self, asked: Asked) -> Reply:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens.given or token in self.revoked:
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if asked.path != f"/v1/projects/{PROJECT}/messages:send" or asked.method != "POST":
            return error(404, "NOT_FOUND", "Requested entity was not found.")
        message = (asked.json() or {}).get("message")
        wrong = _wrong(message)
        if wrong:
            return error(400, "INVALID_ARGUMENT", wrong, {"@type": BAD_REQUEST, "fieldViolations": []})
        if message["token"] in self.devices:
            return self.devices[message["token"]]
        self.messages.append(message)
        return Reply.json({"name": f"projects/{PROJECT}/messages/0:{len(self.messages)}"})

    def too_fast(self) -> Reply:
        return fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", **{"Retry-After": "2"})


def _wrong(message: Any) -> str:
    """Return what Google would say of a message that does not keep to projects.messages, or nothing."""
    if not isinstance(message, dict) or not isinstance(message.get("token"), str):
        return "Recipient of the message is not set."
    unknown = set(message) - {"token", "notification", "data", "android", "apns", "webpush", "fcmOptions"}
    if unknown or set(message["notification"]) - {"title", "body", "image"}:
        return "Unknown name"
    data = message["data"]
    if not all(isinstance(value, str) for value in data.values()):
        return "Invalid value at 'message.data'"
    if any(re.match(r"google|gcm", name) or name in ("from", "message_type") for name in data):
        return "Invalid data payload key"
    if len(json.dumps([message["notification"], data], ensure_ascii=False).encode()) > 4096:
        return "Request contains an invalid argument."
    return _wrong_options(message)


def _wrong_options(message: dict[str, Any]) -> str:
    if not re.fullmatch(r"\d{1,7}s", message.get("android", {}).get("ttl", "0s")):
        return "Invalid TTL"
    webpush = message.get("webpush", {})
    if not webpush.get("fcmOptions", {}).get("link", "https://").startswith("https://"):
        return "fcmOptions.link must be https"
    return ""


def error(status: int, canonical: str, said: str, *details: dict[str, Any], **headers: str) -> Reply:
    """Return an error as Google's APIs word it."""
    document = {"error": {"code": status, "message": said, "status": canonical, "details": list(details)}}
    return Reply.json(document, status, headers)


def fcm_error(status: int, canonical: str, code: str, *details: dict[str, Any], **headers: str) -> Reply:
    """Return an error with FCM's own code."""
    more = {"@type": FCM_ERROR, "errorCode": code}
    return error(status, canonical, f"Words about {code}.", more, *details, **headers)
