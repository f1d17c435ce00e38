"""E-mail by Twilio SendGrid (twilio.com/docs/sendgrid): one request a mail, several side by side.

A request of SendGrid's can hold many recipients, but only one content; ours differ from customer to customer.
Callbacks are signed with ECDSA over time and body, several events each, and come more than once: `sg_event_id` tells.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from treue.channel import (
    Accepted,
    Attachment,
    BadCallback,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Mailbox,
    Outgoing,
    Receipt,
    Refused,
)
from treue.clock import utc_now
from treue_channels.http.answers import HttpAnswer, about_us, asked_pause, by_status
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, json_request, merged
from treue_channels.http.callbacks import (
    active_secrets,
    document,
    event_id,
    moment,
    objects,
    require_fresh,
    required,
    text,
    unknown,
)
from treue_channels.http.mail import (
    ADDRESS,
    EVENTS,
    KEY,
    NOT_THE_ADDRESS,
    MailApi,
    encoded,
    is_dead,
    mail_of,
    own_headers,
    recipient,
    tags,
)

AT_ONCE = 16
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

_KINDS = {
    "processed": DeliveryEventKind.accepted,
    "deferred": DeliveryEventKind.deferred,
    "delivered": DeliveryEventKind.delivered,
    "bounce": DeliveryEventKind.bounced,
    "dropped": DeliveryEventKind.failed,
    "open": DeliveryEventKind.opened,
    "click": DeliveryEventKind.clicked,
    "spamreport": DeliveryEventKind.complained,
    "unsubscribe": DeliveryEventKind.unsubscribed,
    "group_unsubscribe": DeliveryEventKind.unsubscribed,
}
_BEHIND_THE_ID = re.compile(r"\.(?=filter|recv)")
"""Where the id of Mail Send ends in that of an event; behind it are SendGrid's own machines."""
_RECIPIENT = re.compile(r"personalizations\.\d+\.to\.\d+\.email")
_DEAD_BEFORE = ("bounced address", "invalid")
"""Why SendGrid drops a mail unsent because the address is dead: it bounced earlier, or is none."""


_DROPPED_FOR_US = ("recipient list over package quota", "invalid smtpapi header")


