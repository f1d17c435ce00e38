"""Records as they stand in the DNS: their tags, and the one for the public half of a DKIM key."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

Tags = Mapping[str, str]


def tags(record: str) -> Tags:
    """Return the tags of a record (`v=DKIM1; k=rsa; p=…`), blanks taken out of their values."""
    parts = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, equals, value in parts if equals}


def public_key(key: str) -> str:
    """Return the record to publish for a private key, a PEM text or the name of its file.

    Empty where it cannot be told: making the channel says what is wrong with the key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        pem = key.encode() if key.lstrip().startswith("-----BEGIN") else Path(key).read_bytes()
        private = serialization.load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    if isinstance(private, Ed25519PrivateKey):
        return f"v=DKIM1; k=ed25519; p={b64encode(private.public_key().public_bytes_raw()).decode()}"
    if not isinstance(private, RSAPrivateKey):
        return ""
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"
