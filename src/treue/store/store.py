"""The database: opened, checked, and entered through one writing or one reading transaction at a time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, create_engine, delete, event, exc, insert, make_url
from sqlalchemy.pool import QueuePool

from treue.clock import utc_now
from treue.errors import StoreError
from treue.model.tables import receiving
from treue.store import dialect, migrations, sessions


class Store:
    """One workspace's database. `Store(url)` reaches it as it is; `Store.open` also holds it to this version.

    `dialect` is `sqlite` or `postgresql`, `engine` SQLAlchemy's. Connections are pooled; a store may be used
    from several threads, each transaction from one.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = normal_url(url)
        self.dialect: str = self.url.get_backend_name()
        if self.dialect == "sqlite":
            _prepare_file(self.url, create)
        self.engine: Engine = _engine(self.url)

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Store:
        """Return the store at `url`, ready for work.

        `create` makes the file and the tables where there are none yet; it never changes older tables.
        Raises StoreError where the database cannot be reached, has no tables, or its schema is older or newer.
        """
        store = cls(url, create=create)
        try:
            if create and store.revision() is None:
                store.upgrade()
            store.check()
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give one writing transaction: committed at the end, rolled back on an exception.

        SQLite has one writer at a time, and this waits for its turn; PostgreSQL's isolation is READ COMMITTED.
        Do not nest two: on SQLite the inner one would wait for the outer.
        """
        with self._plain_refusals(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one transaction that sees a single state of the database and is rolled back at the end.

        Only the temporary tables may be written in it.
        """
        with self._plain_refusals(), self.engine.connect() as plain:
            connection = plain.execution_options(**sessions.READING[self.dialect])
            yield connection

    def limited(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        """Let each statement of the rest of a transaction fail that takes longer, on SQLite those of the block together.

        PostgreSQL's own `statement_timeout` of the role or the database goes before.
        """
        return sessions.limited(connection, seconds)

    def lock(self, connection: Connection, *names: str) -> None:
        """Hold the locks of these names until the transaction ends; waits while another one has any of them."""
        dialect.take_locks(connection, *names)

    def revision(self) -> str | None:
        """Return the schema's revision, or None where there is no schema yet."""
        with self.reading() as connection:
            return migrations.current(connection)

    def check(self) -> None:
        """Raise StoreError unless the schema is the one this version of Treue works with."""
        found, known = self.revision(), migrations.revisions()
        if found == known[-1]:
            return
        if found is None:
            raise StoreError(f"The database {self} has no tables yet; run `treue db upgrade`.")
        if found in known:
            raise StoreError(
                f"The database {self} is at revision {found}, this Treue needs {known[-1]}; "
                "run `treue db upgrade`."
            )
        raise StoreError(
            f"The database {self} is at revision {found}, newer than this Treue knows ({known[-1]}); "
            "install the newer Treue."
        )

    def prove_writable(self) -> None:
        """Write something, wait until it is safe on disk, and leave nothing behind. Raises StoreError where that cannot be done.

        It is committed: only then does a full disk show.
        """
        mine = {"source": "treue:proof", "key": uuid4().hex}
        with self.transaction() as connection:
            connection.execute(insert(receiving).values(**mine, received_at=utc_now()))
            connection.execute(
                delete(receiving).where(receiving.c.source == mine["source"], receiving.c.key == mine["key"])
            )

    def upgrade(self) -> None:
        """Bring the schema to this version's, from nothing or from an older one.

        Several processes may do so at once: one does it, the others wait and find it done.
        """
        with self._plain_refusals():
            migrations.upgrade(self.engine)

    def survey(self, *, anew: bool = False) -> None:
        """Let SQLite count what has grown much, or with `anew` everything, and plan its ways by that.

        Each connection does so when it is closed; for programs that run long. PostgreSQL does so by itself.
        """
        if self.dialect != "sqlite":
            return
        if anew:
            with self.transaction() as connection:
                connection.exec_driver_sql("PRAGMA analysis_limit = 400")
                connection.exec_driver_sql("ANALYZE main")
            return
        pooled = self.engine.raw_connection()
        try:
            sessions.survey_sqlite(cast(sqlite3.Connection, pooled.driver_connection))
        finally:
            pooled.close()

    def free_bytes(self) -> int | None:
        """Return how much of SQLite's file holds nothing and is written to before the file grows; None of PostgreSQL."""
        if self.dialect != "sqlite":
            return None
        with self.reading() as connection:
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("freelist_count", "page_size")
            )
            return int(pages * size)

    def expunge(self) -> None:
        """Leave nothing of what was deleted in SQLite's files: the database is written anew, its log emptied.

        Takes as long as writing the whole file; others may read meanwhile, and write after it. PostgreSQL's rows are
        vacuumed by itself. Raises StoreError where somebody reads on for two minutes.
        """
        if self.dialect != "sqlite":
            return
        self.survey(anew=True)  # or samples of indexes would keep what was in them
        with self._plain_refusals():
            pooled = self.engine.raw_connection()
            try:
                if not sessions.expunge_sqlite(cast(sqlite3.Connection, pooled.driver_connection)):
                    raise StoreError(
                        f"What was deleted from the database {self} is still in its file -wal, which another program "
                        "reads; it goes when the last program that has the database open ends."
                    )
            finally:
                pooled.close()

    def forgo_syncing(self) -> None:
        """Let a throw-away SQLite database skip the wait for the disk at each commit."""
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", sessions.unsynced_sqlite)
            self.engine.dispose()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def _plain_refusals(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, sqlite3.Error) as error:
            if sentence := sessions.refusal(error):
                raise StoreError(f"The database {self} {sentence}") from error
            raise
        except exc.TimeoutError as error:
            raise StoreError(
                f"The database {self} had no free connection for 30 seconds: too many transactions at once, "
                "or one inside another."
            ) from error


def normal_url(url: str) -> URL:
    """Return the database's address with its driver; raise StoreError where it is none Treue works with."""
    try:
        found = make_url(url)
    except exc.ArgumentError:
        raise StoreError(
            "The database's address cannot be read; one looks like sqlite:///treue.db or "
            "postgresql://user@host/name."
        ) from None
    drivers = {
        "sqlite": "sqlite+pysqlite",
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
    }
    name = drivers.get(found.drivername, found.drivername)
    if name not in drivers.values():
        raise StoreError(f"Treue keeps its data in SQLite or PostgreSQL, not in {found.drivername!r}.")
    return found.set(drivername=name)


def _prepare_file(url: URL, create: bool) -> None:
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        return
    path = Path(str(url.database)).absolute()
    if path.is_file():
        return
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a database.")
    if not create:
        raise StoreError(f"There is no database {path}; run `treue db upgrade` to make one.")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # customers' data: the owner's alone
    except OSError as error:
        raise StoreError(f"The database {path} cannot be made: {error.strerror}.") from error


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"json_serializer": _json, "hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": sessions.BUSY_SECONDS, "check_same_thread": False}
        if url.database in (None, "", ":memory:"):  # one connection is the database
            options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    else:
        options |= {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise StoreError(
            "PostgreSQL needs its driver, which is not installed: pip install 'treue[postgres]'."
        ) from error
    event.listen(engine, "connect", sessions.CONNECTED[engine.dialect.name])
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", sessions.begin_sqlite)
        event.listen(engine, "close", sessions.survey_sqlite)
    return engine


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
