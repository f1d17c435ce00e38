"""SMS by Vonage's Messages API, version 1 (developer.vonage.com/en/api/messages).

One message a request, and no idempotency. That somebody has opted out is told afterwards: the message is `rejected` with
1240. Callbacks carry a JWT, signed with the account's signature secret, that has the body's hash
(developer.vonage.com/en/messages/concepts/signed-webhooks). Vonage repeats a callback for 24 hours and does not say
that the repetition is signed anew, so a signature is good for a day; what comes twice counts once by its id.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, ClassVar

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
from treue.channel.telephone import international, is_e164, sender_id
from treue_channels.http.answers import HttpAnswer, by_status, our_fault
from treue_channels.http.api import (
    NO_EXTRA,
    TIMEOUT,
    Extra,
    HttpRequest,
    basic_authorization,
    json_request,
    merged,
)
from treue_channels.http.callbacks import (
    TOLERANCE,
    active_secrets,
    document,
    event_id,
    moment,
    objects,
    part,
    required,
    same,
    text,
    unknown,
)
from treue_channels.http.sms import ADDRESS, EVENTS, SmsApi, callback_address, seconds_left, stopped

REPEATED = 86_400
"""Seconds for which Vonage repeats a callback that was not answered."""

LONGEST_WAIT = 259_200
"""Seconds for which Vonage tries by itself (72 hours)."""

_RATE = 30.0  # a second and account: "What is the Throughput Limit for Outbound SMS?"
_THROTTLED, _OPTED_OUT = 1000, 1240
_DEAD = {1050, 1170, 1190}  # barred; no number; no longer in use
_PERHAPS, _LATER = 1030, {1100, 1241}  # an internal error; certainly not submitted, too many at once
_SETTINGS = {1060, 1070, 1080, 1110, 1140}  # the account is barred, without credit, or not set up for this
_SENDER, _DEMO = (
    1120,
    1160,
)  # a sender that the country does not take; a number that a demo account may not write to
_TOO_LONG, _FILTERED = 1090, {1210, 1270}  # taken for spam, or for nothing for children
_FROM_THE_NETWORK = 1180
"""Codes from here on are the network's, those before are Vonage's own."""

_STATUSES = {
    "submitted": DeliveryEventKind.accepted,
    "delivered": DeliveryEventKind.delivered,
    "rejected": DeliveryEventKind.bounced,
    "undeliverable": DeliveryEventKind.failed,
}
_CODE = re.compile(r"#?(\d{4})$")


class Vonage(SmsApi):
    """Sends from the account of `api_key` and `api_secret`, from `sender`.

    `signature_secret` is the account's, for callbacks; several, separated by spaces, while one replaces another. With
    a `callback_url`, Vonage tells what became of a message there, whatever the account's own setting is.
    """

    provider: ClassVar[str] = "Vonage"
    capabilities = Capabilities("sms", at_once=8, callbacks=EVENTS, rate=_RATE, address=ADDRESS)

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        sender: str,
        kind: Kind = "sms",
        *,
        signature_secret: str = "",
        callback_url: str = "",
        url: str = "https://api.nexmo.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        self._secrets_of_callbacks = active_secrets(signature_secret)
        authorization = basic_authorization(api_key, api_secret)
        secrets = [api_key, api_secret, authorization.removeprefix("Basic "), *self._secrets_of_callbacks]
        super().__init__(url, secrets, timeout, extra)
        self._sender = sender_id(sender, "").removeprefix("+")
        self._headers = {"Authorization": authorization}
        self._callback_url = callback_address(callback_url, self.provider)

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over this message; Vonage wants numbers without their plus."""
        (message,) = messages
        found: dict[str, Any] = {
            "channel": "sms",
            "message_type": "text",
            "to": message.to.removeprefix("+"),
            "from": self._sender,
            "text": message.text,
            "client_ref": message.key,
        }
        if self._callback_url:
            found |= {"webhook_url": self._callback_url, "webhook_version": "v1"}
        if wait := seconds_left(message, 20, LONGEST_WAIT):
            found["ttl"] = wait
        return json_request("/v1/messages", merged(found, self.extra), self._headers)

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt of a message that was taken."""
        return [Accepted(str(answer.json()["message_uuid"]))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what Vonage's code means (developer.vonage.com/en/api-errors/messages), else what the status does."""
        found, reason = answer.json(), self.reason(answer)
        code = _code(found) if answer.status < 500 else 0
        if code == _OPTED_OUT or code in _DEAD or _blames(found, "to"):
            return Refused(reason, suppress=True)
        if code == _TOO_LONG or _blames(found, "text"):
            return Refused(reason)
        if code == _THROTTLED:
            return Retry(reason, self.pause(answer), everyone=True)
        if code == _PERHAPS:
            return Unknown(reason)
        if code in _LATER:
            return Retry(reason)
        return our_fault(reason) if code in _SETTINGS else by_status(answer, reason, self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return Vonage's error code, title and detail."""
        found = answer.json()
        return f"{_code(found) or ''} {found['title']} {text(found, 'detail')}".strip()

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Vonage tells: a message's status, or a customer's SMS that says stop. Raises BadCallback."""
        _verify(request, required(self._secrets_of_callbacks, "signature_secret"))
        return [event for one in objects(document(request)) for event in _events(one, request)]


def _blames(found: Any, parameter: str) -> bool:
    """Whether one parameter alone is what a 422 objects to."""
    named = part(found, "invalid_parameters")
    return isinstance(named, list) and [text(one, "name") for one in named] == [parameter]


def _code(found: Any) -> int:
    """Return the code in an error: at the end of its `type`, or as its `title`; 0 where there is none."""
    for name in ("type", "title"):
        if there := _CODE.search(text(found, name)):
            return int(there[1])
    return 0


def _events(found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    if text(found, "status"):
        return _status(found, request)
    if text(found, "message_uuid") and text(found, "channel") and text(found, "from"):
        return _said(found, request)
    return [unknown("vonage", text(found, "message_type"), found, request)]


def _status(found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    uuid, said, code = text(found, "message_uuid"), text(found, "status"), _code(part(found, "error"))
    kind, key = _STATUSES.get(said), text(found, "client_ref", longest=200)
    if kind is None or not uuid:
        return [unknown("vonage", said, found, request, key=key, provider_id=uuid)]
    if kind is DeliveryEventKind.bounced and (0 < code < _FROM_THE_NETWORK or code in _FILTERED):
        kind = DeliveryEventKind.failed
    at = moment(part(found, "timestamp"), request.received_at)
    number = international(text(found, "to"))
    event = DeliveryEvent(
        id=event_id("vonage", uuid, said),
        kind=kind,
        at=at,
        key=key,
        provider_id=uuid,
        address=number if is_e164(number) else "",
        hard=kind in (DeliveryEventKind.bounced, DeliveryEventKind.failed) and code in _DEAD,
        ours=kind is DeliveryEventKind.failed and code in {*_SETTINGS, _SENDER, _DEMO},
        status=str(code) if code else said,
        reason=text(found, "error", "detail"),
        raw=found,
    )
    if code != _OPTED_OUT:
        return [event]
    words = "Vonage has the number on its list of those who said STOP."
    return [event, *stopped(event_id("vonage", uuid, "stop"), number, at, words, found, key)]


def _said(found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    uuid, words = text(found, "message_uuid"), part(found, "text")
    if not uuid or text(found, "channel") != "sms" or not isinstance(words, str) or not is_stop(words):
        return []
    at = moment(part(found, "timestamp"), request.received_at)
    return stopped(event_id("vonage", uuid, "stop"), text(found, "from"), at, words, found)


def _verify(request: Callback, secrets: Iterable[str]) -> None:
    """Raise BadCallback unless the request's JWT is HS256, by one of our secrets, of this body, and of the last day."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    signed, _, given = token.rpartition(".")
    head, _, claims = signed.partition(".")
    if scheme.lower() != "bearer" or text(_decoded(head), "alg") != "HS256":
        raise BadCallback("The callback has no JWT by HS256 in its header `authorization`.")
    wanted = [_encoded(hmac.digest(secret.encode(), signed.encode(), "sha256")) for secret in secrets]
    if not same(given, wanted):
        raise BadCallback("The signature of the callback's JWT is wrong.")
    told, now = _decoded(claims), request.received_at.timestamp()
    if not same(text(told, "payload_hash"), [sha256(request.body).hexdigest()]):
        raise BadCallback("The callback's JWT is not of this body.")
    issued, ends = _number(part(told, "iat")), _number(part(told, "exp"))
    if issued is None or not now - REPEATED - TOLERANCE <= issued <= now + TOLERANCE:
        raise BadCallback("The callback's JWT is too old, or one of the two clocks is wrong.")
    if ends is not None and ends + TOLERANCE < now:
        raise BadCallback("The callback's JWT has expired.")


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text_: str) -> Any:
    """Return the JSON in a part of a JWT, or None."""
    try:
        return json.loads(urlsafe_b64decode(text_ + "=" * (-len(text_) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
