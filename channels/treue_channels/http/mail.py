"""What the adapters to e-mail APIs share: an address that is one address, names, attachments, tags."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar
from uuid import UUID, uuid5

from treue.bounces.record import Cause
from treue.bounces.verdict import Said, judge
from treue.channel import Attachment, DeliveryEventKind, Mail, Mailbox, Outgoing, Receipt, Refused
from treue.render.mail.headers import encoded_words
from treue_channels.http.api import HttpApi

ADDRESS = "an e-mail address"

KEY = "treue-key"
"""Under this name our key travels with a mail, and comes back in callbacks."""

EVENTS = frozenset(DeliveryEventKind) - {DeliveryEventKind.accepted, DeliveryEventKind.unknown}
"""What most e-mail providers tell."""

NOT_THE_ADDRESS = "5.7.0"
"""The status code (RFC 3463) of a bounce that has none and is about our sender or content: it gives no address up."""

_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f-\x9f@<>()\[\]\\,;:\"]+@[^\s\x00-\x20\x7f-\x9f@<>()\[\]\\,;:\"/]+")
_SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')
_NAMESPACE = UUID("6f3a8a0e-7a3b-4d5e-9d6f-3d2f6b1c0a11")
_LONGEST = 254
_TAGS = ("journey", "template", "category")
_STRUCTURE = re.compile(
    r"(?:content-.*|mime-version|from|sender|to|cc|bcc|subject|reply-to|return-path|received|date)",
    re.IGNORECASE,
)
_VAGUE = (Cause.not_said, Cause.recipient_refused)
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


class MailApi(HttpApi):
    """An e-mail provider's API; it is given whole messages where it declares `mime`, else mails in their parts."""

    either_name_or_address: ClassVar[re.Pattern[str] | None] = None
    """The words by which the API objects to a recipient whose name and address it takes as one text."""

    def hand_over(self, messages: Sequence[Outgoing]) -> list[Receipt]:
        """Put messages to the provider; a recipient that it finds wrong goes once more without the name beside it.

        Only where the address alone is refused, too, is it the address that is wrong.
        """
        receipts = super().hand_over(messages)
        again = [n for n, receipt in enumerate(receipts) if self._may_be_the_name(messages[n], receipt)]
        late = super().hand_over([_nameless(messages[n]) for n in again]) if again else []
        for n, receipt in zip(again, late, strict=True):
            receipts[n] = receipt
        return receipts

    def _may_be_the_name(self, message: Outgoing, receipt: Receipt) -> bool:
        words = self.either_name_or_address
        if words is None or not isinstance(receipt, Refused) or not words.search(receipt.reason):
            return False
        return bool(mail_of(message).to.name)

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be put to the provider at all, or None."""
        if ascii_domain(message.to) is None:
            return Refused("The recipient is not one plain e-mail address.")
        there = message.raw if self.capabilities.mime else message.mail
        return None if there else Refused("There is no mail in the message.")


def ascii_domain(address: str) -> str | None:
    """Return an address with its domain in ASCII (IDNA 2008), or None where it is not one plain address."""
    if len(address) > _LONGEST or not _ADDRESS.fullmatch(address):
        return None
    if address.isascii():
        return address
    import idna

    local, _, domain = address.partition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return None


def _nameless(message: Outgoing) -> Outgoing:
    mail = mail_of(message)
    return replace(message, mail=replace(mail, to=mail.to._replace(name="")))


def mail_of(message: Outgoing) -> Mail:
    """Return the mail of a message that `objection` has let pass."""
    assert message.mail is not None
    return message.mail


def recipient(message: Outgoing) -> Mailbox:
    """Return the recipient: the name from the mail, the address from the envelope."""
    return Mailbox(mail_of(message).to.name, ascii_domain(message.to) or "")


def written(box: Mailbox) -> str:
    """Return a mailbox as `"Name" <address>`, for APIs that take it as one text."""
    name = box.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{box.address}>' if name else box.address


def has_specials(name: str) -> bool:
    """Whether a name has signs with a meaning in headers, such as a comma (RFC 5322 section 3.2.3)."""
    return _SPECIAL.search(name) is not None


def as_words(name: str) -> str:
    """Return a name as encoded words (RFC 2047): ASCII, and without signs that have a meaning."""
    return " ".join(encoded_words(name))


def own_headers(mail: Mail) -> list[tuple[str, str]]:
    """Return the headers that go to the provider: those that it does not make itself."""
    return [(name, value) for name, value in mail.headers if not _STRUCTURE.fullmatch(name)]


def encoded(attachment: Attachment) -> str:
    """Return an attachment's content in base64."""
    return b64encode(attachment.content).decode()


def tags(message: Outgoing) -> dict[str, str]:
    """Return the tags that a message has, of those that are for the provider's statistics."""
    return {name: message.tags[name] for name in _TAGS if message.tags.get(name)}


def enhanced_status(text: str) -> str:
    """Return the first enhanced status code (RFC 3463) in a text, such as 5.1.1, or nothing."""
    found = _ENHANCED.search(text)
    return found[1] if found else ""


def is_dead(status: str, said: str, usually: bool) -> bool:
    """Whether a bounce means that the address is dead: by its status and words, else what is `usually` meant."""
    verdict = judge(Said(status=status, diagnostic=said))
    return usually if verdict.cause in _VAGUE else verdict.hard


def is_dead_for_amazon(type_: str, subtype: str, status: str, said: str) -> bool:
    """Whether a bounce as Amazon SES classifies it means that the address is dead (dg/notification-contents).

    `Suppressed` is an address that was found dead before, by anybody; what is on the account's own list may be there
    for a complaint, too.
    """
    if type_ != "Permanent" or subtype == "OnAccountSuppressionList":
        return False
    return subtype == "Suppressed" or is_dead(status, said, True)


def idempotency_key(messages: Iterable[Outgoing]) -> UUID:
    """Return the key under which a provider knows the request with these messages: the same for the same ones.

    A recipient without a name is another request than one with: the second must not be taken for the first.
    """
    return uuid5(_NAMESPACE, "\n".join(_identity(message) for message in messages))


def _identity(message: Outgoing) -> str:
    bare = " bare" if message.mail and not message.mail.to.name else ""
    return f"{message.key} {message.to}{bare}"
