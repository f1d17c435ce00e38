"""Messages to a gateway of one's own: a signed POST for each, by Standard Webhooks (standardwebhooks.com).

`webhook-id` is the message's key, the same on every attempt; the gateway tells a repetition by it, so a message whose fate
is unknown is posted again. It reports back by the same scheme. Where it lives is the operator's setting; nothing of a
customer's chooses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
)
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer
from treue_channels.http.api import TIMEOUT, HttpApi, HttpRequest, json_request
from treue_channels.http.callbacks import active_secrets, document, event_id, moment, objects, text, unknown
from treue_channels.http.standard_webhooks import key_of, require_standard, signed_headers

_REFUSED = (400, 409, 410, 413, 422)
_KINDS = {kind.value: kind for kind in DeliveryEventKind if kind is not DeliveryEventKind.unknown}


class Webhook(HttpApi):
    """Posts each message to `url`, signed with `secret` (`whsec_` and base64).

    `secret` may be two, separated by a blank, while one is being replaced: the first signs, each is believed. Raises
    ChannelError where one of them is none.
    """

    provider = "The gateway"
    kinds: ClassVar[tuple[Kind, ...]] = ("sms", "push")
    capabilities = Capabilities(
        kind="sms",
        at_once=16,
        dedup_window=float("inf"),
        callbacks=frozenset(_KINDS.values()),
        address="whatever the gateway takes",
    )

    def __init__(self, url: str, secret: str, kind: Kind = "sms", *, timeout: float = TIMEOUT) -> None:
        secrets = active_secrets(secret)
        super().__init__(url, [*secrets, *(one.removeprefix("whsec_") for one in secrets)] or [""], timeout)
        self.capabilities = replace(Webhook.capabilities, kind=kind)
        self._believed = secrets
        try:
            self._key, *_ = [key_of(one) for one in secrets]
        except ValueError as error:
            raise ChannelError(f"The option `secret` of webhook is {error}.") from None

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be posted at all."""
        good = message.to and message.to.isprintable()
        return None if good else Refused("The recipient is empty or has line breaks in it.")

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the signed request with one message."""
        (message,) = messages
        request = json_request("", _document(message, self.capabilities.kind), {})
        signed = signed_headers(self._key, message.key, utc_now(), request.body)
        return replace(request, headers={**request.headers, **signed})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt of a yes; the gateway may name its own id for the message, as `id`."""
        return [Accepted(text(answer.json(), "id"))]

    def said(self, answer: HttpAnswer) -> str:
        """Return the gateway's own explanation."""
        return str(answer.json()["reason"])

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what a no means; the gateway may add that the address is dead, as `"suppress": true`."""
        if answer.status not in _REFUSED:
            return super().problem(answer)
        told = answer.json()
        dead = isinstance(told, dict) and told.get("suppress") is True
        return Refused(self.reason(answer), suppress=dead)

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what the gateway tells: one event, or a list of them."""
        require_standard(request, self._believed)
        return [self._event(one, request) for one in objects(document(request))]

    def _event(self, told: dict[str, Any], request: Callback) -> DeliveryEvent:
        kind = _KINDS.get(text(told, "kind"))
        key, provider_id, address = (text(told, name) for name in ("key", "id", "to"))
        if kind is None or not (key or provider_id or address):
            return unknown("webhook", text(told, "kind"), told, request, key=key, provider_id=provider_id)
        at = moment(told.get("at"), request.received_at)
        identity = (kind, key or provider_id or address, text(told, "at"), text(told, "event_id"))
        return DeliveryEvent(
            id=event_id(*identity),
            kind=kind,
            at=at,
            key=key,
            provider_id=provider_id,
            address=address,
            hard=told.get("hard") is True,
            status=text(told, "status"),
            reason=text(told, "reason"),
            url=text(told, "url"),
            raw=told,
        )


def _document(message: Outgoing, kind: Kind) -> dict[str, Any]:
    document: dict[str, Any] = {"key": message.key, "channel": kind, "to": message.to, "text": message.text}
    more = {"from": message.sender, "title": message.title, "link": message.link}
    document |= {name: value for name, value in more.items() if value}
    if message.expires_at is not None:
        document["expires_at"] = message.expires_at.isoformat()
    return document
