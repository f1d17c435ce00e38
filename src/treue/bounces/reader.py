"""Reads one mail that came back."""

from __future__ import annotations

import re
from dataclasses import replace

from treue.bounces import reports
from treue.bounces.kinds import READERS
from treue.bounces.mime import MimeMail, one_line, parse
from treue.bounces.record import Cause, Reading, Verdict

_MESSAGE_ID = re.compile(
    r"^[>\s]{0,20}(?:X-)?(?:Original-)?Message-ID:\s{0,80}(<[^<>\s]{1,300}>)", re.IGNORECASE | re.MULTILINE
)
_BACK_TO = ("delivered-to", "x-original-to", "envelope-to", "to")


def read(raw: bytes) -> Reading:
    """Return what a mail amounts to. Takes any bytes and never raises; sees the first 512 KiB."""
    try:
        return _read(parse(raw))
    except Exception:  # strangers write these mails, and one that stops the reader stops all behind it
        return Reading("other", (Verdict(Cause.not_said),))


def _read(mail: MimeMail) -> Reading:
    returned = reports.returned(mail)
    found = next((found for reader in READERS if (found := reader(mail)) is not None), None)
    kind, verdicts = found or ("other", (Verdict(Cause.not_said),))
    if len(verdicts) == 1 and not verdicts[0].recipient:
        verdicts = (replace(verdicts[0], recipient=reports.address_in(reports.field(returned, "to"))),)
    verdicts = tuple(replace(one, recipient=one_line(one.recipient, 254)) for one in verdicts)
    return Reading(kind, verdicts, _message_id(mail, returned), _returned_to(mail, returned))


def _message_id(mail: MimeMail, returned: str) -> str:
    reported = (part.text for part in mail.parts if part.kind.startswith("message/"))
    matches = (_MESSAGE_ID.search(text) for text in (returned, *reported))
    return next((match[1] for match in matches if match), "")


def _returned_to(mail: MimeMail, returned: str) -> tuple[str, ...]:
    given = [value for name in _BACK_TO for value in mail.fields.get(name, [])[:5]]
    report = mail.part("message/feedback-report") or ""
    given += [reports.field(report, "original-mail-from"), reports.field(returned, "return-path")]
    return tuple(dict.fromkeys(found for value in given if (found := reports.address_in(value))))
