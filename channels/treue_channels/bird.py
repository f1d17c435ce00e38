"""SMS by Bird, once MessageBird (bird.com/docs; its SDK `messagebird-sdk` is generated from the OpenAPI description).

One message a request: a batch would share one idempotency key, and after a crash no batch is the same again. A key is
kept "for roughly 3 hours", and a repetition gets the first answer; after a 5xx it is free again. Callbacks are Standard
Webhooks 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from treue.channel import (
    Accepted,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Outgoing,
    Receipt,
    Refused,
    Unknown,
)
from treue.channel.stop_words import is_stop
from treue.channel.telephone import sender_id
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, about_us, by_status
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, json_request, merged
from treue_channels.http.callbacks import (
    active_secrets,
    document,
    event_id,
    moment,
    objects,
    part,
    required,
    text,
    unknown,
)
from treue_channels.http.sms import ADDRESS, EVENTS, SmsApi, stopped, yes_or_no
from treue_channels.http.standard_webhooks import key_of, require_standard

REMEMBERED = 9_000.0
"""Seconds for which a key is certain to be known: Bird says roughly three hours, so half an hour less."""

KEY = "treue_key"
"""Under this name our key travels with a message, and comes back in callbacks."""

_REGION = re.compile(r"b[km]_([a-z]{2}[0-9])_")
_NUMBER_WRONG = {"SMSInvalidRecipient"}
_SENDER_WRONG = {
    "SMSSenderNotConfigured", "SMSNoEligibleSender", "SMSUnsupportedFeature", "SenderCategoryNotPermitted",
}  # fmt: skip
"""Of a sender, a destination and a category; so perhaps of messages like this one alone."""
_KINDS = {
    "sms.accepted": DeliveryEventKind.accepted,
    "sms.sent": DeliveryEventKind.accepted,
    "sms.delivered": DeliveryEventKind.delivered,
    "sms.undelivered": DeliveryEventKind.bounced,
    "sms.failed": DeliveryEventKind.bounced,
    "sms.expired": DeliveryEventKind.bounced,
    "sms.rejected": DeliveryEventKind.failed,
}
_OURS = ("insufficient_balance", "sender_unregistered")
_NOT_OF_THE_NUMBER = (
    *_OURS, "provider_unavailable", "blocked_by_fraud_protection", "blocked_by_carrier", "content_rejected",
)  # fmt: skip
_DEAD = ("invalid_destination", "landline_unreachable")
_OPTED_OUT = "recipient_opted_out"
_BY_THE_CUSTOMER = ("keyword_stop", "carrier_opted_out")


class Bird(SmsApi):
    """Sends with a workspace's `api_key`, whose beginning names the region, from `sender`.

    `webhook_secret` (`whsec_…`) is that of the endpoint that Bird calls; several, separated by spaces, while one replaces
    another.
    """

    provider: ClassVar[str] = "Bird"
    capabilities = Capabilities("sms", at_once=8, dedup_window=REMEMBERED, callbacks=EVENTS, address=ADDRESS)

    def __init__(
        self,
        api_key: str,
        sender: str,
        kind: Kind = "sms",
        *,
        webhook_secret: str = "",
        smart_encoding: bool = False,
        url: str = "",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        secrets = active_secrets(webhook_secret)
        super().__init__(url or _home(api_key), [api_key, *secrets], timeout, extra)
        self._webhook_secrets = _checked(secrets)
        self._sender = sender_id(sender)
        self._smart = yes_or_no(smart_encoding, "smart_encoding")
        self._key = api_key

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over this message."""
        (message,) = messages
        found = {
            "to": message.to,
            "from": self._sender,
            "text": message.text,
            "category": "transactional" if message.category == "transactional" else "marketing",
            "metadata": {KEY: message.key},
            **({"options": {"smart_encoding": True}} if self._smart else {}),
        }
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": message.key}
        return json_request("/v1/sms/messages", merged(found, self.extra), headers)

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt of a message that was taken, now or when its key was first used."""
        return [Accepted(str(answer.json()["id"]))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an error means: by its name, else by the status.

        A 409 is about the key: the first request is still under way, or it was taken with another text.
        """
        reason, name = self.reason(answer), text(_error(answer), "name")
        if answer.status == 409:
            return Unknown(reason)
        if name in _NUMBER_WRONG:
            return Refused(reason, suppress=True)
        if answer.status == 422 and text(_error(answer), "param") == "text":
            return Refused(reason)
        return about_us(reason) if name in _SENDER_WRONG else by_status(answer, reason, self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return Bird's error code, name and message."""
        found = _error(answer)
        return f"{text(found, 'code')} {text(found, 'name')} {found['message']}".strip()

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Bird tells: a message's status, or that a customer said stop. Raises BadCallback."""
        require_standard(request, required(self._webhook_secrets, "webhook_secret"))
        return [event for one in objects(document(request)) for event in _events(one, request)]


def _home(api_key: str) -> str:
    found = _REGION.match(api_key)
    if found is None:
        raise ChannelError("The `api_key` of Bird begins with its region, as bk_eu1_… does; or set `url`.")
    return f"https://{found[1]}.platform.bird.com"


def _checked(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the endpoint's secrets. Raises ChannelError where one is none."""
    try:
        return tuple(secret for secret in secrets if key_of(secret))
    except ValueError as error:
        raise ChannelError(f"The `webhook_secret` of Bird is {error}.") from None


def _error(answer: HttpAnswer) -> dict[str, Any]:
    """Return the error in an answer: wrapped as `{"error": {…}}`, or bare."""
    found = answer.json()
    inner = part(found, "error")
    return inner if isinstance(inner, dict) else found if isinstance(found, dict) else {}


def _events(found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    kind, data = text(found, "type"), part(found, "data")
    at = moment(part(found, "timestamp"), request.received_at)
    if kind == "sms.received":
        id_, words = event_id("bird", text(data, "sms_id"), "stop"), part(data, "text")
        said = isinstance(words, str) and is_stop(words)
        return stopped(id_, text(data, "from"), at, str(words), found) if said else []
    if kind == "sms_suppression.created":
        id_, reason = event_id("bird", text(data, "suppression_id"), "stop"), text(data, "reason")
        return (
            stopped(id_, text(data, "destination"), at, reason, found) if reason in _BY_THE_CUSTOMER else []
        )
    return _status(kind, data, found, request)


def _status(kind: str, data: Any, found: dict[str, Any], request: Callback) -> list[DeliveryEvent]:
    sms, code = text(data, "sms_id"), text(data, "error", "code")
    key = text(data, "metadata", KEY, longest=200)
    if kind not in _KINDS or not sms:
        return [unknown("bird", kind, found, request, key=key, provider_id=sms)]
    at = moment(part(found, "timestamp"), request.received_at)
    event = DeliveryEvent(
        id=event_id("bird", sms, kind),
        kind=DeliveryEventKind.failed if code in _NOT_OF_THE_NUMBER else _KINDS[kind],
        at=at,
        key=key,
        provider_id=sms,
        address=text(data, "to"),
        hard=code in _DEAD,
        ours=code in _OURS,
        status=code or kind.removeprefix("sms."),
        reason=text(data, "error", "description"),
        raw=found,
    )
    if code != _OPTED_OUT:
        return [event]
    return [event, *stopped(event_id("bird", sms, "stop"), text(data, "to"), at, code, found, key)]
