"""`treue bounce`: what mails that came back say, in the order given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import Run
from treue.render.mail.return_paths import ReturnPaths

GONE = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
To: b+17-abcdefghij@bounce.klangladen.example
Subject: failure notice

<ada@example.com>:
Sorry, no mailbox here by that name. (#5.1.1)
"""
FULL = GONE.replace("Sorry, no mailbox here by that name. (#5.1.1)", "552 \x1b[31mover quota. (#5.2.2)")
AWAY = "From: bob@example.com\nAuto-Submitted: auto-replied\nSubject: away\n\nBack on Monday.\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three mails, outside of any workspace."""
    mails = tmp_path / "mails"
    mails.mkdir()
    for name, mail in (("a.eml", GONE), ("b.eml", FULL), ("c.eml", AWAY)):
        (mails / name).write_text(mail, encoding="utf-8")
    monkeypatch.chdir(mails)
    return mails


def test_each_mail_is_told_in_the_order_given(treue: Run, folder: Path) -> None:
    done = treue(None, "bounce", "--json", folder / "c.eml", folder / "a.eml", folder / "b.eml")
    assert (done.code, done.json["format"]) == (0, 1)
    keys = ("file", "kind", "hard", "status", "reason", "recipient")
    assert [tuple(mail[key] for key in keys) for mail in done.json["mails"]] == [
        (str(folder / "c.eml"), "auto-reply", False, "", "away", "bob@example.com"),
        (str(folder / "a.eml"), "bounce", True, "5.1.1", "user_unknown", "ada@example.com"),
        (str(folder / "b.eml"), "bounce", False, "5.2.2", "mailbox_full", "ada@example.com"),
    ]


def test_a_folder_an_mbox_and_a_maildir_hold_many(treue: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "README").write_text("Three mails.", encoding="utf-8")
    mbox = tmp_path / "box.mbox"
    mbox.write_text(f"From a@b now\n{GONE}\nFrom a@b now\n{FULL}\n", encoding="utf-8")
    maildir = tmp_path / "Maildir"
    for place in ("cur", "new", "tmp"):
        (maildir / place).mkdir(parents=True)
    (maildir / "new" / "1.x").write_text(AWAY, encoding="utf-8")
    done = treue(None, "bounce", "--json", folder, mbox, maildir)
    assert [Path(mail["file"]).name for mail in done.json["mails"]] == [
        "a.eml", "b.eml", "c.eml", "box.mbox", "box.mbox", "1.x",
    ]  # fmt: skip
    assert [mail["hard"] for mail in done.json["mails"]] == [True, False, False, True, False, False]


def test_the_table_has_no_control_characters_of_strangers(treue: Run, folder: Path) -> None:
    done = treue(None, "bounce", folder)
    assert "\x1b" not in done.out
    assert done.out.splitlines()[1].split()[1:] == [
        "bounce",
        "hard",
        "5.1.1",
        "user_unknown",
        "ada@example.com",
    ]
    assert "3 mails, 1 of them hard." in done.err


def test_what_cannot_be_read_is_said_and_nothing_else_is_lost(treue: Run, folder: Path) -> None:
    done = treue(None, "bounce", "--json", folder / "nowhere.eml", folder / "a.eml")
    assert done.code == 2
    assert "nowhere.eml: No such file or directory" in done.err
    assert [mail["reason"] for mail in done.json["mails"]] == ["user_unknown"]


def test_a_message_of_the_workspace_is_known_by_its_return_path(
    treue: Run, files: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / ".treue").mkdir()
    (files / ".treue" / "secret").write_bytes(b"s" * 32)
    address = ReturnPaths(b"s" * 32).address(17, "bounce.klangladen.example")
    ours = folder / "ours.eml"
    ours.write_text(GONE.replace("b+17-abcdefghij@bounce.klangladen.example", address), encoding="utf-8")
    done = treue(files, "bounce", "--json", ours, folder / "a.eml")
    assert [mail["message"] for mail in done.json["mails"]] == [17, None]


def test_a_workspace_without_a_secret_gets_none(treue: Run, files: Path, folder: Path) -> None:
    assert treue(files, "bounce", folder / "a.eml").code == 0
    assert not (files / ".treue" / "secret").exists()


def test_what_came_into_the_mailbox_is_taken_in(
    treue: Run, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (lived / ".treue" / "secret").read_bytes()
    box = tmp_path / "box"
    for place in ("cur", "new", "tmp"):
        (box / place).mkdir(parents=True)
    address = ReturnPaths(secret).address(1, "bounce.klangladen.example")
    mail = GONE.replace("b+17-abcdefghij@bounce.klangladen.example", address)
    (box / "new" / "1.x").write_text(mail, encoding="utf-8")
    (box / "new" / "2.x").write_text(GONE, encoding="utf-8")
    monkeypatch.setenv("TREUE_BOUNCES", str(box))
    done = treue(lived, "bounce", "--collect")
    assert (done.code, done.out) == (0, "2 mails read, 1 of them about messages of ours.\n")
    assert treue(lived, "bounce", "--collect", "--json").json == {"format": 1, "read": 0, "ours": 0}
    assert not list((box / "new").iterdir())


def test_a_mailbox_that_is_not_named_or_not_there_is_said(
    treue: Run, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TREUE_BOUNCES", raising=False)
    done = treue(lived, "bounce", "--collect")
    assert (done.code, "TREUE_BOUNCES is not set" in done.err) == (2, True)
    monkeypatch.setenv("TREUE_BOUNCES", "nowhere")
    assert "is no mailbox" in treue(lived, "bounce", "--collect").err
    assert treue(lived, "bounce").code == 2
