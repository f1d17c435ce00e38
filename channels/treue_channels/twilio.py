"""SMS by Twilio (twilio.com/docs/messaging/api/message-resource).

One message a request, and no idempotency: "if you get a 500 Server Error and you retry the request, it is possible for a
customer to receive multiple messages" (docs/api/errors/20500). A 429 "is never processed and is always safe to retry"
(20429). Callbacks are signed with the auth token (docs/usage/security), but carry no time.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from treue.channel import (
    Accepted,
    BadCallback,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Outgoing,
    Receipt,
    Refused,
    Retry,
)
from treue.channel.stop_words import is_stop
from treue.channel.telephone import sender_id
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, about_us, by_status, our_fault
from treue_channels.http.api import (
    NO_EXTRA,
    TIMEOUT,
    Extra,
    HttpRequest,
    basic_authorization,
    form_request,
    merged_form,
)
from treue_channels.http.callbacks import (
    active_secrets,
    event_id,
    form,
    query_parameter,
    required,
    same,
    text,
    unknown,
)
from treue_channels.http.sms import (
    ADDRESS,
    EVENTS,
    SmsApi,
    callback_address,
    seconds_left,
    stopped,
    yes_or_no,
)

LONGEST_WAIT = 36_000
"""Seconds for which Twilio keeps a message that it cannot pass on yet (`ValidityPeriod`)."""

_ACCOUNT = re.compile(r"AC[0-9a-f]{32}")
_SERVICE = re.compile(r"MG[0-9a-f]{32}")

_OPTED_OUT = 21610
_DEAD = {21211, 21614, 21635}  # no valid number; no mobile number; a landline
_MESSAGE = {21602, 21605, 21617, 21618, 21619}  # no text; too long; a text that cannot be sent
_QUEUE_FULL = 21611
_ACCOUNT_WRONG = {
    20003,
    20005,
    20006,
    20010,
    10001,
    21701,
    21702,
    21704,
    21705,
}  # key, account, messaging service
_GIVEN_UP_FOR_US = {
    30001, 30002, 30010, 30018, 30022, 30023, 30024, 30027, 30032, 30033, 30034, 30035,
}  # fmt: skip
"""Our queue, account, price, sender or its registration. With codes from 21000 to 21999, of requests, they come later."""
_FILTERED = 30007

_STATUSES = {
    "accepted": DeliveryEventKind.accepted,
    "queued": DeliveryEventKind.accepted,
    "sending": DeliveryEventKind.accepted,
    "sent": DeliveryEventKind.accepted,
    "delivered": DeliveryEventKind.delivered,
    "undelivered": DeliveryEventKind.bounced,
    "failed": DeliveryEventKind.failed,
    "canceled": DeliveryEventKind.failed,
}
_NOT_DELIVERED = (DeliveryEventKind.bounced, DeliveryEventKind.failed)
_UNKNOWN_HANDSET, _LANDLINE = "30005", "30006"


class Twilio(SmsApi):
    """Sends from a Twilio `account` with its auth `token`, from `sender` or through a `messaging_service`.

    At `callback_url` Twilio tells what became of each message. Two tokens, separated by a space, may sign callbacks
    while one replaces the other; the first is sent with.
    """

    provider: ClassVar[str] = "Twilio"
    capabilities = Capabilities("sms", at_once=8, callbacks=EVENTS, address=ADDRESS)

    def __init__(
        self,
        account: str,
        token: str,
        kind: Kind = "sms",
        *,
        sender: str = "",
        messaging_service: str = "",
        callback_url: str = "",
        smart_encoding: bool = False,
        url: str = "https://api.twilio.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        tokens = active_secrets(token) or ("",)
        authorization = basic_authorization(account, tokens[0])
        super().__init__(url, [*tokens, authorization.removeprefix("Basic ")], timeout, extra)
        self._path = f"/2010-04-01/Accounts/{_sid(account, _ACCOUNT, 'account')}/Messages.json"
        self._from = _origin(sender, messaging_service)
        self._tokens, self._authorization = tokens, authorization
        self._callback_url = callback_address(callback_url, self.provider)
        self._smart = yes_or_no(smart_encoding, "smart_encoding")

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over this message."""
        (message,) = messages
        fields = {"To": message.to, **self._from, "Body": message.text}
        if self._callback_url:
            fields["StatusCallback"] = f"{self._callback_url}?key={quote(message.key, safe='')}"
        if wait := seconds_left(message, 5, LONGEST_WAIT):
            fields["ValidityPeriod"] = str(wait)
        if self._smart:
            fields["SmartEncoded"] = "true"
        fields = merged_form(fields, self.extra)
        return form_request(self._path, fields, {"Authorization": self._authorization})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt of a message that was taken."""
        return [Accepted(str(answer.json()["sid"]))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what Twilio's error code means (twilio.com/docs/api/errors), else what the status does.

        What is neither of the number nor of the text is about us, and mostly for a destination alone: a sender, a
        country that is not switched on (21408), a number that a trial account may not write to (21608).
        """
        found, reason = answer.json(), self.reason(answer)
        code = found.get("code") if isinstance(found, dict) and answer.status < 500 else None
        if code == _OPTED_OUT or code in _DEAD:
            return Refused(reason, suppress=True)
        if code == _QUEUE_FULL:
            return Retry(reason, self.pause(answer), everyone=True)
        if code in _MESSAGE:
            return Refused(reason)
        if code in _ACCOUNT_WRONG:
            return our_fault(reason)
        if code is not None and answer.status == 403:
            return about_us(reason)
        return by_status(answer, reason, self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return Twilio's error code and message."""
        found = answer.json()
        return f"{found['code']} {found['message']}"

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Twilio tells: a message's status, or a customer's SMS that says stop. Raises BadCallback."""
        tokens = required(self._tokens, "token")
        fields = form(request)
        given = request.headers.get("x-twilio-signature", "")
        urls = _spellings(request.url)
        if not same(given, [signature(token, url, fields) for token in tokens for url in urls]):
            raise BadCallback("The callback's signature is missing or wrong.")
        found = {name: values[-1] for name, values in fields.items()}
        if found.get("MessageStatus"):
            return _status(found, request)
        return _said(found, request) if "Body" in found else [unknown("twilio", "", found, request)]


def signature(token: str, url: str, fields: Mapping[str, Sequence[str]]) -> str:
    """Return how Twilio signs a form posted to `url` (docs/usage/security, "Validating requests")."""
    signed = url + "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    return b64encode(hmac.digest(token.encode(), signed.encode(errors="surrogatepass"), "sha1")).decode()


def _spellings(url: str) -> list[str]:
    """Return an address without a port and with its scheme's: which of them Twilio signs is not settled."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = host if parts.port is None else host.rpartition(":")[0]
    except ValueError:
        return [url]
    default = 443 if parts.scheme == "https" else 80
    return [url, *(parts._replace(netloc=one).geturl() for one in (bare, f"{bare}:{default}"))]


def _sid(text_: str, pattern: re.Pattern[str], option: str) -> str:
    if not pattern.fullmatch(text_):
        raise ChannelError(
            f"The option `{option}` of Twilio is {pattern.pattern[:2]} and 32 hexadecimal digits."
        )
    return text_


def _origin(sender: str, service: str) -> dict[str, str]:
    """Return where SMS come from: a sender, a messaging service with senders, or a service with one of its senders."""
    through = {"MessagingServiceSid": _sid(service, _SERVICE, "messaging_service")} if service else {}
    return through if service and not sender else {**through, "From": sender_id(sender, " +-_&")}


def _status(found: dict[str, str], request: Callback) -> list[DeliveryEvent]:
    sid, said, code = text(found, "MessageSid"), text(found, "MessageStatus"), text(found, "ErrorCode")
    kind = _STATUSES.get(said)
    key, address = query_parameter(request, "key")[:200], text(found, "To")
    if kind is None or not sid:
        return [unknown("twilio", said, found, request, key=key, provider_id=sid)]
    ours = kind in _NOT_DELIVERED and _is_about_us(code)
    if kind in _NOT_DELIVERED and (ours or code == str(_FILTERED)):
        kind = DeliveryEventKind.failed
    event = DeliveryEvent(
        id=event_id("twilio", sid, said),
        kind=kind,
        at=request.received_at,
        key=key,
        provider_id=sid,
        address=address,
        hard=kind in _NOT_DELIVERED and _is_dead(code, found),
        ours=ours,
        status=code or said,
        reason=text(found, "ErrorMessage"),
        raw=found,
    )
    if code != str(_OPTED_OUT):
        return [event]
    words = "Twilio has the number on its list of those who said STOP."
    return [
        event,
        *stopped(event_id("twilio", sid, "stop"), address, request.received_at, words, found, key),
    ]


def _is_about_us(code: str) -> bool:
    """Whether Twilio gave a message up for our sender or account."""
    number = int(code) if code.isascii() and code.isdigit() and len(code) == 5 else 0
    if number // 1000 == 21:
        return number not in _DEAD | _MESSAGE | {_OPTED_OUT}
    return number in _ACCOUNT_WRONG | _GIVEN_UP_FOR_US


def _is_dead(code: str, found: Mapping[str, Any]) -> bool:
    """Whether no SMS will ever reach the number. 30003 is a telephone that is off, 30004 and 30007 are filters.

    30006 is a landline; sent from a short code, it may only be a network that takes none.
    """
    if code == _LANDLINE:
        return text(found, "From").startswith("+")
    return code == _UNKNOWN_HANDSET or code in map(str, _DEAD)


def _said(found: dict[str, str], request: Callback) -> list[DeliveryEvent]:
    """Return that a customer said stop: by one of the words, or by one that Twilio was taught (`OptOutType`)."""
    sid, words = text(found, "MessageSid"), found.get("Body", "")
    if not sid or not (is_stop(words) or found.get("OptOutType") == "STOP"):
        return []
    return stopped(
        event_id("twilio", sid, "stop"), text(found, "From"), request.received_at, words or "STOP", found
    )
