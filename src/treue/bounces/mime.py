"""The parts of a mail, however broken it is: bounded, in linear time, without raising.

The parser of the standard library is not used: it recurses, and takes long over what a stranger can write.
"""

from __future__ import annotations

import binascii
import codecs
import html
import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

READ = 1 << 19
"""So many bytes of a mail are looked at. Reports come before the mail they return."""
_DEPTH, _PARTS, _HEADERS, _LONG = 8, 64, 500, 4000
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]{0,8}:(.*)", re.DOTALL)
_ENCODED = re.compile(r"=\?([\w.:-]{1,40})(?:\*[\w-]{1,20})?\?([bq])\?([^?\s]{0,4000})\?=", re.IGNORECASE)
_CHARSETS = re.compile(r"utf|iso-?8859|iso-?2022|cp\d|koi8|euc|shift_?jis|gb|big5|mac|tis|johab")
_BOUNDARY = re.compile(rb"^(--[^\s][^\n]{5,200}?)[ \t]{0,9}\nContent-", re.IGNORECASE | re.MULTILINE)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class MimePart:
    """One leaf of a mail: its content type, its text; for a returned message that is its source."""

    kind: str
    text: str


@dataclass(frozen=True)
class MimeMail:
    """The fields of a mail's header by lower-case name, and its leaves in order."""

    fields: dict[str, list[str]]
    parts: tuple[MimePart, ...]

    def first(self, name: str) -> str:
        """Return the first field of that name, decoded, or nothing."""
        return self.fields.get(name, [""])[0]

    def part(self, kind: str) -> str | None:
        """Return the text of the first leaf of that content type."""
        return next((part.text for part in self.parts if part.kind == kind), None)


def parse(raw: bytes) -> MimeMail:
    """Return the mail's header and leaves."""
    text = raw[:READ].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    if text.startswith((b"From ", b">From ")):
        text = text.partition(b"\n")[2]
    head, body = _halves(text)
    fields = header(_decoded(head, "utf-8"))
    return MimeMail(fields, tuple(_limited(_leaves(fields, body, 0))))


def header(text: str) -> dict[str, list[str]]:
    """Return a header's fields by lower-case name, unfolded and decoded, in order."""
    found: dict[str, list[str]] = {}
    for _, (name, value) in zip(range(_HEADERS), fields_of(text.split("\n")), strict=False):
        found.setdefault(name, []).append(_words(value))
    return found


