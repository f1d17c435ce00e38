"""A rendered message as the bytes of an e-mail (RFC 5322, MIME), ready for SMTP.

What does not change from customer to customer is written once for each sender; a mail is then a join of byte
strings. Bodies are base64, so every line is short ASCII and no server on the way has to change one.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from treue.render import headers
from treue.render.problem import Fault, RenderFailure

_BOUNDARY = b"=_treue"  # `_` is not in base64's alphabet, so no body can hold it
_PART = (
    b"--"
    + _BOUNDARY
    + b"\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
_TEXT_PART = _PART % b"plain"
_HTML_PART = _PART % b"html"
_END = b"--" + _BOUNDARY + b"--\r\n"
_UNSUBSCRIBE: tuple[tuple[str, ...], ...] = (
    (), ("List-Unsubscribe",), ("List-Unsubscribe", "List-Unsubscribe-Post"),
)  # fmt: skip
_FIELD = rb": ?[\x21-\x7e][\x20-\x7e]{0,995}\r\n(?: [\x20-\x7e]{0,995}[\x21-\x7e][\x20-\x7e]{0,5}\r\n)*"


@dataclass(frozen=True)
class Sender:
    """Who writes, and for what: what all mails of one step have in common.

    `domain` is the one that Message-ID and List-Id are under; the From address's where empty. `category` is
    told to the mailbox provider in Feedback-ID, with nothing about the person.
    """

    name: str
    address: str
    workspace: str
    journey: str = ""
    category: str = "marketing"
    reply_to: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Letter:
    """One mail to one person. `key` is the message's own and the same on every attempt.

    `unsubscribe` is the one-click link (RFC 8058); only a transactional mail goes without.
    """

    key: str
    to_address: str
    subject: str
    text: str
    html: str = ""
    to_name: str = ""
    unsubscribe: str = ""
    unsubscribe_mailto: str = ""


def compose(sender: Sender, letter: Letter, now: datetime) -> bytes | RenderFailure:
    """Return the mail with CRLF line ends, or why it must not be sent. Never raises.

    `now` is an aware datetime and becomes Date.
    """
    try:
        return _compose(_skeleton(sender), letter, now)
    except Fault as fault:
        return RenderFailure(fault.code, fault.message)


@dataclass(frozen=True)
class _Skeleton:
    """Header bytes that all mails of one sender share, and the checks of what is put between."""

    top: bytes
    bottom: bytes
    suffix: str
    shapes: tuple[re.Pattern[bytes], ...]
    multipart: bytes = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="' + _BOUNDARY + b'"\r\n\r\n'
    )
    plain: bytes = (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )


@lru_cache(maxsize=256)
def _skeleton(sender: Sender) -> _Skeleton:
    addr = headers.address(sender.address)
    domain = _domain(sender.domain) if sender.domain else addr.rpartition("@")[2]
    workspace, journey = headers.label(sender.workspace), headers.label(sender.journey or "none")
    top = [f"From: {headers.mailbox(sender.name, addr, 'From')}"]
    if sender.reply_to:
        top.append(f"Reply-To: {headers.address(sender.reply_to)}")
    bottom = [
        f"List-Id: <{journey}.{workspace}.{domain}>",
        "Auto-Submitted: auto-generated",
        f"Feedback-ID: {journey}:{workspace}:{headers.label(sender.category)}:{workspace}",
    ]
    first = [line.split(":")[0] for line in top] + ["To", "Subject", "Date", "Message-ID"]
    last = [line.split(":")[0] for line in bottom]
    return _Skeleton(
        _lines(top), _lines(bottom), f".{workspace}@{domain}>",
        tuple(_shape([*first, *ours, *last]) for ours in _UNSUBSCRIBE),
    )  # fmt: skip


def _domain(name: str) -> str:
    return headers.address(f"x@{name}").rpartition("@")[2]


def _lines(fields: list[str]) -> bytes:
    return "".join(field + "\r\n" for field in fields).encode("ascii")


def _shape(names: list[str]) -> re.Pattern[bytes]:
    """Return what a header block of exactly these fields, in this order, must look like byte by byte."""
    return re.compile(b"".join(re.escape(name.encode()) + _FIELD for name in names))


def _compose(skeleton: _Skeleton, letter: Letter, now: datetime) -> bytes:
    to = headers.mailbox(letter.to_name, headers.address(letter.to_address), "To")
    subject = headers.unstructured(letter.subject, "Subject")
    fields = f"To: {to}\r\nSubject: {subject}\r\nDate: {_date(now)}\r\n"
    fields += f"Message-ID: <{headers.label(letter.key, 128)}{skeleton.suffix}\r\n"
    unsubscribe = _unsubscribe(letter)
    fields += "".join(unsubscribe)
    shape = skeleton.shapes[len(unsubscribe)]
    block = skeleton.top + fields.encode("utf-8", "replace") + skeleton.bottom
    if not shape.fullmatch(block):
        raise Fault("bad-header", "The headers of this mail would not be the ones meant; it is not sent.")
    return block + _body(skeleton, letter)


def _unsubscribe(letter: Letter) -> list[str]:
    """One click is for https only (RFC 8058, section 3.1); a local address without TLS gets the link alone."""
    if not letter.unsubscribe:
        return []
    found = [f"List-Unsubscribe: {headers.unsubscribe(letter.unsubscribe, letter.unsubscribe_mailto)}\r\n"]
    if letter.unsubscribe.startswith("https://"):
        found.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return found


def _body(skeleton: _Skeleton, letter: Letter) -> bytes:
    if not letter.html:
        return skeleton.plain + _base64(letter.text)
    return b"".join((
        skeleton.multipart, _TEXT_PART, _base64(letter.text), _HTML_PART, _base64(letter.html), _END
    ))  # fmt: skip


def _base64(text: str) -> bytes:
    """Return a text as base64 in lines of 76 (RFC 2045), its own lines ended by CRLF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.replace("\n", "\r\n").encode("utf-8", "replace")
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)]) + b"\r\n"


@lru_cache(maxsize=64)
def _date(now: datetime) -> str:
    return format_datetime(now)
