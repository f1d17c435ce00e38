"""Postmark, as its documentation describes it (postmarkapp.com/developer/api/email-api and /api/overview)."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from tests.channels.descriptions import PublishedServer, published
from treue.testing.provider_server import Asked, Reply

TOKEN = "b1e5a0c2-7f3d-4d7e-9a55-0c1f2e3d4c5b"
INACTIVE = "inactive@example.com"
_ADDRESS = re.compile(r'(?:"(?:[^"\\]|\\.)*" <)?([^\s<>,@"]+)@([^\s<>,@"]+\.[^\s<>,@"]+)>?')


class PostmarkServer(PublishedServer):
    """Takes mails in batches of 500 for one server token and its streams; knows its inactive addresses."""

    description = published("postmark")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.streams = {"outbound", "broadcast"}
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", "/email/batch"):
            return Reply(404)
        if asked.headers.get("x-postmark-server-token") != TOKEN:
            return _error(10, "No Account or Server API tokens were supplied in the HTTP headers.", 401)
        if asked.headers.get("content-type") != "application/json":
            return _error(409, "JSON required.", 422)
        mails = asked.json()
        if not isinstance(mails, list):
            return _error(403, "Invalid JSON: expected an array.", 422)
        if len(mails) > 500:
            return _error(410, "Too many batch messages.", 422)
        return Reply.json([self._one(mail) for mail in mails])

    def too_fast(self) -> Reply:
        return _error(429, "Rate limit exceeded.", 429)

    def _one(self, mail: dict[str, Any]) -> dict[str, Any]:
        wrong = self._wrong(mail)
        if wrong:
            code, message = wrong
            return {"ErrorCode": code, "Message": message}
        self.sent.append(mail)
        id_ = f"00000000-0000-4000-8000-{next(self._ids):012d}"
        at = "2026-11-22T10:00:00.0000000+01:00"
        return {"To": mail["To"], "SubmittedAt": at, "MessageID": id_, "ErrorCode": 0, "Message": "OK"}

    def _wrong(self, mail: dict[str, Any]) -> tuple[int, str] | None:
        for field in ("From", "To"):
            if not _ADDRESS.fullmatch(mail.get(field, "")):
                return 300, f"Invalid '{field}' address: '{mail.get(field)}'."
        if mail.get("MessageStream", "outbound") not in self.streams:
            return 1235, "The 'MessageStream' provided does not exist on this server."
        if not (mail.get("TextBody") or mail.get("HtmlBody")):
            return 300, "Provide either email TextBody or HtmlBody or both."
        metadata = mail.get("Metadata", {})
        if len(metadata) > 10 or any(len(k) > 20 or len(str(v)) > 80 for k, v in metadata.items()):
            return (
                300,
                "Invalid metadata content. Field names are limited to 20 characters, and values to 80.",
            )
        if INACTIVE in mail["To"]:
            return 406, (
                "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
                f"{INACTIVE}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a "
                "manual suppression."
            )
        return None


def _error(code: int, message: str, status: int) -> Reply:
    return Reply.json({"ErrorCode": code, "Message": message}, status)
