"""What the adapters to SMS providers share: a number before anything else, how long an SMS may wait, and who said stop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from treue.channel import DeliveryEvent, DeliveryEventKind, Outgoing, Refused
from treue.channel.telephone import international, is_e164, not_a_number
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import printable
from treue_channels.http.api import HttpApi

ADDRESS = "a telephone number with its country (+49…)"

EVENTS = frozenset(
    {
        DeliveryEventKind.accepted,
        DeliveryEventKind.delivered,
        DeliveryEventKind.bounced,
        DeliveryEventKind.failed,
        DeliveryEventKind.unsubscribed,
    }
)
"""What SMS providers tell."""


class SmsApi(HttpApi):
    """An SMS provider's API: one number, one text."""

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be put to the provider at all, or None."""
        if refused := not_a_number(message.to):
            return refused
        return None if message.text.strip() else Refused("The message has no text.")


def seconds_left(message: Outgoing, least: int, most: int) -> int | None:
    """Return for how many seconds the provider may still try, or None where its own `most` comes first."""
    if message.expires_at is None:
        return None
    left = int((message.expires_at - utc_now()).total_seconds())
    return max(left, least) if left < most else None


def callback_address(url: str, provider: str) -> str:
    """Return where a provider is to call back. Raises ChannelError unless that is nothing, or an https address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if url and (parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment):
        raise ChannelError(
            f"The option `callback_url` of {provider} is an https address without a query,"
            " such as https://shop.example/v1/receipts/sms."
        )
    return url


def yes_or_no(value: object, option: str) -> bool:
    """Return a setting that is true or false. Raises ChannelError for anything else."""
    if not isinstance(value, bool):
        raise ChannelError(f"The option `{option}` of the channel `sms` is true or false.")
    return value


def stopped(
    id_: str, number: str, at: datetime, words: str, raw: Mapping[str, Any], key: str = ""
) -> list[DeliveryEvent]:
    """Return the event that a customer wants no more SMS; nothing where the sender is not a telephone."""
    address = international(number)
    if not is_e164(address):
        return []
    kind, reason = DeliveryEventKind.unsubscribed, printable(words, 100)
    return [DeliveryEvent(id_, kind, at, key=key, address=address, reason=reason, raw=raw)]
