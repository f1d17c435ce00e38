"""What a mail that came back amounts to: frozen records and the words they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.model.states import Sentence

Kind = Literal["bounce", "complaint", "auto-reply", "delivered", "other"]


class Cause(Sentence):
    """Why a mail came back."""

    user_unknown = "user_unknown", "there is no such mailbox"
    domain_unknown = "domain_unknown", "there is no such domain, or no host that takes its mail"
    no_mail_accepted = "no_mail_accepted", "the domain says that it takes no mail at all (RFC 7505)"
    moved = "moved", "the mailbox has moved and nothing is forwarded"
    mailbox_disabled = (
        "mailbox_disabled",
        "the mailbox is there and takes no mail: disabled, locked or suspended",
    )
    mailbox_full = "mailbox_full", "the mailbox is full"
    message_too_big = "message_too_big", "the message is too big; the address is fine"
    content_rejected = (
        "content_rejected",
        "what the message contains, or how it is built, was refused; the address is fine",
    )
    spam = "spam", "the message was taken for spam"
    policy = "policy", "a rule of the receiving side refused the message without a word about the address"
    recipient_refused = "recipient_refused", "the recipient's own settings or a filter refused the message"
    sender_rejected = "sender_rejected", "the sender's address was refused"
    authentication_failed = "authentication_failed", "SPF, DKIM, DMARC or a login failed: ours to put right"
    blocked = "blocked", "the sending server is refused: its address, its name or its reputation"
    relaying_denied = (
        "relaying_denied",
        "the server that was asked does not take mail for this domain from us",
    )
    rate_limited = "rate_limited", "too much in too short a time"
    greylisted = "greylisted", "greylisted: the server wants to be asked again later"
    network = "network", "the receiving server could not be reached, or the way there is broken"
    expired = "expired", "it was tried until the time was up"
    system = "system", "the receiving side is out of order"
    protocol = "protocol", "the two servers did not understand each other"
    complained = "complained", "the recipient reported the message as unwanted"
    opted_out = "opted_out", "the recipient asked, by way of the provider, for no more messages"
    away = "away", "an automatic answer: out of office, vacation, a ticket system"
    delivered = "delivered", "the message was delivered"
    not_said = "not_said", "no reason is given that we know"


@dataclass(frozen=True)
class Verdict:
    """What a mail says about one recipient.

    `hard` is true where the address itself is at fault and nothing should be sent to it again. `status` is the
    enhanced status code (RFC 3463), `reply` the SMTP reply code; both are empty where the mail has none.
    `given_up` is false where the sending server goes on trying. `line` is what the other side said, in one line of
    printable text, at most 500 characters: it was written by strangers, so escape it wherever it is shown.
    """

    cause: Cause
    hard: bool = False
    status: str = ""
    reply: str = ""
    recipient: str = ""
    line: str = ""
    given_up: bool = True


@dataclass(frozen=True)
class Reading:
    """What a mail amounts to: its kind, and a verdict for each recipient it speaks of (at least one).

    `message_id` is the Message-ID of the mail it is about. `returned_to` are the addresses the mail was sent back to,
    or says it was sent from: whether one of them is a return path of ours is for the caller to check, as anybody can
    write such a mail.
    """

    kind: Kind
    verdicts: tuple[Verdict, ...]
    message_id: str = ""
    returned_to: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict that matters most: the first hard one, else the first."""
        return next((one for one in self.verdicts if one.hard), self.verdicts[0])