def fields_of(lines: Iterable[str], *, gaps: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (lower-case name, value) of each field in the lines, unfolded; other lines are passed over.

    With `gaps`, blank lines are yielded as a field without a name.
    """
    name, value = "", list[str]()
    for line in [*lines, ""]:
        if name and line[:1] in (" ", "\t") and line.strip():
            value.append(line.strip())
            continue
        if name:
            yield name, " ".join(value).strip()[:_LONG]
        match = _FIELD.fullmatch(line)
        name, value = (match[1].lower(), [match[2].strip()]) if match else ("", [])
        if gaps and not line.strip():
            yield "", ""


def _limited(parts: Iterator[MimePart]) -> Iterator[MimePart]:
    for _, part in zip(range(_PARTS), parts, strict=False):
        yield part


def _halves(text: bytes) -> tuple[bytes, bytes]:
    if text.startswith(b"\n"):
        return b"", text[1:]
    head, _, body = text.partition(b"\n\n")
    return head, body


def _leaves(fields: dict[str, list[str]], body: bytes, depth: int) -> Iterator[MimePart]:
    kind, boundary, charset = _content_type(fields.get("content-type", [""])[0])
    if kind.startswith("multipart/") and depth < _DEPTH:
        chunks = _split(body, boundary)
        for chunk in chunks:
            head, rest = _halves(chunk)
            yield from _leaves(header(_decoded(head, charset)), rest, depth + 1)
        if chunks:
            return
    if kind.startswith(("text/", "message/", "multipart/")):
        data = _unwrapped(body, fields.get("content-transfer-encoding", [""])[0])
        text = _decoded(data, charset)
        yield MimePart(
            "text/plain" if kind.startswith("multipart/") else kind,
            _without_tags(text) if kind == "text/html" else text,
        )


def _content_type(value: str) -> tuple[str, str, str]:
    kind = (value.replace(";", " ").split() or [""])[0].lower()
    found = dict[str, str]()
    for match in re.finditer(
        r'[;\s]\s{0,20}(boundary|charset)\s{0,9}=\s{0,9}("[^"]{1,200}"|[^;\s]{1,200})', value, re.IGNORECASE
    ):
        found.setdefault(match[1].lower(), match[2].strip('"'))
    return kind if "/" in kind else "text/plain", found.get("boundary", ""), found.get("charset", "")


def _split(body: bytes, boundary: str) -> list[bytes]:
    """Return what lies between the boundary's lines; where the header names none that is there, by the first that looks like one."""
    mark = b"--" + boundary.encode("utf-8", "replace")
    if not boundary or b"\n" + mark not in b"\n" + body:
        guess = _BOUNDARY.search(body)
        if guess is None:
            return []
        mark = guess[1]
    chunks: list[list[bytes]] = []
    inside = False
    for line in body.split(b"\n"):
        if line.startswith(mark) and line[len(mark) :].strip() in (b"", b"--"):
            inside = not line[len(mark) :].strip() and len(chunks) < _PARTS
            if inside:
                chunks.append([])
        elif inside:
            chunks[-1].append(line)
    return [b"\n".join(lines) for lines in chunks]


def _unwrapped(body: bytes, encoding: str) -> bytes:
    try:
        if encoding.strip().lower() == "quoted-printable":
            return quopri.decodestring(body)
        if encoding.strip().lower() == "base64":
            return binascii.a2b_base64(body + b"==")
    except ValueError:
        pass
    return body


def _decoded(data: bytes, charset: str) -> str:
    """Return the text. Without a charset that is for texts and known, it is UTF-8 if it can be, else Latin-1."""
    try:
        name = codecs.lookup(charset).name if charset.isascii() else ""
    except (LookupError, ValueError):
        name = ""
    if _CHARSETS.match(name) and name != "utf-8":
        return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8" if name == "utf-8" else "latin-1", "replace")


def _words(value: str) -> str:
    """Return a field with its encoded words (RFC 2047) decoded."""
    if "=?" not in value:
        return value
    return _ENCODED.sub(_word, re.sub(r"\?=\s{1,80}=\?", "?==?", value))


def _word(match: re.Match[str]) -> str:
    data = match[3].encode("utf-8", "replace")
    data = _unwrapped(data, "base64") if match[2] in "bB" else quopri.decodestring(data, header=True)
    return _decoded(data, match[1])


def _without_tags(text: str) -> str:
    """Return what a page says, a line for each block."""
    for block in ("style", "script", "head"):
        text = _without(text, block)
    out = []
    for piece in text.split("<"):
        tag, closed, rest = piece.partition(">")
        name = tag[:4].lower().lstrip("/")
        out.append(
            ("\n" if name.startswith(("p", "br", "td", "tr", "li", "h", "div")) else " ") + rest
            if closed
            else piece
        )
    return html.unescape("".join(out))


def _without(text: str, block: str) -> str:
    pieces = re.split(rf"<(/?){block}\b", text, flags=re.IGNORECASE)
    kept = [pieces[0]]
    kept += [rest if closing else "" for closing, rest in zip(pieces[1::2], pieces[2::2], strict=True)]
    return "".join(kept)


def one_line(text: str, limit: int) -> str:
    """Return the text as one line of printable characters, at most `limit` of them."""
    flat = _SPACES.sub(" ", text[: limit * 4])
    return "".join(one if one.isprintable() else "?" for one in flat).strip()[:limit]
