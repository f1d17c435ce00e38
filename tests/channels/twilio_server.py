"""Twilio's Messages resource, as its documentation describes it (twilio.com/docs/messaging/api/message-resource)."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from datetime import datetime
from itertools import count
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.channels.descriptions import PublishedServer, published
from treue.channel import Callback
from treue.testing.provider_server import Asked, Reply

ACCOUNT = "AC" + "0123456789abcdef" * 2
SERVICE = "MG" + "0123456789abcdef" * 2
TOKEN = "an-auth-token-of-32-characters--"
SENDER = "+4915799999999"
OPTED_OUT, LANDLINE, ABROAD = "+4915110000901", "+4940123456789", "+19005551234"
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_OR_NAME = re.compile(r"\d{3,8}|[A-Za-z0-9 +_&-]{1,11}")


class TwilioServer(PublishedServer):
    """Takes one message a request, never recognises one it has had, and signs its callbacks."""

    description = published("twilio")

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, str]] = {}
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        if (asked.method, asked.path) != ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"):
            return error(20404, "The requested resource was not found", 404)
        if asked.basic() != (ACCOUNT, TOKEN):
            return error(20003, "Authenticate", 401)
        if asked.headers.get("content-type") != "application/x-www-form-urlencoded":
            return error(20001, "Unsupported content type", 415)
        fields = {name: values[-1] for name, values in asked.form().items()}
        return self._wrong(fields) or self._taken(fields)

    def too_fast(self) -> Reply:
        return error(20429, "Too Many Requests", 429)

    def _taken(self, fields: dict[str, str]) -> Reply:
        sid = f"SM{next(self._ids):032x}"
        self.sent[sid] = fields
        queued = {"sid": sid, "status": "queued", "error_code": None, "to": fields["To"], "num_segments": "1"}
        return Reply.json(queued, 201)

    def _wrong(self, fields: dict[str, str]) -> Reply | None:
        to, text, sender = fields.get("To", ""), fields.get("Body", ""), fields.get("From", "")
        service, callback = fields.get("MessagingServiceSid"), fields.get("StatusCallback")
        if not _E164.fullmatch(to):
            return error(21211, f"Invalid 'To' Phone Number: {to[:4]}XXXX")
        if not text:
            return error(21602, "Message body is required.")
        if len(text) > 1600:
            return error(21617, "The concatenated message body exceeds the 1600 character limit")
        if not sender and not service:
            return error(21603, "A 'From' phone number is required.")
        if service not in (None, SERVICE):
            return error(21701, "The Messaging Service does not exist")
        if sender.startswith("+") and sender != SENDER:
            return error(
                21659, f"'From' {sender} is not a Twilio phone number or Short Code country mismatch"
            )
        if sender and not sender.startswith("+") and not _SHORT_OR_NAME.fullmatch(sender):
            return error(21212, f"Invalid From Number (caller ID): {sender}")
        if callback is not None and not re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(:\d+)?/\S*", callback):
            return error(21609, "Invalid StatusCallback URL")
        if not 1 <= int(fields.get("ValidityPeriod", "36000")) <= 36_000:
            return error(21613, "The validity period is out of range")
        if to == OPTED_OUT:
            return error(21610, "Attempt to send to unsubscribed recipient")
        if to == LANDLINE:
            return error(21614, "'To' number is not a valid mobile number")
        if to == ABROAD:
            return error(21408, "Permission to send an SMS has not been enabled for the region")
        return None

    def tells(self, sid: str, status: str, at: datetime, **more: str) -> Callback:
        """Return Twilio's callback about a message, at the address the message named."""
        message = self.sent[sid]
        fields = {
            "MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "MessageStatus": status, "SmsStatus": status,
            "To": message["To"], "From": message.get("From", SENDER), "ApiVersion": "2010-04-01", **more,
        }  # fmt: skip
        return signed(message["StatusCallback"], urlencode(fields).encode(), at)


def signed(url: str, body: bytes, at: datetime, token: str = TOKEN) -> Callback:
    """Return a callback with a form, signed as Twilio documents it; what is no form is signed as an empty one."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True)
    except ValueError:
        fields = {}
    text = url + "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    digest = hmac.digest(token.encode(), text.encode(errors="surrogatepass"), "sha1")
    kind = "application/x-www-form-urlencoded; charset=UTF-8"
    headers = {
        "content-type": kind,
        "x-twilio-signature": b64encode(digest).decode(),
        "host": urlsplit(url).netloc,
    }
    return Callback("POST", url, headers, body, at)


def error(code: int, message: str, status: int = 400) -> Reply:
    """Return an answer that says no."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Reply.json({"code": code, "message": message, "more_info": more, "status": status}, status)
