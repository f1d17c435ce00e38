"""seven.io's SMS endpoint, as its documentation describes it (docs.seven.io/en/rest-api/endpoints/sms)."""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from hashlib import md5
from itertools import count

from tests.channels.descriptions import PublishedServer, published
from treue.channel import Callback
from treue.testing.provider_server import Asked, Reply

KEY = "the-api-key-of-the-account"
SIGNING_KEY = "the-signing-key-of-the-account"
NO_NUMBER, FULL, ABROAD = "+4915110000901", "+4915110000902", "+4915110000903"
NONCE = "fpPRhAd1s8GXacfR39mWqKPynmmXfJnc"
_NUMBER = re.compile(r"(?:\+|00)?[1-9]\d{6,14}")


class SevenServer(PublishedServer):
    """Takes one message a request; says everything in a 200 with codes; locks a text that comes twice at once."""

    description = published("seven")

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, str]] = {}
        self.credit, self.lock = True, False
        self._ids = count(77_149_843_739)
        self._had: set[tuple[str, str]] = set()

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", "/api/sms"):
            return Reply(404)
        if asked.headers.get("x-api-key") != KEY:
            return Reply.json(900)
        if asked.headers.get("content-type") != "application/x-www-form-urlencoded":
            return Reply.json(301)
        found = {name: values[-1] for name, values in asked.form().items()}
        missing = next((code for name, code in (("to", 301), ("text", 305)) if not found.get(name)), None)
        if missing:
            return Reply.json({"success": str(missing), "messages": []})
        if not self.credit:
            return said(found, 500, "Not enough credits.")
        return self._one(found)

    def refuses(self, answer: Reply) -> bool:
        return b'"success": true' not in answer.body

    def _one(self, found: dict[str, str]) -> Reply:
        to, text = found["to"], found["text"]
        if not _NUMBER.fullmatch(to) or to == NO_NUMBER:
            return said(found, 202, "Recipient number invalid.")
        if not re.fullmatch(r"\+?\d{3,16}|[A-Za-z0-9 ]{1,11}", found.get("from", "")):
            return said(found, 201, "Sender invalid.")
        if len(text) > 1520:
            return said(found, 401, "Text too long.")
        if to in (FULL, ABROAD):
            return said(
                found,
                *((403, "Max. limit per day reached.") if to == FULL else (201, "Country code invalid.")),
            )
        if self.lock and (to, text) in self._had:
            return said(found, 402, "This SMS has already been sent within the last 180 seconds.")
        self._had.add((to, text))
        id_ = str(next(self._ids))
        self.sent[id_] = found
        return said(found, 0, None, id_)

    def tells(self, id_: str, status: str, at: datetime) -> bytes:
        """Return the body of seven's callback about a message."""
        when = at.isoformat()
        return b'{"data": {"msg_id": "%s", "status": "%s", "timestamp": "%s"}, "webhook_event": "dlr", "webhook_timestamp": "%s"}' % (
            id_.encode(), status.encode(), when.encode(), when.encode()
        )  # fmt: skip


def said(found: dict[str, str], code: int, words: str | None, id_: str | None = None) -> Reply:
    """Return an answer about one message."""
    message = {
        "id": id_, "sender": found.get("from"), "recipient": found["to"].removeprefix("+"), "text": found["text"],
        "encoding": "gsm", "label": None, "parts": 1, "udh": None, "is_binary": False, "price": 0.075,
        "success": code == 0, "error": str(code) if code else None, "error_text": words,
    }  # fmt: skip
    answer = {
        "success": str(code if code == 500 else 101 if code else 100), "total_price": 0.075, "balance": 46.748,
        "debug": "false", "sms_type": "direct", "messages": [message],
    }  # fmt: skip
    return Reply.json(answer)


def signed(
    url: str, body: bytes, at: datetime, key: str = SIGNING_KEY, signed_url: str | None = None
) -> Callback:
    """Return a callback signed as docs.seven.io/en/rest-api/signing has it."""
    seconds, digest = str(int(at.timestamp())), md5(body, usedforsecurity=False).hexdigest()
    text = "\n".join((seconds, NONCE, "POST", signed_url or url, digest))
    headers = {
        "content-type": "application/json", "x-timestamp": seconds, "x-nonce": NONCE,
        "x-signature": hmac.digest(key.encode(), text.encode(), "sha256").hex(),
    }  # fmt: skip
    return Callback("POST", url, headers, body, at)
