"""Many processes on one database, and one that dies in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text

from treue.model.tables import customer, event
from treue.store.store import Store

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

READ_AND_WRITE = """
import sys
from datetime import UTC, datetime
from sqlalchemy import text
from treue.store.store import Store
store = Store.open(sys.argv[1])
for _ in range(150):
    with store.transaction() as connection:
        seen = connection.scalar(text("SELECT received_at FROM receiving WHERE source = 'count'"))
        connection.execute(text("UPDATE receiving SET received_at = :n WHERE source = 'count'"), {"n": seen + 1})
"""

RECORD = """
import sys
from datetime import UTC, datetime
from treue.store import events
from treue.store.inputs import EventInput
from treue.store.store import Store
store, now = Store.open(sys.argv[1]), datetime(2026, 3, 1, 9, tzinfo=UTC)
order = list(range(2000)) if sys.argv[2] == "up" else list(range(1999, -1, -1))
new = duplicates = 0
for start in range(0, 2000, 100):
    batch = [EventInput(f"c{n % 300}", "order.placed", now, {}, f"o{n}") for n in order[start : start + 100]]
    with store.transaction() as connection:
        recorded = events.record(connection, batch, now)
    new, duplicates = new + len(recorded.new_ids), duplicates + recorded.duplicates
print(new, duplicates)
"""

IMPORT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from treue.store import imports
from treue.store.row_files import recognise
from treue.store.store import Store
imports.BATCH = 500
store, now = Store.open(sys.argv[1]), datetime(2026, 3, 1, 9, tzinfo=UTC)
imports.import_events(store, recognise(Path(sys.argv[2])), {}, {}, now, lambda read: print(read, flush=True))
"""

HOLD_LOCK = """
import sys
from treue.store.store import Store
store = Store.open(sys.argv[1])
with store.transaction() as connection:
    store.lock(connection, "journey:welcome", "journey:winback")
    print("held", flush=True)
    sys.stdin.readline()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def address(store: Store) -> str:
    return store.url.render_as_string(hide_password=False)


def count(store: Store, table, *where) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0


def test_four_processes_that_read_and_then_write_one_sqlite_file_never_see_it_locked(sqlite_url):
    store = Store.open(sqlite_url)
    with store.transaction() as connection:
        connection.execute(text("INSERT INTO receiving VALUES ('count', '', 0)"))
    workers = [start(READ_AND_WRITE, sqlite_url) for _ in range(4)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0, 0]
    with store.reading() as connection:
        assert connection.scalar(text("SELECT received_at FROM receiving")) == 600
    store.close()


def test_events_recorded_by_two_processes_at_once_in_opposite_order_count_once(store):
    workers = [start(RECORD, address(store), direction) for direction in ("up", "down")]
    told = [worker.communicate(timeout=120)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sum(int(new) for new, _ in told) == 2000
    assert sum(int(duplicates) for _, duplicates in told) == 2000
    assert count(store, event, event.c.name == "order.placed") == 2000
    assert count(store, customer) == 300
    assert count(store, event, event.c.name == "customer.created") == 300


def test_an_import_killed_in_the_middle_leaves_whole_batches_and_can_be_run_again(store, tmp_path):
    path = tmp_path / "orders.csv"
    rows = "".join(f"o{n},c{n},order.placed,2026-01-01,{n}\n" for n in range(20_000))
    path.write_text("id,customer_id,event,at,total\n" + rows)
    worker = start(IMPORT, address(store), str(path))
    assert worker.stdout is not None
    told = [int(worker.stdout.readline()) for _ in range(3)]
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(60) == -signal.SIGKILL
    kept = count(store, event, event.c.name == "order.placed")
    assert told[-1] <= kept < 20_000
    assert kept % 500 == 0
    assert count(store, customer) == kept
    assert start(IMPORT, address(store), str(path)).wait(120) == 0
    assert count(store, event, event.c.name == "order.placed") == 20_000


def test_a_stranger_holding_the_sqlite_file_longer_than_the_busy_timeout_is_waited_for(
    sqlite_url, monkeypatch
):
    import sqlite3
    import threading

    from treue.store import sessions

    monkeypatch.setattr(sessions, "BUSY_SECONDS", 0.1)
    store = Store.open(sqlite_url)
    stranger = sqlite3.connect(
        sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    stranger.execute("BEGIN IMMEDIATE")
    threading.Timer(0.6, stranger.execute, ["ROLLBACK"]).start()
    with store.transaction() as connection:
        connection.execute(text("INSERT INTO receiving VALUES ('a', 'b', 0)"))
    assert not stranger.in_transaction
    stranger.close()
    store.close()


@pytest.mark.postgres
def test_a_named_lock_is_held_until_the_transaction_ends_and_others_are_free(postgres_url):
    store = Store.open(postgres_url)
    holder = start(HOLD_LOCK, postgres_url)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with store.transaction() as connection:
        store.lock(connection, "journey:other")
        connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(Exception, match="lock timeout"), connection.begin_nested():
            store.lock(connection, "journey:winback")
        holder.communicate("\n", timeout=60)
        store.lock(connection, "journey:winback")
    assert holder.returncode == 0
    store.close()


def test_journeys_are_locked_in_the_order_of_their_numbers_so_that_nobody_waits_in_a_circle(postgres_url):
    """Events that wake somebody lock journey 2 before journey 10, one after the other."""
    store = Store.open(postgres_url)
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    got = threading.Event()

    def lock_both() -> None:
        with store.transaction() as connection:
            store.lock(connection, "journeys", "journey 10", "journey 2")
            got.set()

    other = threading.Thread(target=lock_both)
    with store.transaction() as connection:
        store.lock(connection, "journey 2")
        other.start()
        while not connection.scalar(waits):
            time.sleep(0.05)
        store.lock(connection, "journey 10")
        assert not got.is_set()
    other.join(30)
    assert got.is_set()
    store.close()


def test_a_reader_sees_one_state_while_another_writes(store):
    with store.reading() as reading:
        before = reading.scalar(text("SELECT count(*) FROM receiving"))
        with store.transaction() as writing:
            writing.execute(text("INSERT INTO receiving VALUES ('a', 'b', 0)"))
        assert reading.scalar(text("SELECT count(*) FROM receiving")) == before == 0
    with store.reading() as reading:
        assert reading.scalar(text("SELECT count(*) FROM receiving")) == 1
