"""Whether an address is on one of the lists that speak against it: what conditions ask and what sending asks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, false

from treue.model.states import ADDRESS_KEY
from treue.model.tables import customer


def address_key(channel: str | ColumnElement[str]) -> ColumnElement[Any]:
    """Return the key of the customer's address on a channel, by which the lists have it; NULL where there is none."""
    if isinstance(channel, str):
        return customer.c[ADDRESS_KEY[channel]]
    return case({kind: customer.c[column] for kind, column in ADDRESS_KEY.items()}, value=channel)


def is_on(listed: Any, channel: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a row of `suppression` or `opt_out` is about the customer's address on a channel."""
    if isinstance(channel, str) and channel not in ADDRESS_KEY:  # of calls, customers have no address
        return false()
    return and_(listed.c.channel == channel, listed.c.address == address_key(channel))
