"""Mailboxes: each mail is given out until it is done, and none is lost in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.bounces.imap_server import PASSWORD, USER, Server, dovecot, serving
from tests.bounces.returned_mails import BACK_TO, complaint, status
from tests.channels.calls import certificate
from treue.bounces.files import ReturnedMail, letters
from treue.bounces.imap import Imap
from treue.bounces.mailboxes import Mailbox, Maildir, Mbox, open_mailbox
from treue.bounces.mime import READ
from treue.channel import DeliveryEvent
from treue.delivery.returns import BATCH, collect, event_of
from treue.errors import MailboxError
from treue.model.states import DeliveryEventKind
from treue.render.mail.return_paths import ReturnPaths

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
PATHS = ReturnPaths(b"secret")


def _maildir(path: Path) -> Path:
    for place in ("cur", "new", "tmp"):
        (path / place).mkdir(parents=True)
    return path


def _names(mailbox: Mailbox) -> list[bytes]:
    """The subjects of what a mailbox gives out."""
    return [letter.raw.split(b"\n")[0] for letter in mailbox.letters()]


def test_a_maildir_gives_out_what_is_new_and_what_is_not_seen(tmp_path: Path) -> None:
    box = _maildir(tmp_path / "box")
    (box / "new" / "1.a").write_bytes(b"Subject: new\n\n")
    (box / "cur" / "2.b:2,").write_bytes(b"Subject: old\n\n")
    (box / "cur" / "3.c:2,RS").write_bytes(b"Subject: seen\n\n")
    (box / "tmp" / "4.d").write_bytes(b"Subject: half\n\n")
    mailbox = open_mailbox(str(box))
    found = list(mailbox.letters())
    assert _names(mailbox) == [b"Subject: old", b"Subject: new"]
    mailbox.done(found)
    assert _names(mailbox) == []
    assert sorted(file.name for file in (box / "cur").iterdir()) == ["1.a:2,S", "2.b:2,S", "3.c:2,RS"]
    mailbox.done(found)  # again, as after a crash


MBOX = b"From a@b Thu Mar  1 10:00:00 2026\nSubject: 1\n\nhello\n>From me\n\nFrom a@b Thu Mar  1 10:00:01 2026\nSubject: 2\n\nbye\n\n"


def test_an_mbox_is_read_on_from_where_it_is_done_and_never_changed(tmp_path: Path) -> None:
    file = tmp_path / "bounces"
    file.write_bytes(MBOX)
    mailbox = open_mailbox(str(file))
    first, second = mailbox.letters()
    assert first.raw.endswith(b"Subject: 1\n\nhello\nFrom me\n\n")
    mailbox.done([first])
    assert list(mailbox.letters()) == [second]
    mailbox.done([second])
    assert list(Mbox(file).letters()) == []
    file.write_bytes(MBOX + MBOX.replace(b"Subject: ", b"Subject: new "))
    assert [one.raw.split(b"\n")[1] for one in mailbox.letters()] == [b"Subject: new 1", b"Subject: new 2"]


def test_an_mbox_that_was_emptied_is_read_from_its_start(tmp_path: Path) -> None:
    file = tmp_path / "bounces"
    file.write_bytes(MBOX)
    mailbox = Mbox(file)
    mailbox.done(mailbox.letters())
    file.write_bytes(MBOX.replace(b"a@b", b"c@d") + MBOX)
    assert len(list(mailbox.letters())) == 4
    file.write_bytes(b"")
    assert list(mailbox.letters()) == []


def test_of_a_mail_no_more_than_half_a_mebibyte_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "box"
    file.write_bytes(b"From a@b now\n\n" + (b"x" * 100 + b"\n") * 40_000 + b"\n" + MBOX)
    assert [len(one.raw) <= READ + (1 << 16) for one in letters(file)] == [True, True, True]
    line = tmp_path / "line"
    line.write_bytes(b"From a@b now\n\n" + b"x" * 4_000_000)
    assert [len(one.raw) <= READ + (1 << 16) for one in letters(line)] == [True]


@pytest.mark.parametrize(
    "where", ["nowhere", "imaps://host/INBOX", "pop3://a:b@host/", "imaps://a:secret@host:x/"]
)
def test_what_is_no_mailbox_is_said_without_the_password(where: str) -> None:
    with pytest.raises(MailboxError) as refused:
        open_mailbox(where)
    assert "secret" not in str(refused.value)


class Kept:
    """Keeps events as a database would; can fail once."""

    def __init__(self, fail: bool = False) -> None:
        self.events: list[DeliveryEvent] = []
        self._fail = fail

    def __call__(self, events: object) -> None:
        if self._fail:
            self._fail = False
            raise OSError("the disk is full")
        assert isinstance(events, list)
        self.events += events


def _fill(box: Path, mails: list[bytes]) -> Maildir:
    for number, mail in enumerate(mails):
        (box / "new" / f"{number:04}.x").write_bytes(mail)
    return Maildir(box)


def test_mails_that_came_back_become_events_of_our_messages(tmp_path: Path) -> None:
    def ours(mail: bytes, number: int) -> bytes:
        return mail.replace(BACK_TO.encode(), PATHS.address(number, "bounce.klangladen.example").encode())

    mailbox = _fill(
        _maildir(tmp_path / "box"),
        [
            ours(status("5.1.1", "550 5.1.1 user unknown"), 1),
            ours(status("5.2.2", "552 5.2.2 mailbox full"), 2),
            ours(status("4.4.1", "timed out", action="delayed"), 3),
            ours(complaint(), 4),
            ours(complaint("Feedback-Type: opt-out\n"), 5),
            ours(status("2.0.0", action="delivered"), 6),
            ours(
                b"Auto-Submitted: auto-replied\nSubject: away\nTo: " + BACK_TO.encode() + b"\n\nback soon", 7
            ),
        ],
    )
    kept = Kept()
    collected = collect(mailbox, PATHS, kept, NOW)
    assert (collected.read, collected.ours) == (7, 6)
    kind = DeliveryEventKind
    assert [(event.key, event.kind, event.hard, event.reason) for event in kept.events] == [
        ("1", kind.bounced, True, "user_unknown"),
        ("2", kind.bounced, False, "mailbox_full"),
        ("3", kind.deferred, False, "network"),
        ("4", kind.complained, False, "complained"),
        ("5", kind.unsubscribed, False, "opted_out"),
        ("6", kind.delivered, False, "delivered"),
    ]


@pytest.mark.parametrize(
    ("code", "diagnostic", "status_"),
    [
        ("5.0.0", "550 message refused as spam", "5.7.0"),
        ("5.1.1", "550 5.1.1 blocked using a blacklist", "5.7.0"),
        ("5.7.26", "550 5.7.26 unauthenticated", "5.7.26"),
        ("5.0.0", "552 message too large", "5.3.4"),
        ("4.7.1", "450 4.7.1 greylisted", "4.7.1"),
        ("5.2.2", "552 5.2.2 mailbox full", "5.2.2"),
        ("5.0.0", "550 rejected", "5.0.0"),
    ],
)
def test_what_is_not_the_addresss_fault_has_a_code_that_says_so(
    code: str, diagnostic: str, status_: str
) -> None:
    mail = status(code, diagnostic).replace(BACK_TO.encode(), PATHS.address(1, "b.example").encode())
    event = event_of(ReturnedMail("x", mail), PATHS, NOW)
    assert event is not None
    assert (event.status, event.hard) == (status_, False)


def test_a_forged_bounce_touches_nobody(tmp_path: Path) -> None:
    forged = status().replace(BACK_TO.encode(), b"b+1-aaaaaaaaaa@bounce.klangladen.example")
    kept = Kept()
    collected = collect(_fill(_maildir(tmp_path / "box"), [forged, complaint(), b""]), PATHS, kept, NOW)
    assert (collected.read, collected.ours, kept.events) == (3, 0, [])


def test_what_could_not_be_kept_is_read_again_with_the_same_id(tmp_path: Path) -> None:
    address = PATHS.address(1, "bounce.klangladen.example").encode()
    mails = [status().replace(BACK_TO.encode(), address) + b"%d" % n for n in range(BATCH + 5)]
    mailbox, kept = _fill(_maildir(tmp_path / "box"), mails), Kept(fail=True)
    with pytest.raises(OSError, match="disk is full"):
        collect(mailbox, PATHS, kept, NOW)
    assert kept.events == []
    assert collect(mailbox, PATHS, kept, NOW).ours == BATCH + 5
    assert len({event.id for event in kept.events}) == BATCH + 5
    assert collect(mailbox, PATHS, kept, NOW).read == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if dovecot() is None:
        pytest.skip("Dovecot is not here (Debian: dovecot-imapd)")
    folder = tmp_path_factory.mktemp("imap")
    with serving(folder, certificate(folder)) as running:
        yield running


def _url(server: Server, scheme: str = "imaps", password: str = PASSWORD, folder: str = "INBOX") -> str:
    port = server.imaps if scheme == "imaps" else server.imap
    return f"{scheme}://{quote(USER)}:{quote(password, safe='')}@127.0.0.1:{port}/{folder}"


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_imap_gives_out_what_is_not_seen_and_marks_what_is_done(server: Server, scheme: str) -> None:
    for number in range(3):
        file = server.maildir / "new" / f"{number}.{scheme}"
        file.write_bytes(b"Subject: %d\n\nhello\n" % number)
        file.chmod(0o666)
    with closing(Imap(_url(server, scheme), server.context)) as mailbox:
        found = list(mailbox.letters())
        assert [letter.raw.split(b"\r\n")[0] for letter in found] == [
            b"Subject: 0",
            b"Subject: 1",
            b"Subject: 2",
        ]
        assert len(list(mailbox.letters())) == 3, "looking does not make them seen"
        mailbox.done(found[:2])
        assert [letter.raw[:10] for letter in mailbox.letters()] == [b"Subject: 2"]
    with closing(Imap(_url(server, scheme), server.context)) as later:
        rest = list(later.letters())
        assert [letter.raw[:10] for letter in rest] == [b"Subject: 2"]
        later.done(rest)


def test_imap_takes_no_server_whose_certificate_nobody_vouches_for(server: Server) -> None:
    for scheme in ("imaps", "imap"):
        with pytest.raises(MailboxError, match="certificate verify failed"):
            list(Imap(_url(server, scheme)).letters())


def test_imap_says_what_is_wrong_without_the_password(server: Server) -> None:
    for url in (_url(server, password="wrong-password"), _url(server, folder="Nowhere")):
        mailbox = Imap(url, server.context)
        with pytest.raises(MailboxError) as refused:
            list(mailbox.letters())
        told = f"{refused.value} {mailbox!r} {refused.value.__cause__!r}"
        assert "wrong-password" not in told
        assert PASSWORD not in told


def test_imap_connects_again_after_a_broken_connection(server: Server) -> None:
    mailbox = Imap(_url(server), server.context)
    list(mailbox.letters())
    assert mailbox._open is not None
    mailbox._open.shutdown()
    with pytest.raises(MailboxError):
        list(mailbox.letters())
    assert list(mailbox.letters()) == []
    mailbox.close()
