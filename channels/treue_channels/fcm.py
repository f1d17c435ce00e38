"""Push to Android, Apple devices and browsers by Firebase Cloud Messaging, HTTP v1: one message a request.

Sources: firebase.google.com/docs/reference/fcm/rest/v1 (projects.messages, ErrorCode), docs/cloud-messaging/error-codes,
docs/cloud-messaging/scale-fcm.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from treue.channel import Accepted, Capabilities, Kind, Outgoing, Receipt, Refused, Retry
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import PAUSE, HttpAnswer, about_us, by_status, our_fault, printable
from treue_channels.http.api import NO_EXTRA, TIMEOUT, Extra, HttpApi, HttpRequest, json_request, merged

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LARGEST = 4096
"""Bytes of a payload."""

LONGEST_TTL = 2_419_200
"""Seconds, four weeks."""

_TOKEN = re.compile(r"[!-~]{1,4096}")
_ASKED_AGAIN = 10.0
"""Seconds after which a token server that gave no token is asked again: not by every message."""

_STALE = our_fault("FCM does not take our access token (any more).")


class Fcm(HttpApi):
    """Sends through the Firebase project of a service account.

    `credentials` is the service account's JSON: the path of the file, or its text. `project` is for accounts of another
    project. Raises ChannelError where the credentials cannot be read.
    """

    provider = "FCM"
    capabilities = Capabilities(kind="push", at_once=32, rate=10_000, address="an FCM registration token")

    def __init__(
        self,
        credentials: str,
        kind: Kind = "push",
        *,
        project: str = "",
        url: str = "https://fcm.googleapis.com",
        timeout: float = TIMEOUT,
        extra: Extra = NO_EXTRA,
    ) -> None:
        account = _service_account(credentials)
        super().__init__(url, [account["private_key_id"], *_lines(account["private_key"])], timeout, extra)
        self._path = f"/v1/projects/{_project(project or account.get('project_id'))}/messages:send"
        self._access = AccessToken(account, timeout)
        self._proven = False

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be put to FCM at all."""
        if not _TOKEN.fullmatch(message.to):
            return Refused("This is no registration token.")
        size = len(
            json.dumps([_notification(message), _data(message)], ensure_ascii=False).encode(errors="replace")
        )
        return Refused(f"The payload has {size} bytes; FCM takes {LARGEST}.") if size > LARGEST else None

    def redacted(self, text: str) -> str:
        """Return a reason without anything secret in it."""
        token = self._access.known
        return super().redacted(text.replace(token, "***") if token else text)

    def hand_over(self, messages: Sequence[Outgoing]) -> list[Receipt]:
        """Send one message; where the access token is refused, once more with a new one."""
        token = self._access.text()
        if isinstance(token, Retry):
            return [replace(token, reason=self.redacted(token.reason))]
        receipts = super().hand_over(messages)
        if receipts[0] is not _STALE or isinstance(self._access.renewed(token), Retry):
            return receipts
        return super().hand_over(messages)

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that sends one message."""
        token = self._access.text()
        if isinstance(token, Retry):
            raise ChannelError(token.reason)
        message = {"message": merged(_message(messages[0]), self.extra)}
        return json_request(self._path, message, {"Authorization": f"Bearer {token}"})

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return the receipt of a yes: it names the message."""
        name = answer.json()["name"]
        self._proven = True
        return [Accepted(printable(str(name)))]

    def said(self, answer: HttpAnswer) -> str:
        """Return Google's own error message."""
        return " ".join(filter(None, [_code(answer), str(_error(answer)["message"])]))

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an answer that is no yes means."""
        reason, code = self.reason(answer), _code(answer)
        if code == "UNREGISTERED":
            return Refused(reason, suppress=True)
        if code == "SENDER_ID_MISMATCH":  # also what every token is answered where the project is wrong
            return Refused(reason) if self._proven else about_us(reason)
        if code == "THIRD_PARTY_AUTH_ERROR":  # the project's APNs key or Web Push key: other tokens are well
            return about_us(reason)
        if code == "INVALID_ARGUMENT":  # a token that is none, or the payload
            return Refused(reason)
        if answer.status == 401:
            return _STALE
        if answer.status == 429:
            return Retry(reason, max(self.pause(answer), 1.0), everyone=not _of_one_device(answer))
        if answer.status == 503:
            return Retry(reason, self.pause(answer), everyone=True)
        return our_fault(reason) if answer.status in (403, 404) else by_status(answer, reason, PAUSE)


class AccessToken:
    """The OAuth token of a service account, fetched when needed and renewed before it ends. Used by several threads."""

    def __init__(self, account: Mapping[str, Any], timeout: float) -> None:
        from google.auth import exceptions, transport  # noqa: F401 - if it is not there, that is told at the start
        from google.oauth2.service_account import Credentials

        try:
            self._credentials = Credentials.from_service_account_info(account, scopes=[SCOPE])  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, KeyError):
            raise _no_account() from None
        self._timeout, self._turn = float(timeout), threading.Lock()
        self._failure: tuple[Retry, float] | None = None

    def text(self) -> str | Retry:
        """Return the token, or a receipt for everyone where none is to be had."""
        with self._turn:
            if self._credentials.valid:
                return self.known
            if self._failure and time.monotonic() - self._failure[1] < _ASKED_AGAIN:
                return self._failure[0]
            failure = self._fetch()
            self._failure = (failure, time.monotonic()) if failure else None
            return failure or self.known

    @property
    def known(self) -> str:
        """The token as it is now, good or not."""
        return str(self._credentials.token or "")

    def renewed(self, token: str) -> str | Retry:
        """Return another token than this one, which was refused; several threads may ask for it at once."""
        with self._turn:
            if self._credentials.token == token:
                self._credentials.token = None
        return self.text()

    def _fetch(self) -> Retry | None:
        from google.auth.exceptions import RefreshError

        try:
            with httpx.Client(timeout=self._timeout) as client:
                self._credentials.refresh(_transport(client))
        except RefreshError as error:
            said = printable(str(error.args[0] if error.args else error), 200)
            return our_fault(f"Google gives no access token: {said}")
        except Exception as error:
            said = printable(str(error), 150) or type(error).__name__
            return Retry(f"Google's token server cannot be reached: {said}", everyone=True)
        return None


def _transport(client: httpx.Client) -> Any:
    """Return what google-auth makes requests with, over httpx."""
    from google.auth.transport import Request, Response

    class Answered(Response):
        def __init__(self, response: httpx.Response) -> None:
            self._response = response

        status = property(lambda self: self._response.status_code)
        headers = property(lambda self: self._response.headers)
        data = property(lambda self: self._response.content)

    class Transport(Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: Any = None,
            headers: Any = None,
            timeout: Any = None,
            **_: Any,
        ) -> Any:
            return Answered(client.request(method, url, content=body, headers=headers))

    return Transport()


def _service_account(credentials: str) -> dict[str, Any]:
    """Return the document of a service account. The errors never quote what was given: it may be the key."""
    try:
        text = credentials if credentials.lstrip().startswith("{") else Path(credentials).read_text("utf-8")
        account = json.loads(text)
    except OSError as error:
        message = f"The option `credentials` of fcm names a file that cannot be read: {error.strerror}."
        raise ChannelError(message) from None
    except ValueError:
        raise _no_account() from None
    wanted = ("private_key", "private_key_id", "client_email", "token_uri")
    if not isinstance(account, dict) or not all(
        isinstance(account.get(name), str) and account[name] for name in wanted
    ):
        raise _no_account()
    return account


def _lines(key: str) -> list[str]:
    """Return what a key could show up as: by lines, for reasons are one line."""
    return [line for line in key.split() if len(line) > 20]


def _no_account() -> ChannelError:
    return ChannelError(
        "The option `credentials` of fcm is the JSON file of a service account (Firebase console, Project settings, "
        "Service accounts), or its text."
    )


def _project(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9.:-]{3,60}", name):
        raise ChannelError("The option `project` of fcm is the project's id, such as shop-1a2b3.")
    return name


def _message(message: Outgoing) -> dict[str, Any]:
    """Return the document (rest/v1/projects.messages, Message)."""
    webpush: dict[str, Any] = {}
    document = {"token": message.to, "notification": _notification(message), "data": _data(message)}
    if message.link.startswith("https://"):
        webpush["fcmOptions"] = {"link": message.link}
    if message.expires_at is not None:
        seconds = int((message.expires_at - utc_now()).total_seconds())
        ttl = min(max(seconds, 0), LONGEST_TTL)
        document["android"] = {"ttl": f"{ttl}s"}
        document["apns"] = {"headers": {"apns-expiration": str(int(message.expires_at.timestamp()))}}
        webpush["headers"] = {"TTL": str(ttl)}
    return {**document, "webpush": webpush} if webpush else document


def _notification(message: Outgoing) -> dict[str, str]:
    return {name: text for name, text in (("title", message.title), ("body", message.text)) if text}


def _data(message: Outgoing) -> dict[str, str]:
    return {"key": message.key, "link": message.link} if message.link else {"key": message.key}


def _error(answer: HttpAnswer) -> Mapping[str, Any]:
    document = answer.json()
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _details(answer: HttpAnswer, kind: str) -> list[Mapping[str, Any]]:
    details = _error(answer).get("details")
    found = details if isinstance(details, list) else []
    return [one for one in found if isinstance(one, dict) and str(one.get("@type", "")).endswith(kind)]


def _code(answer: HttpAnswer) -> str:
    """Return FCM's own code for what is wrong, beside Google's canonical one."""
    codes = [str(one.get("errorCode", "")) for one in _details(answer, "google.firebase.fcm.v1.FcmError")]
    return printable(codes[0], 60) if codes else ""


def _of_one_device(answer: HttpAnswer) -> bool:
    """Whether the quota that is used up is one device's."""
    quotas = str([one.get("violations") for one in _details(answer, "google.rpc.QuotaFailure")])
    return "device" in quotas.lower()
