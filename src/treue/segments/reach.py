"""Whether an address is on the suppression list: what conditions ask and what sending asks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, func


def written(channel: str, address: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an address as the list has it: e-mail addresses are also kept in small letters."""
    return func.lower(address) if channel == "email" else address


def suppresses(listed: Any, channel: str, address: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the join condition of the suppression list."""
    return and_(listed.c.channel == channel, listed.c.address == written(channel, address))
