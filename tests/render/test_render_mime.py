"""Texts, pages, pictures and files as a mail program takes them apart again."""

from __future__ import annotations

import email
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from typing import cast

import pytest

from treue.channel import Attachment
from treue.render.mail.mail import MailContent, Sender, compose

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SENDER = Sender("Klangladen", "hallo@klangladen.example.com", "klangladen")
PICTURE = Attachment("cover.png", "image/png", bytes(range(256)) * 20, "cover@treue")
PAPER = Attachment("Rechnung März.pdf", "application/pdf", b"%PDF-1.7\n" + b"\0\xff" * 999)
UMLAUTS = "Grüße aus Köln für 20 €"


def raw(text: str = "Text", html: str = "", *files: Attachment, eight_bit: bool = True) -> bytes:
    letter = MailContent("k1", "ada@example.com", "Hallo", text, html, attachments=files)
    written = compose(SENDER, letter, NOW, eight_bit=eight_bit)
    assert isinstance(written, bytes), written
    assert max(map(len, written.split(b"\r\n"))) <= 998
    assert written.count(b"\r\n") == written.count(b"\n") == written.count(b"\r")
    assert written.endswith(b"\r\n")
    return written


def read(mail: bytes) -> EmailMessage:
    message = cast(EmailMessage, email.message_from_bytes(mail, policy=default))
    assert [one.defects for one in message.walk() if one.defects] == []
    return message


def outline(message: EmailMessage) -> Iterator[str]:
    """The parts from the outside in, each as often as it is deep."""
    yield message.get_content_type()
    if message.is_multipart():
        for part in message.iter_parts():
            yield from ("  " + line for line in outline(cast(EmailMessage, part)))


def encodings(mail: bytes) -> list[str]:
    return [str(part["Content-Transfer-Encoding"]) for part in read(mail).walk()]


def test_plain_text_is_one_part() -> None:
    assert list(outline(read(raw("Hallo")))) == ["text/plain"]


def test_text_comes_before_the_page() -> None:
    assert list(outline(read(raw("Hallo", "<p>Hallo</p>")))) == [
        "multipart/alternative", "  text/plain", "  text/html",
    ]  # fmt: skip


def test_pictures_lie_beside_the_page_that_shows_them_and_files_behind_everything() -> None:
    message = read(raw("Hallo", '<img src="cid:cover@treue">', PICTURE, PAPER))
    assert list(outline(message)) == [
        "multipart/mixed",
        "  multipart/alternative",
        "    text/plain",
        "    multipart/related",
        "      text/html",
        "      image/png",
        "  application/pdf",
    ]
    picture = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert picture["Content-ID"] == "<cover@treue>"
    assert picture.get_content_disposition() == "inline"
    assert picture.get_content() == PICTURE.content
    (paper,) = cast(EmailMessage, message).iter_attachments()
    assert paper.get_filename() == "Rechnung März.pdf"
    assert paper.get_content() == PAPER.content


def test_a_picture_alone_needs_no_outer_part() -> None:
    assert next(outline(read(raw("Hallo", "<p></p>", PICTURE)))) == "multipart/alternative"


def test_files_without_a_page_go_with_the_text() -> None:
    assert list(outline(read(raw("Hallo", "", PICTURE, PAPER)))) == [
        "multipart/mixed", "  text/plain", "  image/png", "  application/pdf",
    ]  # fmt: skip


def test_a_body_goes_as_it_is_where_that_is_taken() -> None:
    mail = raw(UMLAUTS, f"<p>{UMLAUTS}</p>")
    assert mail.count(UMLAUTS.encode()) == 2
    assert encodings(mail) == ["8bit", "8bit", "8bit"]


def test_a_body_goes_in_base64_where_8bit_is_not_taken_and_ascii_as_it_is() -> None:
    mail = raw(UMLAUTS, "<p>Hello</p>", eight_bit=False)
    assert mail.isascii()
    assert encodings(mail) == ["None", "base64", "7bit"]


@pytest.mark.parametrize(
    "text", ["x" * 999, "ü" * 500, "a\n" + "x" * 2000 + "\nb", "nul\0", "a\n--=_treue-alternative\nb"]
)
def test_what_no_line_of_a_mail_can_hold_goes_in_base64(text: str) -> None:
    mail = raw(text, f"<p>{text}</p>")
    assert encodings(mail) == ["None", "base64", "base64"]
    plain, page = cast(EmailMessage, read(mail)).iter_parts()
    assert plain.get_payload(decode=True) == text.replace("\n", "\r\n").encode()
    assert page.get_payload(decode=True) == f"<p>{text}</p>".replace("\n", "\r\n").encode()


def test_a_text_cannot_end_its_part_and_begin_another() -> None:
    first = raw("Hallo", "<p>x</p>")
    boundary = first.split(b'boundary="')[1].split(b'"')[0].decode()
    evil = f"a\n--{boundary}\nContent-Type: text/html\n\n<p>evil</p>\n--{boundary}--\n"
    assert list(outline(read(raw(evil, evil)))) == ["multipart/alternative", "  text/plain", "  text/html"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.pdf", "a.pdf"), ("../../etc/passwd", "passwd"), ("c:\\temp\\a.pdf", "a.pdf"), ('a"; x=".pdf', 'a"; x=".pdf'),
     ("a\r\nBcc: v@x.de.pdf", "a Bcc: v@x.de.pdf"), ("=?utf-8?q?a?=.pdf", "utf-8?q?a?=.pdf"), ("ü" * 200 + ".pdf", "ü" * 55 + "….pdf"),
     ("日本語 😀.pdf", "日本語 😀.pdf")],
)  # fmt: skip
def test_a_file_keeps_its_name_and_nothing_but_it(name: str, wanted: str) -> None:
    message = read(raw("Hallo", "", Attachment(name, "application/pdf", b"x")))
    (file,) = message.iter_attachments()
    assert file.get_filename() == wanted
    assert file.keys() == ["Content-Type", "Content-Disposition", "Content-Transfer-Encoding"]


def test_a_media_type_that_is_none_is_bytes() -> None:
    message = read(raw("Hallo", "", Attachment("a", "text/html\r\nX: y", b"x")))
    assert list(outline(message))[-1] == "  application/octet-stream"


def test_the_same_mail_is_the_same_bytes() -> None:
    once, again = raw("Hallo", "<p></p>", PICTURE, PAPER), raw("Hallo", "<p></p>", PICTURE, PAPER)
    assert hashlib.sha256(once).digest() == hashlib.sha256(again).digest()
