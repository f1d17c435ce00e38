"""One text to one mailbox: what the records of one address would get twice within a day goes once.

Two records of one person, or a family with one mailbox, get the same marketing text of a step once, for the record whose
message is due first. Whose text says something of their own (a name, a code) get each their own. What becomes of the one
message counts for both stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from treue.delivery.outbox import Claimed, Lane, in_lane
from treue.model.states import ADDRESS_KEY, MessageState
from treue.model.tables import customer, mailing, message
from treue.store import addresses, dialect, touches

ONCE_IN = timedelta(hours=24)
"""How long a text that went to a mailbox does not go there again."""

LOCK = "mailboxes"
"""Held while mailboxes are taken: on PostgreSQL two workers would else both be the first."""

FATES = ("sent_at", "delivered_at", "opened_at", "clicked_at", "bounced_at", "complained_at")
"""What becomes of a message, and so of its copies."""

_first = message.alias("first")


def shared(connection: Connection, claimed: Sequence[Claimed]) -> set[int]:
    """Return the marketing messages of one channel whose address other customers have as well."""
    asked = {
        one.id: addresses.key(one.channel, one.address)
        for one in claimed
        if one.category != "transactional" and one.address and one.channel in ADDRESS_KEY
    }
    if not asked:
        return set()
    key = customer.c[ADDRESS_KEY[claimed[0].channel]]
    query = select(key).where(dialect.among(connection, key, set(asked.values())))
    several = set(connection.scalars(query.group_by(key).having(func.count() > 1)))
    return {id_ for id_, address in asked.items() if address in several}


def others(connection: Connection, lane: Lane, claimed: Sequence[Claimed], now: datetime) -> list[int]:
    """Return what else is ready in a lane for the addresses of claimed messages: they are decided upon together."""
    keys = {addresses.key(one.channel, one.address) for one in claimed}
    mine = dialect.among(connection, customer.c[ADDRESS_KEY[lane.channel]], keys)
    query = select(message.c.id).join(customer, customer.c.id == message.c.customer_id)
    return list(
        connection.scalars(dialect.claiming(query.where(mine, *in_lane(lane)), message), {"now": now})
    )


def take(connection: Connection, texts: Sequence[tuple[Claimed, str]], now: datetime) -> dict[int, int]:
    """Take the mailboxes for texts; return, by the messages that would be copies, which message each would repeat.

    Of those that are taken together, the first is the one due first, of one instant that of the smallest key.
    """
    ordered = sorted(texts, key=lambda one: (one[0].due_at, str(one[0].customer["id"]), one[0].id))
    digests = {one.id: _digest(one, text) for one, text in ordered}
    dialect.take_locks(connection, LOCK)
    owners = {one.id: one.customer_id for one, _ in ordered} | _owners(connection, digests)
    since = now - ONCE_IN
    connection.execute(delete(mailing).where(mailing.c.at <= since))
    known = select(mailing).where(dialect.among(connection, mailing.c.digest, set(digests.values())))
    first = {row.digest: row._asdict() for row in connection.execute(known)}
    new = []
    for one, _ in ordered:
        if (digest := digests[one.id]) not in first:
            first[digest] = {
                "digest": digest, "message_id": one.id, "customer_id": owners[one.id], "at": now,
            }  # fmt: skip
            new.append(first[digest])
    new.sort(key=lambda row: row["digest"])
    dialect.insert_new(connection, mailing, new, ("digest",), ("digest",))
    return {
        one.id: taken["message_id"]
        for one, _ in ordered
        if (taken := first[digests[one.id]])["customer_id"] != owners[one.id]
    }


def _owners(connection: Connection, ids: Iterable[int]) -> dict[int, int]:
    """Return whose these messages are by now, and let that be so until the transaction ends: records may be merged."""
    mine = select(message.c.id, message.c.customer_id).where(dialect.among(connection, message.c.id, ids))
    rows = connection.execute(mine.order_by(message.c.id).with_for_update(read=True))
    return {row.id: row.customer_id for row in rows}


def _digest(claimed: Claimed, text: str) -> str:
    address = addresses.key(claimed.channel, claimed.address)
    parts = (str(claimed.journey_id), str(claimed.step_id), claimed.channel, address, text)
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def echo(connection: Connection, ids: Iterable[int], now: datetime) -> None:
    """Let copies have what has become of the messages that they would have repeated."""
    among = list(ids)
    if not among:
        return
    related = or_(
        dialect.among(connection, message.c.copy_of, among), dialect.among(connection, message.c.id, among)
    )
    copies = list(connection.scalars(select(message.c.id).where(message.c.copy_of.is_not(None), related)))
    if copies:
        fates = {name: func.coalesce(message.c[name], _first.c[name]) for name in FATES}
        mine = and_(_first.c.id == message.c.copy_of, dialect.among(connection, message.c.id, copies))
        statement = update(message).where(mine).values(fates)
        owners = connection.scalars(statement.returning(message.c.customer_id)).all()
        told = [(id_, name.removesuffix("_at")) for id_ in owners for name in FATES]
        touches.of_messages(connection, told, now)


def free(connection: Connection, unsent: Sequence[int], now: datetime) -> None:
    """Let copies of messages that will not be sent go after all, where there is time left."""
    if not unsent:
        return
    connection.execute(delete(mailing).where(dialect.among(connection, mailing.c.message_id, unsent)))
    queued = {"state": MessageState.queued.value, "ready_at": now}
    anew = {**queued, **dict.fromkeys(("reason", "detail", "copy_of"))}
    copies = dialect.among(connection, message.c.copy_of, unsent)
    connection.execute(update(message).where(copies, message.c.send_by > now).values(anew))
