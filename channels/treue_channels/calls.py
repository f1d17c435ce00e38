"""Outgoing webhooks: the adapter behind `call` steps.

Signed by Standard Webhooks 1.0.0 (standardwebhooks.com). `webhook-id` is the message's key, the same on every
attempt, by which receivers tell a repetition; so a call whose fate is unknown is made again.

A call can be led astray by whoever writes a customer's data, so it goes to listed hosts only (`public_calls`).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from datetime import datetime

import httpcore

from treue.channel import Accepted, Capabilities, Kind, Outgoing, Receipt, Refused, Retry
from treue.clock import utc_now
from treue_channels.http.answers import SETTINGS_PAUSE, HttpAnswer, asked_pause
from treue_channels.http.public_calls import AT_ONCE, SECONDS, PublicCall, PublicCalls, host_of
from treue_channels.http.public_network import Resolve, look_up
from treue_channels.http.standard_webhooks import key_of, signed_headers

_AGAIN = (408, 425, 429)


class Calls(PublicCalls):
    """Makes calls to the listed `hosts`. `resolve`, `network` and `trust` are seams: no setting reaches them."""

    capabilities = Capabilities(
        "webhook", at_once=AT_ONCE, dedup_window=float("inf"), address="the URL of the `call` step"
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
        super().__init__(resolve=resolve, network=network, trust=trust, seconds=seconds)
        self._hosts = frozenset(host.lower() for host in hosts)

    def call(self, message: Outgoing) -> PublicCall | Receipt:
        """Return the request, signed where a secret is named."""
        host = host_of(message.to)
        if host is None:
            return Refused("The address is none that a call can go to: https, a listed host by its name, no user.",
                           forbidden=True)  # fmt: skip
        if host not in self._hosts:
            return Refused(f"{host} is not listed under `calls`.", forbidden=True)
        signed = _signed(message, utc_now())
        if isinstance(signed, Retry):
            return signed
        method = message.data.get("method", "POST")
        headers = [("User-Agent", "Treue"), ("Accept", "*/*"), ("Connection", "close"), *signed.items()]
        if message.raw:
            headers.append(("Content-Type", "application/json"))
        return PublicCall(method, message.to, host, headers, None if method == "GET" else message.raw)

    def receipt(self, host: str, answer: HttpAnswer) -> Receipt:
        """Return what an answer means: its text does not matter."""
        status = answer.status
        if answer.ok:
            return Accepted(f"HTTP {status}")
        if status in _AGAIN or status >= 500:
            return Retry(f"{host} answered {status}.", asked_pause(answer.headers, utc_now()))
        if 300 <= status < 400:
            return Refused(f"{host} answered {status}, and calls follow no redirect.")
        return Refused(f"{host} answered {status}.")


def _signed(message: Outgoing, now: datetime) -> dict[str, str] | Retry:
    """Return the Standard Webhooks headers, or a Retry of our own fault where the secret is missing."""
    name = message.data.get("secret", "")
    if not name:
        return {"webhook-id": message.key, "webhook-timestamp": str(int(now.timestamp()))}
    secret = os.environ.get(name, "")
    if not secret:
        return Retry(f"The environment variable {name} is not set.", SETTINGS_PAUSE, ours=True)
    try:
        return signed_headers(key_of(secret), message.key, now, message.raw)
    except ValueError as error:
        return Retry(f"The environment variable {name} holds {error}.", SETTINGS_PAUSE, ours=True)
