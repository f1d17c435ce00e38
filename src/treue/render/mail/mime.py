"""Bodies and files as MIME (RFC 2045, 2046, 2231, 2387): text, HTML beside it, pictures inside it, attachments behind.

A body goes as it is where every line is short and, unless 8bit is taken, ASCII; else in base64.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import quote

from treue.channel import Attachment
from treue.render.mail import headers

_LONGEST_LINE = 998
_LONGEST_NAME = 60
_MARK = b"=_treue"  # `_` is not in base64's alphabet; a body that has it between dashes goes in base64
_ALTERNATIVE, _RELATED, _MIXED = (_MARK + kind for kind in (b"-alternative", b"-related", b"-mixed"))
_ENCODING = b"Content-Transfer-Encoding: "
_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._()+-]*")

_Entity = tuple[bytes, bytes]
"""Header lines and body of one part."""


def body(text: str, html: str, attachments: tuple[Attachment, ...], eight_bit: bool) -> bytes:
    """Return the last header lines of a mail, the empty line, and all that follows."""
    entity = _text("plain", text, eight_bit)
    if html:
        page = _text("html", html, eight_bit)
        if attachments:
            page = _with_files(_RELATED, page, tuple(one for one in attachments if one.content_id))
        entity = _several(_ALTERNATIVE, b"alternative", [entity, page])
    if attachments:
        entity = _with_files(
            _MIXED, entity, tuple(one for one in attachments if not (html and one.content_id))
        )
    return entity[0] + b"\r\n" + entity[1] + (b"" if entity[1].endswith(b"\r\n") else b"\r\n")


def _with_files(boundary: bytes, entity: _Entity, files: tuple[Attachment, ...]) -> _Entity:
    if not files:
        return entity
    if boundary is _RELATED:  # RFC 2387 asks for the type of the part that the others belong to
        return _several(boundary, b'related; type="text/html"', [entity, *map(_file, files)])
    return _several(boundary, b"mixed", [entity, *map(_file, files)])


def _several(boundary: bytes, kind: bytes, entities: list[_Entity]) -> _Entity:
    """Return several parts as one; it is as many bits wide as its widest part (RFC 2045, section 6.4)."""
    top = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n'
    if any(_ENCODING + b"8bit" in head for head, _ in entities):
        top += _ENCODING + b"8bit\r\n"
    pieces: list[bytes] = []
    for head, content in entities:
        pieces += (b"--", boundary, b"\r\n", head, b"\r\n", content, b"\r\n")
    pieces += (b"--", boundary, b"--\r\n")
    return top, b"".join(pieces)


def _text(kind: str, text: str, eight_bit: bool) -> _Entity:
    """Return a text as a part, its own lines ended by CRLF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.replace("\n", "\r\n").encode("utf-8", "replace")
    encoding = _encoding(data, eight_bit)
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n".encode()
    return head, _base64(data) if encoding == "base64" else data


def _encoding(data: bytes, eight_bit: bool) -> str:
    ascii_only = data.isascii()
    if not (ascii_only or eight_bit) or b"\0" in data or b"--" + _MARK in data:
        return "base64"
    if len(data) > _LONGEST_LINE and max(map(len, data.split(b"\r\n"))) > _LONGEST_LINE:
        return "base64"
    return "7bit" if ascii_only else "8bit"


@lru_cache(maxsize=64)
def _file(file: Attachment) -> _Entity:
    """Return a file as a part: with a content id a picture to be shown, else something to be saved."""
    media_type = file.media_type.lower()
    lines = [f"Content-Type: {media_type if _TYPE.fullmatch(media_type) else 'application/octet-stream'}"]
    if file.content_id:
        lines.append(f"Content-ID: <{re.sub(r'[^A-Za-z0-9.@_+-]', '-', file.content_id)}>")
    lines.append(
        f"Content-Disposition: {'inline' if file.content_id else 'attachment'}; {_filename(file.name)}"
    )
    lines.append("Content-Transfer-Encoding: base64\r\n")
    return "\r\n".join(lines).encode("ascii"), _base64(file.content)


def _filename(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    suffix = headers.clean(path.suffix, 12)
    name = headers.clean(path.stem, _LONGEST_NAME - len(suffix)) + suffix
    if _PLAIN_NAME.fullmatch(name):
        return f'filename="{name}"'
    return f"filename*=utf-8''{quote(name, safe='')}"


def _base64(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)])
