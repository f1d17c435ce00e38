"""Headers that data cannot change, and bodies that arrive as they were. Aim of S4: no wrong header list, ever."""

from __future__ import annotations

import base64
import email
import os
import random
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import compat32, default
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treue.render.mail import headers
from treue.render.mail.mail import MailContent, Sender, compose, parts
from treue.render.problem import Fault, RenderFailure

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SENDER = Sender(
    "Klangladen Hamburg", "hallo@klangladen.example.com", "klangladen", "welcome", reply_to="re@example.com"
)
URL = "https://u.example.com/u/" + "Ab9-_" * 60
EXPECTED = [
    "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
    "Auto-Submitted", "Feedback-ID", "MIME-Version", "Content-Type",
]  # fmt: skip
EXPLOIT = "=?utf-8?b?" + base64.b64encode(b"Hallo\r\nBcc: victim@x.de\r\n\r\nbody").decode() + "?="


def letter(**more: str) -> MailContent:
    base = {
        "key": "k1",
        "to_address": "ada@example.com",
        "subject": "Hallo",
        "text": "Text",
        "html": "<p>Text</p>",
        "unsubscribe": URL,
    }
    return MailContent(**(base | more))  # type: ignore[arg-type]


def written(sender: Sender, one: MailContent) -> bytes:
    result = compose(sender, one, NOW)
    assert isinstance(result, bytes), result
    return result


def both(raw: bytes) -> tuple[EmailMessage, Message]:
    """The mail as a modern and as an old parser reads it, structurally sound for both."""
    head = raw.split(b"\r\n\r\n", 1)[0]
    assert head.isascii()
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    for word in re.findall(rb"=\?[^?]*\?[^?]*\?[^?]*\?=", head):
        assert len(word) <= 75
    modern = cast(EmailMessage, email.message_from_bytes(raw, policy=default))
    old = email.message_from_bytes(raw, policy=compat32)
    assert modern.keys() == EXPECTED
    assert old.keys() == EXPECTED
    assert not modern.defects
    return modern, old


def one_recipient(mails: tuple[EmailMessage, Message], header: str, name: str, address: str) -> None:
    """One address, and the name as RFC 2047 reads it.

    Python's own structured parser sets a blank between two encoded words of a name, which section 6.2 says to
    leave out; so that parser is compared without blanks and the plain decoder exactly.
    """
    modern, old = mails
    wanted = headers.clean(name, headers.LONGEST_NAME)
    (found,) = modern[header].addresses
    assert found.addr_spec == address
    assert found.display_name.replace(" ", "") == wanted.replace(" ", "")
    if "=?" in old[header]:
        assert str(make_header(decode_header(old[header]))) == f"{wanted} <{address}>"


def test_an_encoded_subject_with_line_breaks_inside_adds_no_header() -> None:
    modern, _ = both(written(SENDER, letter(subject=EXPLOIT)))
    assert modern["Bcc"] is None
    assert "\n" not in str(modern["Subject"])
    assert modern["Subject"] == EXPLOIT.replace("=?", "")


def test_an_encoded_first_name_with_line_breaks_inside_adds_no_header() -> None:
    modern, old = both(written(SENDER, letter(to_name=EXPLOIT)))
    assert modern["Bcc"] is None
    one_recipient((modern, old), "To", EXPLOIT, "ada@example.com")


def test_a_name_of_two_eighty_letter_words_leaves_every_header_where_it_is() -> None:
    name = "a" * 80 + " " + "b" * 80
    modern, old = both(written(SENDER, letter(to_name=name)))
    one_recipient((modern, old), "To", name, "ada@example.com")
    assert old["List-Unsubscribe"] == f"<{URL}>"
    mails = both(written(Sender(name, "a@example.com", "w", reply_to="r@example.com"), letter()))
    one_recipient(mails, "From", name, "a@example.com")


