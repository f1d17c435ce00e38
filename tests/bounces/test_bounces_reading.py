"""What mails that come back are taken for: by their codes, by their words, and by which of the two is to be believed."""

from __future__ import annotations

import pytest

from tests.bounces.returned_mails import BACK_TO, complaint, status, statuses, text
from treue.bounces.reader import read
from treue.bounces.record import Cause


@pytest.mark.parametrize(
    ("code", "diagnostic", "cause", "hard"),
    [
        ("5.1.1", "550 5.1.1 <ada@example.com>: User unknown", Cause.user_unknown, True),
        ("5.1.1", "", Cause.user_unknown, True),
        ("5.1.2", "550 5.1.2 bad destination system", Cause.domain_unknown, True),
        ("5.1.3", "501 5.1.3 bad recipient address syntax", Cause.user_unknown, True),
        ("5.1.6", "551 5.1.6 user has moved", Cause.moved, True),
        ("5.1.10", "556 5.1.10 null MX", Cause.no_mail_accepted, True),
        ("5.2.1", "550 5.2.1 mailbox disabled, not accepting messages", Cause.mailbox_disabled, True),
        ("5.2.2", "552 5.2.2 mailbox full", Cause.mailbox_full, False),
        ("4.2.2", "452 4.2.2 over quota", Cause.mailbox_full, False),
        ("5.2.3", "552 5.2.3 message length exceeds limit", Cause.message_too_big, False),
        ("5.3.4", "552 5.3.4 message too big for system", Cause.message_too_big, False),
        ("5.4.4", "unable to route", Cause.domain_unknown, True),
        ("4.4.1", "connect to mx.example.com: Connection timed out", Cause.network, False),
        ("4.4.7", "delivery time expired", Cause.expired, False),
        ("5.6.0", "550 5.6.0 Recipient address rejected: media error", Cause.content_rejected, False),
        ("5.1.8", "553 5.1.8 domain of sender address does not exist", Cause.sender_rejected, False),
    ],
)
def test_a_code_that_says_enough_decides(code: str, diagnostic: str, cause: Cause, hard: bool) -> None:
    reading = read(status(code, diagnostic))
    assert (reading.kind, reading.verdict.cause, reading.verdict.hard) == ("bounce", cause, hard)
    assert (reading.verdict.status, reading.verdict.recipient) == (code, "ada@example.com")


@pytest.mark.parametrize(
    ("code", "diagnostic", "cause"),
    [
        ("5.7.1", "550 5.7.1 user unknown", Cause.policy),
        ("5.7.1", "550 5.7.1 <ada@example.com>: no such user here", Cause.policy),
        ("5.1.1", "550 5.7.1 IP address blacklisted by recipient", Cause.blocked),
        ("5.7.1", "550 5.1.1 user unknown", Cause.policy),
        ("5.7.26", "550-5.7.26 This mail is unauthenticated", Cause.authentication_failed),
        ("5.7.515", "550 5.7.515 Access denied", Cause.blocked),
        ("5.0.0", "550 5.7.1 Message rejected as spam", Cause.spam),
        ("5.7.0", "552-5.7.0 This message was blocked because its content presents a risk", Cause.content_rejected),
        ("5.7.1", "554 5.7.1 Relay access denied", Cause.relaying_denied),
        ("5.7.13", "525 5.7.13 user account disabled", Cause.policy),
        ("4.7.0", "421 4.7.0 too many messages from your IP", Cause.rate_limited),
        ("4.7.1", "450 4.7.1 Greylisted", Cause.greylisted),
    ],
)  # fmt: skip
def test_subject_seven_is_our_fault_whatever_the_words_are(code: str, diagnostic: str, cause: Cause) -> None:
    verdict = read(status(code, diagnostic)).verdict
    assert (verdict.cause, verdict.hard) == (cause, False)


