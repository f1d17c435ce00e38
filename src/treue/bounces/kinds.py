"""The kinds of mail that come back, and what tells them apart: one reader for each, asked in order."""

from __future__ import annotations

import re
from dataclasses import replace

from treue.bounces import codes, notices, reports
from treue.bounces.mime import MimeMail, header, one_line
from treue.bounces.record import Cause, Kind, Verdict
from treue.bounces.verdict import LINE, Said, judge

Found = tuple[Kind, tuple[Verdict, ...]] | None

_DAEMON = re.compile(
    r"mailer-?daemon|post_?master|mail ?(?:delivery|administrator|system)|deliver(?:y|ing)? (?:sub)?system|mail ?delivery|mdaemon",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"undeliver|delivery (?:status|fail|report|notif|problem)|returned (?:mail|to sender)|mail (?:delivery|could not|system error|failure)|failure notice|not (?:be )?delivered|non-?delivery"
    r"|could ?n[o']t be (?:delivered|sent)|returning message|message status|unzustellbar|nicht zugestellt|zustellung|non remis|no (?:se ha )?entreg|impossibile recapitare|配信できません|送信できません|配信エラー|送信エラー|не доставлено|undelivered|user unknown",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"^\W{0,5}(?:re: )?(?:auto(?:matic|mated|matische|matica|m[aá]tica)?[\s-]?(?:re(?:ply|sponse|sponder)|antwort|svar|respuesta|risposta|réponse)|automatische antwort|réponse automatique|respuesta autom|risposta autom|resposta autom|out of (?:the )?office|ooo\b|abwesen|away (?:from|until)|i am away|vacation|on (?:holiday|vacation|leave)|urlaub|absence|absent|automatisk svar|autosvar|автоответ|自動(?:返信|応答)|自动回复|odpowied[zź] automatyczna)",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(
    r"complaint about message from|abuse (?:report|complaint)|spam (?:report|complaint)|feedback report",
    re.IGNORECASE,
)
_DELIVERED = ("delivered", "relayed", "expanded", "deliverable")

_NO_COMPLAINTS = {"auth-failure": Cause.authentication_failed, "not-spam": Cause.not_said}
"""Feedback that no recipient complains with (RFC 6591, RFC 6430)."""


def _complaint(mail: MimeMail) -> Found:
    """Read a feedback report (RFC 5965), or the older mails that say so in their subject."""
    report, returned = mail.part("message/feedback-report"), reports.returned(mail)
    if report is None:
        if not _COMPLAINT.search(mail.first("subject")) or not returned:
            return None
        report = ""
    fields = header(report)
    told = fields.get("feedback-type", ["abuse"])[0].strip().lower()
    named = fields.get("original-rcpt-to") or fields.get("removal-recipient")
    named = named or [reports.field(returned, "x-hmxmroriginalrecipient") or reports.field(returned, "to")]
    line = one_line(f"{told} {fields.get('user-agent', [''])[0]}", LINE)
    kind: Kind = "other" if told in _NO_COMPLAINTS else "complaint"
    cause = _NO_COMPLAINTS.get(told, Cause.opted_out if told.startswith("opt-out") else Cause.complained)
    return kind, tuple(Verdict(cause, recipient=reports.address_in(one), line=line) for one in named[:50])


def _notice(mail: MimeMail) -> Found:
    """Read what Amazon SES says by mail."""
    found = notices.notice(mail)
    if found is None:
        return None
    kind, said = found
    if kind == "complaint":
        return "complaint", tuple(
            Verdict(Cause.complained, recipient=one.recipient, line=one_line(one.diagnostic, LINE))
            for one in said
        )
    return ("delivered" if kind == "delivery" else "bounce"), tuple(_verdict(one) for one in said)


def _receipt(mail: MimeMail) -> Found:
    """Read a disposition notification (RFC 8098): that it was opened, or deleted, says that it came."""
    report = mail.part("message/disposition-notification")
    if report is None:
        return None
    fields = header(report)
    said = fields.get("disposition", [""])[0].lower()
    to = reports.address_in((fields.get("final-recipient") or fields.get("original-recipient") or [""])[0])
    came = any(word in said for word in ("displayed", "deleted", "dispatched", "processed"))
    return ("delivered" if came else "other"), (
        Verdict(Cause.delivered if came else Cause.not_said, recipient=to, line=one_line(said, LINE)),
    )


def _statuses(mail: MimeMail) -> Found:
    """Read delivery statuses (RFC 3464)."""
    found = reports.fields(mail)
    if not found:
        return None
    by_text = {said.recipient.lower(): said.text for said in reports.from_text(mail, _ours(mail))}
    whole = reports.told(mail)
    verdicts = tuple(
        _verdict(replace(said, text=by_text.get(said.recipient.lower(), whole if len(found) == 1 else "")))
        for said in found
    )
    came = all(one.cause is Cause.delivered for one in verdicts)
    return ("delivered" if came else "bounce"), tuple(
        v for v in verdicts if came or v.cause is not Cause.delivered
    )


def _verdict(said: Said) -> Verdict:
    came = said.action in _DELIVERED or (not said.action and said.status.startswith("2."))
    if not came:
        return judge(said)
    return Verdict(
        Cause.delivered,
        status=next(iter(codes.statuses(said.status)), ""),
        recipient=said.recipient,
        line=one_line(said.diagnostic, LINE),
    )


def _answer(mail: MimeMail) -> Found:
    """Read an automatic answer (RFC 3834) that is not the bounce of an old mail system."""
    submitted = mail.first("auto-submitted").lower()
    marked = submitted.startswith(("auto-replied", "auto-notified")) or any(
        name in mail.fields for name in ("x-autoreply", "x-autorespond", "x-autogenerated", "x-vacation")
    )
    marked = marked or mail.first("precedence").lower() in ("auto_reply", "auto-reply")
    away = _AWAY.search(mail.first("subject")) is not None
    if not (marked or away) or _returns_mail(mail):
        return None
    return "auto-reply", (
        Verdict(
            Cause.away,
            recipient=reports.address_in(mail.first("from")),
            line=one_line(mail.first("subject"), LINE),
        ),
    )


def _text(mail: MimeMail) -> Found:
    """Read a bounce that says in its own words what happened."""
    if not _returns_mail(mail):
        return None
    found = reports.from_text(mail, _ours(mail))
    subject = mail.first("subject")
    if not found:
        return "bounce", (judge(Said(text=subject)),)
    verdicts = [judge(said) for said in found]
    if all(one.cause is Cause.not_said for one in verdicts):
        whole = reports.told(mail)
        verdicts = [judge(replace(said, text=f"{whole}\n{subject}")) for said in found]
    return "bounce", tuple(verdicts)


def _returns_mail(mail: MimeMail) -> bool:
    """Whether a mail is one that mail systems send about another."""
    report = mail.first("content-type").lower().startswith("multipart/report")
    if report or "x-failed-recipients" in mail.fields or _DAEMON.search(mail.first("from")):
        return True
    subject, sender = mail.first("subject"), mail.first("return-path").strip()
    if _FAILED.search(subject) and not subject.lower().startswith(("re:", "aw:")):
        return True
    return sender in ("", "<>") and _FAILED.search(reports.told(mail)[:4000]) is not None


def _ours(mail: MimeMail) -> set[str]:
    names = (
        "to",
        "from",
        "delivered-to",
        "x-original-to",
        "return-path",
        "envelope-to",
        "sender",
        "reply-to",
        "cc",
    )
    return {reports.address_in(value).lower() for name in names for value in mail.fields.get(name, [])}


READERS = (_complaint, _notice, _receipt, _statuses, _answer, _text)
"""In this order; the first that knows the mail says what it is."""