PIECES = (
    "\r\n", "\n", "\r", "Bcc: v@x.de", "=?", "?=", "=?utf-8?q?a?=", "=?utf-8?b?DQo=?=", "\u2028", "\u2029", "\x85",
    "\u202e", "\u2066", "\0", "\t", "\x0b", "\x0c", "\x1c", "\x1d", "\ud800", '"', "\\", "<", ">", ",", ";", ":", "@", "(", ")",
    "a" * 80, "ä" * 80, "😀" * 30, " ", "  ", ".", "Ada", "Müller", "e\u0301", "\u200f", "\u00a0", "=", "?", "==??", "=\u202e?",
    EXPLOIT, "x@y.de", "\x7f", "İ", "ß", "\ufeff", "\ue000", "group: a@b.de;", "a" * 30, "Zoë ", "?", "q", "b", "utf-8",
)  # fmt: skip
MAILS = max(1_500, min(int(os.environ.get("TREUE_TORTURE") or 0), 13_500))


def hostile_values(seed: int, count: int) -> list[str]:
    """Texts of hostile pieces, and of any characters at all."""
    chance = random.Random(seed)
    pieces = ["".join(chance.choices(PIECES, k=chance.randint(0, 7))) for _ in range(count * 2 // 3)]
    noise = [
        "".join(
            chr(chance.choice((chance.randrange(0x300), chance.randrange(0x11000))))
            for _ in range(chance.randint(1, 100))
        )
        for _ in range(count - len(pieces))
    ]
    return chance.sample(pieces + noise, count)


def test_no_name_and_no_subject_changes_the_list_of_headers() -> None:
    """Three hostile values a mail; `make torture` tries the full 40,000."""
    values = hostile_values(42, 3 * MAILS)
    for subject, to_name, from_name in zip(values[::3], values[1::3], values[2::3], strict=True):
        sender = Sender(from_name, "hallo@klangladen.example.com", "w", reply_to="re@example.com")
        result = compose(sender, letter(subject=subject, to_name=to_name), NOW)
        if not headers.clean(subject, 250):
            assert isinstance(result, RenderFailure)
            continue
        assert isinstance(result, bytes), result
        mails = both(result)
        one_recipient(mails, "To", to_name, "ada@example.com")
        one_recipient(mails, "From", from_name, "hallo@klangladen.example.com")
        assert mails[0]["Subject"] == headers.clean(subject, 250)
        assert mails[1]["List-Unsubscribe"] == f"<{URL}>"


def test_an_address_is_one_plain_address_or_refused() -> None:
    values = hostile_values(7, 600)
    addresses = [
        *values[:200],
        *(f"{one}@example.com" for one in values[200:400]),
        *(f"ada@{one}" for one in values[400:]),
    ]
    written_to = 0
    for address in [*addresses, "ada@example.com", "a.b+c@example.com"]:
        result = compose(SENDER, letter(to_address=address), NOW)
        if isinstance(result, RenderFailure):
            assert result.code == "bad-address"
            continue
        modern, _ = both(result)
        (found,) = modern["To"].addresses
        assert re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", found.addr_spec)
        written_to += 1
    assert written_to >= 2


def test_an_ordinary_address_is_known_without_being_looked_up_as_the_library_would_know_it() -> None:
    chance = random.Random(3)
    signs = (
        "a",
        "Z",
        "0",
        "-",
        "--",
        "_",
        "+",
        ".",
        "@",
        "de",
        "test",
        "x" * 60,
        "x" * 63,
        "ü",
        " ",
        "=?",
        "ß",
    )
    tails = (
        "",
        "@a.de",
        "@shop.example.com",
        "@xn--a.de",
        "@a-b.de",
        "@a.local",
        "@-a.de",
        "@a-.de",
        "@a.1",
        "@a.b.arpa",
    )
    known = 0
    for _ in range(20_000):
        value = "".join(chance.choices(signs, k=chance.randint(1, 6))) + chance.choice(tails)
        found = headers._ORDINARY.fullmatch(value)
        if found and len(value) <= 254 and found[1] not in headers._SPECIAL:
            assert headers._address(value) == value
            known += 1
    assert known > 500


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b.de, c@d.de", "a@b.de c@d.de", "Ada <a@b.de>", "a@b.de\r\nBcc: c@d.de", "käse@example.com", "a@[127.0.0.1]", "a@b.de\n", "a@-b.de", "a" * 65 + "@b.de", "=??B?DQ?=@b.de", "=?utf-8?b?00?=@b.de"]
)  # fmt: skip
def test_what_is_not_one_plain_address_is_refused_by_name(address: str) -> None:
    result = compose(SENDER, letter(to_address=address), NOW)
    assert isinstance(result, RenderFailure)
    assert result.code == "bad-address"


def test_a_domain_with_umlauts_is_written_in_ascii() -> None:
    modern, _ = both(written(SENDER, letter(to_address="ada@bücher.example.com")))
    assert modern["To"].addresses[0].addr_spec == "ada@xn--bcher-kva.example.com"


def test_a_long_unsubscribe_link_is_one_line_and_unchanged() -> None:
    url = "https://u.example.com/u/" + "x" * 700
    raw = written(SENDER, letter(unsubscribe=url, unsubscribe_mailto="mailto:unsub@u.example.com?subject=u"))
    assert f"\r\nList-Unsubscribe: <{url}>,\r\n <mailto:unsub@u.example.com?subject=u>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    both(raw)


@pytest.mark.parametrize(
    "url",
    [
        "https://a/ b",
        "https://a/\r\nBcc: x@y.de",
        "https://a/<b>",
        "https://ä.de/",
        "ftp://a/",
        "x",
        "https://a/" + "b" * 990,
    ],
)
def test_a_link_that_would_break_the_header_is_refused(url: str) -> None:
    result = compose(SENDER, letter(unsubscribe=url), NOW)
    assert isinstance(result, RenderFailure)
    assert result.code == "bad-header"


def test_one_click_is_promised_for_https_only() -> None:
    message = email.message_from_bytes(written(SENDER, letter(unsubscribe="http://localhost:8420/u/abc")))
    assert message["List-Unsubscribe"] == "<http://localhost:8420/u/abc>"
    assert message["List-Unsubscribe-Post"] is None


def test_a_transactional_mail_goes_without_unsubscribe_headers() -> None:
    message = email.message_from_bytes(written(SENDER, letter(unsubscribe="")))
    assert [key for key in EXPECTED if not key.startswith("List-Unsub")] == message.keys()


def test_the_headers_are_those_that_providers_ask_for() -> None:
    message, _ = both(written(SENDER, letter(key="m-42", to_name="Ada Lovelace")))
    assert message["Message-ID"] == "<m-42.klangladen@klangladen.example.com>"
    assert message["List-Id"] == "<welcome.klangladen.klangladen.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Feedback-ID"] == "welcome:klangladen:marketing:klangladen"
    assert message["Date"] == "Sun, 01 Mar 2026 09:00:00 +0000"
    assert message["Reply-To"] == "re@example.com"
    assert message["To"] == "Ada Lovelace <ada@example.com>"


