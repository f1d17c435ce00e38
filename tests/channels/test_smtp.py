from __future__ import annotations

import base64
import email
import errno
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.channels.smtp_server import HANG_UP, SILENCE, Script, Server
from treue.channel import Accepted, Attachment, Channel, Outgoing, Receipt, Refused, Retry, Unknown
from treue.errors import ChannelError
from treue.render.mail.mail import MailContent, Sender, compose
from treue.testing.channel_contract import ChannelContract, Log, example_message
from treue_channels.inbox import Inbox
from treue_channels.smtp import Smtp
from treue_channels.smtp.dialogue import Dialogue
from treue_channels.smtp.seven_bit import seven_bit

PASSWORD = "s3cret/word&"
IN_URL = "mailer%40example.com:s3cret%2Fword%26"

ABOUT_US = [
    ("mail", "550 5.1.1 unknown sender"), ("mail", "553 5.7.1 <shop@example.com>: Sender address rejected: not owned by user"),
    ("mail", "550 5.1.8 bad sender's system address"), ("mail", "535 5.7.8 authentication failed"),
    ("mail", "530 5.7.0 authentication required"), ("mail", "554 no"), ("mail", "451 4.1.8 sender's domain not found"),
    ("rcpt", "554 5.7.1 <customer@example.com>: Relay access denied"), ("rcpt", "550 5.7.1 no"),
    ("rcpt", "550 5.1.7 bad sender's mailbox address"), ("rcpt", "450 4.7.1 Client host rejected: cannot find your hostname"),
    ("dot", ("554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "EU-CENTRAL-1: shop@example.com")),
    ("dot", ("550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
            "resolved.")),
    ("dot", "550 5.7.26 This mail has been blocked because the sender is unauthenticated."),
    ("data", ("421 Domain sandbox0f23.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. "
             "Please add your own domain or add the address to authorized recipients in Account Settings.")),
]  # fmt: skip
"""Postfix, Exchange, Gmail; Amazon SES, SendGrid and Mailgun by SMTP."""


def mail(number: int = 1, **changes: object) -> Outgoing:
    return replace(example_message("email", number), **changes)


def one(adapter: Smtp, message: Outgoing | None = None) -> Receipt:
    return adapter.send([message or mail()], Log())[0]


def with_body(body: bytes) -> Outgoing:
    head = (
        b"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return mail(raw=head + body)


class TestSmtpKeepsTheContract(ChannelContract):
    secrets = (
        PASSWORD,
        "mailer@example.com",
        "s3cret%2Fword%26",
        base64.b64encode(PASSWORD.encode()).decode(),
    )

    @pytest.fixture
    def channel(self, smtp: Smtp, script: Script) -> Smtp:
        script.answers["rcpt gone@example.com"] = "550 5.1.1 no such user"
        return smtp

    @pytest.fixture
    def unreachable(self, script: Script, server: Server) -> Smtp:
        script.features = ("AUTH PLAIN LOGIN",)
        auth = base64.b64encode(f"\0mailer@example.com\0{PASSWORD}".encode()).decode()
        script.answers["auth"] = f"535 5.7.8 mailer@example.com may not use {PASSWORD} nor {auth}"
        return Smtp(url=f"smtp://{IN_URL}@127.0.0.1:{server.port}?timeout=1")

    def refused_message(self) -> Outgoing:
        return mail(7, to="gone@example.com")

    def objections(self, channel: Channel, request: pytest.FixtureRequest) -> Iterator[str]:
        script = request.getfixturevalue("script")
        for stage, answer in ABOUT_US:
            script.answers = {stage: answer}
            yield f"{answer} to {stage}"


class TestSmtpIntoTheInboxKeepsTheContract(ChannelContract):
    @pytest.fixture
    def channel(self, inbox: Inbox) -> Iterator[Smtp]:
        adapter = Smtp(url=inbox.smtp_url)
        yield adapter
        adapter.close()

    @pytest.fixture
    def unreachable(self) -> Smtp:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return Smtp(url=f"smtp://127.0.0.1:{taken.getsockname()[1]}?timeout=1")


# What each answer means, stage by stage


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "451 4.3.0 later", "452 4.3.1 full"])
def test_a_4xx_at_any_stage_is_a_retry(smtp: Smtp, script: Script, stage: str, answer: str) -> None:
    script.answers[stage] = answer
    receipt = one(smtp)
    assert isinstance(receipt, Retry)
    assert answer in receipt.reason
    assert script.taken == []


@pytest.mark.parametrize("stage", ["rcpt", "data", "dot"])
@pytest.mark.parametrize("answer", ["552 5.3.4 too big", "554 5.6.0 bad", "554 no"])
def test_a_5xx_at_any_stage_is_a_refusal_that_spares_the_address(
    smtp: Smtp, script: Script, stage: str, answer: str
) -> None:
    script.answers[stage] = answer
    receipt = one(smtp)
    assert isinstance(receipt, Refused)
    assert answer in receipt.reason
    assert not receipt.suppress


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
def test_a_status_that_says_the_address_is_dead_suppresses_it(
    smtp: Smtp, script: Script, status: str
) -> None:
    script.answers["rcpt"] = f"550 {status} no"
    assert one(smtp) == Refused(f"127.0.0.1 answered 550 {status} no to the recipient", suppress=True)


@pytest.mark.parametrize("status", ["5.1.0", "5.1.100", "5.2.2", "5.2.10", "5.3.4"])
def test_any_other_status_does_not(smtp: Smtp, script: Script, status: str) -> None:
    script.answers["rcpt"] = f"550 {status} no"
    assert isinstance(receipt := one(smtp), Refused)
    assert not receipt.suppress


@pytest.mark.parametrize("status", ["5.1.7", "5.1.8", "5.7.1", "5.7.26", "5.7.515"])
def test_a_status_about_the_sender_refuses_nobody(smtp: Smtp, script: Script, status: str) -> None:
    script.answers["rcpt"] = f"550 {status} no"
    receipts = smtp.send([mail(1), mail(2)], Log())
    assert [(type(one), getattr(one, "ours", False)) for one in receipts] == [(Retry, True)] * 2


def test_the_status_of_an_answer_of_several_lines_counts(smtp: Smtp, script: Script) -> None:
    script.answers["rcpt"] = "550-5.1.1 The account\r\n550-5.1.1 you tried\r\n550 5.1.1 is gone"
    assert isinstance(receipt := one(smtp), Refused)
    assert receipt.suppress
    assert "The account 5.1.1 you tried" in receipt.reason


def test_a_server_that_wants_a_login_first_costs_a_retry_not_the_message(smtp: Smtp, script: Script) -> None:
    script.answers["mail"] = "530 5.7.0 authentication required"
    assert isinstance(one(smtp), Retry)


def test_the_queue_id_of_the_server_is_the_receipts_id(smtp: Smtp) -> None:
    assert smtp.send([mail(1), mail(2)], Log()) == [Accepted("Q1"), Accepted("Q2")]


def test_a_server_without_a_queue_id_is_fine(smtp: Smtp, script: Script) -> None:
    script.answers["dot"] = "250 Message accepted for delivery"
    assert one(smtp) == Accepted("")


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("how", [HANG_UP, SILENCE])
def test_a_connection_lost_before_the_final_dot_is_a_retry(
    smtp: Smtp, script: Script, stage: str, how: str
) -> None:
    script.answers[stage] = how
    assert isinstance(one(smtp), Retry)


@pytest.mark.parametrize("how", [HANG_UP, SILENCE])
def test_a_connection_lost_after_the_final_dot_is_a_doubt(smtp: Smtp, script: Script, how: str) -> None:
    script.answers["dot"] = [how, "250 ok"]
    receipts = smtp.send([mail(1), mail(2)], Log())
    assert isinstance(receipts[0], Unknown)
    assert receipts[1] == Accepted("")


@pytest.mark.parametrize("answer", ["354 go on", "nonsense", "999 what", "250" + "x" * 9000])
def test_an_answer_after_the_final_dot_that_means_nothing_is_a_doubt(
    smtp: Smtp, script: Script, answer: str
) -> None:
    script.answers["dot"] = [answer, "250 ok"]
    receipts = smtp.send([mail(1), mail(2)], Log())
    assert isinstance(receipts[0], Unknown)
    assert receipts[1] == Accepted("")


def test_a_connection_lost_in_the_middle_of_the_message_is_a_retry() -> None:
    def vanish(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"220 ready\r\n")
            for answer in (b"250 me\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
                lines.readline()
                peer.sendall(answer)
            peer.recv(1000)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=vanish, args=(listener,))
        thread.start()
        adapter = Smtp(url=f"smtp://127.0.0.1:{listener.getsockname()[1]}?timeout=5")
        receipt = one(adapter, with_body(b"x" * 70 * 1_000_000))
        adapter.close()  # who had sent all of it before the answer came keeps the connection for the next message
        thread.join()
    assert isinstance(receipt, Retry)
    assert "broke off" in receipt.reason


@pytest.mark.parametrize("reads_on", [True, False])
def test_a_server_that_refuses_in_the_middle_of_the_message_is_heard(reads_on: bool) -> None:
    def refuse(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"220 ready\r\n")
            for answer in (b"250 me\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
                lines.readline()
                peer.sendall(answer)
            peer.recv(1000)
            peer.sendall(b"552 5.3.4 too big\r\n")
            peer.shutdown(socket.SHUT_WR)
            while reads_on and peer.recv(1_000_000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        adapter = Smtp(url=f"smtp://127.0.0.1:{listener.getsockname()[1]}?timeout=5")
        receipt = one(adapter, with_body(b"x" * 70 * 1_000_000))
        adapter.close()  # who had sent all of it before the answer came keeps the connection for the next message
        thread.join()
    # where it stops reading, the network may lose its words; the message is certain not to have been sent either way
    assert isinstance(receipt, Refused) or (not reads_on and isinstance(receipt, Retry))


# One connection, many messages


def test_a_batch_travels_over_one_connection(smtp: Smtp, script: Script) -> None:
    smtp.send([mail(n) for n in range(20)], Log())
    smtp.send([mail(n) for n in range(20, 40)], Log())
    assert [taken.recipient for taken in script.taken] == [f"customer{n}@example.com" for n in range(40)]
    assert script.connections == 1


def test_every_message_has_one_recipient_and_its_own_envelope_sender(smtp: Smtp, script: Script) -> None:
    smtp.send([mail(n, sender=f"bounce+{n}@example.com") for n in range(3)], Log())
    assert [line.split("<")[1].split(">")[0] for line in script.heard if line.startswith(("MAIL", "RCPT"))] == [
        "bounce+0@example.com", "customer0@example.com",
        "bounce+1@example.com", "customer1@example.com",
        "bounce+2@example.com", "customer2@example.com",
    ]  # fmt: skip


def test_a_refusal_is_followed_by_a_reset_and_the_connection_kept(smtp: Smtp, script: Script) -> None:
    script.answers["rcpt customer1@example.com"] = "550 5.1.1 no"
    receipts = smtp.send([mail(0), mail(1), mail(2)], Log())
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused, Accepted]
    assert script.heard.count("rset") + script.heard.count("RSET") == 1
    assert script.connections == 1


@pytest.mark.parametrize("farewell", [HANG_UP, "421 4.4.2 idle for too long"])
def test_a_connection_the_server_closed_meanwhile_is_opened_again(
    smtp: Smtp, script: Script, farewell: str
) -> None:
    script.answers["mail"] = ["250 ok", farewell, "250 ok"]
    log = Log()
    assert smtp.send([mail(1), mail(2)], log) == [Accepted("Q1"), Accepted("Q2")]
    assert log.of("contract-2") == ["started", "settled"]
    assert script.connections == 2


def test_a_server_that_cannot_be_reached_is_tried_once_a_batch(smtp: Smtp, script: Script) -> None:
    script.answers["greeting"] = "421 4.3.2 closed for the night"
    log = Log()
    receipts = smtp.send([mail(n) for n in range(50)], log)
    assert [type(receipt) for receipt in receipts] == [Retry] * 50
    assert script.connections == 1
    assert ("started", "contract-0") not in log.calls
    del script.answers["greeting"]
    assert one(smtp) == Accepted("Q1")


def test_a_server_that_hangs_up_on_every_message_is_left_alone_after_three(
    smtp: Smtp, script: Script
) -> None:
    script.answers["rcpt"] = HANG_UP
    receipts = smtp.send([mail(n) for n in range(50)], Log())
    assert [type(receipt) for receipt in receipts] == [Retry] * 50
    assert script.connections == 3


def test_a_server_that_answers_byte_by_byte_is_understood(smtp: Smtp, script: Script) -> None:
    script.drips = True
    script.answers["rcpt"] = "250-2.1.5 yes\r\n250 2.1.5 indeed"
    assert smtp.send([mail(n) for n in range(5)], Log()) == [Accepted(f"Q{n}") for n in range(1, 6)]


def test_a_server_that_has_enough_of_a_connection_gets_another(smtp: Smtp, script: Script) -> None:
    script.messages_a_connection = 7
    log = Log()
    receipts = smtp.send([mail(n) for n in range(30)], log)
    assert [type(receipt) for receipt in receipts] == [Accepted] * 30
    assert len({taken.recipient for taken in script.taken}) == len(script.taken) == 30
    assert all(log.of(f"contract-{n}") == ["started", "settled"] for n in range(30))
    assert script.connections == 5


def test_many_messages_travel_over_several_connections_each_once(smtp: Smtp, script: Script) -> None:
    script.answers["rcpt customer77@example.com"] = "550 5.1.1 nobody"
    script.messages_a_connection = 40
    log = Log()
    receipts = smtp.send([mail(n) for n in range(400)], log)
    assert [n for n, receipt in enumerate(receipts) if not isinstance(receipt, Accepted)] == [77]
    assert isinstance(receipts[77], Refused)
    assert sorted(taken.recipient for taken in script.taken) == sorted(
        f"customer{n}@example.com" for n in range(400) if n != 77
    )
    assert all(log.receipts[f"contract-{n}"] == receipt for n, receipt in enumerate(receipts))


def test_a_server_that_dies_leaves_at_most_one_doubt_a_connection(smtp: Smtp, script: Script) -> None:
    script.dies_at = 100
    receipts = smtp.send([mail(n) for n in range(400)], Log())
    taken = {taken.recipient for taken in script.taken}
    assert {
        f"customer{n}@example.com" for n, one in enumerate(receipts) if isinstance(one, Accepted)
    } == taken
    # eight connections when it dies, and three more that were opened to see whether it lives
    assert 1 <= sum(isinstance(receipt, Unknown) for receipt in receipts) <= 11
    assert isinstance(untried := receipts[250], Retry)
    assert untried.everyone


def test_the_number_of_connections_can_be_set(server: Server, script: Script) -> None:
    adapter = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=2&sessions=2&max_per_connection=400")
    adapter.send([mail(n) for n in range(400)], Log())
    adapter.close()
    assert script.connections == 2


def test_a_server_that_lets_only_some_connections_in_is_not_asked_for_more(
    server: Server, script: Script
) -> None:
    script.most_connections = 2
    adapter = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=2&max_per_connection=1200")
    for _ in range(3):
        assert {type(receipt) for receipt in adapter.send([mail(n) for n in range(400)], Log())} == {Accepted}
    assert script.connections == 3


def test_a_name_that_does_not_exist_is_a_retry() -> None:
    assert isinstance(one(Smtp(url="smtp://nowhere.invalid:25?timeout=2")), Retry)


def test_an_interrupt_in_the_middle_of_a_message_leaves_no_half_open_transaction(
    smtp: Smtp, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(dialogue: Dialogue, data: bytes) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Dialogue, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one(smtp)
    assert one(smtp) == Accepted("Q1")
    assert script.connections == 2


class FullDisk(Log):
    """A log that cannot be written any more after so many messages."""

    room = 3

    def started(self, key: str) -> bool:
        if len(self.calls) >= 2 * self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().started(key)


def test_nothing_goes_out_that_the_log_cannot_hold(smtp: Smtp, script: Script) -> None:
    receipts = smtp.send([mail(n) for n in range(20)], FullDisk())
    assert [type(receipt) for receipt in receipts] == [Accepted] * 3 + [Retry] * 17
    assert len(script.taken) == 3
    assert isinstance(last := receipts[-1], Retry)
    assert "No space left" in last.reason


# The bytes


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b".one\r\n..two\r\nthree.\r\n",
        b"\r\n\r\n.\r\n\r\n",
        b"a\r\n.\r\nMAIL FROM:<x@example.com>\r\n",
        "Grüße aus Köln für 20 €\r\n".encode(),
        b"\x80\xff\x00latin or worse\r\n",
        b"x" * 998 + b"\r\n",
        b"line\r\n" * 100_000,
    ],
    ids=["dot", "dots", "leading", "blank", "smuggled", "utf8", "bytes", "longest", "long"],
)
def test_a_message_arrives_byte_for_byte(inbox: Inbox, smtp: Smtp, script: Script, body: bytes) -> None:
    message = with_body(body)
    assert isinstance(one(smtp, message), Accepted)
    assert script.taken[-1].raw == message.raw
    into_inbox = Smtp(url=inbox.smtp_url)
    receipt = one(into_inbox, message)
    into_inbox.close()
    assert isinstance(receipt, Accepted)
    stored = inbox.box.get(int(receipt.provider_id))
    assert stored is not None
    assert stored.raw == message.raw


def test_a_message_without_a_last_line_end_gets_one(smtp: Smtp, script: Script) -> None:
    assert isinstance(one(smtp, with_body(b"no end")), Accepted)
    assert script.taken[0].raw.endswith(b"no end\r\n")


@pytest.mark.parametrize(
    "body", [b"", b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nb\r\n", b"a\n.\r\nMAIL FROM:<x@y.example>\r\n"]
)
def test_bare_line_ends_are_refused_before_anything_is_sent(smtp: Smtp, script: Script, body: bytes) -> None:
    assert isinstance(one(smtp, mail(raw=body)), Refused)
    assert [line for line in script.heard if not line.lower().startswith("ehlo")] == []


def test_8bit_is_declared_where_offered(smtp: Smtp, script: Script) -> None:
    one(smtp, with_body("ü\r\n".encode()))
    one(smtp, with_body(b"u\r\n"))
    declared = [line.endswith("BODY=8BITMIME") for line in script.heard if line.startswith("MAIL")]
    assert declared == [True, False]


def test_a_server_that_takes_no_8bit_gets_the_same_mail_in_base64(smtp: Smtp, script: Script) -> None:
    script.features = tuple(feature for feature in script.features if feature != "8BITMIME")
    message = with_body("Grüße\r\n.aus Köln\r\n".encode())
    assert one(smtp, message) == Accepted("Q1")
    taken = script.taken[0].raw
    assert taken.isascii()
    before, after = email.message_from_bytes(message.raw), email.message_from_bytes(taken)
    assert after.get_payload(decode=True) == before.get_payload(decode=True)
    assert [pair for pair in before.items() if pair[0] != "Content-Transfer-Encoding"] == [
        pair for pair in after.items() if pair[0] != "Content-Transfer-Encoding"
    ]
    assert "BODY=8BITMIME" not in " ".join(script.heard)


def test_a_mail_of_many_parts_is_the_same_in_base64() -> None:
    sender = Sender("Käthe", "a@shop.example", "shop")
    picture = Attachment("ü.png", "image/png", bytes(range(256)), "p1@treue")
    paper = Attachment("Rechnung März.pdf", "application/pdf", b"%PDF" * 99)
    letter = MailContent(
        "1", "b@example.com", "Grüße", "Grüße\n.\n", "<p>Schön</p>", attachments=(picture, paper)
    )
    wide = compose(sender, letter, datetime(2026, 3, 1, tzinfo=UTC), eight_bit=True)
    assert isinstance(wide, bytes)
    narrow = seven_bit(wide)
    assert narrow.isascii()
    assert b"8bit" not in narrow
    assert narrow.count(b"\r\n") == narrow.count(b"\n") == narrow.count(b"\r")
    before, after = email.message_from_bytes(wide), email.message_from_bytes(narrow)
    assert [part.get_content_type() for part in before.walk()] == [
        part.get_content_type() for part in after.walk()
    ]
    assert [part.get_payload(decode=True) for part in before.walk()] == [
        part.get_payload(decode=True) for part in after.walk()
    ]
    assert before.items()[:5] == after.items()[:5]


def test_8bit_headers_wait_for_a_server_that_takes_them(smtp: Smtp, script: Script) -> None:
    script.features = tuple(feature for feature in script.features if feature != "8BITMIME")
    raw = b"From: a@example.com\r\nSubject: " + "ü".encode() + b"\r\n\r\nbody\r\n"
    assert isinstance(one(smtp, mail(raw=raw)), Retry)
    assert one(smtp, with_body(b"u\r\n")) == Accepted("Q1")


def test_a_domain_with_an_umlaut_goes_out_in_ascii(smtp: Smtp, script: Script) -> None:
    one(smtp, mail(to="anna@Straße-Köln.example"))
    assert script.taken[0].recipient == "anna@xn--strae-kln-j1a0x.example"


def test_a_mailbox_with_an_umlaut_needs_a_server_that_takes_it(smtp: Smtp, script: Script) -> None:
    assert isinstance(receipt := one(smtp, mail(to="jürgen@example.com")), Refused)
    assert not receipt.suppress
    script.features = ("SMTPUTF8", "8BITMIME")
    smtp.close()
    assert one(smtp, mail(to="jürgen@example.com")) == Accepted("Q1")
    assert one(smtp) == Accepted("Q2")
    assert [taken.recipient for taken in script.taken] == ["jürgen@example.com", "customer1@example.com"]


@pytest.mark.parametrize(
    "to",
    ["a@b@c.example", "a b@example.com", "<a@example.com>", "Anna <a@example.com>", "a@example.com,b@example.com",
     "@example.com", "anna", "a@ü\u200b.example\n", "a@[127.0.0.1]", "a@" + "ü" * 80 + ".example"],
)  # fmt: skip
def test_what_is_not_one_plain_address_is_refused(smtp: Smtp, script: Script, to: str) -> None:
    assert isinstance(one(smtp, mail(to=to)), Refused)
    assert [line for line in script.heard if not line.lower().startswith("ehlo")] == []


def test_a_hostile_sender_is_refused(smtp: Smtp, script: Script) -> None:
    assert isinstance(one(smtp, mail(sender="a@example.com> SIZE=1\r\nRCPT TO:<b@example.com")), Retry)
    assert [line for line in script.heard if not line.lower().startswith("ehlo")] == []


def test_the_empty_sender_is_the_null_return_path(smtp: Smtp, script: Script) -> None:
    assert isinstance(one(smtp, mail(sender="")), Accepted)
    assert any(line.startswith("MAIL FROM:<>") for line in script.heard)


def test_what_a_server_says_is_kept_to_one_short_printable_line(smtp: Smtp, script: Script) -> None:
    script.answers["rcpt"] = "550-5.7.1 \x1b[2J<script>\r\n550 5.7.1 " + "x" * 2000
    assert isinstance(receipt := one(smtp), Retry)
    assert receipt.reason.isprintable()
    assert len(receipt.reason) <= 300


# Passwords and TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, pem = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


@pytest.fixture
def tls(script: Script, certificate: tuple[Path, Path]) -> Script:
    script.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    script.tls.load_cert_chain(*certificate)
    script.features = ("AUTH PLAIN", "8BITMIME")
    return script


def test_a_login_on_this_machine_needs_no_tls(server: Server, script: Script) -> None:
    script.features = ("AUTH PLAIN",)
    adapter = Smtp(url=f"smtp://{IN_URL}@localhost:{server.port}?timeout=2")
    assert isinstance(one(adapter), Accepted)
    adapter.close()
    login = base64.b64encode(f"\0mailer@example.com\0{PASSWORD}".encode()).decode()
    assert f"AUTH PLAIN {login}" in script.heard


def test_no_password_leaves_this_machine_in_the_open(server: Server, script: Script) -> None:
    script.features = ("AUTH PLAIN",)
    # 0.0.0.0 reaches the test's server, but is not an address that can only mean this machine.
    receipt = one(Smtp(url=f"smtp://{IN_URL}@0.0.0.0:{server.port}?timeout=2"))
    assert isinstance(receipt, Retry)
    assert "STARTTLS" in receipt.reason
    assert [line for line in script.heard if line.startswith("AUTH")] == []


def test_a_certificate_nobody_vouches_for_ends_the_session_before_the_login(
    server: Server, tls: Script
) -> None:
    receipt = one(Smtp(url=f"smtp://{IN_URL}@0.0.0.0:{server.port}?timeout=2"))
    assert isinstance(receipt, Retry)
    assert "certificate" in receipt.reason
    assert [line for line in tls.heard if line.startswith(("AUTH", "MAIL"))] == []


def test_starttls_with_a_certificate_of_the_given_authority(
    server: Server, tls: Script, certificate: tuple[Path, Path]
) -> None:
    url = f"smtp://{IN_URL}@localhost:{server.port}?timeout=5&starttls=required&ca={certificate[0]}"
    adapter = Smtp(url=url)
    assert one(adapter) == Accepted("Q1")
    adapter.close()
    assert [line.split()[0].upper() for line in tls.heard][:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]


def test_required_starttls_is_not_done_without(server: Server, script: Script) -> None:
    assert isinstance(one(Smtp(url=f"smtp://localhost:{server.port}?starttls=required&timeout=2")), Retry)
    assert [line for line in script.heard if line.startswith("MAIL")] == []


def test_smtps_speaks_tls_from_the_first_byte(certificate: tuple[Path, Path], tls: Script) -> None:
    assert tls.tls is not None
    context, tls.tls = tls.tls, None
    with Server(tls) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        adapter = Smtp(url=f"smtps://{IN_URL}@localhost:{server.port}?timeout=5&ca={certificate[0]}")
        assert one(adapter) == Accepted("Q1")
        adapter.close()


def test_a_batch_travels_encrypted_over_several_connections(
    server: Server, tls: Script, certificate: tuple[Path, Path]
) -> None:
    tls.features = ("PIPELINING", *tls.features)
    adapter = Smtp(url=f"smtp://localhost:{server.port}?timeout=5&starttls=required&ca={certificate[0]}")
    batch = [mail(n) for n in range(120)]
    batch[60] = replace(batch[60], raw=with_body(b"a line of a long mail\r\n" * 40_000).raw)
    assert {type(receipt) for receipt in adapter.send(batch, Log())} == {Accepted}
    assert adapter.send(batch[:1], Log()) == [Accepted("Q121")]
    adapter.close()
    taken = {one.recipient: one.raw for one in tls.taken}
    assert taken == {message.to: message.raw for message in batch}
    assert tls.connections == 3


def test_an_encrypted_connection_that_the_server_has_enough_of_is_opened_again(
    server: Server, tls: Script, certificate: tuple[Path, Path]
) -> None:
    tls.messages_a_connection = 1
    adapter = Smtp(url=f"smtp://localhost:{server.port}?timeout=5&starttls=required&ca={certificate[0]}")
    receipts = adapter.send([mail(n) for n in range(3)], Log())
    adapter.close()
    assert [type(receipt) for receipt in receipts] == [Accepted] * 3


@pytest.mark.parametrize(
    "url",
    ["", "localhost:25", "http://u:hunter2@h", "smtp://", "smtp://u:hunter2@h:notaport", "smtp://u:hunter2@h/path",
     "smtp://u:hunter2@[::1", "smtp://u:hunter2@h?starttls=never", "smtp://u:hunter2@h?timeout=soon",
     "smtp://u:hunter2@h?timeout=nan", "smtp://u:hunter2@h?timeout=0", "smtp://u:hunter2@h?verify=no",
     "smtp://u:hunter2@h?sessions=0", "smtp://u:hunter2@h?sessions=1.5", "smtp://u:hunter2@h?sessions=999",
     "smtp://u:hunter2@h?max_per_connection=0"],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_an_error_that_shows_no_password(url: str) -> None:
    with pytest.raises(ChannelError) as caught:
        Smtp(url=url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_smtp_adapter_sends_e_mail_only() -> None:
    with pytest.raises(ChannelError, match="sends e-mail, not sms"):
        Smtp(url="smtp://localhost", kind="sms")