@pytest.mark.parametrize(
    ("code", "diagnostic", "cause", "hard"),
    [
        ("5.0.0", "550 User not found (in reply to RCPT TO command)", Cause.user_unknown, True),
        ("5.1.0", "550 #5.1.0 Address rejected.", Cause.user_unknown, True),
        ("5.5.0", "550 Requested action not taken: mailbox unavailable", Cause.user_unknown, True),
        ("5.0.0", "550 <ada@example.com>: User unknown", Cause.user_unknown, True),
        ("5.0.0", "Host or domain name not found", Cause.domain_unknown, True),
        ("5.0.0", "521 this host takes no mail", Cause.no_mail_accepted, True),
        ("5.0.0", "550 Denied by policy", Cause.policy, False),
        ("5.0.0", "550 Virus Detected; Content Rejected", Cause.content_rejected, False),
        ("5.0.0", "550 DMARC check failed", Cause.authentication_failed, False),
        ("5.0.0", "554 Blocked - see https://lists.example/?ip=192.0.2.1", Cause.blocked, False),
        ("5.3.0", "553 https://www.spamhaus.org/query/bl?ip=192.0.2.1", Cause.blocked, False),
        ("5.0.0", "554 5.4.6 Too many hops", Cause.network, False),
        ("5.0.0", "503 Improper sequence of commands", Cause.protocol, False),
        ("5.0.0", "554 Internal server error", Cause.system, False),
        ("5.0.0", "550 Das Postfach ist voll", Cause.mailbox_full, False),
        ("5.0.0", "550 Boîte du destinataire pleine", Cause.mailbox_full, False),
        ("5.0.0", "550 отказ: ящик переполнен", Cause.mailbox_full, False),
        ("5.0.0", "550 メールボックスの容量が不足しています", Cause.mailbox_full, False),
        ("5.0.0", "550 Empfänger unbekannt (in reply to RCPT TO command)", Cause.user_unknown, True),
        ("5.0.0", "550 Adresse destinataire inconnue (in reply to RCPT TO command)", Cause.user_unknown, True),
        ("5.0.0", "550 rejected", Cause.not_said, False),
    ],
)  # fmt: skip
def test_words_decide_where_the_code_says_little(
    code: str, diagnostic: str, cause: Cause, hard: bool
) -> None:
    verdict = read(status(code, diagnostic)).verdict
    assert (verdict.cause, verdict.hard) == (cause, hard)


@pytest.mark.parametrize(
    ("code", "diagnostic", "cause"),
    [
        ("5.1.1", "552 mailbox ada is over quota temporarily (#5.1.1)", Cause.mailbox_full),
        ("5.1.1", "550 5.1.1 Refused due to recipient preferences", Cause.recipient_refused),
        ("5.2.2", "550 5.2.2 user unknown", Cause.mailbox_full),
        ("5.1.1", "450 4.1.1 user unknown, try again", Cause.user_unknown),
        ("4.0.0", "550 Rejected", Cause.not_said),
    ],
)
def test_what_speaks_for_the_address_is_believed_before_what_speaks_against_it(
    code: str, diagnostic: str, cause: Cause
) -> None:
    verdict = read(status(code, diagnostic)).verdict
    assert (verdict.cause, verdict.hard) == (cause, False) or verdict.status.startswith("5.1.1")
    if verdict.cause is not Cause.user_unknown:
        assert verdict.cause is cause


@pytest.mark.parametrize(
    ("when", "cause", "hard"),
    [
        ("(in reply to RCPT TO command)", Cause.user_unknown, True),
        ("(in reply to end of DATA command)", Cause.recipient_refused, False),
        ("(in reply to MAIL FROM command)", Cause.sender_rejected, False),
        ("", Cause.recipient_refused, False),
    ],
)
def test_user_unknown_without_a_code_is_believed_of_an_answer_to_the_address(
    when: str, cause: Cause, hard: bool
) -> None:
    told = f"<ada@example.com>: host mx.example.com said: 550 user unknown {when}"
    verdict = read(status("5.0.0", "550 user unknown", told=told)).verdict
    assert (verdict.cause, verdict.hard) == (cause, hard)