def test_the_same_letter_is_the_same_bytes_on_every_attempt() -> None:
    assert written(SENDER, letter()) == written(SENDER, letter())


def test_an_umlaut_subject_is_read_back_and_its_lines_are_short() -> None:
    subject = "Grüße, Frau Müller: Ihre Prämie für den schönen Einkauf 😀 wartet auf Sie — jetzt abholen"
    raw = written(SENDER, letter(subject=subject))
    message, _ = both(raw)
    assert message["Subject"] == subject
    head = raw.split(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in head.split(b"\r\n") if not line.startswith(b"List-Unsubscribe"))


@settings(max_examples=300, deadline=None, database=None)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=3000),
    html=st.text(st.characters(codec="utf-8"), min_size=1, max_size=3000),
    eight_bit=st.booleans(),
)
def test_bodies_arrive_as_they_were_but_for_line_ends(text: str, html: str, eight_bit: bool) -> None:
    raw = compose(SENDER, letter(text=text, html=html), NOW, eight_bit=eight_bit)
    assert isinstance(raw, bytes)
    assert eight_bit or raw.isascii()
    message = cast(EmailMessage, email.message_from_bytes(raw, policy=default))
    assert [key for key in message.keys() if key != "Content-Transfer-Encoding"] == EXPECTED  # noqa: SIM118
    plain_part, html_part = cast(list[EmailMessage], message.get_payload())
    assert (plain_part.get_content_type(), html_part.get_content_type()) == ("text/plain", "text/html")
    for part, source in ((plain_part, text), (html_part, html)):
        wanted = source.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        assert part.get_payload(decode=True) == wanted.encode()


