"""E-mail by Amazon SES (docs.aws.amazon.com/ses, API v2): one whole message (MIME) a request, several side by side.

Requests are signed by Amazon's own library (`pip install 'treue[ses]'`). What became of a message SES tells by way of
a topic of SNS (`sns.py`).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from treue.channel import (
    Accepted,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Kind,
    Outgoing,
    Receipt,
    Retry,
)
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, asked_pause, by_status, our_fault
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpRequest, merged
from treue_channels.http.callbacks import (
    document,
    event_id,
    json_document,
    moment,
    part,
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
    ascii_domain,
    enhanced_status,
    is_dead_for_amazon,
    tags,
)
from treue_channels.sns import Fetch, Topic, fetch, is_topic

AT_ONCE = 16
_PATH = "/v2/email/outbound-emails"
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9_-]")
_RATE_PAUSE, _QUOTA_PAUSE = 5.0, 3600.0
_TOO_FAST = ("TooManyRequestsException", "ThrottlingException", "Throttling")
_OUR_FAULT = (
    "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException",
    "LimitExceededException", "NotFoundException",
)  # fmt: skip

_KINDS = {
    "Send": DeliveryEventKind.accepted,
    "Delivery": DeliveryEventKind.delivered,
    "DeliveryDelay": DeliveryEventKind.deferred,
    "Bounce": DeliveryEventKind.bounced,
    "Complaint": DeliveryEventKind.complained,
    "Reject": DeliveryEventKind.failed,
    "Rendering Failure": DeliveryEventKind.failed,
    "Open": DeliveryEventKind.opened,
    "Click": DeliveryEventKind.clicked,
    "Subscription": DeliveryEventKind.unsubscribed,
}
_ABOUT = {
    "DeliveryDelay": "deliveryDelay",
    "Rendering Failure": "failure",
}
"""Under which key the details lie, where that is not the event's name in small letters."""
_RECIPIENTS = ("bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients")
_NOT_THE_ADDRESS = ("ContentRejected", "AttachmentRejected", "MessageTooLarge")
_ON_OUR_LIST = "OnAccountSuppressionList"


class Ses(MailApi):
    """Sends from a `region` with an access key; without one, with the machine's credentials (roles, environment).

    `configuration_set` is the one whose events go to the SNS topic `webhook_topic`. Raises ChannelError where the
    region or the topic is none.
    """

    provider = "Amazon SES"
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
        region: str,
        kind: Kind = "email",
        *,
        access_key_id: str = "",
        secret_access_key: str = "",
        session_token: str = "",
        configuration_set: str = "",
        webhook_topic: str = "",
        url: str = "",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
        get: Fetch = fetch,
    ) -> None:
        import botocore.auth  # noqa: F401 - so that it is missed at the start, not at the first message

        if not _REGION.fullmatch(region or ""):
            raise ChannelError("The option `region` of Amazon SES is one such as eu-central-1.")
        if bool(access_key_id) != bool(secret_access_key):
            raise ChannelError("Amazon SES needs `access_key_id` and `secret_access_key` both, or neither.")
        if webhook_topic and not is_topic(webhook_topic):
            raise ChannelError("The option `webhook_topic` of Amazon SES is the ARN of an SNS topic.")
        suffix = ".cn" if region.startswith("cn-") else ""
        secrets = [one for one in (access_key_id, secret_access_key, session_token) if one]
        super().__init__(url or f"https://email.{region}.amazonaws.com{suffix}", secrets, timeout, extra)
        self._region, self._set = region, configuration_set
        self._given = (access_key_id, secret_access_key, session_token or None)
        self._credentials: Any = None
        self._topic = Topic(webhook_topic, get) if webhook_topic else None

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the signed request that hands over one message (APIReference-V2, SendEmail with raw content)."""
        (message,) = messages
        body = json.dumps(merged(self._document(message), self.extra)).encode()
        return HttpRequest(_PATH, body, self._signed(body))

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt for a 200."""
        return [Accepted(str(answer.json()["MessageId"]))]

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an exception means, by its type."""
        reason, type_ = self.reason(answer), _type(answer)
        if type_ in _TOO_FAST:
            return Retry(reason, self.pause(answer), everyone=True)
        if type_ in _OUR_FAULT:
            return our_fault(reason)
        return by_status(answer, reason, self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return the exception's type and SES's words."""
        found = answer.json()
        return f"{_type(answer)}: {found.get('message') or found['Message']}"

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how long to wait: SES names no time, so moments for the rate, an hour for the day's quota."""
        if "retry-after" in answer.headers:
            return asked_pause(answer.headers, utc_now())
        return _QUOTA_PAUSE if b"quota" in answer.body.lower() else _RATE_PAUSE

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what SES tells by the topic. Raises BadCallback where it is not Amazon's or another topic's."""
        required(["topic"] if self._topic else [], "webhook_topic")
        assert self._topic is not None
        envelope = document(request)
        message = self._topic.message(envelope if isinstance(envelope, dict) else {}, request.received_at)
        found = json_document(message) if message.startswith("{") else None  # else a word of SNS's own
        return _events(found, text(envelope, "MessageId"), request) if isinstance(found, dict) else []

    def _document(self, message: Outgoing) -> dict[str, Any]:
        named = {KEY: message.key} if not _UNTAGGABLE.search(message.key) else {}
        named |= {name: _UNTAGGABLE.sub("_", value)[:256] for name, value in tags(message).items()}
        return {
            "Destination": {"ToAddresses": [ascii_domain(message.to)]},
            "Content": {"Raw": {"Data": b64encode(message.raw).decode()}},
            "EmailTags": [{"Name": name, "Value": value} for name, value in named.items()],
            **({"ConfigurationSetName": self._set} if self._set else {}),
        }

    def _signed(self, body: bytes) -> dict[str, str]:
        """Return the headers, signed by Signature Version 4."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        put = AWSRequest("POST", self.url + _PATH, {"Content-Type": "application/json"}, body)
        SigV4Auth(self._who(), "ses", self._region).add_auth(put)
        return dict(put.headers.items())

    def _who(self) -> Any:
        """Return the credentials: those given, else the machine's, which are looked for once and renew themselves."""
        if self._credentials is None:
            self._credentials = _credentials(*self._given)
        return self._credentials