class SendGrid(MailApi):
    """Sends with an `api_key` that may send mail; `webhook_public_key` is the one SendGrid shows for signed events.

    `url` is https://api.eu.sendgrid.com for a subuser in the European Union.
    """

    provider = "SendGrid"
    capabilities = Capabilities(
        "email",
        at_once=AT_ONCE,
        attachments=True,
        callbacks=EVENTS | {DeliveryEventKind.accepted},
        address=ADDRESS,
    )

    def __init__(
        self,
        api_key: str,
        kind: Kind = "email",
        *,
        webhook_public_key: str = "",
        url: str = "https://api.sendgrid.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        super().__init__(url, [api_key], timeout, extra)
        self._key, self._public_keys = api_key, active_secrets(webhook_public_key)

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over one message (api-reference/mail-send)."""
        (message,) = messages
        mail = merged(_mail(message), self.extra)
        return json_request("/v3/mail/send", mail, {"Authorization": f"Bearer {self._key}"})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt for a 202, whose body is empty; the id is in a header."""
        return [Accepted(answer.headers.get("x-message-id", ""))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what a refusal means: the recipient's fault, the sender's, or by its status."""
        fields = [str(error.get("field")) for error in _errors(answer)]
        if any(field.startswith("from") for field in fields) and answer.status in (400, 403):
            return about_us(self.reason(answer))
        if answer.status == 400 and any(_RECIPIENT.fullmatch(field) for field in fields):
            return Refused(self.reason(answer), suppress=True)
        return by_status(answer, self.reason(answer), self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return SendGrid's own error messages."""
        return "; ".join(f"{error.get('field') or ''} {error['message']}" for error in _errors(answer))

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how long to wait: SendGrid names the Unix time at which it counts anew."""
        return asked_pause(answer.headers, utc_now(), "x-ratelimit-reset")

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what SendGrid tells; the signature covers time and body. Raises BadCallback."""
        timestamp = request.headers.get(_TIMESTAMP, "")
        keys = required(self._public_keys, "webhook_public_key")
        signed = timestamp.encode(errors="replace") + request.body
        if not any(_verifies(key, request.headers.get(_SIGNATURE, ""), signed) for key in keys):
            raise BadCallback("The callback's signature is missing or wrong.")
        require_fresh(timestamp, request.received_at)
        return [_event(one, request) for one in objects(document(request))]


def _mail(message: Outgoing) -> dict[str, Any]:
    mail = mail_of(message)
    content = [("text/plain", mail.text), ("text/html", mail.html)]
    off = {"enable": False}
    return {
        "personalizations": [{"to": [_box(recipient(message))], "custom_args": {KEY: message.key}}],
        "from": _box(mail.sender),
        **({"reply_to": _box(mail.reply_to)} if mail.reply_to else {}),
        "subject": mail.subject,
        "content": [{"type": kind, "value": value} for kind, value in content if value],
        **({"headers": headers} if (headers := dict(own_headers(mail))) else {}),
        **({"attachments": [_attachment(one) for one in mail.attachments]} if mail.attachments else {}),
        "categories": list(dict.fromkeys(value[:255] for value in tags(message).values())),
        "tracking_settings": {"click_tracking": off, "open_tracking": off, "subscription_tracking": off},
    }


def _box(box: Mailbox) -> dict[str, str]:
    return {"email": box.address, **({"name": box.name} if box.name else {})}


def _attachment(attachment: Attachment) -> dict[str, str]:
    shown = {"disposition": "inline", "content_id": attachment.content_id} if attachment.content_id else {}
    return {
        "filename": attachment.name,
        "type": attachment.media_type,
        "content": encoded(attachment),
        **shown,
    }


def _errors(answer: HttpAnswer) -> list[dict[str, Any]]:
    found = answer.json()
    errors = found.get("errors") if isinstance(found, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _verifies(public_key: str, signature: str, signed: bytes) -> bool:
    """Whether a signature is the one of a key: ECDSA on P-256 with SHA-256, DER in base64."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(b64decode(public_key, validate=True))
        assert isinstance(key, EllipticCurvePublicKey)
        key.verify(b64decode(signature, validate=True), signed, ECDSA(SHA256()))
    except (ValueError, TypeError, AssertionError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _event(found: dict[str, Any], request: Callback) -> DeliveryEvent:
    """Return the event one entry means (for-developers/tracking-events/event)."""
    name, kind = text(found, "event"), _KINDS.get(text(found, "event"))
    provider_id = _BEHIND_THE_ID.split(text(found, "sg_message_id"))[0]
    if kind is None:
        return unknown("sendgrid", name, found, request, key=text(found, KEY), provider_id=provider_id)
    status, reason = text(found, "status"), text(found, "reason") or text(found, "response")
    identity = text(found, "sg_event_id")
    told = found.get("timestamp")
    return DeliveryEvent(
        id=event_id("sendgrid", identity or f"{name}:{provider_id}:{told}:{text(found, 'email')}"),
        kind=kind,
        at=moment(told, request.received_at),
        key=text(found, KEY),
        provider_id=provider_id,
        address=text(found, "email"),
        hard=_is_hard(name, found, status, reason),
        ours=name == "dropped" and reason.lower() in _DROPPED_FOR_US,
        status=status or (NOT_THE_ADDRESS if text(found, "type") == "blocked" else text(found, "type")),
        reason=reason,
        url=text(found, "url", longest=2_000),
        raw=found,
    )


def _is_hard(name: str, found: dict[str, Any], status: str, reason: str) -> bool:
    if name == "dropped":
        return reason.lower() in _DEAD_BEFORE
    bounced = name == "bounce" and text(found, "type") != "blocked"
    return bounced and is_dead(status, reason, text(found, "bounce_classification") == "Invalid Address")
