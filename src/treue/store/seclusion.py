"""Some customers to oneself: whoever may be writing of them is waited for, and begins nothing new meanwhile."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from treue.model.tables import customer, event, journey, message
from treue.store import aliases, dialect
from treue.store.past.sweep import VACUUM


def seclude(connection: Connection, keys: Collection[str]) -> None:
    """Wait for all that may be writing of the customers whom these keys name, and let nothing begin until the transaction ends.

    To be called before anything else of the transaction. Locks are taken in the order in which all others take them: first the
    deleting of old rows, which has hold of the same rows in another order; then the events, as whoever shows them to journeys
    has hold of them and then waits for journeys; then journeys, what keys mean, messages, and customers. SQLite's writer is
    alone anyway.
    """
    dialect.take_locks(connection, VACUUM)
    if not dialect.is_postgresql(connection):
        return
    ids = set(connection.scalars(select(aliases.named(connection, keys).c.id)))
    theirs = dialect.among(connection, event.c.customer_id, ids)
    connection.execute(select(event.c.id).where(theirs).order_by(event.c.id).with_for_update()).close()
    names = [f"journey {id_}" for id_ in connection.scalars(select(journey.c.id))]
    dialect.take_locks(connection, "journeys", *names)
    dialect.take_locks(connection, aliases.KEYS)
    for table, column in ((message, message.c.customer_id), (customer, customer.c.id)):
        some = select(table.c.id).where(dialect.among(connection, column, ids))
        connection.execute(some.order_by(table.c.id).with_for_update()).close()
