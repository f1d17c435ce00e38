"""Erasing a person (GDPR, article 17): everything goes but a keyed hash of each address, which still gets no marketing.

A "Werbesperrdatei", as the Bavarian supervisory authority (BayLDA) calls the right tool: without it, the next import
would bring the person back onto the list they asked to be taken off. Without the key, a hash says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence, Set
from datetime import datetime

from sqlalchemy import Connection, Text, cast, delete, func, or_, select, update

from treue.errors import RejectedInput
from treue.model.states import ADDRESS
from treue.model.tables import (
    arrival,
    change,
    channel_gate,
    consent,
    customer,
    delivery_event,
    draw,
    enrollment,
    event,
    failure,
    forgotten,
    mailing,
    membership,
    message,
    opt_out,
    past_event,
    past_message,
    suppression,
    telling,
    trace,
)
from treue.segments.reach import address_key
from treue.store import addresses, dialect, printed, suppressions
from treue.store.customers import find
from treue.store.seclusion import seclude

_PURPOSE = b"forgotten"

ERASED = "erased"
"""The reason why nothing goes there: somebody of the address was erased."""


class Erasures:
    """Erases people, and knows their addresses again. `secret` is the workspace's: keep it, or the hashes mean nothing."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(_PURPOSE, key=secret[:64], digest_size=32).digest()

    def digests(self, channel: str, address: str) -> list[str]:
        """Return the hashes under which an address may be remembered, first the one that is written."""
        written = [addresses.key(channel, address)]
        if channel == "email" and not address.isascii():
            written.append(address.lower())  # as it was before a mailbox had a key
        return [hmac.digest(self._key, f"{channel}\0{one}".encode(), "sha256").hex() for one in written]

    def among(self, connection: Connection, channel: str, asked: Iterable[str]) -> dict[str, str]:
        """Return which of these addresses were erased, and for which purpose nothing goes there."""
        if connection.scalar(select(forgotten.c.digest).limit(1)) is None:
            return {}
        digests = [(digest, one) for one in asked if one for digest in self.digests(channel, one)]
        query = select(forgotten.c.digest, forgotten.c.purpose).where(
            dialect.among(connection, forgotten.c.digest, {digest for digest, _ in digests})
        )
        purposes = {row.digest: row.purpose for row in connection.execute(query)}
        return {one: purposes[digest] for digest, one in digests if digest in purposes}

    def erase(self, connection: Connection, key: str, now: datetime) -> int:
        """Erase a customer with everything that is held about them; return how many addresses are remembered as hashes.

        `Store.expunge` then takes it out of the file as well. Raises RejectedInput where there is no such customer.
        """
        seclude(connection, [key])
        person = find(connection, key)
        if person is None:
            raise RejectedInput(f"There is no customer {key!r}.")
        held = [(channel, person[column]) for channel, column in ADDRESS.items() if person[column]]
        held += _former(
            connection, person["id"], {(channel, addresses.key(channel, one)) for channel, one in held}
        )
        _forget_why(connection, person["id"], key, [address for _, address in held])
        for channel, address in held:
            self._remember(connection, channel, address, person["id"], now)
            _forget_what_was_told(connection, channel, address)
        _delete(connection, person["id"])
        return len(held)

    def _remember(
        self, connection: Connection, channel: str, address: str, customer_id: int, now: datetime
    ) -> None:
        """Keep the hash in place of what the lists have; where others have the address, let those say so, too."""
        key, digests = addresses.key(channel, address), self.digests(channel, address)
        listed = (suppression.c.channel == channel) & (suppression.c.address == key)
        purposes = set(connection.scalars(select(suppression.c.purpose).where(listed)))
        before = forgotten.c.digest.in_(digests)
        purposes |= set(connection.scalars(select(forgotten.c.purpose).where(before)))
        values = {"purpose": "all" if "all" in purposes else "marketing", "reason": ERASED, "since": now}
        dialect.upsert(connection, forgotten, {"digest": digests[0]}, values)
        connection.execute(delete(opt_out).where(opt_out.c.channel == channel, opt_out.c.address == key))
        others = select(customer.c.id).where(address_key(channel) == key, customer.c.id != customer_id)
        if connection.scalar(others.limit(1)) is None:
            connection.execute(delete(suppression).where(listed))
        else:
            suppressions.add(connection, channel, [address], ERASED, now, purpose="marketing")


