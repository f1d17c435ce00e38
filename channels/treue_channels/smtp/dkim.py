"""DKIM signatures (RFC 6376, RFC 8301, and RFC 8463 for Ed25519), relaxed/relaxed.

Signed are the headers that a reader sees and those of one-click unsubscribe, which RFC 8058 (section 4) asks for. From,
To, Subject and Date stand in `h=` once more than in the mail, so that none can be added.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from treue.errors import ChannelError

_SIGNED = (
    "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
    "Feedback-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
_ONCE_MORE = ("From", "To", "Subject", "Date")
_SHORTEST_RSA = 1024
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+")
_SELECTOR = re.compile(r"(?=.{1,63}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_BLANKS = re.compile(rb"[ \t]+")

Sign = Callable[[bytes], bytes]


class Signer:
    """Signs mails for a domain. `key` is a private key as PEM, RSA or Ed25519, or the name of a file with one.

    Raises ChannelError, which shows nothing of the key, where it cannot be used.
    """

    def __init__(self, domain: str, selector: str, key: str) -> None:
        if not _DOMAIN.fullmatch(domain) or not _SELECTOR.fullmatch(selector):
            raise ChannelError(
                "The smtp channel signs with `dkim_domain` (shop.example), `dkim_selector` (the name under which the "
                "public key stands at SELECTOR._domainkey.shop.example) and `dkim_key`; give all three or none."
            )
        self._domain, self._selector = domain, selector
        self._algorithm, self._sign = _usable(_loaded(key))

    def signed(self, raw: bytes, now: datetime) -> bytes:
        """Return the mail with a signature of this moment before it."""
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = _fields(head)
        names = [name for name in _SIGNED for _ in fields.get(name.lower().encode(), ())]
        names = sorted([*names, *_ONCE_MORE], key=_SIGNED.index)
        digest = b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
        value = (
            f"v=1; a={self._algorithm}; c=relaxed/relaxed; d={self._domain}; s={self._selector};\r\n"
            f" t={int(now.timestamp())}; h={_folded(names)};\r\n bh={digest};\r\n b="
        ).encode()
        lines = [*_picked(fields, names), b"dkim-signature:" + _relaxed(value)]
        signature = b64encode(self._sign(b"\r\n".join(lines))).decode()
        pieces = [signature[at : at + 72] for at in range(0, len(signature), 72)]
        return b"DKIM-Signature: " + value + "\r\n ".join(pieces).encode() + b"\r\n" + raw


def _loaded(key: str) -> Any:
    """Load the private key from its PEM text or file."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = key.encode() if key.lstrip().startswith("-----BEGIN") else Path(key).read_bytes()
        return load_pem_private_key(pem, password=None)
    except OSError as error:
        reason = f"the file that it names cannot be read ({error.strerror})"
    except TypeError:
        reason = "it is encrypted; take the passphrase off and let only this user read the file"
    except (ValueError, UnsupportedAlgorithm):
        reason = "it is no private key in PEM"
    raise ChannelError(f"The smtp channel's `dkim_key` cannot be used: {reason}.") from None


def _usable(key: Any) -> tuple[str, Sign]:
    """Return the algorithm's name and what signs with the key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, Ed25519PrivateKey):
        return "ed25519-sha256", lambda data: key.sign(hashlib.sha256(data).digest())
    if isinstance(key, RSAPrivateKey) and key.key_size >= _SHORTEST_RSA:
        return "rsa-sha256", lambda data: key.sign(data, PKCS1v15(), SHA256())
    raise ChannelError(
        "The smtp channel's `dkim_key` cannot be used: DKIM signs with RSA of 1024 bits or more, or with Ed25519."
    )


def _fields(head: bytes) -> dict[bytes, list[bytes]]:
    """Return the headers' relaxed values by name in small letters, the last of a name first (RFC 6376, 5.4.2)."""
    found: dict[bytes, list[bytes]] = {}
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = line.partition(b":")
        found.setdefault(name.strip().lower(), []).insert(0, _relaxed(value))
    return found


def _picked(fields: dict[bytes, list[bytes]], names: list[str]) -> list[bytes]:
    """Return the lines that are signed, one for each name that has a field left."""
    left = {name: list(values) for name, values in fields.items()}
    keys = [name.lower().encode() for name in names]
    return [key + b":" + left[key].pop(0) for key in keys if left.get(key)]


def _relaxed(value: bytes) -> bytes:
    return _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip()


def _relaxed_body(body: bytes) -> bytes:
    """Return the body as RFC 6376 (3.4.4) hashes it: blanks in one, none at line ends, no empty lines at the end."""
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = body.replace(b" \r\n", b"\r\n").removesuffix(b" ")
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _folded(names: list[str]) -> str:
    """Return the names as `h=` has them, in lines of a few."""
    lines = [":".join(names[at : at + 4]) for at in range(0, len(names), 4)]
    return ":\r\n  ".join(lines)
