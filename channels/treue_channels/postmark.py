"""E-mail by Postmark (postmarkapp.com/developer): 500 mails a request, each with its own verdict.

Marketing belongs in a broadcast stream and everything else in a transactional one; Postmark insists on it, so the
category of a mail chooses its stream. Callbacks are not signed: Postmark sends the user and password of the URL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from treue.channel import (
    Accepted,
    Attachment,
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
from treue_channels.http.answers import HttpAnswer, about_us, by_status, our_fault
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, json_request, merged
from treue_channels.http.callbacks import (
    active_secrets,
    document,
    event_id,
    moment,
    objects,
    require_basic,
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
    enhanced_status,
    is_dead,
    mail_of,
    own_headers,
    recipient,
    tags,
    written,
)

BATCH = 500

_RECIPIENT = re.compile(r"(?:Invalid|Error\s+parsing)\s+'To'", re.IGNORECASE)
_INACTIVE = re.compile(r"inactive addresses", re.IGNORECASE)
_INVALID, _SUPPRESSED, _TOO_FAST, _MAINTENANCE = 300, 406, 429, 100
_FORBIDDEN_ATTACHMENT = 411
_OUR_FAULT = {10, 405, 413}  # a wrong token; no credits; the account may not send
# The sender is not (yet) ours (400, 401); the account waits, and may only write to its own domain (412); an unknown stream
# (1235): all these may be true of messages like this one alone, and so may what nobody knows.

_KINDS = {
    "Delivery": DeliveryEventKind.delivered,
    "Open": DeliveryEventKind.opened,
    "Click": DeliveryEventKind.clicked,
    "SpamComplaint": DeliveryEventKind.complained,
}
_BOUNCES = {
    "HardBounce": DeliveryEventKind.bounced,
    "BadEmailAddress": DeliveryEventKind.bounced,
    "SoftBounce": DeliveryEventKind.bounced,
    "Blocked": DeliveryEventKind.bounced,
    "DMARCPolicy": DeliveryEventKind.bounced,
    "SpamNotification": DeliveryEventKind.bounced,
    "VirusNotification": DeliveryEventKind.bounced,
    "Unknown": DeliveryEventKind.bounced,
    "Transient": DeliveryEventKind.deferred,
    "DnsError": DeliveryEventKind.deferred,
    "SMTPApiError": DeliveryEventKind.failed,
    "TemplateRenderingFailed": DeliveryEventKind.failed,
    "Unsubscribe": DeliveryEventKind.unsubscribed,
    "SpamComplaint": DeliveryEventKind.complained,
}
"""What Postmark calls a bounce; those left out (answers of people and machines, its own tests) are unknown to us."""
_HARD = ("HardBounce", "BadEmailAddress")
_OURS = ("SMTPApiError", "TemplateRenderingFailed")
_FILTERED = ("Blocked", "DMARCPolicy", "SpamNotification", "VirusNotification")


class Postmark(MailApi):
    """Sends through a Postmark server's `token`.

    `stream` is the message stream of transactional and relational mails, `broadcast_stream` that of promotional ones;
    `webhook_user` and `webhook_password` are those in the URL that Postmark calls.
    """

    provider = "Postmark"
    either_name_or_address = _RECIPIENT
    capabilities = Capabilities(
        "email", batch=BATCH, at_once=2, attachments=True, callbacks=EVENTS, address=ADDRESS
    )

    def __init__(
        self,
        token: str,
        kind: Kind = "email",
        *,
        stream: str = "outbound",
        broadcast_stream: str = "broadcast",
        webhook_user: str = "treue",
        webhook_password: str = "",
        url: str = "https://api.postmarkapp.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        super().__init__(url, [token, *active_secrets(webhook_password)], timeout, extra)
        self._token, self._stream, self._broadcast = token, stream, broadcast_stream
        self._user, self._passwords = webhook_user, active_secrets(webhook_password)

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over these messages (developer/api/email-api, "Send batch emails")."""
        mails = [merged(self._mail(message), self.extra) for message in messages]
        return json_request("/email/batch", mails, {"X-Postmark-Server-Token": self._token})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return what each message's `ErrorCode` means; the answers come in the messages' order."""
        return [self._verdict(one, answer) for one in answer.json()]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an answer about the whole request means."""
        found = answer.json()
        if isinstance(found, dict) and found.get("ErrorCode") and answer.status < 500:
            return self._verdict(found, answer)
        return by_status(answer, self.reason(answer), self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return Postmark's error code and message."""
        found = answer.json()
        return f"{found['ErrorCode']} {found['Message']}"

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Postmark tells; it is believed by the user and password of the URL. Raises BadCallback."""
        require_basic(request, self._user, required(self._passwords, "webhook_password"))
        found = (_event(one, request) for one in objects(document(request)))
        return [event for event in found if event]

    def _mail(self, message: Outgoing) -> dict[str, Any]:
        mail, tagged = mail_of(message), tags(message)
        promotional = tagged.get("category") == "promotional"
        return {
            "From": written(mail.sender),
            "To": written(recipient(message)),
            **({"ReplyTo": written(mail.reply_to)} if mail.reply_to else {}),
            "Subject": mail.subject,
            "TextBody": mail.text,
            **({"HtmlBody": mail.html} if mail.html else {}),
            "Headers": [{"Name": name, "Value": value} for name, value in own_headers(mail)],
            "Attachments": [_attachment(one) for one in mail.attachments],
            "Tag": tagged.get("journey", "")[:1000],
            "Metadata": {KEY: message.key, **{name: value[:80] for name, value in tagged.items()}},
            "MessageStream": self._broadcast if promotional else self._stream,
            "TrackOpens": False,
            "TrackLinks": "None",
        }

    def _verdict(self, found: dict[str, Any], answer: HttpAnswer) -> Receipt:
        code, said = int(found.get("ErrorCode", 0)), str(found.get("Message", ""))
        reason = self.redacted(f"Postmark answered {code}: {said}")
        if code == _SUPPRESSED or _INACTIVE.search(said):
            return Refused(reason, suppress=True)
        if code == 0:
            return Accepted(str(found["MessageID"]))
        if code in _OUR_FAULT:
            return our_fault(reason)
        if code in (_TOO_FAST, _MAINTENANCE):
            return Retry(reason, self.pause(answer), everyone=True)
        if code == _INVALID and _RECIPIENT.match(said):
            return Refused(reason, suppress=True)
        return Refused(reason) if code == _FORBIDDEN_ATTACHMENT else about_us(reason)


def _attachment(attachment: Attachment) -> dict[str, str]:
    shown = {"ContentID": f"cid:{attachment.content_id}"} if attachment.content_id else {}
    return {
        "Name": attachment.name,
        "Content": encoded(attachment),
        "ContentType": attachment.media_type,
        **shown,
    }


def _event(found: dict[str, Any], request: Callback) -> DeliveryEvent | None:
    """Return the event a record means, or None for a change that is not the customer's word (developer/webhooks)."""
    record, kind = text(found, "RecordType"), _kind(found)
    if kind is None and record == "SubscriptionChange":
        return None
    if kind is None:
        name, key = text(found, "Type") or record, text(found, "Metadata", KEY)
        return unknown("postmark", name, found, request, key=key, provider_id=text(found, "MessageID"))
    told = next((found[name] for name in _TIMES if found.get(name)), None)
    status = enhanced_status(text(found, "Details"))
    provider_id, url = text(found, "MessageID"), text(found, "OriginalLink", longest=2_000)
    return DeliveryEvent(
        id=event_id("postmark", record, text(found, "ID") or f"{provider_id}:{told}:{url}"),
        kind=kind,
        at=moment(told, request.received_at),
        key=text(found, "Metadata", KEY),
        provider_id=provider_id,
        address=text(found, "Recipient") or text(found, "Email"),
        hard=text(found, "Type") in _HARD and is_dead(status, text(found, "Details"), True),
        ours=text(found, "Type") in _OURS,
        status=status or (NOT_THE_ADDRESS if text(found, "Type") in _FILTERED else text(found, "Type")),
        reason=text(found, "Details") or text(found, "Description"),
        url=url,
        raw=found,
    )


_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def _kind(found: dict[str, Any]) -> DeliveryEventKind | None:
    record = text(found, "RecordType")
    if record == "Bounce":
        return _BOUNCES.get(text(found, "Type"))
    if record == "SubscriptionChange":
        return DeliveryEventKind.unsubscribed if _said_stop(found) else None
    return _KINDS.get(record)


def _said_stop(found: dict[str, Any]) -> bool:
    """Whether a change of subscription is the customer's word; bounces and complaints come as records of their own."""
    by_customer = text(found, "Origin") == "Recipient" and found.get("SuppressSending") is True
    return by_customer and text(found, "SuppressionReason") == "ManualSuppression"
