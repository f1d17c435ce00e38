"""Erasing a person (GDPR, article 17): everything goes but a keyed hash of each address, which still gets no marketing.

A "Werbesperrdatei", as the Bavarian supervisory authority (BayLDA) calls the right tool: without it, the next import
would bring the person back onto the list they asked to be taken off. Without the key, a hash says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, Text, cast, delete, func, or_, select

from treue.errors import RejectedInput
from treue.model.states import ADDRESS
from treue.model.tables import customer, delivery_event, enrollment, event, forgotten, message, suppression
from treue.store import dialect, suppressions
from treue.store.customers import find

_PURPOSE = b"forgotten"


class Erasures:
    """Erases people, and knows their addresses again. `secret` is the workspace's: keep it, or the hashes mean nothing."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(_PURPOSE, key=secret[:64], digest_size=32).digest()

    def digest(self, channel: str, address: str) -> str:
        """Return the hash under which an address is remembered; e-mail addresses in small letters."""
        written = address.lower() if channel == "email" else address
        return hmac.digest(self._key, f"{channel}\0{written}".encode(), "sha256").hex()

    def among(self, connection: Connection, channel: str, addresses: Iterable[str]) -> dict[str, str]:
        """Return which of these addresses were erased, and for which purpose nothing goes there."""
        if connection.scalar(select(forgotten.c.digest).limit(1)) is None:
            return {}
        digests = {one: self.digest(channel, one) for one in addresses if one}
        query = select(forgotten.c.digest, forgotten.c.purpose).where(
            dialect.among(connection, forgotten.c.digest, set(digests.values()))
        )
        purposes = {row.digest: row.purpose for row in connection.execute(query)}
        return {one: purposes[digest] for one, digest in digests.items() if digest in purposes}

    def erase(self, connection: Connection, key: str, now: datetime) -> int:
        """Erase a customer with everything that is held about them; return how many addresses are remembered as hashes.

        Raises RejectedInput where there is no such customer.
        """
        person = find(connection, key)
        if person is None:
            raise RejectedInput(f"There is no customer {key!r}.")
        if not dialect.is_postgresql(connection):
            connection.exec_driver_sql(
                "PRAGMA secure_delete = ON"
            )  # or the file would keep what it no longer lists
        held = [(channel, person[column]) for channel, column in ADDRESS.items() if person[column]]
        for channel, address in held:
            self._remember(connection, channel, address, now)
            _forget_what_was_told(connection, channel, address)
        mine = customer.c.id == person["id"]
        for table in (delivery_event, message, enrollment, event):  # a stay names the event that began it
            connection.execute(delete(table).where(table.c.customer_id == person["id"]))
        connection.execute(delete(customer).where(mine))
        return len(held)

    def _remember(self, connection: Connection, channel: str, address: str, now: datetime) -> None:
        spelt = suppressions.spellings(channel, address)
        listed = (suppression.c.channel == channel) & suppression.c.address.in_(spelt)
        purposes = set(connection.scalars(select(suppression.c.purpose).where(listed)))
        before = forgotten.c.digest == self.digest(channel, address)
        purposes |= set(connection.scalars(select(forgotten.c.purpose).where(before)))
        values = {"purpose": "all" if "all" in purposes else "marketing", "reason": "erased", "since": now}
        dialect.upsert(connection, forgotten, {"digest": self.digest(channel, address)}, values)
        connection.execute(delete(suppression).where(listed))


def _forget_what_was_told(connection: Connection, channel: str, address: str) -> None:
    """Delete what a channel's provider told of an address and of no message, its own words included."""
    text = address.lower().removeprefix("+")  # providers write a number without it as well
    told = (func.lower(cast(delivery_event.c[name], Text)) for name in ("raw", "reason", "url"))
    names_it = or_(*(one.contains(text, autoescape=True) for one in told))
    nobodys = (delivery_event.c.channel == channel, delivery_event.c.customer_id.is_(None))
    connection.execute(delete(delivery_event).where(*nobodys, names_it))
