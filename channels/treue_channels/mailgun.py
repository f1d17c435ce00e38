"""E-mail by Mailgun (documentation.mailgun.com): one whole message (MIME) a request, several side by side.

The signature of a callback is in its body and is one of time and token alone: whoever has seen one could put it
before words of their own. So an event's id is the token, by which it counts once; only events with our key are
believed, and the address is the one we sent to, not the one they name.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

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
)
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, about_us, asked_pause, by_status, our_fault
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
    document,
    event_id,
    moment,
    part,
    require_fresh,
    required,
    same,
    text,
    unknown,
)
from treue_channels.http.mail import (
    ADDRESS,
    EVENTS,
    KEY,
    NOT_THE_ADDRESS,
    MailApi,
    ascii_domain,
    is_dead,
    tags,
)

AT_ONCE = 16

TOLERANCE = 9 * 3600
"""Seconds; Mailgun posts a callback again for eight hours, and does not say that it signs it anew."""

_KINDS = {
    "accepted": DeliveryEventKind.accepted,
    "delivered": DeliveryEventKind.delivered,
    "failed": DeliveryEventKind.bounced,
    "rejected": DeliveryEventKind.failed,
    "opened": DeliveryEventKind.opened,
    "clicked": DeliveryEventKind.clicked,
    "complained": DeliveryEventKind.complained,
    "unsubscribed": DeliveryEventKind.unsubscribed,
}
_WRONG_RECIPIENT = re.compile(r"['\"`]?to['\"`]? parameter is not a valid address", re.IGNORECASE)
_NOT_TRIED = "suppress-"
_BOUNCED_BEFORE = "suppress-bounce"
_BLOCKED = "espblock"


class Mailgun(MailApi):
    """Sends from a `domain` with an `api_key`; `webhook_signing_key` is the account's HTTP webhook signing key.

    `url` is https://api.eu.mailgun.net where the domain lives in the European Union. Raises ChannelError where the
    domain is none.
    """

    provider = "Mailgun"
    capabilities = Capabilities(
        "email",
        at_once=AT_ONCE,
        mime=True,
        attachments=True,
        callbacks=EVENTS | {DeliveryEventKind.accepted},
        address=ADDRESS,
    )

    def __init__(
        self,
        api_key: str,
        domain: str,
        kind: Kind = "email",
        *,
        webhook_signing_key: str = "",
        url: str = "https://api.mailgun.net",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        authorization = basic_authorization("api", api_key or "")
        self._signing_keys = active_secrets(webhook_signing_key)
        super().__init__(url, [api_key, authorization.partition(" ")[2], *self._signing_keys], timeout, extra)
        if not ascii_domain(f"a@{domain}"):
            raise ChannelError("The option `domain` of Mailgun is a domain such as mg.example.com.")
        self._path = f"/v3/{quote(domain, safe='')}/messages.mime"
        self._authorization = authorization

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over one message (reference/send, "Send an email in MIME format")."""
        (message,) = messages
        fields = {
            "to": ascii_domain(message.to),
            "o:tag": [value[:128] for value in tags(message).values()],
            "o:tracking": "no",
            f"v:{KEY}": message.key,
        }
        files = {"message": ("message.eml", message.raw, "message/rfc822")}
        fields = merged_form(fields, self.extra)
        return form_request(self._path, fields, {"Authorization": self._authorization}, files)

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt for a 200: the id is the message's Message-ID."""
        if b"Mailgun Magnificent API" in answer.body:  # so it answers where the address is wrong
            return [our_fault(self.reason(answer))]
        return [Accepted(str(answer.json()["id"]).strip("<>"))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what a refusal means: the recipient's fault, the sender's, or by its status."""
        reason = self.reason(answer)
        if answer.status == 400 and _WRONG_RECIPIENT.match(text(answer.json(), "message")):
            return Refused(reason, suppress=True)
        if answer.status == 403 and "authorized recipients" in reason:  # of a sandbox, of an unpaid account
            return about_us(reason)
        return by_status(answer, reason, self.pause(answer))

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how long to wait: Mailgun names the Unix time at which it counts anew."""
        return asked_pause(answer.headers, utc_now(), "x-ratelimit-reset")

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Mailgun tells (user-manual/events/webhooks). Raises BadCallback."""
        keys = required(self._signing_keys, "webhook_signing_key")
        found = document(request)
        timestamp, token = (text(found, "signature", name) for name in ("timestamp", "token"))
        signed = f"{timestamp}{token}".encode()
        wanted = [hmac.digest(key.encode(), signed, "sha256").hex() for key in keys]
        if not timestamp or not token or not same(text(found, "signature", "signature"), wanted):
            raise BadCallback("The callback's signature is missing or wrong.")
        require_fresh(timestamp, request.received_at, TOLERANCE)
        event = _event(part(found, "event-data"), token, request)
        return [event] if event else []


def _event(found: Any, token: str, request: Callback) -> DeliveryEvent | None:
    """Return the event a callback tells, or None where it is not about a message of ours."""
    kind, key = _kind(found), text(found, "user-variables", KEY)
    if kind is None:
        told = found if isinstance(found, dict) else {"event-data": found}
        return replace(
            unknown("mailgun", text(found, "event"), told, request, key=key), id=event_id("mailgun", token)
        )
    if not key:
        return None
    said = text(found, "delivery-status", "message") or text(found, "delivery-status", "description")
    status = text(found, "delivery-status", "enhanced-code")
    return DeliveryEvent(
        id=event_id("mailgun", token),
        kind=kind,
        at=moment(found.get("timestamp"), request.received_at),
        key=key,
        provider_id=text(found, "message", "headers", "message-id").strip("<>"),
        hard=_is_hard(found, status, said),
        ours=kind is DeliveryEventKind.failed and text(found, "event") == "rejected",
        status=status or _status(found),
        reason=said or text(found, "reject", "reason") or text(found, "reason"),
        url=text(found, "url", longest=2_000),
        raw=found,
    )


def _kind(found: Any) -> DeliveryEventKind | None:
    kind = _KINDS.get(text(found, "event"))
    if kind is not DeliveryEventKind.bounced:
        return kind
    if text(found, "severity") == "temporary":
        return DeliveryEventKind.deferred
    return DeliveryEventKind.failed if text(found, "reason").startswith(_NOT_TRIED) else kind


def _status(found: Any) -> str:
    """Return Mailgun's own code; where a provider of mailboxes blocks the sender, one that speaks for the address."""
    if text(found, "reason") == _BLOCKED:
        return NOT_THE_ADDRESS
    return text(found, "delivery-status", "code") or text(found, "reason")


def _is_hard(found: Any, status: str, said: str) -> bool:
    """Whether the address is dead; `bounce` alone says only that the receiving server refused it for good."""
    if text(found, "event") != "failed" or text(found, "severity") == "temporary":
        return False
    if text(found, "reason") == _BOUNCED_BEFORE:
        return True
    return text(found, "reason") == "bounce" and is_dead(status, said, False)
