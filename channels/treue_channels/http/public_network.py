"""The open internet and nothing else: for addresses that come from customers' data.

A host is resolved once, and the connection is made to the very address that was looked at; addresses that are not
public are refused, also those that hide another inside (NAT64, 6to4, IPv4-mapped). Every read and write ends by a
deadline.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import httpcore

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


class Forbidden(Exception):  # noqa: N818
    """The host has an address that nothing may go to."""


class NoPublicAddress(Exception):  # noqa: N818
    """The host has no address, or its look-up took too long."""


def public_addresses(host: str, resolve: Resolve, look_ups: ThreadPoolExecutor, seconds: float) -> list[str]:
    """Return the addresses of a host. Raises Forbidden where one is not public, NoPublicAddress where there is none in time."""
    try:
        found = list(look_ups.submit(resolve, host).result(seconds))
    except (OSError, TooLate, UnicodeError) as error:
        raise NoPublicAddress(f"{host} has no address: {said(error)}") from error
    if not found:
        raise NoPublicAddress(f"{host} has no address")
    private = [address for address in found if not is_public(address)]
    if private:
        raise Forbidden(f"{host} is {private[0]}, which is no public address.")
    return found


class Pinned(httpcore.NetworkBackend):
    """Connects to addresses that were looked at before, whatever the name means by now, and keeps to a deadline."""

    def __init__(self, network: httpcore.NetworkBackend, addresses: Sequence[str], deadline: float) -> None:
        self._network, self._addresses, self.deadline = network, addresses, deadline

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
        return Timed(self._network.connect_tcp(address, port, self.left(httpcore.ConnectTimeout)), self)

    def left(self, too_late: type[Exception]) -> float:
        """Return the seconds that are left, or raise `too_late`."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise too_late("the time for it was over")
        return left


class Timed(httpcore.NetworkStream):
    """A stream whose every read and write ends by the deadline, so that dripping bytes does not prolong a call."""

    def __init__(self, stream: httpcore.NetworkStream, network: Pinned) -> None:
        self._stream, self._network = stream, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that have arrived, before the deadline."""
        return self._stream.read(max_bytes, self._network.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the whole buffer before the deadline."""
        self._stream.write(buffer, self._network.left(httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on under TLS, the certificate held against the host's name."""
        left = self._network.left(httpcore.ConnectTimeout)
        return Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream knows about itself."""
        return self._stream.get_extra_info(info)


def said(error: BaseException) -> str:
    """Return what an exception says, short and on one line."""
    text = " ".join(str(error).split())[:120]
    return text or type(error).__name__
