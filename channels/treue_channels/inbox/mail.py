"""Reading an e-mail for showing it: subject, text, HTML, headers, links. Takes whatever arrives."""

from __future__ import annotations

import base64
import contextlib
import re
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from html.parser import HTMLParser

_LINKS = 100
_GLANCE = 2000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_CONTENT_ID = re.compile(r"\bcid:([^\s\"'<>()]+)", re.IGNORECASE)
_TAG = re.compile(
    r"<(?:style|script|head)\b.*?</(?:style|script|head)\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Link:
    """A link in a message: where it leads and the words it is on."""

    url: str
    text: str


@dataclass(frozen=True)
class ParsedMail:
    """An e-mail taken apart. `html` and `text` are empty where the message has no such part.

    `pictures` are those inside it, by content id, as `data:` addresses.
    """

    headers: list[tuple[str, str]]
    text: str
    html: str
    attachments: list[str]
    links: list[Link]
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """The HTML with the pictures that came in the mail put where it names them (RFC 2392)."""
        return _CONTENT_ID.sub(lambda found: self.pictures.get(found[1], found[0]), self.html)

    def header(self, name: str) -> str:
        """Return the first header of that name, in any case, or ""."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def glance(raw: bytes) -> tuple[str, str]:
    """Return subject and the beginning of the text; reads no further than it must."""
    message = message_from_bytes(raw[: raw.find(b"\r\n\r\n") + _GLANCE], policy=policy.compat32)
    parts = {part.get_content_type(): part for part in reversed(list(message.walk()))}
    if "text/plain" in parts:
        text = _content(parts["text/plain"])
    else:
        text = _TAG.sub(" ", _content(parts["text/html"])) if "text/html" in parts else ""
    subject = next((value for name, value in _headers(message) if name.lower() == "subject"), "")
    return subject, text


def read(raw: bytes) -> ParsedMail:
    """Take a message apart; broken encodings come out with replacement characters, never as an error."""
    message = message_from_bytes(raw, policy=policy.compat32)
    text = html = ""
    attachments, pictures = [], {}
    for part in message.walk():
        kind, name = part.get_content_type(), part.get_filename()
        if part.is_multipart():
            continue
        if kind in _PICTURES and part["Content-ID"]:
            pictures[str(part["Content-ID"]).strip().strip("<>")] = _data(part)
        if name or kind not in ("text/plain", "text/html"):
            attachments.append(_decoded(name or kind))
        elif kind == "text/plain":
            text = text or _content(part)
        else:
            html = html or _content(part)
    return ParsedMail(_headers(message), text, html, attachments, links(html), pictures)


def links(html: str) -> list[Link]:
    """Return the links of an HTML page that lead to the web or a mailbox, in order, each once."""
    reader = _Links()
    reader.feed(html)
    reader.close()
    return list({link.url: link for link in reversed(reader.found)}.values())[::-1][:_LINKS]


def _data(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    return f"data:{part.get_content_type()};base64,{base64.b64encode(content).decode()}"


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", errors="replace")
    except LookupError:
        return payload.decode(errors="replace")


def _headers(message: Message) -> list[tuple[str, str]]:
    return [(_decoded(name), _decoded(str(value))) for name, value in message.raw_items()]


def _decoded(value: str) -> str:
    """Return a header's value as one line: encoded words (RFC 2047) decoded, bytes read as UTF-8 (RFC 6532)."""
    text = value.encode("utf-8", "surrogateescape").decode(errors="replace")
    if "=?" in text:
        with contextlib.suppress(HeaderParseError, LookupError, ValueError):
            text = str(make_header(decode_header(text)))
    return " ".join(text.split())


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Link] = []
        self._url = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._finish()
            self._url = (dict(attrs).get("href") or "").strip()
        elif tag == "img" and self._url:
            self._words.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._finish()

    def handle_data(self, data: str) -> None:
        if self._url:
            self._words.append(data)

    def close(self) -> None:
        super().close()
        self._finish()

    def _finish(self) -> None:
        if self._url.lower().startswith(("https://", "http://", "mailto:")):
            self.found.append(Link(self._url, " ".join(" ".join(self._words).split())))
        self._url, self._words = "", []
