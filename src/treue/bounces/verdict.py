"""From what was said of a recipient to the verdict.

In the order of trust: subject 7 is our fault and never the address's; a code that clears the address; clear words; a
code that says something; vague words; the code's subject. An address is at fault only where nothing said speaks for it.
Source: RFC 3463, 3464 and 5321, and what mail systems do in fact, whose codes and words often contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from treue.bounces import codes, wording
from treue.bounces.mime import one_line
from treue.bounces.record import Cause, Verdict

LINE = 500
_OURS = frozenset({
    Cause.sender_rejected, Cause.authentication_failed, Cause.relaying_denied, Cause.rate_limited, Cause.greylisted,
    Cause.recipient_refused, Cause.content_rejected, Cause.spam, Cause.blocked, Cause.policy, Cause.message_too_big,
})  # fmt: skip
"""What a refusal of subject 7 can be about."""
_ADDRESS = frozenset({Cause.user_unknown, Cause.domain_unknown, Cause.no_mail_accepted, Cause.moved})


@dataclass(frozen=True)
class Said:
    """What was said of one recipient: the fields of a delivery status, and the text around them."""

    recipient: str = ""
    action: str = ""
    status: str = ""
    diagnostic: str = ""
    text: str = ""


@dataclass(frozen=True)
class _Heard:
    """The same, boiled down: the code that says most, its subject and detail, the reply code, the words, all there is."""

    status: str
    key: str
    reply: str
    words: str
    around: str
    named: bool


def judge(said: Said) -> Verdict:
    """Return the verdict on one recipient."""
    rejected = wording.REJECTED.search(said.text)
    enough = codes.telling(max(codes.statuses(said.status), key=codes.telling, default="")) > 1
    first = _judged(
        said, rejected[1] if rejected else said.diagnostic or (said.status if enough else said.text)
    )
    if first.cause is not Cause.not_said or not said.diagnostic or not said.text:
        return first
    second = _judged(said, f"{said.diagnostic} {said.text}")
    return first if second.cause is Cause.not_said else second


def _judged(said: Said, text: str) -> Verdict:
    heard = _heard(said, text)
    cause = _cause(heard)
    delayed = said.action in ("delayed", "delay")
    hard = _at_fault(cause, heard.key) and not delayed and not _passing(heard)
    shown = said.diagnostic or said.text or text
    line = one_line(wording.telling(shown, heard.status, heard.reply), LINE)
    return Verdict(cause, hard, heard.status, heard.reply, said.recipient, line, not delayed)


def _heard(said: Said, text: str) -> _Heard:
    """What the other side answered comes before what the reporting side made of it."""
    near = text[:6000]
    found = [one for one in (*codes.statuses(near), *codes.statuses(said.status)) if one[0] != "2"]
    status = max(found, key=codes.telling, default="")
    reply = next(iter(codes.replies(near)), "")
    named = (
        bool(said.status and said.recipient) and wording.NAMES_RECIPIENT.match(said.diagnostic) is not None
    )
    around = f"{said.text[:20000]} {near}".lower()
    return _Heard(status, status.partition(".")[2], reply, wording.plain(near), around, named)


def _at_fault(cause: Cause, key: str) -> bool:
    if key.startswith("7.") or key in codes.NEVER_THE_ADDRESS:
        return False
    return cause in _ADDRESS or (cause is Cause.mailbox_disabled and key in ("2.1", "1.1"))


def _cause(heard: _Heard) -> Cause:
    by_code = codes.meaning(heard.status)
    strong = wording.strong(heard.words)
    if heard.key.startswith("7."):
        return strong if strong in _OURS else by_code or Cause.policy
    if heard.key in codes.NEVER_THE_ADDRESS and by_code is not None:
        return by_code
    if heard.reply in codes.TAKE_NO_MAIL:
        return Cause.no_mail_accepted
    clear = strong or by_code
    found = (
        clear
        or wording.weak(heard.words)
        or codes.BY_SUBJECT.get(heard.key.partition(".")[0], Cause.not_said)
    )
    return _believed(found, heard, vague=clear is None) if found in _ADDRESS else found


def _believed(cause: Cause, heard: _Heard, *, vague: bool) -> Cause:
    """Return the cause, or what it is more likely to be, given when the refusal came.

    Servers that filter say "user unknown" of a message they have read, too. So words are believed where the code says
    the same, where they answered the recipient's address, and where they are the sending side's own.
    """
    if wording.BEFORE_RECIPIENT.search(heard.around):
        return Cause.sender_rejected
    if heard.key in codes.ADDRESS_AT_FAULT or wording.ON_RECIPIENT.search(heard.around):
        return cause
    if wording.AFTER_CONTENT.search(heard.around):
        return Cause.recipient_refused
    if heard.named and codes.telling(heard.status) < 2:
        return cause
    answered = vague or heard.reply != "" or wording.BARE.search(heard.words) is not None
    return Cause.recipient_refused if cause is Cause.user_unknown and answered else cause


def _passing(heard: _Heard) -> bool:
    """Whether another attempt may succeed."""
    if heard.reply.startswith("5") and codes.telling(heard.status) < 2:
        return False
    if heard.status:
        return heard.status.startswith("4")
    return heard.reply.startswith("4") or (not heard.reply and wording.SOON.search(heard.words) is not None)
