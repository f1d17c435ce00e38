"""A mail with everything in it, and what the tests of the e-mail APIs compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from treue.channel import Accepted, Attachment, Mail, Mailbox, Outgoing, Receipt


def rich_message(**changes: Any) -> Outgoing:
    mail = Mail(
        sender=Mailbox("Klangladen", "shop@example.com"),
        to=Mailbox('Ada "Countess" Løvelace', "ada@example.com"),
        subject="Grüße",
        text="Hallo\n",
        html='<p>Hallo <img src="cid:logo"></p>',
        reply_to=Mailbox("", "answers@example.com"),
        headers=(("List-Unsubscribe", "<https://example.com/u/1>"), ("MIME-Version", "1.0"), ("Message-ID", "<k1@example.com>")),
        attachments=(Attachment("terms.pdf", "application/pdf", b"%PDF"), Attachment("l.png", "image/png", b"\x89", "logo")),
    )  # fmt: skip
    tags = {"journey": "welcome", "template": "hello", "category": "promotional"}
    return Outgoing("k1", "ada@example.com", mail=replace(mail, **changes), tags=tags)


def without_reason(receipt: Receipt) -> Receipt:
    return receipt if isinstance(receipt, Accepted) else replace(receipt, reason="")