def test_links_and_addresses_are_not_taken_for_words() -> None:
    diagnostic = "550 5.1.1 <mailbox-full@spam.example>: no such user, see https://help.example/over-quota"
    verdict = read(status("5.1.1", diagnostic, to="mailbox-full@spam.example")).verdict
    assert (verdict.cause, verdict.hard) == (Cause.user_unknown, True)


def test_addresses_of_hosts_and_versions_of_programs_are_no_codes() -> None:
    told = "Postfix 2.5.1, Exim 4.92.3, host 5.7.1.9 [4.4.7.1] said: 550 5.1.1 user unknown"
    assert read(text(f"<ada@example.com>: {told}")).verdict.status == "5.1.1"
    assert read(text("<ada@example.com>: Postfix 2.5.1 on 5.1.1.1 gave up")).verdict.status == ""


def test_a_delay_is_no_end() -> None:
    verdict = read(status("5.1.1", "450 user unknown", action="delayed")).verdict
    assert (verdict.hard, verdict.given_up) == (False, False)


def test_each_recipient_has_a_verdict_and_the_gravest_speaks_for_the_mail() -> None:
    full = ("bob@example.com", "failed", "5.2.2", "552 5.2.2 mailbox full")
    gone = ("ada@example.com", "failed", "5.1.1", "550 5.1.1 user unknown")
    reading = read(statuses([full, gone]))
    assert [(one.recipient, one.hard) for one in reading.verdicts] == [
        ("bob@example.com", False),
        ("ada@example.com", True),
    ]
    assert reading.verdict.recipient == "ada@example.com"


def test_what_was_delivered_says_so_and_does_not_hide_what_was_not() -> None:
    there = ("bob@example.com", "delivered", "2.0.0", "250 ok")
    gone = ("ada@example.com", "failed", "5.1.1", "550 5.1.1 user unknown")
    assert read(statuses([there])).kind == "delivered"
    both = read(statuses([there, gone]))
    assert (both.kind, [one.recipient for one in both.verdicts]) == ("bounce", ["ada@example.com"])


def test_which_message_came_back_and_to_where() -> None:
    reading = read(status())
    assert reading.message_id == "<17.shop@klangladen.example>"
    assert reading.returned_to == (BACK_TO,)


QMAIL = """\
Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@example.com>:
"""
EXIM = """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ada@example.com
    """
SENDMAIL = """\
   ----- The following addresses had permanent fatal errors -----
<ada@example.com>

   ----- Transcript of session follows -----
... while talking to mx.example.com.:
"""


