"""The codes in a bounce: enhanced status codes (RFC 3463, 5248, 7505, 7372) and SMTP reply codes (RFC 5321)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from treue.bounces.record import Cause

_STATUS = re.compile(r"(?<![\d.])([245])\.([0-7])\.(\d{1,3})(?![\d.]{0,20}\d)")
_REPLY = re.compile(r"(?:^|[\s:;,('\"#=<>])([45][0-5]\d)(?=[\s\-.:;,)'\"#]|$)")

BY_STATUS: Mapping[str, Cause] = {
    "1.1": Cause.user_unknown, "1.2": Cause.domain_unknown, "1.3": Cause.user_unknown, "1.6": Cause.moved,
    "1.7": Cause.sender_rejected, "1.8": Cause.sender_rejected, "1.9": Cause.sender_rejected, "1.10": Cause.no_mail_accepted,
    "2.1": Cause.mailbox_disabled, "2.2": Cause.mailbox_full, "2.3": Cause.message_too_big, "3.1": Cause.system,
    "3.2": Cause.system, "3.3": Cause.system, "3.4": Cause.message_too_big, "3.5": Cause.system, "4.1": Cause.network,
    "4.2": Cause.network, "4.3": Cause.network, "4.4": Cause.network, "4.5": Cause.rate_limited, "4.6": Cause.network,
    "4.7": Cause.expired, "5.1": Cause.protocol, "5.2": Cause.protocol, "5.3": Cause.rate_limited, "5.4": Cause.protocol,
    "5.5": Cause.protocol, "5.6": Cause.authentication_failed, "7.10": Cause.authentication_failed,
    "7.8": Cause.authentication_failed, "7.9": Cause.authentication_failed, "7.20": Cause.authentication_failed,
    "7.21": Cause.authentication_failed, "7.22": Cause.authentication_failed, "7.23": Cause.authentication_failed,
    "7.24": Cause.authentication_failed, "7.25": Cause.blocked, "7.26": Cause.authentication_failed,
    "7.27": Cause.sender_rejected, "7.28": Cause.rate_limited, "7.29": Cause.authentication_failed,
    "7.30": Cause.authentication_failed, "7.515": Cause.authentication_failed, "7.606": Cause.blocked,
}  # fmt: skip
"""What `subject.detail` says by itself, without its class. What is not here says too little."""

BY_SUBJECT: Mapping[str, Cause] = {
    "3": Cause.system, "4": Cause.network, "5": Cause.protocol, "7": Cause.policy,
}  # fmt: skip
"""What the subject alone says, where neither the detail nor a wording says more."""

ADDRESS_AT_FAULT = frozenset({"1.0", "1.1", "1.2", "1.3", "1.6", "1.10", "4.4"})
"""With these, words that say the address is at fault are believed."""

NEVER_THE_ADDRESS = frozenset({"1.7", "1.8", "2.2", "2.3", "3.4"})
"""Whatever else is said; so is all of subject 7."""

TAKE_NO_MAIL = frozenset({"521", "556"})
"""The host, or the domain, takes no mail (RFC 7504)."""


def meaning(status: str) -> Cause | None:
    """Return what a status code says by itself. Without a route for good (5.4.4) there is no such domain."""
    if status == "5.4.4":
        return Cause.domain_unknown
    key = status.partition(".")[2]
    return Cause.content_rejected if key.startswith("6.") else BY_STATUS.get(key)


def statuses(text: str) -> list[str]:
    """Return the enhanced status codes in a text, in order. Addresses of hosts and most versions of programs are none."""
    return [f"{cls}.{int(subject)}.{int(detail)}" for cls, subject, detail in _STATUS.findall(text)]


def replies(text: str) -> list[str]:
    """Return the SMTP reply codes that tell of a failure, in order."""
    return _REPLY.findall(text)


def telling(status: str) -> int:
    """Return how much a status code says: 3 subject 7, 2 a known detail, 1 a known subject, 0 nothing."""
    key = status.partition(".")[2]
    subject = key.partition(".")[0]
    if subject == "7":
        return 3
    return 2 if key in BY_STATUS else 1 if key != "0.0" and status else 0
