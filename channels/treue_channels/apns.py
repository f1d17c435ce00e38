"""Push to Apple devices: APNs over HTTP/2 with a provider token.

Sources: developer.apple.com/documentation/usernotifications, "Sending notification requests to APNs", "Establishing a
token-based connection to APNs", "Handling notification responses from APNs".
"""

from __future__ import annotations

import json
import re
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Capabilities,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import SETTINGS_PAUSE, about_us, asked_pause, our_fault, printable
from treue_channels.http.api import NO_EXTRA, Extra, checked_extra, checked_timeout, merged
from treue_channels.http.http2 import Answer, Fate, Http2, Lost, Post
from treue_channels.p256 import private_key

SERVERS = {False: "api.push.apple.com", True: "api.sandbox.push.apple.com"}
LARGEST = 4096
"""Bytes of a payload."""

RENEWED_AFTER = timedelta(minutes=40)
"""Apple wants a token to be at most an hour old, and renewed at most every 20 minutes."""
_SOONEST = timedelta(minutes=20)

_TOKEN = re.compile(r"[0-9A-Fa-f]{32,512}")
_IDENTIFIER = re.compile(r"[A-Z0-9]{10}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "treue:apns-id")

_GONE = {"Unregistered", "ExpiredToken"}
_WRONG_OR_OUR_FAULT = {"BadDeviceToken", "DeviceTokenNotForTopic"}
"""Also what every token is answered where `topic` or `sandbox` are wrong."""
_MESSAGE = {"PayloadEmpty", "PayloadTooLarge", "BadCollapseId", "BadExpirationDate", "BadMessageId"}
_OUR_FAULT = {
    "BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "BadPath", "BadTopic", "Forbidden",
    "InvalidProviderToken", "InvalidPushType", "MethodNotAllowed", "MissingProviderToken", "MissingTopic",
    "TopicDisallowed", "UnrelatedKeyIdInToken",
}  # fmt: skip


class Apns:
    """Sends alerts to the app `topic` (its bundle id).

    `signing_key` is the key from Apple: the path of the .p8 file, or its text. `key_id` and `team_id` have ten
    characters. `sandbox` is for builds from Xcode. `server` (`host` or `host:port`) and `ca` (a PEM file) are for a
    proxy of your own. Raises ChannelError where one of them cannot be used.
    """

    capabilities = Capabilities(kind="push", batch=500, address="a device token, in hexadecimal digits")

    def __init__(
        self,
        signing_key: str,
        key_id: str,
        team_id: str,
        topic: str,
        sandbox: bool = False,
        server: str = "",
        ca: str = "",
        timeout: float = 30.0,
        extra: Extra = NO_EXTRA,
        kind: str = "push",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._topic = _checked(topic, _TOPIC, "topic", "the app's bundle id, such as com.example.shop")
        self._token = ProviderToken(signing_key, key_id, team_id)
        self._clock, self._extra = clock, checked_extra(extra, "apns")
        if not isinstance(sandbox, bool):
            raise ChannelError("The option `sandbox` of apns is true or false.")
        host, _, port = (server or SERVERS[sandbox]).partition(":")
        if not host or not (port or "443").isdigit():
            raise ChannelError("The option `server` of apns is a host, or host:port.")
        self._line = Http2(host, int(port or 443), _trust(ca), checked_timeout(timeout, "apns"))
        self._proven = False

    def __repr__(self) -> str:
        return f"Apns({self._topic!r}, {self._line.host!r})"

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises.

        Once Apple wants nothing from us, the rest is not tried and comes back with the same Retry.
        """
        sending = _Sending(batch, progress)
        posts = deque(post for n, message in enumerate(batch) if (post := self._post(n, message, sending)))
        refused = self._round(posts, sending)
        if refused and (pause := self._token.renew(self._clock())):
            sending.rest(refused, pause)
        elif refused:
            again = (self._post(post.number, batch[post.number], sending) for post in refused)
            late = self._round(deque(post for post in again if post), sending)
            sending.rest(late, our_fault("APNs takes no token of ours: is this machine's clock right?"))
        return sending.finished()

    def close(self) -> None:
        """Close the connection; the next batch opens another."""
        self._line.close()

    def _round(self, posts: deque[Post], sending: _Sending) -> list[Post]:
        """Make the requests; return those that were refused because the provider token was too old."""
        made, refused = {post.number: post for post in posts}, []
        for number, fate in self._line.exchange(posts, sending.started):
            if isinstance(fate, Answer) and _reason(fate) == "ExpiredProviderToken":
                refused.append(made[number])
                continue
            receipt = self._receipt(fate)
            sending.settled(number, receipt)
            if isinstance(receipt, Retry) and receipt.everyone:
                sending.rest(posts, receipt)
                posts.clear()
        return refused

    def _post(self, number: int, message: Outgoing, sending: _Sending) -> Post | None:
        """Return the request for a message; None where it is settled already, because it cannot be sent."""
        body = _payload(message, self._extra)
        if not _TOKEN.fullmatch(message.to):
            sending.settled(number, Refused("This is no device token: those are hexadecimal digits."))
        elif len(body) > LARGEST:
            sending.settled(number, Refused(f"The payload has {len(body)} bytes; APNs takes {LARGEST}."))
        else:
            return Post(number, f"/3/device/{message.to}", self._headers(message), body)
        return None

    def _headers(self, message: Outgoing) -> tuple[tuple[str, str], ...]:
        headers = [
            ("authorization", f"bearer {self._token.text(self._clock())}"),
            ("apns-id", str(uuid.uuid5(_IDS, message.key))),
            ("apns-topic", self._topic),
            ("apns-push-type", "alert"),
        ]
        if message.expires_at is not None:
            headers.append(("apns-expiration", str(int(message.expires_at.timestamp()))))
        return tuple(headers)

    def _receipt(self, fate: Fate) -> Receipt:
        if isinstance(fate, Answer):
            return self._read(fate)
        return Unknown(fate.reason) if isinstance(fate, Lost) else Retry(fate.reason, everyone=fate.everyone)

    def _read(self, answer: Answer) -> Receipt:
        reason = _reason(answer)
        said = f"APNs answered {answer.status} {reason}".rstrip()
        if answer.status == 200:
            self._proven = True
            return Accepted(answer.headers.get("apns-id", ""))
        if reason in _GONE:
            return Refused(said, suppress=True)
        if reason in _WRONG_OR_OUR_FAULT:
            return Refused(said) if self._proven else about_us(said)
        if reason in _OUR_FAULT or answer.status in (403, 404, 405):
            return our_fault(said)
        return self._trouble(answer, reason, said)

    def _trouble(self, answer: Answer, reason: str, said: str) -> Receipt:
        pause = asked_pause(answer.headers, self._clock())
        if reason == "TooManyProviderTokenUpdates":
            return Retry(said, _SOONEST.total_seconds(), everyone=True)
        if answer.status == 429 or reason == "IdleTimeout":
            return Retry(said, pause)
        if answer.status == 503:
            return Retry(said, pause, everyone=True)
        if answer.status >= 500:
            return Unknown(said)
        return Refused(said) if reason in _MESSAGE or answer.status == 413 else about_us(said)


class ProviderToken:
    """The token that proves who we are: a JWT signed with ES256, kept for 40 minutes."""

    def __init__(self, key: str, key_id: str, team_id: str) -> None:
        self._key = private_key(key, "signing_key", "apns", "the .p8 file from Apple, or its text")
        self._key_id = _checked(key_id, _IDENTIFIER, "key_id", "the ten characters of the key's id")
        self._team_id = _checked(team_id, _IDENTIFIER, "team_id", "the ten characters of the team's id")
        import jwt

        self._encode = jwt.encode
        self._text, self._issued_at = "", datetime.min.replace(tzinfo=UTC)

    def text(self, now: datetime) -> str:
        """Return the token, a new one where the last one is getting old."""
        if not self._text or now - self._issued_at > RENEWED_AFTER:
            self._issue(now)
        return self._text

    def renew(self, now: datetime) -> Retry | None:
        """Make a new token, or return for how long that must wait: Apple takes no new one every few minutes."""
        age = now - self._issued_at
        if age < _SOONEST:
            reason = "APNs finds a token too old that was just made: is this machine's clock right?"
            wait = max((_SOONEST - age).total_seconds(), SETTINGS_PAUSE)
            return Retry(reason, wait, everyone=True, ours=True)
        self._issue(now)
        return None

    def _issue(self, now: datetime) -> None:
        claims = {"iss": self._team_id, "iat": int(now.timestamp())}
        self._text = self._encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._issued_at = now


class _Sending:
    """One batch on its way: what is known of each message by now, and who has been told."""

    def __init__(self, batch: Sequence[Outgoing], progress: Progress) -> None:
        self._batch, self._progress = batch, progress
        self._receipts: dict[int, Receipt] = {}
        self._started: set[int] = set()

    def started(self, number: int) -> bool:
        """Note that a message goes on the wire, and say whether it may."""
        if number in self._started:
            return True
        if not self._progress.started(self._batch[number].key):
            self.settled(number, TAKEN_OVER)
            return False
        self._started.add(number)
        return True

    def settled(self, number: int, receipt: Receipt) -> None:
        """Note what became of a message."""
        self._receipts[number] = receipt
        self._progress.settled(self._batch[number].key, receipt)

    def rest(self, posts: Iterable[Post], receipt: Receipt) -> None:
        """Note the same of all these."""
        for post in posts:
            self.settled(post.number, receipt)

    def finished(self) -> list[Receipt]:
        """Return the receipts of all messages, in their order."""
        return [self._receipts[number] for number in range(len(self._batch))]


def _payload(message: Outgoing, extra: Extra) -> bytes:
    alert = {"title": message.title, "body": message.text}
    document: dict[str, Any] = {"aps": {"alert": {name: text for name, text in alert.items() if text}}}
    document["key"] = message.key
    if message.link:
        document["link"] = message.link
    return json.dumps(merged(document, extra), ensure_ascii=False, separators=(",", ":")).encode(
        errors="replace"
    )


def _reason(answer: Answer) -> str:
    """Return Apple's word for what is wrong."""
    try:
        return printable(str(json.loads(answer.body)["reason"]), 60)
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _checked(text: str, pattern: re.Pattern[str], option: str, what: str) -> str:
    if not pattern.fullmatch(str(text)):
        raise ChannelError(f"The option `{option}` of apns is {what}.")
    return str(text)


def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError):
        raise ChannelError(
            f"The option `ca` of apns is a PEM file with certificates; {ca} is none."
        ) from None
