"""Mails that come back, written for the tests: a delivery status, a text, a complaint."""

from __future__ import annotations

DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example.net>"
BACK_TO = "b+17-abcdefghij@bounce.klangladen.example"


def status(
    code: str = "5.1.1",
    diagnostic: str = "",
    *,
    to: str = "ada@example.com",
    action: str = "failed",
    told: str = "Your message could not be delivered.",
) -> bytes:
    """A bounce with a delivery status (RFC 3464) for one recipient."""
    return statuses([(to, action, code, diagnostic)], told)


def statuses(groups: list[tuple[str, str, str, str]], told: str = "") -> bytes:
    """The same for several: (recipient, action, status, diagnostic)."""
    fields = "\n".join(
        f"Final-Recipient: rfc822; {to}\nAction: {action}\nStatus: {code}\n"
        + (f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else "")
        for to, action, code, diagnostic in groups
    )
    return f"""\
Return-Path: <>
From: {DAEMON}
To: {BACK_TO}
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="=-report"

--=-report
Content-Type: text/plain; charset=utf-8

{told}

--=-report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

{fields}
--=-report
Content-Type: message/rfc822

{SENT}
--=-report--
""".encode()


SENT = f"""\
Return-Path: <{BACK_TO}>
Message-ID: <17.shop@klangladen.example>
From: Klangladen <post@klangladen.example>
To: ada@example.com
Subject: New records

550 5.1.1 user unknown: what stands in our own mail says nothing.
"""


def text(told: str, *, sender: str = DAEMON, subject: str = "failure notice", more: str = "") -> bytes:
    """A bounce that says in its own words what happened, above the message it returns."""
    return f"""\
Return-Path: <>
From: {sender}
To: {BACK_TO}
Subject: {subject}
{more}
{told}

--- Below this line is a copy of the message.

{SENT}""".encode()


def complaint(fields: str = "Feedback-Type: abuse\n", subject: str = "FW: New records") -> bytes:
    """A complaint in the Abuse Reporting Format (RFC 5965)."""
    return f"""\
From: <feedback@mail.example>
To: fbl@klangladen.example
Subject: {subject}
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

{fields}
--b
Content-Type: message/rfc822

{SENT}
--b--
""".encode()
