"""A bridge to the services that Apprise knows (github.com/caronc/apprise): best effort, and no more.

Apprise says yes or no, and no reason. A yes means that a service took the message; a no may be a wrong token, a service
that is down, or a time-out after the message was sent. So a no is a doubt: nobody can tell, and trying again
could mean a second copy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Capabilities,
    Kind,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Unknown,
)
from treue.errors import ChannelError
from treue_channels.http.api import checked_timeout

TIMEOUT = 30.0
"""Seconds that all services together have for a message."""

PLACE = "{to}"
"""Where in a URL the customer's address goes."""

_ADDRESS = re.compile(r"[A-Za-z0-9_.+:@=-]{1,1000}")
"""What may stand in a URL. Apprise splits at commas, slashes and blanks, encoded ones too: each part is a recipient."""


class Apprise:
    """Sends title and text to the services of `urls`, Apprise's own URLs, separated by blanks.

    `{to}` in a URL is the customer's address; without it every message goes to the same place. It may stand anywhere but
    in the host: there, customers' data would choose whom we talk to. Raises ChannelError where a URL is none.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("push", "sms")
    capabilities = Capabilities(
        kind="push", best_effort=True, address="what stands for `{to}` in the service's URL"
    )

    def __init__(self, urls: str, kind: Kind = "push", timeout: float = TIMEOUT) -> None:
        self.capabilities = replace(Apprise.capabilities, kind=kind)
        self._urls = urls.split()
        self._timeout = checked_timeout(timeout, "apprise")
        self._thread: ThreadPoolExecutor | None = None
        for number, url in enumerate(self._urls, 1):
            _check(number, url)
        if not self._urls:
            raise ChannelError("The option `urls` of apprise names no service, such as tgram://TOKEN/{to}.")

    def __repr__(self) -> str:
        return f"Apprise({len(self._urls)} services)"

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises."""
        receipts = []
        for message in batch:
            receipt = self._receipt(message, progress)
            progress.settled(message.key, receipt)
            receipts.append(receipt)
        return receipts

    def close(self) -> None:
        """Let the thread go; one that a service still holds up ends by itself."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)

    def _receipt(self, message: Outgoing, progress: Progress) -> Receipt:
        if not _ADDRESS.fullmatch(message.to):
            return Refused("The customer's address is none that can stand in a URL.")
        if not (message.text or message.title):
            return Refused("The message is empty.")
        services = [_service(url.replace(PLACE, quote(message.to, safe=""))) for url in self._urls]
        if None in services:
            return Refused("With the customer's address in it, a URL is none of Apprise's any more.")
        if not progress.started(message.key):
            return TAKEN_OVER
        return self._notify_all(services, message)

    def _notify_all(self, services: list[Any], message: Outgoing) -> Receipt:
        """Hand the message to all services; one thread, so that a service without a time limit holds nobody up."""
        text = f"{message.text}\n{message.link}" if message.link else message.text
        self._thread = self._thread or ThreadPoolExecutor(1, "apprise")
        try:
            said = self._thread.submit(_notify, services, message.title, text).result(self._timeout)
        except TooLate:
            self.close()
            return Unknown(f"Apprise took more than {self._timeout:g} seconds.")
        except Exception as error:  # no exception crosses the port; its text may hold a secret of the URL
            return Unknown(f"Apprise broke off: {type(error).__name__}")
        no = [name for name, yes in said if not yes]
        return Unknown(f"No yes from {', '.join(no)}; Apprise gives no reason.") if no else Accepted()


def _notify(services: list[Any], title: str, text: str) -> list[tuple[str, bool]]:
    return [(str(one.service_name), bool(one.notify(title=title, body=text))) for one in services]


def _service(url: str) -> Any:
    """Return Apprise's object for a URL, or None where it is none."""
    import apprise

    try:
        return apprise.Apprise.instantiate(url, suppress_exceptions=True)
    except Exception:
        return None


def _check(number: int, url: str) -> None:
    """Raise ChannelError where a URL is none of Apprise's. The errors never quote it: it has a token in it."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0]
    if PLACE in scheme or PLACE in host:
        raise ChannelError(
            f"URL {number} of apprise has `{PLACE}` in its host; customers' data choose no host."
        )
    if _service(url.replace(PLACE, "4915112345678")) is None:
        raise ChannelError(f"URL {number} of apprise ({scheme[:20]}://…) is none that Apprise knows.")
