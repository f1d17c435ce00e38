"""SMS by seven.io (docs.seven.io), a German gateway.

One message a request, as a form; no idempotency is documented. Every answer is a 200 with codes of seven's own in it: one for the
request, one for each message. Its "reload lock" refuses the same text to the same number within three minutes.
Callbacks are signed with the account's signing key over time, nonce, method, address and the body's MD5.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import md5
from typing import Any, ClassVar
from urllib.parse import urlsplit

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
    Unknown,
)
from treue.channel.stop_words import is_stop
from treue.channel.telephone import sender_id
from treue_channels.http.answers import HttpAnswer, about_us, by_status, our_fault
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, form_request, merged_form
from treue_channels.http.callbacks import (
    active_secrets,
    document,
    event_id,
    moment,
    objects,
    part,
    require_fresh,
    required,
    same,
    text,
    unknown,
)
from treue_channels.http.sms import ADDRESS, EVENTS, SmsApi, seconds_left, stopped

LONGEST_WAIT = 172_800
"""Seconds for which networks try by default (48 hours)."""

TOMORROW = 21_600.0
"""Seconds after which a number that has had its day's fill is tried again."""

_RATE = 10.0  # a second and account: help.seven.io, "Message Throughput Limit"
_TAKEN, _NOT_ALL = 100, 101
_NUMBER_WRONG, _SENDER_OR_COUNTRY, _FULL_FOR_TODAY = 202, 201, 403
_REFUSED = {301, 305, 401, 402}  # no number, no text; too long; the same text again at once
_OF_THE_REQUEST = {304, 400}  # its type
_OUR_FAULT = {300, 306, 500, 900, 901, 902, 903}  # key, sender, credit, signature, rights, IP address

_STATUSES = {
    "DELIVERED": DeliveryEventKind.delivered,
    "TRANSMITTED": DeliveryEventKind.accepted,
    "ACCEPTED": DeliveryEventKind.accepted,
    "BUFFERED": DeliveryEventKind.deferred,
    "NOTDELIVERED": DeliveryEventKind.bounced,
    "EXPIRED": DeliveryEventKind.bounced,
    "REJECTED": DeliveryEventKind.bounced,
    "FAILED": DeliveryEventKind.failed,
}


