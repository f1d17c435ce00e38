"""Outgoing webhooks: the adapter behind `call` steps.

Signed by Standard Webhooks 1.0.0 (standardwebhooks.com). `webhook-id` is the message's key, the same on every
attempt, by which receivers tell a repetition; so a call whose fate is unknown is made again.

A call can be led astray by whoever writes a customer's data, so it goes to listed hosts only, by https, on port 443.
Addresses that are not public are refused (`public_network`). There is no redirect, no proxy, no cookie, and no credential
of ours. An exchange has five seconds, an answer a megabyte.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpcore

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Capabilities,
    Kind,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.clock import utc_now
from treue_channels.public_network import (
    Forbidden,
    NoAddress,
    Pinned,
    Resolve,
    look_up,
    public_addresses,
    said,
)

SECONDS = 5.0
"""How long one exchange may take, from the look-up of the host to the answer's end."""

LARGEST = 1_000_000
"""Bytes of an answer that are read."""

AT_ONCE = 16
"""Calls that are made side by side."""

LONGEST_WAIT = 86_400.0
"""Seconds; a receiver that asks for more is asked again after these."""

_URL = re.compile(r"https://((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)"
                  r"(?::443)?(?:[/?][!-~]*)?", re.IGNORECASE)  # fmt: skip
_LONGEST_URL = 8_000
_AGAIN = (408, 425, 429)


class Calls:
    """Makes calls to the listed `hosts`. `resolve`, `network` and `trust` are seams: no setting reaches them."""

    capabilities = Capabilities(
        "webhook", batch=AT_ONCE, dedup_window=float("inf"), address="the URL of the `call` step"
    )

    def __init__(
        self,
        kind: Kind = "webhook",
        hosts: Iterable[str] = (),
        *,
        resolve: Resolve = look_up,
        network: httpcore.NetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._resolve, self._network = resolve, network or httpcore.SyncBackend()
        self._trust, self._seconds = trust, seconds
        self._threads: ThreadPoolExecutor | None = None
        self._look_ups: ThreadPoolExecutor | None = None

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Make each call and return its receipt, in order. Never raises."""
        self._trust = self._trust or ssl.create_default_context()
        self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, "call")
        self._look_ups = self._look_ups or ThreadPoolExecutor(AT_ONCE, "look-up")
        receipts: list[Receipt] = []
        for start in range(0, len(batch), AT_ONCE):
            some = batch[start : start + AT_ONCE]
            mine = [message for message in some if progress.started(message.key)]
            made = dict(
                zip((message.key for message in mine), self._threads.map(self._call, mine), strict=True)
            )
            for message in some:
                receipt = made.get(message.key, TAKEN_OVER)
                progress.settled(message.key, receipt)
                receipts.append(receipt)
        return receipts

    def close(self) -> None:
        """Let the threads go; the next call starts new ones."""
        for threads in (self._threads, self._look_ups):
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)
        self._threads = self._look_ups = None

    def _call(self, message: Outgoing) -> Receipt:
        host = self._host(message.to)
        if isinstance(host, Refused):
            return host
        headers = _headers(message)
        return headers if isinstance(headers, Retry) else self._exchange(message, host, headers)

    def _host(self, url: str) -> str | Refused:
        found = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
        if found is None:
            return Refused("The address is none that a call can go to: https, a listed host by its name, no user.",
                           forbidden=True)  # fmt: skip
        host = found[1].lower()
        return (
            host if host in self._hosts else Refused(f"{host} is not listed under `calls`.", forbidden=True)
        )

    def _exchange(self, message: Outgoing, host: str, headers: list[tuple[str, str]]) -> Receipt:
        assert self._look_ups is not None
        deadline = time.monotonic() + self._seconds
        try:
            addresses = public_addresses(host, self._resolve, self._look_ups, self._seconds)
            network = Pinned(self._network, addresses, deadline)
            return self._answered(message, host, headers, network)
        except Forbidden as error:
            return Refused(str(error), forbidden=True)
        except NoAddress as error:
            return Retry(str(error))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return Retry(f"{host} cannot be reached: {said(error)}")
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            return Unknown(f"{host} did not answer: {said(error)}")
        except Exception as error:  # no exception crosses the port
            return Unknown(f"The call to {host} broke off: {type(error).__name__}")

    def _answered(
        self, message: Outgoing, host: str, headers: list[tuple[str, str]], network: Pinned
    ) -> Receipt:
        method = message.data.get("method", "POST")
        body = None if method == "GET" else message.raw
        url = httpcore.URL("https" + message.to[5:])
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        connection = httpcore.HTTPConnection(url.origin, ssl_context=self._trust, network_backend=network)
        with connection, connection.stream(
            method, url, headers=headers, content=body, extensions={"timeout": timeout}
        ) as response:  # fmt: skip
            receipt = _receipt(host, response.status, dict(response.headers))
            _read_out(response)
            return receipt


def _read_out(response: httpcore.Response) -> None:
    """Read an answer to its end, or as far as it is of use; what it says does not matter, and neither if it breaks off."""
    total = 0
    try:
        for chunk in response.iter_stream():
            total += len(chunk)
            if total > LARGEST:
                return
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        return


def _headers(message: Outgoing) -> list[tuple[str, str]] | Retry:
    """Return the headers, signed where a secret is named; a secret that is not there is a fault of ours, to be mended."""
    now = utc_now()
    headers = [
        ("User-Agent", "Treue"),
        ("Accept", "*/*"),
        ("Connection", "close"),
        ("webhook-id", message.key),
        ("webhook-timestamp", str(int(now.timestamp()))),
    ]
    if message.raw:
        headers.append(("Content-Type", "application/json"))
    name = message.data.get("secret", "")
    if not name:
        return headers
    signature = _signature(name, message, now)
    return signature if isinstance(signature, Retry) else [*headers, ("webhook-signature", signature)]


def _signature(name: str, message: Outgoing, now: datetime) -> str | Retry:
    secret = os.environ.get(name, "").removeprefix("whsec_")
    if not secret:
        return Retry(f"The environment variable {name} is not set.", after=300)
    try:
        key = base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True)
    except ValueError:
        return Retry(f"The environment variable {name} holds no secret: `whsec_` and base64.", after=300)
    signed = f"{message.key}.{int(now.timestamp())}.".encode() + message.raw
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _receipt(host: str, status: int, headers: dict[bytes, bytes]) -> Receipt:
    if 200 <= status < 300:
        return Accepted(f"HTTP {status}")
    if status in _AGAIN or status >= 500:
        return Retry(f"{host} answered {status}.", _retry_after(headers))
    if 300 <= status < 400:
        return Refused(f"{host} answered {status}, and calls follow no redirect.")
    return Refused(f"{host} answered {status}.")


def _retry_after(headers: dict[bytes, bytes]) -> float:
    """Return the seconds a receiver asks for, as a number or as a date (RFC 9110 section 10.2.3); a minute by default."""
    found = {name.lower(): value for name, value in headers.items()}.get(b"retry-after", b"")
    text = found.decode("latin-1").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), LONGEST_WAIT)
    try:
        then = parsedate_to_datetime(text)
        return min(max((then - utc_now()).total_seconds(), 0.0), LONGEST_WAIT)
    except (TypeError, ValueError, IndexError):
        return 60.0
