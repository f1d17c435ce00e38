"""SMS through the Pigeon gateway: one POST a message."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Callback,
    Capabilities,
    DeliveryEvent,
    DeliveryEventKind,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.errors import ChannelError
from treue_pigeon.callbacks import events

MOST_LOSSES = 3
"""So many answers in a row that did not come end the batch."""


class Pigeon:
    """Sends through the account that `token` belongs to; `webhook_secret` is what its callbacks are signed with."""

    capabilities = Capabilities(
        kind="sms",
        dedup_window=86_400,
        callbacks=frozenset({DeliveryEventKind.delivered, DeliveryEventKind.failed}),
        rate=10,
        address="a telephone number",
    )

    def __init__(
        self,
        token: str,
        kind: str = "sms",
        webhook_secret: str = "",
        url: str = "https://api.pigeon.example",
        timeout: float = 10.0,
    ) -> None:
        if not token:
            raise ChannelError("The option `token` of pigeon is empty; set it in the environment.")
        self._token, self._webhook_secret = token, webhook_secret
        self._url, self._timeout = _checked(url), timeout
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"Pigeon({self._url!r})"

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises."""
        receipts: list[Receipt] = []
        pause: Retry | None = None
        losses = 0
        for message in batch:
            receipt = pause or self._receipt(message, progress)
            progress.settled(message.key, receipt)
            receipts.append(receipt)
            losses = losses + 1 if isinstance(receipt, Unknown) else 0
            if losses == MOST_LOSSES:
                pause = Retry("Pigeon does not answer; the rest was not tried.", everyone=True)
            elif isinstance(receipt, Retry) and receipt.everyone:
                pause = receipt
        return receipts

    def close(self) -> None:
        """Let go of connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def read_receipts(self, request: Callback) -> list[DeliveryEvent]:
        """Return what Pigeon tells of messages it took. Raises BadCallback where it is not Pigeon that tells it."""
        return events(request, self._webhook_secret)

    def _receipt(self, message: Outgoing, progress: Progress) -> Receipt:
        if not message.to.lstrip("+").isdigit() or not message.to.isascii():
            return Refused("This is no telephone number.")
        if not progress.started(message.key):
            return TAKEN_OVER
        try:
            return self._read(self._posted(message))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Retry("Pigeon cannot be reached.", everyone=True)
        except Exception as error:  # it was on the wire: nobody knows
            return Unknown(f"Pigeon did not answer: {type(error).__name__}")

    def _posted(self, message: Outgoing) -> httpx.Response:
        self._client = self._client or httpx.Client(timeout=self._timeout)
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": message.key}
        document = {
            "to": message.to,
            "from": message.sender,
            "text": message.text,
            "reference": message.key,
        }
        return self._client.post(f"{self._url}/messages", json=document, headers=headers)

    def _read(self, answer: httpx.Response) -> Receipt:
        reason = f"Pigeon answered {answer.status_code}."  # never its words: they may repeat the token
        if answer.is_success:
            return Accepted(str(answer.json()["id"]))
        if answer.status_code == 429:
            return Retry(reason, _seconds(answer), everyone=True)
        if answer.status_code in (400, 422):
            return Refused(reason)
        if answer.status_code == 410:
            return Refused(reason, suppress=True)
        if answer.status_code >= 500:
            return Unknown(reason)
        return Retry(reason, 300.0, everyone=True, ours=True)  # a wrong token, no credit, a wrong address


def _seconds(answer: httpx.Response) -> float:
    """Return what Retry-After asks for: Pigeon says it in seconds; a minute where it does not."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 86_400.0) if text.isascii() and text.isdigit() else 60.0


def _checked(url: str) -> str:
    """Return the API's address. Raises ChannelError unless it is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
        good = good and bool(parts.hostname) and not parts.username
    except ValueError:
        good = False
    if not good:
        raise ChannelError(
            "The option `url` of pigeon is an address with https, such as https://api.pigeon.example."
        )
    return url.rstrip("/")
