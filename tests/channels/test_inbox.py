from __future__ import annotations

import multiprocessing
import os
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from treue.channel import Accepted, Outgoing, Retry
from treue.errors import ChannelError
from treue.testing.channel_contract import ChannelContract, Log, example_message
from treue_channels.inbox import Inbox, InboxChannel, InboxStore
from treue_channels.inbox.box import Arrival
from treue_channels.inbox.mail import glance, read

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def mail(subject: str = "Hello", body: bytes = b"Hi.\r\n") -> bytes:
    return b"Subject: " + subject.encode() + b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body


class TestInboxChannelKeepsTheContract(ChannelContract):
    @pytest.fixture(params=["email", "sms", "push"])
    def channel(self, request: pytest.FixtureRequest, tmp_path: Path) -> InboxChannel:
        return InboxChannel(kind=request.param, box=tmp_path / "inbox.db")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> InboxChannel:
        (tmp_path / "inbox.db").write_bytes(b"This is no database at all, however long it may be." * 20)
        return InboxChannel(kind="sms", box=tmp_path / "inbox.db")

    def refused_message(self) -> Outgoing:
        return Outgoing("refused", to="", text="for nobody")


# The box


def test_a_mail_is_kept_byte_for_byte_with_its_envelope(tmp_path: Path) -> None:
    box = InboxStore(tmp_path / "inbox.db", clock=lambda: NOON)
    raw = mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße aus Köln\r\n.\r\n".encode())
    found = box.get(box.add_mail("bounce@example.com", "anna@example.com", raw))
    assert found is not None
    assert (found.raw, found.sender, found.recipient) == (raw, "bounce@example.com", "anna@example.com")
    assert (found.title, found.excerpt, found.channel) == ("Grüße", "Grüße aus Köln .", "email")
    assert found.received_at == NOON


def test_a_text_is_kept_with_title_and_link(box: InboxStore) -> None:
    id_ = box.add_text(
        "push", "token", "Ihr Paket ist da 📦", title="Paket", link="https://example.com/p", key="k"
    )
    found = box.get(id_)
    assert found is not None
    assert (found.raw.decode(), found.title, found.link) == (
        "Ihr Paket ist da 📦",
        "Paket",
        "https://example.com/p",
    )


def test_a_message_that_is_not_there_is_none(box: InboxStore) -> None:
    assert box.get(1) is None
    assert box.count() == 0


def test_the_list_is_newest_first_and_pages_by_id(box: InboxStore) -> None:
    ids = [box.add_text("sms", f"+49{n}", "x") for n in range(7)]
    first = box.list(limit=3)
    second = box.list(limit=3, before=first[-1].id)
    assert [m.id for m in first + second] == ids[:0:-1]
    assert [m.id for m in box.list(after=ids[4])] == ids[5:]


def test_the_list_is_narrowed_by_channel_words_and_recipient(box: InboxStore) -> None:
    box.add_mail("", "ÄNNE@example.com", mail("=?utf-8?b?w4RwZmVs?= 100%"))
    box.add_mail("", "bob@example.com", mail("Birnen"))
    box.add_text("sms", "+491", "Kurz")
    assert [m.recipient for m in box.list("sms")] == ["+491"]
    assert [m.recipient for m in box.list(query="änne")] == ["ÄNNE@example.com"]
    assert [m.title for m in box.list(query=" äpfel ")] == ["Äpfel 100%"]
    assert [m.title for m in box.list(query="100%")] == ["Äpfel 100%"]
    assert box.list(query="10_%") == []
    assert [m.title for m in box.list(recipient="BOB@example.com")] == ["Birnen"]
    assert box.list(recipient="bob") == []
    assert (box.count(), box.count("email"), box.count("push")) == (3, 2, 0)


def test_a_key_that_is_there_already_is_not_stored_again(box: InboxStore) -> None:
    first = box.add_text("sms", "+491", "one", key="k")
    assert box.add_text("sms", "+491", "two", key="k") == first
    assert box.count() == 1
    assert [box.add_mail("", "a@example.com", mail()) for _ in range(2)] != [first, first]
    assert box.count() == 3


def test_a_batch_is_stored_whole_or_not_at_all(box: InboxStore) -> None:
    good = Arrival("sms", "+491", b"x")
    with pytest.raises(sqlite3.Error):
        box.add([good, Arrival("sms", None, b"y")])  # type: ignore[arg-type]
    assert box.count() == 0
    box.add([good])
    assert box.count() == 1


