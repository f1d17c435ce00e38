"""A rendered message as an e-mail: the bytes (RFC 5322, MIME) for SMTP, or its parts for those who build the MIME.

What does not change from customer to customer is written once for each sender; a mail is then a join of byte
strings. Every header block is held against the fields it must have, byte by byte, before it is let go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from treue.channel import Attachment, Mail, Mailbox
from treue.render.mail import headers, mime
from treue.render.problem import Fault, RenderFailure

_UNSUBSCRIBE: tuple[tuple[str, ...], ...] = (
    (), ("List-Unsubscribe",), ("List-Unsubscribe", "List-Unsubscribe-Post"),
)  # fmt: skip
_FIELD = rb": ?[\x21-\x7e][\x20-\x7e]{0,995}\r\n(?: [\x20-\x7e]{0,995}[\x21-\x7e][\x20-\x7e]{0,5}\r\n)*"


@dataclass(frozen=True)
class Sender:
    """The sender of a mail, and what else all mails of one step have in common.

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
class MailContent:
    """One mail to one person. `key` is the message's own and the same on every attempt.

    `unsubscribe` is the one-click link (RFC 8058); only a transactional mail goes without. Attachments with a
    `content_id` are pictures that the HTML shows.
    """

    key: str
    to_address: str
    subject: str
    text: str
    html: str = ""
    to_name: str = ""
    unsubscribe: str = ""
    unsubscribe_mailto: str = ""
    attachments: tuple[Attachment, ...] = ()


def compose(
    sender: Sender, letter: MailContent, now: datetime, *, eight_bit: bool = False
) -> bytes | RenderFailure:
    """Return the mail with CRLF line ends, or why it must not be sent. Never raises.

    `now` is an aware datetime and becomes Date. With `eight_bit` (RFC 6152) bodies are UTF-8 as they are, else
    every byte is ASCII.
    """
    try:
        return _compose(_skeleton(sender), letter, now, eight_bit)
    except Fault as fault:
        return RenderFailure(fault.code, fault.message)


def parts(sender: Sender, letter: MailContent) -> Mail | RenderFailure:
    """Return the mail in its parts, each value safe to be put in a header, or why it must not be sent. Never raises."""
    try:
        subject = headers.clean(letter.subject, headers.LONGEST_SUBJECT)
        if not subject:
            raise Fault("bad-header", "The subject of this mail would be empty; it is not sent.")
        return Mail(
            Mailbox(headers.clean(sender.name, headers.LONGEST_NAME), headers.address(sender.address)),
            Mailbox(headers.clean(letter.to_name, headers.LONGEST_NAME), headers.address(letter.to_address)),
            subject,
            letter.text,
            letter.html,
            Mailbox("", headers.address(sender.reply_to)) if sender.reply_to else None,
            tuple(
                (name, value.replace("\r\n", "")) for name, value in (*_unsubscribe(letter), *_about(sender))
            ),
            letter.attachments,
        )
    except Fault as fault:
        return RenderFailure(fault.code, fault.message)


@dataclass(frozen=True)
class _Skeleton:
    """Header bytes that all mails of one sender share, and the checks of what is put between."""

    top: bytes
    bottom: bytes
    suffix: str
    shapes: tuple[re.Pattern[bytes], ...]


@lru_cache(maxsize=256)
def _skeleton(sender: Sender) -> _Skeleton:
    addr = headers.address(sender.address)
    top = [("From", headers.mailbox(sender.name, addr, "From"))]
    if sender.reply_to:
        top.append(("Reply-To", headers.address(sender.reply_to)))
    bottom = _about(sender)
    first = [name for name, _ in top] + ["To", "Subject", "Date", "Message-ID"]
    last = [name for name, _ in bottom]
    return _Skeleton(
        _lines(top).encode("ascii"), _lines(bottom).encode("ascii"),
        f".{headers.label(sender.workspace)}@{_domain(sender)}>",
        tuple(_shape([*first, *ours, *last]) for ours in _UNSUBSCRIBE),
    )  # fmt: skip


def _about(sender: Sender) -> list[tuple[str, str]]:
    """Return the headers that say what kind of mail this is (RFC 2919, RFC 3834, Google's Feedback-ID)."""
    workspace, journey = headers.label(sender.workspace), headers.label(sender.journey or "none")
    return [
        ("List-Id", f"<{journey}.{workspace}.{_domain(sender)}>"),
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", f"{journey}:{workspace}:{headers.label(sender.category)}:{workspace}"),
    ]


def _domain(sender: Sender) -> str:
    address = headers.address(f"x@{sender.domain}" if sender.domain else sender.address)
    return address.rpartition("@")[2]


def _lines(fields: list[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


def _shape(names: list[str]) -> re.Pattern[bytes]:
    """Return what a header block of exactly these fields, in this order, must look like byte by byte."""
    return re.compile(b"".join(re.escape(name.encode()) + _FIELD for name in names))


def _compose(skeleton: _Skeleton, letter: MailContent, now: datetime, eight_bit: bool) -> bytes:
    to = headers.mailbox(letter.to_name, headers.address(letter.to_address), "To")
    subject = headers.unstructured(letter.subject, "Subject")
    fields = f"To: {to}\r\nSubject: {subject}\r\nDate: {_date(now)}\r\n"
    fields += f"Message-ID: <{headers.label(letter.key, 128)}{skeleton.suffix}\r\n"
    unsubscribe = _unsubscribe(letter)
    fields += _lines(unsubscribe)
    shape = skeleton.shapes[len(unsubscribe)]
    block = skeleton.top + fields.encode("utf-8", "replace") + skeleton.bottom
    if not shape.fullmatch(block):
        raise Fault("bad-header", "The headers of this mail would not be the ones meant; it is not sent.")
    return (
        block + b"MIME-Version: 1.0\r\n" + mime.body(letter.text, letter.html, letter.attachments, eight_bit)
    )


def _unsubscribe(letter: MailContent) -> list[tuple[str, str]]:
    """One click is for https only (RFC 8058, section 3.1); a local address without TLS gets the link alone."""
    if not letter.unsubscribe:
        return []
    found = [("List-Unsubscribe", headers.unsubscribe(letter.unsubscribe, letter.unsubscribe_mailto))]
    if letter.unsubscribe.startswith("https://"):
        found.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return found


@lru_cache(maxsize=64)
def _date(now: datetime) -> str:
    return format_datetime(now)
