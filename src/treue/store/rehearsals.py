"""A store to try things on: everything may be written, nothing is kept, and nobody else sees it.

SQLite's file is copied (its backup interface takes no lock that a writer would notice), so that trying things for a
minute keeps nobody from writing. PostgreSQL has no such copy: there, all is done in one transaction that is rolled
back, and passes of other processes wait for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, select

from treue.model.tables import journey
from treue.store import dialect
from treue.store.store import Store


@contextmanager
def rehearsal(store: Store) -> Iterator[Store]:
    """Give a store with the same rows, all of whose changes are forgotten at the end.

    To be used from one thread. Raises StoreError where the disk has no room for a copy.
    """
    with _copied(store) if store.dialect == "sqlite" else _rolled_back(store) as found:
        yield found


@contextmanager
def _copied(store: Store) -> Iterator[Store]:
    with TemporaryDirectory(prefix="treue-") as folder:
        path = Path(folder, "rehearsal.db")
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # customers' data: the owner's alone
        with store.reading() as connection:
            source: Any = connection.connection.driver_connection
            target = sqlite3.connect(path)
            try:
                source.backup(target)
            finally:
                target.close()
        copy = Store(f"sqlite:///{path}")
        copy.forgo_syncing()
        try:
            yield copy
        finally:
            copy.close()


@contextmanager
def _rolled_back(store: Store) -> Iterator[Store]:
    with store.engine.connect() as connection, connection.begin() as all_of_it:
        # All at once and first: a pass that holds one journey must not wait for us while we wait for it.
        ids = connection.scalars(select(journey.c.id).order_by(journey.c.id)).all()
        for name in ("journeys", *(f"journey {id_}" for id_ in ids)):
            dialect.take_locks(connection, name)
        try:
            yield _Nested(store, connection)
        finally:
            all_of_it.rollback()


class _Nested(Store):
    """A store whose transactions are savepoints of one that is under way."""

    def __init__(self, of: Store, connection: Connection) -> None:
        self.url, self.dialect, self.engine = of.url, of.dialect, of.engine
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a savepoint: kept until the whole is rolled back, or undone at once on an exception."""
        with self._plain_refusals(), self._connection.begin_nested():
            yield self._connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a savepoint that is undone at the end."""
        with self._plain_refusals():
            savepoint = self._connection.begin_nested()
            try:
                yield self._connection
            finally:
                savepoint.rollback()

    def limited(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        """Set no limit: it would hold for the whole rehearsal."""
        return nullcontext()

    def close(self) -> None:
        """Leave the connection to whoever opened it."""