@pytest.mark.parametrize(
    ("told", "cause", "hard"),
    [
        (QMAIL + "Sorry, no mailbox here by that name. (#5.1.1)", Cause.user_unknown, True),
        (QMAIL + "192.0.2.1 does not like recipient.\nRemote host said: 550 unknown user", Cause.user_unknown, True),
        (QMAIL + "Connected to 192.0.2.1 but sender was rejected.\nRemote host said: 550 no", Cause.sender_rejected, False),
        (QMAIL + "vdelivermail: account is locked email bounced", Cause.mailbox_disabled, False),
        (QMAIL + "Remote host said: 550 5.1.1 <ada@example.com>: Recipient address rejected: example.com", Cause.user_unknown, True),
        (QMAIL + "mail box space not enough", Cause.mailbox_full, False),
        ("Invalid final delivery userid: ada@example.com", Cause.user_unknown, True),
        (EXIM + "Unrouteable address", Cause.user_unknown, True),
        (EXIM + "SMTP error from remote mail server after RCPT TO:<ada@example.com>:\n    host mx.example.com: 550 unknown user", Cause.user_unknown, True),
        (EXIM + "SMTP error from remote mail server after MAIL FROM:<x@y.example>:\n    553 y.example does not exist", Cause.sender_rejected, False),
        (EXIM + "SMTP error from remote mail server after end of data:\n    550 user unknown", Cause.recipient_refused, False),
        (EXIM + "retry timeout exceeded", Cause.expired, False),
        (SENDMAIL + ">>> RCPT To:<ada@example.com>\n<<< 550 user unknown\n550 ada@example.com... User unknown", Cause.user_unknown, True),
        (SENDMAIL + ">>> DATA\n<<< 550 user unknown", Cause.recipient_refused, False),
        ("Delivery failed 20 attempts: ada@example.com", Cause.expired, False),
        ("Your message could not be delivered to: <ada@example.com>\n as their mailbox is full.", Cause.mailbox_full, False),
        ("There was an error delivering your mail to <ada@example.com>.\n\nDNS lookup failure: host example.com not found", Cause.domain_unknown, True),
    ],
)  # fmt: skip
def test_mail_systems_that_say_it_in_their_own_words(told: str, cause: Cause, hard: bool) -> None:
    reading = read(text(told))
    assert reading.kind == "bounce"
    assert (reading.verdict.cause, reading.verdict.hard) == (cause, hard)
    assert reading.verdict.recipient == "ada@example.com"


def test_a_bounce_may_have_a_sender_of_its_own() -> None:
    mail = text(
        "Unable to deliver message to <ada@example.com>\n550 5.1.1 unknown user", sender="imss@example.net"
    )
    again = mail.replace(b"Return-Path: <>", b"Return-Path: <imss@example.net>")
    again = again.replace(b"failure notice", b"Mail could not be delivered")
    assert (read(again).kind, read(again).verdict.hard) == ("bounce", True)
    assert read(again.replace(b"Subject: Mail", b"Subject: Re: Mail")).kind == "other"


def test_a_text_may_speak_of_several_recipients() -> None:
    told = QMAIL + "no such mailbox. (#5.1.1)\n\n<bob@example.com>:\nover quota. (#5.2.2)\n"
    found = [(one.recipient, one.cause, one.hard) for one in read(text(told)).verdicts]
    assert found == [
        ("ada@example.com", Cause.user_unknown, True),
        ("bob@example.com", Cause.mailbox_full, False),
    ]


def test_a_line_of_a_transcript_speaks_of_one_recipient() -> None:
    told = """\
   ----- Transcript of session follows -----
554 <ada@example.com>... Remote protocol error
550 <bob@example.org>... Host unknown
While talking to mx.example.net:
>>> RCPT To:<eve@example.net>
<<< 550 <eve@example.net>... User unknown
550 <eve@example.net>... User unknown
"""
    found = [(one.recipient, one.cause) for one in read(text(told)).verdicts]
    assert found == [
        ("ada@example.com", Cause.protocol),
        ("bob@example.org", Cause.domain_unknown),
        ("eve@example.net", Cause.user_unknown),
    ]


def test_the_failed_recipients_may_be_named_in_the_header() -> None:
    mail = text("Something went wrong.", more="X-Failed-Recipients: ada@example.com, bob@example.com\n")
    assert [one.recipient for one in read(mail).verdicts] == ["ada@example.com", "bob@example.com"]


def test_what_our_own_mail_says_is_no_verdict() -> None:
    reading = read(text("Something went wrong."))
    assert (reading.verdict.cause, reading.verdict.hard) == (Cause.not_said, False)


def test_a_delivery_status_may_stand_in_a_text_and_be_quoted() -> None:
    told = "> Final-Recipient: rfc822; ada@example.com\n> Action: failed\n> Status: 5.1.1\n"
    assert read(text(told)).verdict.hard


def test_a_boundary_that_is_not_the_announced_one_is_found() -> None:
    mail = status("5.1.1", "550 5.1.1 user unknown").replace(b"\n--=-report", b"\n--=-other-report")
    assert read(mail).verdict.hard


