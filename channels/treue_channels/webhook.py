"""Outgoing webhooks: the adapter behind `call` steps.

Signed by Standard Webhooks 1.0.0 (standardwebhooks.com). `webhook-id` is the message's key, the same on every
attempt, by which receivers tell a repetition; so a call whose fate is unknown is made again.

A call can be led astray by whoever writes a customer's data, so it goes to listed hosts only, by https, on port 443.
A host is resolved once, and the connection is made to the very address that was looked at; addresses that are not
public are refused, also those that hide another inside (NAT64, 6to4, IPv4-mapped). There is no redirect, no proxy, no
cookie, and no credential of ours. An exchange has five seconds, an answer a megabyte.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

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

_DENIED = [
    ip_network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    ]
]
"""What IANA's registries set apart, and what wraps another address; of IPv6 only 2000::/3 is public at all."""

_PUBLIC_V6 = ip_network("2000::/3")

Resolve = Callable[[str], Sequence[str]]
"""Turns a host's name into addresses. Raises OSError where there are none."""


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet. Python's `is_global` is not enough: it passes 64:ff9b::7f00:1."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found not in _PUBLIC_V6:
        return False
    denied = any(found in network for network in _DENIED if network.version == found.version)
    return found.is_global and not found.is_multicast and not denied


def look_up(host: str) -> list[str]:
    """Return a host's addresses as the system knows them."""
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Forbidden(Exception):  # noqa: N818
    """The host has an address that no call may go to."""


class _NoAddress(Exception):  # noqa: N818
    """The host has no address, or its look-up took too long."""


class Webhook:
    """Makes calls to the listed `hosts`. `resolve`, `network` and `trust` are seams: no setting reaches them."""

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
        self.capabilities = Capabilities(kind, batch=AT_ONCE, dedup_window=float("inf"))
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
        deadline = time.monotonic() + self._seconds
        try:
            network = _Pinned(self._network, self._addresses(host), deadline)
            return self._answered(message, host, headers, network)
        except _Forbidden as error:
            return Refused(str(error), forbidden=True)
        except _NoAddress as error:
            return Retry(str(error))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return Retry(f"{host} cannot be reached: {_said(error)}")
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            return Unknown(f"{host} did not answer: {_said(error)}")
        except Exception as error:  # no exception crosses the port
            return Unknown(f"The call to {host} broke off: {type(error).__name__}")

    def _addresses(self, host: str) -> list[str]:
        assert self._look_ups is not None
        try:
            found = list(self._look_ups.submit(self._resolve, host).result(self._seconds))
        except (OSError, TooLate, UnicodeError) as error:
            raise _NoAddress(f"{host} has no address: {_said(error)}") from error
        if not found:
            raise _NoAddress(f"{host} has no address")
        private = [address for address in found if not is_public(address)]
        if private:
            raise _Forbidden(f"{host} is {private[0]}, which is no public address.")
        return found

    def _answered(
        self, message: Outgoing, host: str, headers: list[tuple[str, str]], network: _Pinned
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


class _Pinned(httpcore.NetworkBackend):
    """Connects to addresses that were looked at before, whatever the name means by now, and keeps to a deadline."""

    def __init__(self, network: httpcore.NetworkBackend, addresses: Sequence[str], deadline: float) -> None:
        self._network, self._addresses, self._deadline = network, addresses, deadline

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                    socket_options: Any = None) -> httpcore.NetworkStream:  # fmt: skip
        """Connect to the first address that can be reached."""
        for address in self._addresses[:-1]:
            try:
                return self._connect(address, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(self._addresses[-1], port)

    def _connect(self, address: str, port: int) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Timed(self._network.connect_tcp(address, port, left), self._deadline)


class _Timed(httpcore.NetworkStream):
    """A stream whose every read and write ends by the deadline, so that dripping bytes does not prolong a call."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on under TLS, the certificate held against the host's name."""
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream knows about itself."""
        return self._stream.get_extra_info(info)


def _left(deadline: float, too_late: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise too_late("the time for it was over")
    return left


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


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:120]
    return text or type(error).__name__
