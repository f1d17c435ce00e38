"""How a connection is set up, how a transaction begins, and what a driver's refusal means in plain words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from sqlalchemy import Connection, exc, text
from sqlalchemy.schema import CreateIndex, CreateTable

from treue.model.tables import scratch
from treue.segments.functions import add_functions
from treue.store.event_identity import digest

BUSY_SECONDS = 5
PATIENCE = 24
"""How often SQLite's busy timeout is waited through before a caller hears of it: two minutes."""

READING: dict[str, dict[str, Any]] = {
    "sqlite": {"treue_begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}

# FULL, not NORMAL: in WAL mode NORMAL may forget the last commits when the power fails. An event answered 2xx
# and a claim made before a send must survive that, so each commit is synced, and commits are grouped instead.
_SQLITE = """
PRAGMA foreign_keys = ON;
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
"""
# The temporary tables hold a few rows, beside which all others are large. Untold, SQLite takes any table for a large
# one, and reads every message to look each up in a cohort of ten. The first line makes the table for the second.
_SMALL = """
ANALYZE temp.cohort;
INSERT INTO temp.sqlite_stat1
  SELECT t.name, i.name, iif(i.name IS NULL, '200', '200 1') FROM temp.sqlite_schema t
  LEFT JOIN temp.sqlite_schema i ON i.type = 'index' AND i.tbl_name = t.name
  WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%';
ANALYZE temp.sqlite_schema;
"""
_POSTGRESQL = ("SET work_mem = '64MB'", "SET jit = off", "SET TIME ZONE 'UTC'")


def connected_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Set up a new SQLite connection; from here on BEGIN is sent by us (`begin_sqlite`) and not by pysqlite."""
    connection.isolation_level = None
    _patiently(connection, "PRAGMA journal_mode = WAL")
    connection.executescript(_SQLITE)
    add_functions(connection)
    connection.create_function("treue_digest", 1, digest, deterministic=True)
    for statement in _scratch("sqlite"):
        connection.execute(statement)
    connection.executescript(_SMALL)


def unsynced_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Let commits of this connection not wait for the disk: for databases that nobody misses after a power cut."""
    connection.execute("PRAGMA synchronous = OFF")


def survey_sqlite(connection: sqlite3.Connection, _record: Any = None) -> None:
    """Let SQLite count by samples what is in those tables that have grown much since, and plan its ways by that.

    What its documentation advises (lang_analyze.html) before a connection is closed, and now and then where it is
    kept long; most times there is nothing to do. Where another one is writing, it is left for another time.
    """
    if connection.in_transaction:
        return
    with suppress(sqlite3.Error):
        connection.executescript(
            "PRAGMA busy_timeout = 0; PRAGMA analysis_limit = 400; PRAGMA main.optimize;"
        )
    with suppress(sqlite3.Error):
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def expunge_sqlite(connection: sqlite3.Connection) -> bool:
    """Write the database anew without what was deleted, and empty its log; say whether nobody reads that any more."""
    _patiently(connection, "VACUUM")
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def connected_postgresql(connection: Any, _record: Any) -> None:
    """Set up a new PostgreSQL connection: more memory for sets, no JIT, the temporary tables."""
    before, connection.autocommit = connection.autocommit, True
    for statement in (*_POSTGRESQL, *_scratch("postgresql")):
        connection.execute(statement)
    connection.autocommit = before


CONNECTED = {"sqlite": connected_sqlite, "postgresql": connected_postgresql}


def begin_sqlite(connection: Connection) -> None:
    """Begin at once as the writer, or as a reader of one state, waiting for as long as it takes.

    A deferred transaction that reads and then writes fails without waiting when another wrote in between.
    """
    options = connection.get_execution_options()
    driver: Any = connection.connection.driver_connection
    statement = options.get("treue_begin", "BEGIN IMMEDIATE")
    try:
        _patiently(driver, statement)
        if statement == "BEGIN":
            _patiently(driver, "SELECT 1 FROM sqlite_schema LIMIT 1")  # takes the snapshot now, not later
    except sqlite3.OperationalError as error:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise exc.OperationalError(statement, None, error) from error


_LIMIT = text("""
    SELECT set_config('statement_timeout', :limit, true) WHERE current_setting('statement_timeout') = '0'
""")
_STEPS_BETWEEN_LOOKS = 100_000
"""How many steps of its virtual machine SQLite takes between two looks at the clock: some milliseconds."""


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Let statements of the transaction that is under way fail where they take longer; see `Store.limited`."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LIMIT, {"limit": f"{round(seconds * 1000)}ms"})
        yield
    else:
        driver: Any = connection.connection.driver_connection
        end = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Leave SQLite's foreign keys unwatched, or remaking a table would delete what refers to it.

    To be entered before the transaction begins: inside one, the pragma does nothing.
    """
    driver: Any = connection.connection.driver_connection
    watched = connection.dialect.name == "sqlite"
    if watched:
        driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        if watched and not connection.invalidated:  # as Ctrl-C leaves it
            driver.execute("PRAGMA foreign_keys = ON")


def refusal(error: exc.DBAPIError | sqlite3.Error) -> str | None:
    """Return what the driver's refusal means and what helps, to follow the database's name, or None."""
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        return next((said for start, said in _SQLITE_REFUSALS.items() if name.startswith(start)), None)
    state = str(getattr(original, "sqlstate", None))
    if said := next((said for start, said in _POSTGRESQL_REFUSALS.items() if state.startswith(start)), None):
        return said
    unreachable = isinstance(error, exc.OperationalError) and getattr(original, "sqlstate", None) is None
    if unreachable or (isinstance(error, exc.DBAPIError) and error.connection_invalidated):
        first_line = (str(original).strip().splitlines() or ["no reason given"])[0]
        return f"cannot be reached: {first_line.rstrip('.')}."
    return None


_SQLITE_REFUSALS = {
    "SQLITE_BUSY": "has been held by another program for two minutes; end that program.",
    "SQLITE_FULL": "cannot grow, the disk is full; nothing of this transaction was kept.",
    "SQLITE_READONLY": "may not be written to; check the rights of the file and of its folder.",
    "SQLITE_CANTOPEN": "cannot be opened; check the rights of the file and of its folder.",
    "SQLITE_IOERR": "cannot be read or written, the disk reports an error.",
    "SQLITE_NOTADB": "is not a database; name another file.",
    "SQLITE_CORRUPT": "is damaged; restore a backup.",
}
_POSTGRESQL_REFUSALS = {
    "25006": "may only be read: it is a standby, or set to `default_transaction_read_only`.",
    "53100": "cannot grow, the disk of its server is full; nothing of this transaction was kept.",
    "58030": "cannot be read or written, its server's disk reports an error.",
}
"""By the beginning of the SQLSTATE (PostgreSQL's manual, appendix A)."""


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    for attempt in range(PATIENCE):
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == PATIENCE - 1:
                raise
        else:
            return


@cache
def _scratch(dialect: str) -> tuple[str, ...]:
    """Return the SQL that makes the temporary tables."""
    from sqlalchemy.dialects import postgresql, sqlite

    compiler = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}[dialect]()
    statements = []
    for table in scratch.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=compiler)))
        statements += [str(CreateIndex(index).compile(dialect=compiler)) for index in table.indexes]
    return tuple(statements)
