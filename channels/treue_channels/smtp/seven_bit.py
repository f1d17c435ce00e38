"""A mail for a server that takes ASCII only: bodies in base64 (RFC 6152, section 3, asks for it or for giving up)."""

from __future__ import annotations

import email
import email.policy
from email import encoders
from email.generator import BytesGenerator
from email.message import Message
from io import BytesIO

_AS_IT_IS = email.policy.compat32.clone(linesep="\r\n", max_line_length=0)
"""Headers are written as they were read, never folded anew."""


def seven_bit(raw: bytes) -> bytes:
    """Return the mail with each body that is not ASCII in base64; as it is, where its headers are not ASCII either."""
    if raw.isascii() or not raw.partition(b"\r\n\r\n")[0].isascii():
        return raw
    mail = email.message_from_bytes(raw, policy=_AS_IT_IS)
    for part in mail.walk():
        if part.is_multipart():
            del part["Content-Transfer-Encoding"]
        else:
            _encode(part)
    written = BytesIO()
    BytesGenerator(written, mangle_from_=False, policy=_AS_IT_IS).flatten(mail)
    return written.getvalue()


def _encode(part: Message) -> None:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or content.isascii():
        return
    del part["Content-Transfer-Encoding"]
    part.set_payload(content)
    encoders.encode_base64(part)
