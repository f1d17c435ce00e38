"""Bounces are written by strangers: whatever comes is read, soon, and never raises."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bounces.returned_mails import complaint, status, text
from treue.bounces import kinds, mime, reader, wording
from treue.bounces.reader import read
from treue.bounces.record import Cause, Reading

_PIECES = [
    b"From: MAILER-DAEMON@x\n", b"Content-Type: multipart/report; boundary=b\n", b"\n", b"\n\n", b"--b\n", b"--b--\n",
    b"Content-Type: message/delivery-status\n\n", b"Content-Type: message/feedback-report\n\n", b"Status: 5.1.1\n",
    b"Content-Type: message/rfc822\n\n", b"Content-Type: text/html; charset=utf-7\n", b"Final-Recipient: rfc822; a@b.c\n",
    b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n", b"=?utf-8?b?", b"?=", b"<<< 550 ",
    b">>> RCPT To:<a@b.c>\n", b"\xff\xfe\x00", b"\x1b$B", b"<a@b.c>: ", b"Diagnostic-Code: smtp; 550 5.7.1 user unknown\n",
    b"From: x@sns.amazonaws.com\n\n{", b'"bounce":[', b"X-Failed-Recipients: ", b"Subject: ", b" \t", b"---- Original message ----\n",
    b"was automatically rejected: ", b"charset=punycode", b"boundary=", b"Content-", b"&#99999999999;", b"<style>", b"5.", b"@",
]  # fmt: skip


def _bare(raw: bytes) -> Reading:
    """Read without the net that `read` spreads under it."""
    return reader._read(mime.parse(raw))


def _sound(found: Reading) -> None:
    assert found.verdicts
    for one in found.verdicts:
        assert one.line.isprintable()
        assert one.recipient.isprintable()
        assert len(one.line) <= 500
        assert len(one.recipient) <= 254
        assert not (one.hard and one.status.startswith(("5.7.", "4.", "5.2.2", "5.2.3", "5.3.4")))
        assert not (one.hard and found.kind != "bounce")


@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw: bytes) -> None:
    _sound(_bare(raw))


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8), max_size=60))
@settings(max_examples=400)
def test_anything_made_of_what_bounces_are_made_of_is_read(pieces: list[bytes]) -> None:
    _sound(_bare(b"".join(pieces)))


@given(st.sampled_from([status(), text("<a@b.c>: no such user"), complaint()]), st.data())
def test_a_bounce_that_is_cut_or_scrambled_is_read(mail: bytes, data: st.DataObject) -> None:
    at, length = data.draw(st.integers(0, len(mail))), data.draw(st.integers(0, 200))
    _sound(_bare(mail[:at] + data.draw(st.binary(max_size=20)) + mail[at + length :]))


def test_a_fault_of_the_reader_is_no_fault_of_the_mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(mail: mime.MimeMail) -> kinds.Found:
        raise RecursionError

    monkeypatch.setattr(reader, "READERS", (broken,))
    assert read(status()) == Reading("other", read(b"").verdicts)
    assert read(status()).verdict.cause is Cause.not_said


def _steps(raw: bytes) -> int:
    """Count the lines of Python that reading a mail takes."""
    count = 0

    def trace(*_: object) -> Callable[..., object]:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read(raw)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "unit",
    [
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        b"--bbbbbbbb\nContent-Type: multipart/mixed\n\n",
        b"Final-Recipient: rfc822; a@b.c\nStatus: 5.1.1\n\n",
        b"<a@b.c>: 550 user unknown\n",
        b"X: y\n",
        b" folded\n",
        b">>> DATA\n<<< 550\n",
        b"\n",
        b"<b>",
    ],
)
def test_twice_as_much_takes_at_most_twice_as_long(unit: bytes) -> None:
    head = b"From: MAILER-DAEMON@x\nSubject: failure notice\nContent-Type: %s\n\n"
    for kind in (b"text/plain", b"text/html", b"message/delivery-status", b"multipart/mixed"):
        once, twice = (_steps(head % kind + unit * n) for n in (400, 800))
        assert twice <= 2.2 * once, (unit, kind, once, twice)


def _unbounded(parsed: Any) -> bool:
    """Whether something in a parsed pattern may be repeated without end."""
    if isinstance(parsed, tuple | list | _parser.SubPattern):
        return any(_unbounded(one) for one in parsed)
    return parsed is _parser.MAXREPEAT


def test_nothing_in_the_patterns_repeats_without_end() -> None:
    assert _unbounded(_parser.parse("a.*b"))
    signs = [value for value in vars(wording).values() if isinstance(value, re.Pattern)]
    table = [pattern for pairs in (wording._STRONG, wording._WEAK) for _, pattern in pairs]
    assert len(signs) > 8
    assert len(table) > 20
    assert [one.pattern for one in (*signs, *table) if _unbounded(_parser.parse(one.pattern))] == []


def test_more_than_half_a_mebibyte_is_not_looked_at() -> None:
    mail = text("<ada@example.com>:\nno such user. (#5.1.1)") + b"x" * (8 << 20)
    assert read(mail).verdict.hard
    assert sum(len(part.text) for part in mime.parse(mail).parts) <= mime.READ
