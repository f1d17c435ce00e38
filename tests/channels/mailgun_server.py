"""Mailgun's "Send an email in MIME format", as its documentation describes it (documentation.mailgun.com)."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, Reply

KEY = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0"
DOMAIN = "mg.example.com"
_ADDRESS = re.compile(r"[^\s@,<>]+@[^\s@,<>]+\.[^\s@,<>]+")


class MailgunServer(PublishedServer):
    """Takes one message a request for one key and one domain; says no in Mailgun's words."""

    description = published("mailgun")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[dict[str, list[str]], EmailMessage]] = []

    def answer(self, asked: Asked) -> Reply:
        if asked.basic() != ("api", KEY):
            return Reply(401, {"Content-Type": "text/html"}, b"Forbidden")
        if asked.path == "/":
            return Reply(200, {}, b"Mailgun Magnificent API")
        found = re.fullmatch(r"/v3/([^/]+)/messages\.mime", asked.path)
        if asked.method != "POST" or not found:
            return said("Not Found", 404)
        if found[1] != DOMAIN:
            return said(f"Domain not found: {found[1]}", 404)
        return self._taken(*multipart(asked))

    def too_fast(self) -> Reply:
        reset = str(int(time.time()) + 60)
        return said("Too many requests", 429, {"X-RateLimit-Limit": "100", "X-RateLimit-Reset": reset})

    def _taken(self, fields: dict[str, list[str]], files: dict[str, bytes]) -> Reply:
        for name in ("to", "message"):
            if name not in {**fields, **files}:
                return said(f"{name} parameter is missing", 400)
        if "message" not in files:
            return said("'message' parameter is not a file", 400)
        if not all(_ADDRESS.fullmatch(one) for to in fields["to"] for one in to.split(",")):
            return said("to parameter is not a valid address. please check documentation", 400)
        if sum(len(name) + len(v) for name, vs in fields.items() for v in vs if name[1:2] == ":") > 16_384:
            return said(
                "Send options (parameters starting with o:, h:, or v:) are limited to 16 kB total", 400
            )
        mail = cast("EmailMessage", message_from_bytes(files["message"], policy=policy.default))
        self.sent.append((fields, mail))
        return Reply.json({"id": str(mail["Message-ID"]), "message": "Queued. Thank you."})


def multipart(asked: Asked) -> tuple[dict[str, list[str]], dict[str, bytes]]:
    """Return the fields and the files of a form (RFC 7578)."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    for part in cast("Any", message_from_bytes(head + asked.body, policy=policy.HTTP)).iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename():
            files[name] = raw(part)
        else:
            fields.setdefault(name, []).append(part.get_payload(decode=True).decode())
    return fields, files


def raw(part: Any) -> bytes:
    """Return a part's content as it came; one of message/rfc822 has been parsed on the way."""
    content = part.get_payload()
    return (
        content[0].as_bytes(policy=policy.SMTP)
        if isinstance(content, list)
        else part.get_payload(decode=True)
    )


def said(message: str, status: int, headers: dict[str, str] | None = None) -> Reply:
    return Reply.json({"message": message}, status, headers)