class Seven(SmsApi):
    """Sends with an account's `api_key`, from `sender`; `signing_key` is the account's, for callbacks."""

    provider: ClassVar[str] = "seven.io"
    capabilities = Capabilities(
        "sms", at_once=8, callbacks=EVENTS | {DeliveryEventKind.deferred}, rate=_RATE, address=ADDRESS
    )

    def __init__(
        self,
        api_key: str,
        sender: str,
        kind: Kind = "sms",
        *,
        signing_key: str = "",
        url: str = "https://gateway.seven.io",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        self._signing_keys = active_secrets(signing_key)
        super().__init__(url, [api_key, *self._signing_keys], timeout, extra)
        self._sender, self._key = sender_id(sender), api_key

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over this message."""
        (message,) = messages
        fields = {
            "to": message.to,
            "from": self._sender,
            "text": message.text,
            "foreign_id": message.key,
        }
        if wait := seconds_left(message, 60, LONGEST_WAIT):
            fields["ttl"] = str(wait // 60)
        fields = merged_form(fields, self.extra)
        return form_request("/api/sms", fields, {"X-Api-Key": self._key, "SentWith": "Treue"})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return what the codes in the answer mean."""
        found = answer.json()
        code, (message,) = _code(part(found, "success")), part(found, "messages") or [{}]
        if code in (_TAKEN, _NOT_ALL) and message["success"] is True:
            return [Accepted(str(message["id"]))]
        said = text(message, "error_text") or text(message, "error")
        return [self._verdict(_code(part(message, "error")) or code or _code(found), said)]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an answer that is no 2xx means: by seven's code, else by the status."""
        found = answer.json()
        code = _code(part(found, "success")) or _code(found) if answer.status < 500 else 0
        reason = self.reason(answer)
        return (
            self._verdict(code, "") if code in _OUR_FAULT else by_status(answer, reason, self.pause(answer))
        )

    def _verdict(self, code: int, said: str) -> Receipt:
        """Return what one of seven's codes means; one that nobody knows leaves a doubt."""
        reason = self.redacted(f"seven.io answered {code}: {said or _WORDS.get(code, 'nothing more')}")
        if code in _OUR_FAULT:
            return our_fault(reason)
        if code == _FULL_FOR_TODAY:
            return Retry(reason, TOMORROW)
        if code == _SENDER_OR_COUNTRY or code in _OF_THE_REQUEST:
            return about_us(reason)
        if code == _NUMBER_WRONG or code in _REFUSED:
            return Refused(reason, suppress=code == _NUMBER_WRONG)
        return Unknown(reason)

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what seven tells: a message's status, or a customer's SMS that says stop. Raises BadCallback."""
        _verify(request, required(self._signing_keys, "signing_key"))
        return [event for one in objects(document(request)) for event in _events(one, request)]


_WORDS = {
    201: "the sender, or the country, is not valid",
    202: "the number is not valid",
    402: "the same text went to this number within the last minutes",
    403: "the number has had as many as a day allows",
    500: "the account has no credit",
    600: "the network took it, or not",
    900: "the key is wrong",
    902: "the key has no right to send",
    903: "the key may not be used from this address",
}


def signature(signing_key: str, timestamp: str, nonce: str, method: str, url: str, body: bytes) -> str:
    """Return how seven signs a request (docs.seven.io/en/rest-api/signing)."""
    digest = md5(body, usedforsecurity=False).hexdigest()
    signed = "\n".join((timestamp, nonce, method, url, digest))
    return hmac.digest(signing_key.encode(), signed.encode(errors="surrogatepass"), "sha256").hex()


def _verify(request: Callback, keys: Iterable[str]) -> None:
    """Raise BadCallback unless the request is signed. The address is the complete one by the documentation.

    By the test of seven's own JavaScript client it is the path; both are ours, so either will do.
    """
    given, timestamp, nonce = (
        request.headers.get(name, "") for name in ("x-signature", "x-timestamp", "x-nonce")
    )
    path = urlsplit(request.url)._replace(scheme="", netloc="").geturl()
    wanted = [
        signature(key, timestamp, nonce, request.method, url, request.body)
        for key in keys
        for url in (request.url, path)
    ]
    if not nonce or not same(given, wanted):
        raise BadCallback("The callback's signature is missing or wrong.")
    require_fresh(timestamp, request.received_at)


def _code(value: Any) -> int:
    """Return a code of seven's, which comes as a number or a text; 0 where there is none."""
    digits = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) == 3 else 0


def _events(found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    kind, data = text(found, "webhook_event"), part(found, "data")
    if kind == "sms_mo":
        id_, words = text(data, "id"), part(data, "text")
        if not id_ or not isinstance(words, str) or not is_stop(words):
            return []
        at = moment(part(data, "time"), request.received_at)
        return stopped(event_id("seven", id_, "stop"), text(data, "sender"), at, words, found)
    return _status(data, found, request) if kind == "dlr" else [unknown("seven", kind, found, request)]


def _status(data: Any, found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    """Return the event of a status report. It has no reason, so nothing in it makes a number dead."""
    id_, said = text(data, "msg_id"), text(data, "status")
    if said not in _STATUSES or not id_:
        return [unknown("seven", said, found, request, provider_id=id_)]
    return [
        DeliveryEvent(
            id=event_id("seven", id_, said),
            kind=_STATUSES[said],
            at=moment(part(found, "webhook_timestamp"), request.received_at),
            key=text(data, "foreign_id", longest=200),
            provider_id=id_,
            status=said,
            raw=found,
        )
    ]
