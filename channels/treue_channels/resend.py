"""E-mail by Resend (resend.com/docs): one mail a request, each with an idempotency key, or 100 a request.

A key of Resend's is one of a whole request. So a mail of unknown fate can be sent again later only where it went
alone; one that went with others is asked for again at once, while the very same request is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from treue.channel import (
    Accepted,
    Attachment,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Mailbox,
    Outgoing,
    Receipt,
    Refused,
    Retry,
)
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, about_us, asked_pause, by_status, our_fault
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, json_request, merged, runs
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
    is_dead_for_amazon,
    mail_of,
    own_headers,
    recipient,
    tags,
    written,
)
from treue_channels.http.standard_webhooks import key_of, require_standard

BATCH = 100
KEY_WINDOW = 24 * 3600.0
"""Seconds for which Resend knows a key (docs/dashboard/emails/idempotency-keys)."""
REQUESTS_A_SECOND = 2.0
"""What Resend takes by default (docs/api-reference/rate-limit)."""
_QUOTA_PAUSE = 3600.0
_WRONG_KEY = "API key is invalid"
_RECIPIENT = re.compile(r"Invalid `to`")
_SEPARATING = re.compile(r'[<>@,;\\"]')
"""Signs that would make something else of what is around them, if they stood in a name that is not quoted."""
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9_-]")

_BOUNCED_BEFORE = "previous_bounce"
"""Why Resend does not try a mail: its address was found dead earlier."""

_KINDS = {
    "email.sent": DeliveryEventKind.accepted,
    "email.delivered": DeliveryEventKind.delivered,
    "email.delivery_delayed": DeliveryEventKind.deferred,
    "email.bounced": DeliveryEventKind.bounced,
    "email.failed": DeliveryEventKind.failed,
    "email.suppressed": DeliveryEventKind.failed,
    "email.complained": DeliveryEventKind.complained,
    "email.opened": DeliveryEventKind.opened,
    "email.clicked": DeliveryEventKind.clicked,
}


class Resend(MailApi):
    """Sends with an `api_key`; `webhook_secret` is the signing secret of the webhook.

    With `batches`, up to 100 mails go by one request: many times faster, but a request that gets no answer leaves all
    of its mails in doubt.
    """

    provider = "Resend"
    either_name_or_address = _RECIPIENT
    capabilities = Capabilities(
        "email",
        at_once=2,
        rate=REQUESTS_A_SECOND,
        dedup_window=KEY_WINDOW,
        attachments=True,
        callbacks=(EVENTS | {DeliveryEventKind.accepted}) - {DeliveryEventKind.unsubscribed},
        address=ADDRESS,
    )

    def __init__(
        self,
        api_key: str,
        kind: Kind = "email",
        *,
        batches: bool = False,
        webhook_secret: str = "",
        url: str = "https://api.resend.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        self._webhook_secrets = active_secrets(webhook_secret)
        super().__init__(url, [api_key, *self._webhook_secrets], timeout, extra)
        _require_keys(self._webhook_secrets)
        self._key = api_key
        if batches:
            rate = BATCH * REQUESTS_A_SECOND
            self.capabilities = replace(self.capabilities, batch=BATCH, rate=rate, dedup_window=0.0)

    def portions(self, batch: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
        """Yield the messages of one request after the other; Resend's batches have no attachments."""
        return runs(batch, self.capabilities.batch, lambda m: None if m.mail and m.mail.attachments else "")

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over these messages (api-reference/emails/send-email, /send-batch-emails)."""
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": str(idempotency_key(messages))}
        mails = [merged(_mail(message), self.extra) for message in messages]
        if len(mails) == 1:
            return json_request("/emails", mails[0], headers)
        headers["x-batch-validation"] = "permissive"
        return replace(json_request("/emails/batch", mails, headers), repeatable=True)

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return each message's receipt: `errors` names those that were refused, `data` has the ids of the others."""
        found = answer.json()
        if "id" in found:
            return [Accepted(str(found["id"]))]
        errors = {int(error["index"]): str(error["message"]) for error in found.get("errors") or []}
        ids = iter([Accepted(str(one["id"])) for one in found["data"]])
        receipts = [self._refused(errors[n]) if n in errors else next(ids) for n in range(len(messages))]
        if next(ids, None):
            raise ValueError("more ids than mails")
        return receipts

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an error means (api-reference/errors)."""
        found, reason = answer.json(), self.reason(answer)
        name = found.get("name") if isinstance(found, dict) else None
        if name == "concurrent_idempotent_requests":
            return Retry(reason)
        if name == "invalid_idempotent_request":  # it was taken before, when the template said something else
            return Accepted()
        if _WRONG_KEY in reason:  # which comes as a 400, a 401 or a 403
            return our_fault(reason)
        if answer.status in (400, 422):
            return self._refused(reason)
        if answer.status == 403:  # a domain that is not verified; or that one may only write to oneself
            return about_us(reason)
        return by_status(answer, reason, self.pause(answer))

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how long to wait: a moment where requests came too fast, an hour where a quota is used up."""
        wait = asked_pause(answer.headers, utc_now(), "ratelimit-reset")
        return max(wait, _QUOTA_PAUSE) if b"quota_exceeded" in answer.body else wait

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Resend tells, signed by Standard Webhooks under Svix's names. Raises BadCallback."""
        id_ = require_standard(request, required(self._webhook_secrets, "webhook_secret"), "svix-")
        return [_event(one, id_, request) for one in objects(document(request))]

    def _refused(self, said: str) -> Receipt:
        """Return the receipt for a mail that Resend finds wrong; it names the field in backticks."""
        reason = self.redacted(said)
        return Refused(reason, suppress=True) if _RECIPIENT.search(reason) else about_us(reason)