@pytest.mark.parametrize(
    ("fields", "kind", "cause"),
    [
        ("Feedback-Type: abuse\nOriginal-Rcpt-To: <ada@example.com>\n", "complaint", Cause.complained),
        ("Feedback-Type: opt-out\nRemoval-Recipient: ada@example.com\n", "complaint", Cause.opted_out),
        ("Feedback-Type: fraud\n", "complaint", Cause.complained),
        ("Feedback-Type: not-spam\n", "other", Cause.not_said),
        ("Feedback-Type: auth-failure\n", "other", Cause.authentication_failed),
    ],
)
def test_feedback_reports(fields: str, kind: str, cause: Cause) -> None:
    reading = read(complaint(fields))
    assert (reading.kind, reading.verdict.cause, reading.verdict.hard) == (kind, cause, False)
    assert reading.verdict.recipient == "ada@example.com"
    assert BACK_TO in reading.returned_to


def test_a_complaint_may_name_several_recipients() -> None:
    reading = read(
        complaint("Feedback-Type: abuse\nOriginal-Rcpt-To: a@b.example\nOriginal-Rcpt-To: c@d.example\n")
    )
    assert [one.recipient for one in reading.verdicts] == ["a@b.example", "c@d.example"]


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied\nSubject: Re: New records",
        "Subject: Automatic reply: New records",
        "Subject: Automatische Antwort: Neue Platten",
        "Subject: Abwesenheitsnotiz",
        "Subject: =?utf-8?q?R=C3=A9ponse_automatique_:_Nouveaut=C3=A9s?=",
        "Precedence: auto_reply\nSubject: Hello",
        "X-Autoreply: yes\nSubject: Hello",
    ],
)
def test_automatic_answers(header: str) -> None:
    reading = read(f"From: ada@example.com\n{header}\n\nI am away. Mailbox full of mail.\n".encode())
    assert (reading.kind, reading.verdict.cause) == ("auto-reply", Cause.away)
    assert (reading.verdict.recipient, reading.verdict.hard) == ("ada@example.com", False)


def test_a_person_who_answers_is_something_else() -> None:
    mail = b"Return-Path: <ada@example.com>\nFrom: ada@example.com\nSubject: Re: your order is delayed\n\nWhere is it?"
    assert read(mail).kind == "other"


def test_a_receipt_that_a_mail_was_opened_says_that_it_came() -> None:
    mail = b"""\
From: ada@example.com
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822;ada@example.com
Original-Message-ID: <17.shop@klangladen.example>
Disposition: manual-action/MDN-sent-manually; displayed
--b--
"""
    reading = read(mail)
    assert (reading.kind, reading.message_id) == ("delivered", "<17.shop@klangladen.example>")


def test_notices_of_amazon_ses() -> None:
    document = (
        '{"notificationType":"%s","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"ada@example.com",'
        '"status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"complaint":{"complainedRecipients":'
        '[{"emailAddress":"ada@example.com"}]},"delivery":{"recipients":["ada@example.com"]}}'
    )
    found = {}
    for kind in ("Bounce", "Complaint", "Delivery"):
        reading = read(f"From: x <no-reply@sns.amazonaws.com>\n\n{document % kind}\n\n--\nbye".encode())
        found[reading.kind] = (reading.verdict.recipient, reading.verdict.hard)
    assert found == {
        "bounce": ("ada@example.com", True),
        "complaint": ("ada@example.com", False),
        "delivered": ("ada@example.com", False),
    }


def test_the_line_is_one_short_line_of_printable_text() -> None:
    line = read(status("5.1.1", "550 5.1.1 no\x1b[31m \u202e such <b>user</b> " + "x" * 5000)).verdict.line
    assert line.startswith("550 5.1.1 no?[31m ? such <b>user</b>")
    assert len(line) == 500


def test_each_cause_has_its_sentence() -> None:
    assert all(cause.sentence for cause in Cause)
