"""Requests to addresses that come from customers' data: several side by side, to the open internet and nothing else.

By https, on port 443, to hosts that are allowed by name and have public addresses (`public_network`). There is no
redirect, no proxy, no cookie, and no credential of ours. An exchange has five seconds, an answer a megabyte. A connection
is kept for the next request to the same host, but not longer than for a batch, unless a request or its answer says
`Connection: close`.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpcore

from treue.channel import TAKEN_OVER, Outgoing, Progress, Receipt, Refused, Retry, Unknown
from treue_channels.http.answers import HttpAnswer
from treue_channels.http.public_network import (
    Forbidden,
    NoPublicAddress,
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
"""Requests that are made side by side."""

_KEPT = 10_000
_URL = re.compile(r"https://((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)"
                  r"(?::443)?(?:[/?][!-~]*)?", re.IGNORECASE)  # fmt: skip
_LONGEST_URL = 8_000


@dataclass(frozen=True)
class PublicCall:
    """One request. `host` is the URL's, in small letters, and allowed."""

    method: str
    url: str
    host: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None = field(repr=False)


@dataclass(frozen=True)
class _Line:
    """A connection to a host, by addresses that were looked at."""

    network: Pinned
    connection: httpcore.HTTPConnection

    @property
    def usable(self) -> bool:
        """Whether it takes another request; not where the host has hung up meanwhile."""
        return self.connection.is_available() and not self.connection.has_expired()


class PublicCalls:
    """What makes such requests; inherit it and say `call` and `receipt`.

    `resolve`, `network` and `trust` are seams: no setting reaches them.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = look_up,
        network: httpcore.NetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._resolve, self._network = resolve, network or httpcore.SyncBackend()
        self._trust, self._seconds = trust, seconds
        self._threads: ThreadPoolExecutor | None = None
        self._look_ups: ThreadPoolExecutor | None = None
        self._mine, self._lines = threading.local(), list[_Line]()

    def call(self, message: Outgoing) -> PublicCall | Receipt:
        """Return the request for a message, or its receipt where there is none to make."""
        raise NotImplementedError

    def receipt(self, host: str, answer: HttpAnswer) -> Receipt:
        """Return the receipt that the host's answer means."""
        raise NotImplementedError

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Make each request and return its receipt, in order. Never raises."""
        self._trust = self._trust or ssl.create_default_context()
        self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, "call")
        self._look_ups = self._look_ups or ThreadPoolExecutor(AT_ONCE, "look-up")
        receipts: list[Receipt] = []
        for start in range(0, len(batch), AT_ONCE):
            some = batch[start : start + AT_ONCE]
            mine = [n for n, message in enumerate(some) if progress.started(message.key)]
            made = dict(zip(mine, self._threads.map(self._make, [some[n] for n in mine]), strict=True))
            for n, message in enumerate(some):
                receipt = made.get(n, TAKEN_OVER)
                progress.settled(message.key, receipt)
                receipts.append(receipt)
        self._hang_up()
        return receipts

    def close(self) -> None:
        """Let the threads go; the next request starts new ones."""
        for threads in (self._threads, self._look_ups):
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)
        self._threads = self._look_ups = None

    def _make(self, message: Outgoing) -> Receipt:
        call = self.call(message)
        return self._exchange(call) if isinstance(call, PublicCall) else call

    def _exchange(self, call: PublicCall) -> Receipt:
        host = call.host
        try:
            return self._request(call, self._line(host))
        except Forbidden as error:
            return Refused(str(error), forbidden=True)
        except NoPublicAddress as error:
            return Retry(str(error))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return Retry(f"{host} cannot be reached: {said(error)}")
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            return Unknown(f"{host} did not answer: {said(error)}")
        except Exception as error:  # no exception crosses the port
            return Unknown(f"The call to {host} broke off: {type(error).__name__}")

    def _line(self, host: str) -> _Line:
        """Return this thread's connection to a host, the one it has or another."""
        assert self._look_ups is not None
        deadline, mine = time.monotonic() + self._seconds, self._mine.__dict__
        if host in mine and mine[host].usable:
            mine[host].network.deadline = deadline
            return mine[host]  # type: ignore[no-any-return]
        addresses = public_addresses(host, self._resolve, self._look_ups, self._seconds)
        network, origin = (
            Pinned(self._network, addresses, deadline),
            httpcore.Origin(b"https", host.encode(), 443),
        )
        line = _Line(
            network, httpcore.HTTPConnection(origin, ssl_context=self._trust, network_backend=network)
        )
        mine[host] = line
        self._lines.append(line)
        return line

    def _hang_up(self) -> None:
        for line in self._lines:
            line.connection.close()
        self._lines.clear()
        self._mine = threading.local()

    def _request(self, call: PublicCall, line: _Line) -> Receipt:
        url = httpcore.URL("https" + call.url[5:])
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        with line.connection.stream(
            call.method, url, headers=call.headers, content=call.body, extensions={"timeout": timeout}
        ) as response:
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            return self.receipt(call.host, HttpAnswer(response.status, headers, _read_out(response)))


def host_of(url: str) -> str | None:
    """Return the host of a URL that a call can go to, in small letters: https, a name, port 443, no user; else None."""
    found = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    return found[1].lower() if found else None


def _read_out(response: httpcore.Response) -> bytes:
    """Read an answer to its end, or as far as it is of use; that it breaks off changes nothing of its status."""
    kept, total = b"", 0
    try:
        for chunk in response.iter_stream():
            kept += chunk[: max(_KEPT - total, 0)]
            total += len(chunk)
            if total > LARGEST:
                break
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        pass
    return kept
