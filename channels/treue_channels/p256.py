"""The private keys that push services want: of the curve P-256, in PEM, from a file or written out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from treue.errors import ChannelError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


def private_key(key: str, option: str, adapter: str, wanted: str) -> EllipticCurvePrivateKey:
    """Return the key that a setting holds or names the file of. Raises ChannelError, which says what is `wanted`.

    The errors never quote what was given: it may be the key.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        text = key.encode() if key.lstrip().startswith("-----BEGIN") else Path(key).read_bytes()
        found = load_pem_private_key(text, password=None)
    except OSError as error:
        raise ChannelError(
            f"The option `{option}` of {adapter} names a file that cannot be read: {error.strerror}."
        ) from None
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
        raise ChannelError(f"The option `{option}` of {adapter} is {wanted}.")
    return found
