"""Messages of Amazon SNS (docs.aws.amazon.com/sns, "Verifying the signatures"): is one Amazon's, and of our topic?

Anybody can have a topic, and Amazon signs what it says: so the topic must be the one that is set up. The certificate
comes from an address in the message, which is looked at before it is fetched. A subscription is confirmed by an
address made of topic and token, never by the one in the message.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from treue.channel import BadCallback
from treue_channels.http.callbacks import instant, text

TOLERANCE = 3600
"""Seconds; SNS puts a message again for up to an hour, under its first time."""

LARGEST_CERTIFICATE = 65_536

_ARN = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{3,32}):\d{12}:[A-Za-z0-9_-]{1,256}")
_CERTIFICATE = re.compile(r"https://sns\.[a-z0-9-]{3,32}\.amazonaws\.com(?:\.cn)?/[A-Za-z0-9_-]+\.pem")
_NOTIFICATION, _CONFIRMATION = "Notification", "SubscriptionConfirmation"
_SIGNED = {
    _NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED[_CONFIRMATION]

Fetch = Callable[[str], bytes]
"""Returns what lies at an https address. Raises OSError or httpx.HTTPError where it cannot."""


def fetch(url: str) -> bytes:
    """Return what lies at an address of Amazon's; no redirect is followed."""
    answer = httpx.get(url, timeout=5.0).raise_for_status()
    return answer.content[:LARGEST_CERTIFICATE]


def is_topic(arn: str) -> bool:
    """Whether a text is the ARN of a topic."""
    return _ARN.fullmatch(arn) is not None


class Topic:
    """One topic, whose messages are believed."""

    def __init__(self, arn: str, get: Fetch = fetch) -> None:
        self._arn, self._get = arn, get
        self._certificates: dict[str, Any] = {}

    def message(self, found: Any, received_at: datetime) -> str:
        """Return a notification's message; nothing for what is none, such as a subscription, which is confirmed.

        Raises BadCallback where it is not Amazon's, not of this topic, or older than an hour.
        """
        type_ = text(found, "Type")
        if type_ not in _SIGNED or found.get("TopicArn") != self._arn:
            raise BadCallback("The callback is no message of the topic that is set up.")
        self._verify(found, _to_sign(found, _SIGNED[type_]))
        at = instant(found["Timestamp"])
        if at is None or abs((received_at - at).total_seconds()) > TOLERANCE:
            raise BadCallback("The callback is too old, or one of the two clocks is wrong.")
        if type_ == _CONFIRMATION:
            self._confirm(str(found["Token"]))
        return str(found["Message"]) if type_ == _NOTIFICATION else ""

    def _verify(self, found: Any, signed: bytes) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256

        digest = {"1": SHA1, "2": SHA256}.get(text(found, "SignatureVersion"))
        key = self._key(found.get("SigningCertURL"))
        try:
            if digest is None:
                raise ValueError
            key.verify(b64decode(found["Signature"], validate=True), signed, PKCS1v15(), digest())
        except (InvalidSignature, KeyError, TypeError, ValueError):
            raise BadCallback("The callback's signature is missing or wrong.") from None

    def _key(self, url: Any) -> Any:
        """Return the public key of the certificate at an address, which must be one of Amazon's."""
        from cryptography.x509 import load_pem_x509_certificate

        if not isinstance(url, str) or not _CERTIFICATE.fullmatch(url):
            raise BadCallback("The callback's certificate is not Amazon's.")
        if url not in self._certificates:
            try:
                pem = self._get(url)
            except (OSError, httpx.HTTPError) as error:
                raise BadCallback("Amazon's certificate cannot be had at the moment.", 503) from error
            try:
                self._certificates = {url: load_pem_x509_certificate(pem).public_key()}
            except ValueError:
                raise BadCallback("Amazon's certificate cannot be read.", 503) from None
        return self._certificates[url]

    def _confirm(self, token: str) -> None:
        region = self._arn.split(":")[3]
        host = f"sns.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
        query = urlencode({"Action": "ConfirmSubscription", "TopicArn": self._arn, "Token": token})
        try:
            self._get(f"https://{host}/?{query}")
        except (OSError, httpx.HTTPError) as error:
            raise BadCallback("The subscription cannot be confirmed at the moment.", 503) from error


def _to_sign(found: Any, names: tuple[str, ...]) -> bytes:
    """Return what Amazon signs: each name and its value, a line each; the subject only where there is one."""
    lines = []
    for name in names:
        value = found.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise BadCallback(f"The callback has no {name}.")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode()
