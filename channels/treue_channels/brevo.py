"""E-mail by Brevo (developers.brevo.com): one mail a request, each with an idempotency key, or 1,000 a request.

Brevo knows a key for a quarter of an hour (its changelog) or half an hour (its guide), and refuses a request whose
key it knows. Callbacks are not signed; they carry a token or a password that was set up with the webhook.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from treue.channel import (
    Accepted,
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
from treue_channels.http.answers import HttpAnswer, asked_pause, by_status, our_fault
from treue_channels.http.api import (
    NO_EXTRA,
    TIMEOUT,
    Extra,
    HttpRequest,
    basic_authorization,
    json_request,
    merged,
    runs,
)
from treue_channels.http.callbacks import (
    active_secrets,
    document,
    event_id,
    json_document,
    moment,
    objects,
    required,
    same,
    text,
    unknown,
)
from treue_channels.http.mail import (
    ADDRESS,
    EVENTS,
    KEY,
    MailApi,
    as_words,
    encoded,
    enhanced_status,
    has_specials,
    idempotency_key,
    is_dead,
    mail_of,
    own_headers,
    recipient,
    tags,
)

AT_ONCE = 16
BATCH = 1_000
KEY_WINDOW = 15 * 60.0
"""Seconds; the shorter of the two that Brevo names."""
USER = "treue"
_CUSTOM = "X-Mailin-custom"
_RECIPIENT = re.compile(r"\bemail is not valid in to\b", re.IGNORECASE)
_SENDER = re.compile(r"\bsender\b", re.IGNORECASE)
_OUR_FAULT = ("unauthorized", "permission_denied", "account_under_validation", "not_enough_credits")

_KINDS = {
    "request": DeliveryEventKind.accepted,
    "delivered": DeliveryEventKind.delivered,
    "deferred": DeliveryEventKind.deferred,
    "soft_bounce": DeliveryEventKind.bounced,
    "hard_bounce": DeliveryEventKind.bounced,
    "invalid_email": DeliveryEventKind.failed,
    "blocked": DeliveryEventKind.failed,
    "error": DeliveryEventKind.failed,
    "spam": DeliveryEventKind.complained,
    "complaint": DeliveryEventKind.complained,
    "opened": DeliveryEventKind.opened,
    "unique_opened": DeliveryEventKind.opened,
    "proxy_open": DeliveryEventKind.opened,
    "unique_proxy_open": DeliveryEventKind.opened,
    "click": DeliveryEventKind.clicked,
    "unsubscribe": DeliveryEventKind.unsubscribed,
    "unsubscribed": DeliveryEventKind.unsubscribed,
}


class Brevo(MailApi):
    """Sends with an `api_key`; `webhook_secret` is the token, or the URL's password, that Brevo sends with callbacks.

    With `batches`, up to 1,000 mails go by one request; one that gets no answer leaves all of its mails in doubt.
    """

    provider = "Brevo"
    capabilities = Capabilities(
        "email",
        at_once=AT_ONCE,
        dedup_window=KEY_WINDOW,
        attachments=True,
        callbacks=EVENTS | {DeliveryEventKind.accepted},
        address=ADDRESS,
    )

    def __init__(
        self,
        api_key: str,
        kind: Kind = "email",
        *,
        batches: bool = False,
        webhook_secret: str = "",
        url: str = "https://api.brevo.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        self._webhook_secrets = active_secrets(webhook_secret)
        super().__init__(url, [api_key, *self._webhook_secrets], timeout, extra)
        self._key = api_key
        if batches:
            self.capabilities = replace(self.capabilities, batch=BATCH, at_once=2, dedup_window=0.0)

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be put to Brevo at all, or None."""
        wrong = super().objection(message)
        if wrong is None and any(one.content_id for one in mail_of(message).attachments):
            return Refused("Brevo's API has no attached pictures: let the template's pictures be hosted.")
        return wrong

    def portions(self, batch: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
        """Yield the messages of one request after the other: those with the same sender and tags go together."""
        return runs(batch, self.capabilities.batch, _shared)

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over these messages (reference/sendtransacemail, docs/batch-send-…)."""
        key = {"idempotencyKey": str(idempotency_key(messages))}
        if len(messages) == 1:
            mail = _mail(messages[0])
            return self._put(mail | {"headers": mail["headers"] | key})
        return replace(self._put(_batch(messages) | {"headers": key}), repeatable=True)

    def _put(self, document: dict[str, Any]) -> HttpRequest:
        return json_request("/v3/smtp/email", merged(document, self.extra), {"api-key": self._key})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return each message's receipt from the ids, which come in the messages' order."""
        found = answer.json()
        ids = [found["messageId"]] if "messageId" in found else found["messageIds"]
        return [Accepted(str(one).strip("<>")) for one in ids]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an error means; a key that is known says that these mails were taken before."""
        found, reason = answer.json(), self.reason(answer)
        code = found.get("code") if isinstance(found, dict) else None
        if code == "duplicate_parameter" and "idempotencykey" in reason.lower():
            return Accepted()
        if code in _OUR_FAULT:
            return our_fault(reason)
        if answer.status == 400 and _RECIPIENT.search(reason):
            return Refused(reason, suppress=True)
        return by_status(answer, reason, self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return Brevo's error code and message."""
        found = answer.json()
        return f"{found['code']}: {found['message']}"

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how long to wait: Brevo says in how many seconds it counts anew."""
        return asked_pause(answer.headers, utc_now(), "x-sib-ratelimit-reset")

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Brevo tells (docs/transactional-webhooks), one event or a batch of them. Raises BadCallback."""
        secrets = required(self._webhook_secrets, "webhook_secret")
        wanted = [f"Bearer {one}" for one in secrets] + [basic_authorization(USER, one) for one in secrets]
        if not same(request.headers.get("authorization", ""), wanted):
            raise BadCallback("The callback's token or password is missing or wrong.")
        return [_event(one, request) for one in objects(document(request))]


def _mail(message: Outgoing) -> dict[str, Any]:
    mail = mail_of(message)
    attached = [{"name": one.name, "content": encoded(one)} for one in mail.attachments]
    return {
        "sender": _box(mail.sender),
        **_version(message),
        "tags": list(tags(message).values()),
        **({"attachment": attached} if attached else {}),
    }


def _version(message: Outgoing) -> dict[str, Any]:
    """Return what differs from mail to mail in a batch."""
    mail = mail_of(message)
    return {
        "to": [_box(recipient(message))],
        **({"replyTo": _answers_to(mail.reply_to)} if mail.reply_to else {}),
        "subject": mail.subject,
        "textContent": mail.text,
        **({"htmlContent": mail.html} if mail.html else {}),
        "headers": {**dict(own_headers(mail)), _CUSTOM: json.dumps({KEY: message.key})},
    }


def _batch(messages: Sequence[Outgoing]) -> dict[str, Any]:
    mail = mail_of(messages[0])
    return {
        "sender": _box(mail.sender),
        "subject": mail.subject,
        "htmlContent": mail.html,
        "tags": list(tags(messages[0]).values()),
        "messageVersions": [_version(message) for message in messages],
    }


def _shared(message: Outgoing) -> Hashable:
    """Return what all mails of a batch have in common, None where a mail cannot go with others.

    Attachments would be everybody's, and a mail without HTML would get another's.
    """
    mail = message.mail
    if mail is None or mail.attachments or not mail.html:
        return None
    return (mail.sender, tuple(tags(message).items()))


def _box(box: Mailbox) -> dict[str, str]:
    name = as_words(box.name) if _is_lost(box.name) else box.name
    return {"email": box.address, **({"name": name} if name else {})}


def _answers_to(box: Mailbox) -> dict[str, str]:
    """Return where answers go; a name that Brevo would write as bare UTF-8, or show as encoded words, stays away."""
    return _box(box._replace(name="") if _is_lost(box.name) else box)


def _is_lost(name: str) -> bool:
    """Whether Brevo drops a name silently: it does so where it has both other letters than ASCII's and a comma or the like.

    Found by django-anymail (anymail/backends/brevo.py), like what becomes of encoded words.
    """
    return not name.isascii() and has_specials(name)


def _event(found: dict[str, Any], request: Callback) -> DeliveryEvent:
    """Return the event one entry means."""
    name, kind = text(found, "event"), _KINDS.get(text(found, "event"))
    key, provider_id = _key(text(found, _CUSTOM)), text(found, "message-id").strip("<>")
    if kind is None:
        return unknown("brevo", name, found, request, key=key, provider_id=provider_id)
    reason, link = text(found, "reason"), text(found, "link", longest=2_000)
    told, status, address = _seconds(found), enhanced_status(reason), text(found, "email")
    return DeliveryEvent(
        id=event_id("brevo", name, provider_id, told, address, link),
        kind=kind,
        at=moment(told, request.received_at),
        key=key,
        provider_id=provider_id,
        address=address,
        hard=name == "invalid_email" or (name == "hard_bounce" and is_dead(status, reason, True)),
        ours=name == "error" and bool(_SENDER.search(reason)),
        status=status or name,
        reason=reason,
        url=link,
        raw=found,
    )


def _seconds(found: dict[str, Any]) -> float | None:
    """Return when it happened as Unix time; all other times of Brevo's are in the account's own zone."""
    milliseconds = found.get("ts_epoch")
    try:
        return float(milliseconds or "") / 1000
    except (TypeError, ValueError, OverflowError):
        return None


def _key(custom: str) -> str:
    """Return our key from what travelled with the mail."""
    try:
        return text(json_document(custom or "null"), KEY)
    except BadCallback:
        return ""
