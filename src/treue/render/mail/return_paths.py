"""Return paths that only we can have made: where a mail that comes back says whose it was.

`b+ID-MAC@DOMAIN`: the message's number and 50 bits of HMAC-SHA256 under a key of their own, in Base32, as mail systems
may change the case of an address. So a forged bounce finds nobody. Variable envelope return paths are D. J. Bernstein's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_ADDRESS = re.compile(r"b\+(\d{1,19})-([a-z2-7]{10})@[a-z0-9.-]{1,253}", re.IGNORECASE)
_PURPOSE = b"return-path"


class ReturnPaths:
    """Makes and reads return paths. Older secrets still verify."""

    def __init__(self, secret: bytes, *older: bytes) -> None:
        self._keys = [
            hashlib.blake2b(_PURPOSE, key=one[:64], digest_size=32).digest() for one in (secret, *older)
        ]

    def address(self, message_id: int, domain: str) -> str:
        """Return the envelope sender of a message; mails to `domain` must come into the mailbox that is read."""
        return f"b+{message_id}-{_mac(self._keys[0], message_id)}@{domain}"

    def read(self, address: str) -> int | None:
        """Return the message whose return path this is if we made it, else None. Never raises.

        The domain says nothing: it may be an older one. The codes are compared in constant time.
        """
        match = _ADDRESS.fullmatch(address.strip("<> ")) if address.isascii() and len(address) < 400 else None
        if match is None:
            return None
        number, mac = int(match[1]), match[2].lower()
        good = [hmac.compare_digest(mac, _mac(key, number)) for key in self._keys]
        return number if any(good) and match[1] == str(number) else None


def _mac(key: bytes, message_id: int) -> str:
    digest = hmac.new(key, str(message_id).encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:7]).decode()[:10].lower()