def _require_keys(secrets: Sequence[str]) -> None:
    try:
        for secret in secrets:
            key_of(secret)
    except ValueError as error:
        raise ChannelError(f"The option `webhook_secret` of Resend holds {error}.") from None


def _mail(message: Outgoing) -> dict[str, Any]:
    mail = mail_of(message)
    named = {KEY: message.key} if not _UNTAGGABLE.search(message.key) else {}
    named |= {name: _UNTAGGABLE.sub("_", value)[:256] for name, value in tags(message).items()}
    return {
        "from": _sender(mail.sender),
        "to": [_reader(recipient(message))],
        **({"reply_to": _reader(mail.reply_to)} if mail.reply_to else {}),
        "subject": mail.subject,
        "text": mail.text,
        **({"html": mail.html} if mail.html else {}),
        "headers": dict(own_headers(mail)),
        "tags": [{"name": name, "value": value} for name, value in named.items()],
        **({"attachments": [_attachment(one) for one in mail.attachments]} if mail.attachments else {}),
    }


def _sender(box: Mailbox) -> str:
    """Return the sender as `Name <address>`: Resend takes any letters, but neither quoted names nor encoded words.

    So it takes no name with a comma, either (found by django-anymail, anymail/backends/resend.py).
    """
    if _SEPARATING.search(box.name):
        return written(box)
    return f"{box.name} <{box.address}>" if box.name else box.address


def _reader(box: Mailbox) -> str:
    """Return whom a mail goes to as `Name <address>`: Resend takes no quoted names here, but encoded words."""
    plain = box.name.isascii() and not has_specials(box.name)
    return _sender(box if plain else box._replace(name=as_words(box.name)))


def _attachment(attachment: Attachment) -> dict[str, str]:
    shown = {"content_id": attachment.content_id} if attachment.content_id else {}
    return {
        "filename": attachment.name,
        "content": encoded(attachment),
        "content_type": attachment.media_type,
        **shown,
    }


def _event(found: dict[str, Any], id_: str, request: Callback) -> DeliveryEvent:
    """Return the event a callback tells (docs/webhooks/event-types)."""
    name = text(found, "type")
    kind, key, number = _KINDS.get(name), text(found, "data", "tags", KEY), text(found, "data", "email_id")
    if kind is None:
        return unknown("resend", name, found, request, key=key, provider_id=number)
    data, to = part(found, "data"), part(found, "data", "to")
    said = (
        text(data, "bounce", "message")
        or text(data, "failed", "reason")
        or text(data, "suppressed", "message")
    )
    codes = part(data, "bounce", "diagnosticCode")
    code = text({"code": codes[0] if isinstance(codes, list) and codes else codes}, "code")
    type_, subtype, status = (
        text(data, "bounce", "type"),
        text(data, "bounce", "subType"),
        enhanced_status(code),
    )
    return DeliveryEvent(
        id=event_id("resend", id_),
        kind=kind,
        at=moment(part(found, "created_at"), request.received_at),
        key=key,
        provider_id=number,
        address=text({"to": to[0]}, "to") if isinstance(to, list) and to else "",
        hard=text(data, "suppressed", "reason") == _BOUNCED_BEFORE
        or (kind is DeliveryEventKind.bounced and is_dead_for_amazon(type_, subtype, status, code)),
        status=status or " ".join(filter(None, (type_, subtype))),
        reason=code or said,
        url=text(data, "click", "link", longest=2_000),
        raw=found,
    )