def test_a_mail_without_html_is_plain_text() -> None:
    message = cast(
        EmailMessage,
        email.message_from_bytes(written(SENDER, letter(html="", text="Grüße\nAda")), policy=default),
    )
    assert message.get_content_type() == "text/plain"
    assert (
        message.get_content() == "Grüße\r\nAda\r\n"
        or message.get_payload(decode=True) == "Grüße\r\nAda".encode()
    )


def test_a_sender_s_wrong_address_is_refused_too() -> None:
    result = compose(Sender("A", "a@b@c", "w"), letter(), NOW)
    assert isinstance(result, RenderFailure)
    assert result.code == "bad-address"


def test_the_parts_of_a_mail_are_as_safe_as_its_bytes() -> None:
    values = hostile_values(11, 900)
    for subject, to_name, from_name in zip(values[::3], values[1::3], values[2::3], strict=True):
        mail = parts(Sender(from_name, "a@example.com", "w"), letter(subject=subject, to_name=to_name))
        if isinstance(mail, RenderFailure):
            assert not headers.clean(subject, 250)
            continue
        shown = [mail.subject, mail.sender.name, mail.to.name, *(value for _, value in mail.headers)]
        assert [one for one in shown if "=?" in one or headers.clean(one, 1000) != one] == []
        assert max(len(mail.sender.name), len(mail.to.name)) <= headers.LONGEST_NAME


def test_the_parts_of_a_mail_have_the_headers_that_providers_ask_for() -> None:
    one = letter(unsubscribe_mailto="mailto:unsub@u.example.com")
    mail = parts(SENDER, one)
    assert not isinstance(mail, RenderFailure)
    assert mail.headers == (
        ("List-Unsubscribe", f"<{URL}>, <mailto:unsub@u.example.com>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", "<welcome.klangladen.klangladen.example.com>"),
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", "welcome:klangladen:marketing:klangladen"),
    )
    assert mail.sender == ("Klangladen Hamburg", "hallo@klangladen.example.com")
    assert mail.reply_to == ("", "re@example.com")
    assert (mail.text, mail.html) == ("Text", "<p>Text</p>")


def test_the_parts_for_an_address_that_is_none_are_refused() -> None:
    refused = parts(SENDER, letter(to_address="a@b.de, c@d.de"))
    assert isinstance(refused, RenderFailure)
    assert refused.code == "bad-address"


def test_the_guard_stops_a_header_that_slipped_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for evil in ("x\r\nBcc: v@x.de", "x\r\n\r\nbody", "x\r\n \r\nbody", "x\nBcc: v@x.de", "ä"):
        monkeypatch.setattr(headers, "unstructured", lambda value, name, evil=evil: evil)
        result = compose(SENDER, letter(), NOW)
        assert isinstance(result, RenderFailure), evil
        assert result.code == "bad-header"


def test_an_address_that_is_none_says_so() -> None:
    with pytest.raises(Fault, match="is not one usable address"):
        headers.address("nobody")