def _write(path: Path, name: str, count: int) -> None:
    box = InboxStore(path)
    for n in range(count):
        box.add_text("sms", name, str(n), key=f"{name}-{n}")


def test_several_processes_write_one_box_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(path, f"w{n}", 100)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert InboxStore(path).count() == 400


def test_several_threads_share_one_box(box: InboxStore) -> None:
    threads = [
        threading.Thread(target=lambda: [box.add_text("sms", "+491", "x") for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert box.count() == 200


def test_many_who_open_a_new_box_at_the_same_moment_all_can(tmp_path: Path) -> None:
    for attempt in range(10):
        path, ready, failed = tmp_path / f"{attempt}.db", threading.Barrier(8), []

        def write(
            path: Path = path, ready: threading.Barrier = ready, failed: list[Exception] = failed
        ) -> None:
            own = InboxStore(path)
            ready.wait()
            try:
                own.add_text("sms", "+491", "x")
            except Exception as error:
                failed.append(error)
            own.close()

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert InboxStore(path).count() == 8


def test_a_box_of_another_version_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "inbox.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ChannelError, match="move it away"):
        InboxStore(tmp_path / "inbox.db").count()


def test_a_box_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChannelError, match=r"inbox\.db cannot be opened"):
        InboxStore(tmp_path / "file" / "inbox.db").count()


# Reading a mail


def test_a_mail_of_two_parts_is_taken_apart() -> None:
    raw = textwrap.dedent("""\
        Subject: =?utf-8?q?20_=E2=82=AC?= for
         you
        Content-Type: multipart/alternative; boundary=b

        --b
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        Gr=FC=DFe
        --b
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: base64

        PGEgaHJlZj0iaHR0cHM6Ly9leGFtcGxlLmNvbS8/YT0xJmFtcDtiPTIiPkdvIDxiPm5vdzwvYj48L2E+PGEgaHJlZj0iamF2
        YXNjcmlwdDphbGVydCgxKSI+eDwvYT4=
        --b
        Content-Type: application/pdf; name="bill.pdf"
        Content-Disposition: attachment; filename="bill.pdf"

        x
        --b--
        """).replace("\n", "\r\n")
    found = read(raw.encode())
    assert found.header("subject") == "20 € for you"
    assert found.text.strip() == "Grüße"
    assert found.html.startswith('<a href="https://example.com/?a=1&amp;b=2">Go')
    assert [(link.url, link.text) for link in found.links] == [("https://example.com/?a=1&b=2", "Go now")]
    assert found.attachments == ["bill.pdf"]
    assert glance(raw.encode()) == ("20 € for you", found.text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?b?!!!?=\r\n\r\n",
        b"Subject: =?klingon?q?x?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe",
        b"Subject: \xff\xfe\r\n\r\n\x80",
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n<a href='http://[::1'>x",
        b"Content-Type: text/html\r\n\r\n<![if<!--<!DOCTYPE [<a href=http://x.example",
    ],
)
def test_a_broken_mail_is_kept_and_shown_as_well_as_it_can_be(box: InboxStore, raw: bytes) -> None:
    found = box.get(box.add_mail("a@example.com", "b@example.com", raw))
    assert found is not None
    assert found.raw == raw
    assert isinstance(read(raw).text, str)


# The server


def test_a_conversation_by_hand_is_answered_like_any_servers(inbox: Inbox) -> None:
    with smtplib.SMTP("127.0.0.1", _port(inbox), timeout=10) as wire:
        assert wire.ehlo()[0] == 250
        assert wire.has_extn("8bitmime")
        assert wire.has_extn("pipelining")
        assert int(wire.esmtp_features["size"]) >= 10_000_000
        assert wire.mail("a@example.com")[0] == 250
        assert wire.docmd("DATA")[0] == 503
        assert wire.rcpt("b@example.com")[0] == 250
        assert wire.rcpt('"odd one"@example.com')[0] == 250
        assert wire.data(mail("By hand"))[0] == 250
        assert wire.docmd("NONSENSE")[0] == 500
        assert wire.noop()[0] == 250
    assert [m.recipient for m in inbox.box.list(query="by hand")] == [
        '"odd one"@example.com',
        "b@example.com",
    ]


def test_pipelined_commands_after_a_message_are_not_swallowed(inbox: Inbox) -> None:
    with (
        socket.create_connection(("127.0.0.1", _port(inbox)), timeout=10) as wire,
        wire.makefile("rb") as answers,
    ):
        wire.sendall(b"EHLO me\r\n")
        while not answers.readline().startswith(b"250 "):
            pass
        one = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<pipe@example.com>\r\nDATA\r\n"
        wire.sendall(one + mail("First") + b".\r\n" + one + b".\r\n" + one + mail("Third") + b".\r\nQUIT\r\n")
        codes = [line[:3] for line in answers.read().splitlines()]
    assert codes == [b"250", b"250", b"354", b"250"] * 3 + [b"221"]
    assert [m.title for m in inbox.box.list(recipient="pipe@example.com")] == ["Third", "", "First"]


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
def test_the_final_dot_is_found_however_the_network_cuts_it(inbox: Inbox, parts: int) -> None:
    with smtplib.SMTP("127.0.0.1", _port(inbox), timeout=10) as wire:
        wire.ehlo()
        wire.mail("a@example.com")
        wire.rcpt(f"cut{parts}@example.com")
        wire.docmd("DATA")
        whole = mail("Cut") + b".\r\n"
        wire.send(whole[:-parts])
        time.sleep(0.05)
        wire.send(whole[-parts:])
        assert wire.getreply()[0] == 250
    stored = inbox.box.get(inbox.box.list(recipient=f"cut{parts}@example.com")[0].id)
    assert stored is not None
    assert stored.raw == mail("Cut")


def test_a_message_over_the_size_limit_is_refused_and_the_next_one_taken(inbox: Inbox) -> None:
    with smtplib.SMTP("127.0.0.1", _port(inbox), timeout=60) as wire:
        wire.ehlo()
        limit = int(wire.esmtp_features["size"])
        for size, code in ((limit, 250), (limit + 1, 552)):
            wire.mail("a@example.com")
            wire.rcpt("big@example.com")
            head = b"Subject: Big\r\n\r\n"
            lines = b"x" * 98 + b"\r\n"
            body = (lines * (size // 100 + 1))[: size - len(head) - 2] + b"\r\n"
            assert len(head + body) == size
            assert wire.data(_unbroken(head + body))[0] == code
        wire.mail("a@example.com")
        wire.rcpt("big@example.com")
        assert wire.data(mail("Small"))[0] == 250
    assert [m.title for m in inbox.box.list(recipient="big@example.com")] == ["Small", "Big"]


def _unbroken(raw: bytes) -> bytes:
    """Mend a CRLF that was cut in two by the slice above."""
    return raw if raw.count(b"\r") == raw.count(b"\n") else raw.replace(b"\r\r\n", b"x\r\n")


def test_a_line_over_998_bytes_is_refused_as_relays_do(inbox: Inbox) -> None:
    with smtplib.SMTP("127.0.0.1", _port(inbox), timeout=10) as wire:
        wire.ehlo()
        for length, code in ((998, 250), (999, 500)):
            wire.mail("a@example.com")
            wire.rcpt("long@example.com")
            assert wire.data(mail("Long", b"x" * length + b"\r\n"))[0] == code


def test_several_sessions_at_once_each_get_their_mail_in(inbox: Inbox) -> None:
    def send(name: str) -> None:
        with smtplib.SMTP("127.0.0.1", _port(inbox), timeout=30) as wire:
            for n in range(20):
                wire.sendmail("a@example.com", f"{name}@many.example", mail(str(n)))

    threads = [threading.Thread(target=send, args=(f"s{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(5):
        titles = [m.title for m in inbox.box.list(recipient=f"s{n}@many.example", after=0)]
        assert titles == [str(n) for n in range(20)]


def test_the_server_listens_on_this_machine_only(inbox: Inbox) -> None:
    assert inbox.smtp_url.startswith("smtp://127.0.0.1:")
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", _port(inbox)), timeout=2):
        pass


# The service


def test_the_service_starts_stops_and_starts_again(tmp_path: Path) -> None:
    service = Inbox(tmp_path / "inbox.db")
    with pytest.raises(ChannelError, match="not been started"):
        _ = service.smtp_url
    service.stop()
    for _ in range(2):
        service.start()
        service.start()
        with smtplib.SMTP("127.0.0.1", _port(service), timeout=10) as wire:
            wire.sendmail("a@example.com", "b@example.com", mail())
        pid = service.pid
        service.stop()
        service.stop()
        assert pid is not None
        assert not _alive(pid)
    assert service.box.count() == 2


def test_a_server_that_does_not_answer_any_more_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("treue_channels.inbox.service._STOP", 0.2)
    service = Inbox(tmp_path / "inbox.db")
    service.start()
    pid = service.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    service.stop()
    assert not _alive(pid)


def test_a_port_that_is_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ChannelError, match=f"port {port}"):
            Inbox(tmp_path / "inbox.db", port).start()


def test_a_box_that_cannot_be_used_is_known_before_the_first_mail(tmp_path: Path) -> None:
    (tmp_path / "inbox.db").write_bytes(b"no database" * 100)
    with pytest.raises(ChannelError, match="not a database"):
        Inbox(tmp_path / "inbox.db").start()


def test_a_module_in_the_working_directory_does_not_pass_for_the_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "email.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with Inbox(tmp_path / "inbox.db") as service:
        assert service.smtp_url


PARENT = """
import pathlib, sys, time, os
from treue_channels.inbox import Inbox
service = Inbox(pathlib.Path(sys.argv[1]))
service.start()
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(60)  # a child that holds the other end of the server's input open
print(service.pid, service._process.stdin.fileno(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "with a forked child"])
def test_the_server_ends_when_its_parent_is_killed(tmp_path: Path, forked: bool) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "inbox.db"), *(["fork"] if forked else [])]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline().split()[0])
    try:
        assert _alive(server)
        parent.kill()
        parent.wait()
        assert _gone_within(server, 20)
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if forked else None
        parent.stdout.close()


def test_a_mail_that_was_answered_survives_the_servers_death(tmp_path: Path) -> None:
    service = Inbox(tmp_path / "inbox.db")
    service.start()
    with smtplib.SMTP("127.0.0.1", _port(service), timeout=10) as wire:
        for n in range(20):
            wire.sendmail("a@example.com", "b@example.com", mail(str(n)))
        assert service.pid is not None
        os.kill(service.pid, signal.SIGKILL)
    service.stop()
    assert service.box.count() == 20


def test_a_box_that_is_locked_for_too_long_costs_a_retry_not_a_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("treue_channels.inbox.box._WAIT", 0.1)
    channel = InboxChannel("sms", tmp_path / "inbox.db")
    assert isinstance(channel.send([example_message("sms", 1)], Log())[0], Accepted)
    stranger = sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    assert isinstance(channel.send([example_message("sms", 2)], Log())[0], Retry)
    stranger.execute("ROLLBACK")
    assert isinstance(channel.send([example_message("sms", 2)], Log())[0], Accepted)


def test_the_channel_stores_what_it_is_given(box: InboxStore) -> None:
    push = Outgoing("k", "token", text="Body", title="Title", link="https://example.com/", sender="Shop")
    receipts = InboxChannel("push", box.path).send([push], Log())
    assert isinstance(receipts[0], Accepted)
    found = box.get(int(receipts[0].provider_id))
    assert found is not None
    assert (found.channel, found.recipient, found.sender, found.title, found.link, found.raw) == (
        "push", "token", "Shop", "Title", "https://example.com/", b"Body",
    )  # fmt: skip


def test_importing_the_inbox_loads_no_server_and_no_web_framework() -> None:
    code = (
        "import sys, treue_channels.inbox, treue_channels.smtp, treue_channels.file;"
        "print([m for m in ('aiosmtpd', 'starlette', 'jinja2', 'asyncio', 'idna') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


def _port(service: Inbox) -> int:
    return int(service.smtp_url.rpartition(":")[2])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits for its parent only: it holds neither the port nor the file.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def _gone_within(pid: int, seconds: float) -> bool:
    """Wait for the end of a process; the seconds bound a failing test, not a passing one."""
    until = time.monotonic() + seconds
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not _alive(pid)


def test_what_is_forgotten_leaves_no_byte_while_another_has_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    other, box = InboxStore(path), InboxStore(path)
    for address, said in (
        ("Ada@example.com", "zqsecret"),
        ("bob@example.com", "hello"),
        ("+491511234567", "zqtoo"),
    ):
        other.add_text("sms", address, said)
    box.forget(["ada@example.com", "+491511234567"])
    assert [one.recipient for one in other.list()] == ["bob@example.com"]
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"bob@" in left
    assert b"zq" not in left
    assert b"491511234567" not in left
    assert b"da@example" not in left
    for one in (other, box):
        one.close()