def every_address(connection: Connection, key: str) -> set[str]:
    """Return all addresses that a customer has or had, as far as their record knows."""
    person = find(connection, key)
    if person is None:
        return set()
    columns = set(ADDRESS.values())
    query = select(change.c.before).where(change.c.customer_id == person["id"], change.c.name.in_(columns))
    had = {*connection.scalars(query), *(person[column] for column in columns)}
    return {str(one) for one in had if one} | {one for _, one in _former(connection, person["id"], set())}


def _forget_why(connection: Connection, customer_id: int, key: str, held: Sequence[str]) -> None:
    """Delete the reasons for which channels pause and works fail where they are of the customer's messages, or name them."""
    said = {
        one
        for one in connection.scalars(select(message.c.detail).where(message.c.customer_id == customer_id))
        if one
    }
    for notes in connection.scalars(select(trace.c.detail).where(trace.c.customer_id == customer_id)):
        said.add(str((notes or {}).get("why") or ""))
    named = [one.lower() for one in (key, *held)]
    for table, where in (
        (channel_gate, (channel_gate.c.channel,)),
        (failure, (failure.c.journey_id, failure.c.work)),
    ):
        for *place, reason in connection.execute(select(*where, table.c.reason).where(table.c.reason != "")):
            hers = any(one and (one.startswith(reason) or reason.startswith(one)) for one in said)
            if hers or any(one in reason.lower() for one in named):
                here = [column == value for column, value in zip(where, place, strict=True)]
                connection.execute(update(table).where(*here).values(reason=ERASED))


def _former(connection: Connection, customer_id: int, held: Set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the addresses, by channel, that said stop by the customer's word when they had them; they have others now."""
    query = select(opt_out.c.channel, opt_out.c.address).where(opt_out.c.customer_id == customer_id)
    return [(one.channel, one.address) for one in connection.execute(query) if tuple(one) not in held]


def _delete(connection: Connection, customer_id: int) -> None:
    """Delete a customer from every table, messages and events first: who has hold of one may be writing of it."""
    stays = select(enrollment.c.id).where(enrollment.c.customer_id == customer_id)
    for table in (delivery_event, mailing):
        connection.execute(delete(table).where(table.c.customer_id == customer_id))
    hers = delete(message).where(message.c.customer_id == customer_id).returning(message.c.id)
    printed.forget(connection, list(connection.scalars(hers)))
    for table in (event, arrival, trace, past_event, past_message, telling):
        connection.execute(delete(table).where(table.c.customer_id == customer_id))
    connection.execute(delete(draw).where(draw.c.enrollment_id.in_(stays)))
    for table in (enrollment, membership, change, consent):
        connection.execute(delete(table).where(table.c.customer_id == customer_id))
    connection.execute(delete(customer).where(customer.c.id == customer_id))


def _forget_what_was_told(connection: Connection, channel: str, address: str) -> None:
    """Delete what a channel's provider told of an address and of no message, its own words included."""
    text = address.lower().removeprefix("+")  # providers write a number without it as well
    told = (func.lower(cast(delivery_event.c[name], Text)) for name in ("raw", "reason", "url"))
    names_it = or_(*(one.contains(text, autoescape=True) for one in told))
    nobodys = (delivery_event.c.channel == channel, delivery_event.c.customer_id.is_(None))
    connection.execute(delete(delivery_event).where(*nobodys, names_it))
