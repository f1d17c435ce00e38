"""Bytes a row by table, and what is left of them after a vacuum, on each database.

    python -m benchmarks.old_rows            20,000 customers
    python -m benchmarks.old_rows --small    1,000, to see that it works

Customers order and go through `welcome`; their messages count as sent, each with two receipts of a provider's size.
Then all that is over is deleted, whatever conditions look back to. Sizes are with indexes, on
PostgreSQL packed before the vacuum.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Connection, func, select, text

from benchmarks.segments import postgres
from benchmarks.shop import START, fill, workspace
from treue.channel import DeliveryEvent, DeliveryEventKind
from treue.composition.assembly import Assembly
from treue.delivery import receipts
from treue.engine.passes.chronology import run_pass
from treue.model.tables import message, metadata
from treue.store.past.rules import Rules
from treue.store.past.vacuum import vacuum
from treue.store.store import Store

RAW = {
    "type": "email.delivered",
    "created_at": "2026-03-02T09:14:07.412Z",
    "data": {"tags": ["welcome"] * 20},
}
KINDS = ("trace", "receipts", "messages", "stays", "events", "changes")
LATER = START + timedelta(days=400)
_SIZES = {
    "sqlite": "SELECT coalesce(m.tbl_name, s.name) AS name, sum(s.pgsize) AS bytes FROM dbstat s "
    "LEFT JOIN sqlite_schema m ON m.name = s.name GROUP BY 1",
    "postgresql": "SELECT relname AS name, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables "
    "WHERE schemaname = current_schema()",
}


def live(assembly: Assembly, count: int) -> None:
    """Let customers order and go through their first journey, and its messages be sent and heard of."""
    fill(assembly, count)
    for later in (timedelta(minutes=2), timedelta(days=3), timedelta(days=40)):
        run_pass(assembly.engine, START + later)
    with assembly.store.transaction() as connection:
        connection.execute(
            message.update()
            .where(message.c.state == "queued")
            .values(state="sent", sent_at=message.c.queued_at, provider_id="0100018f3a-" + message.c.template)
        )
        for id_ in connection.scalars(select(message.c.id)).all():
            told = [
                DeliveryEvent(f"evt_{id_}_{kind}", kind, START, str(id_), raw=RAW)
                for kind in (DeliveryEventKind.delivered, DeliveryEventKind.opened)
            ]
            receipts.take(connection, "email", told, START)


def pack(store: Store) -> None:
    """Let PostgreSQL's tables be without the dead rows that lie in them at any time: with them they are larger."""
    if store.dialect == "postgresql":
        with store.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f"VACUUM FULL {table.name}")


def sizes(connection: Connection) -> Mapping[str, tuple[int, int]]:
    """Return for each table its bytes with indexes, and its rows."""
    bytes_ = dict(connection.execute(text(_SIZES[connection.dialect.name])).all())  # type: ignore[arg-type]
    return {
        table.name: (
            int(bytes_.get(table.name, 0)),
            connection.scalar(select(func.count()).select_from(table)) or 0,
        )
        for table in metadata.sorted_tables
    }


def run(small: bool = False) -> None:
    """Print the table for each database there is."""
    count = 1_000 if small else 20_000
    _report("SQLite", None, count)
    with postgres() as found:
        if found is not None:
            _report("PostgreSQL", found.url.render_as_string(hide_password=False), count)


def _report(name: str, database: str | None, count: int) -> None:
    with workspace(database, deliver=False) as assembly:
        live(assembly, count)
        store = assembly.store
        pack(store)
        with store.reading() as connection:
            before = sizes(connection)
        old = Rules(dict.fromkeys(KINDS, LATER), LATER, LATER)
        started = time.process_time()
        deleted = vacuum(store, old, LATER, lambda _, __: None)
        spent = time.process_time() - started
        with store.reading() as connection:
            after = sizes(connection)
    print(f"\n{name}: {count:,} customers; bytes a row, with indexes")
    for table, (bytes_, rows) in before.items():
        if rows >= count:
            print(f"  {table:<16} {bytes_ / rows:>7.0f}   ({rows:,} rows, {deleted.get(table, 0):,} deleted)")
    for table, (bytes_, rows) in after.items():
        if rows and not before[table][1]:
            print(f"  {table:<16} {bytes_ / rows:>7.0f}   ({rows:,} rows, left by the vacuum)")
    number = sum(deleted.values())
    print(f"  {spent / number * 1e6:.0f} µs of this process's CPU time for each of {number:,} rows deleted")


if __name__ == "__main__":
    run("--small" in sys.argv)