def _credentials(access_key_id: str, secret_access_key: str, session_token: str | None) -> Any:
    from botocore.credentials import Credentials
    from botocore.session import Session

    if access_key_id:
        return Credentials(access_key_id, secret_access_key, session_token)
    found = Session().get_credentials()
    if found is None:
        raise ChannelError(
            "There are no credentials for Amazon SES: set `access_key_id` and `secret_access_key`."
        )
    return found


def _type(answer: HttpAnswer) -> str:
    """Return an exception's type, which is in a header, at times with an address behind it, or in the body."""
    found = answer.json()
    type_ = answer.headers.get("x-amzn-errortype") or (
        found.get("__type") or found.get("code") if isinstance(found, dict) else ""
    )
    return str(type_ or "").split(":")[0].rpartition("#")[2]


def _events(found: dict[str, Any], id_: str, request: Callback) -> list[DeliveryEvent]:
    """Return the events of a record, one for each recipient (dg/event-publishing-retrieving-sns-contents)."""
    name = text(found, "eventType") or text(found, "notificationType")
    details = part(found, _ABOUT.get(name, name.lower()))
    kind, number = _kind(name, details), text(found, "mail", "messageId")
    keys = part(found, "mail", "tags", KEY)
    key = text({"key": keys[0]}, "key") if isinstance(keys, list) and keys else ""
    if kind is None:
        return [] if name in _KINDS else [unknown("ses", name, found, request, key=key, provider_id=number)]
    told = part(details, "timestamp") or part(found, "mail", "timestamp")
    return [
        DeliveryEvent(
            id=event_id("ses", id_, address),
            kind=kind,
            at=moment(told, request.received_at),
            key=key,
            provider_id=number,
            address=address,
            hard=kind is DeliveryEventKind.bounced and _is_hard(details, status, said),
            ours=name == "Rendering Failure",
            status=status or _status(details),
            reason=said or _reason(details),
            url=text(details, "link", longest=2_000),
            raw=found,
        )
        for address, status, said in _recipients(found, details)
    ]


def _kind(name: str, details: Any) -> DeliveryEventKind | None:
    """Return an event's kind; what never left SES, being on the account's own list, has failed."""
    if _ON_OUR_LIST in (text(details, "bounceSubType"), text(details, "complaintSubType")):
        return DeliveryEventKind.failed
    if text(details, "complaintFeedbackType") == "not-spam":
        return None
    if name == "Subscription" and part(details, "newTopicPreferences", "unsubscribeAll") is not True:
        return None
    return _KINDS.get(name)


def _recipients(found: Any, details: Any) -> list[tuple[str, str, str]]:
    """Return the address, the status and the other server's words for each recipient; our mails have one."""
    several = next((part(details, name) for name in _RECIPIENTS if part(details, name)), None)
    several = several or part(found, "mail", "destination")
    if not isinstance(several, list):
        return []
    each = [one if isinstance(one, dict) else {"emailAddress": one} for one in several[:50]]
    return [
        (
            text(one, "emailAddress"),
            text(one, "status") or enhanced_status(text(one, "diagnosticCode")),
            text(one, "diagnosticCode"),
        )
        for one in each
    ]


def _status(details: Any) -> str:
    """Return Amazon's own words for a bounce that has no code; a code that speaks for the address where they do."""
    type_, subtype = text(details, "bounceType"), text(details, "bounceSubType")
    return NOT_THE_ADDRESS if subtype in _NOT_THE_ADDRESS else " ".join(filter(None, (type_, subtype)))


def _is_hard(details: Any, status: str, said: str) -> bool:
    return is_dead_for_amazon(text(details, "bounceType"), text(details, "bounceSubType"), status, said)


def _reason(details: Any) -> str:
    names = ("smtpResponse", "reason", "errorMessage", "delayType", "complaintFeedbackType")
    return next((found for name in names if (found := text(details, name))), "")
