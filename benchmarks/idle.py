"""What a pass costs in which nothing is to be done: CPU time, statements and rows of PostgreSQL, by how many customers there are.

    python -m benchmarks.idle                 10,000 and 100,000 customers with five orders each
    python -m benchmarks.idle --small         1,000 and 2,000, to see that it works

The reference workspace; every customer is known and has a past of orders when its journeys go live, and nobody is inside.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event as on
from sqlalchemy import text, update

from benchmarks.segments import postgres
from benchmarks.shop import LOADED_AT_ONCE, START, _customer, workspace
from treue.composition.assembly import Assembly
from treue.engine.passes.chronology import run_pass
from treue.model.tables import event
from treue.store import customers, events
from treue.store.inputs import EventInput

PASSES = 5
ORDERS = 5


def fill(assembly: Assembly, count: int) -> None:
    """Record customers with orders of the last two years, which all journeys have seen."""
    for first in range(0, count, LOADED_AT_ONCE):
        numbers = range(first, min(first + LOADED_AT_ONCE, count))
        with assembly.store.transaction() as connection:
            customers.merge(connection, [_customer(f"c{n}", n) for n in numbers], START)
            orders = [
                EventInput(
                    f"c{n}",
                    "order.placed",
                    START - timedelta(days=1 + (n * 37 + 145 * k) % 700, minutes=n % 1440),
                    {"order_id": f"o-{n}-{k}", "total": 20 + n % 50, "currency": "EUR", "quantity": 2},
                    f"o-{n}-{k}",
                )
                for n in numbers
                for k in range(ORDERS)
            ]
            events.record(connection, orders, START, routed=True)
            connection.execute(update(event).values(routed_at=START).where(event.c.routed_at.is_(None)))


def measure(assembly: Assembly) -> tuple[float, float, float]:
    """Return the CPU seconds of the first pass and of an idle one, here and in PostgreSQL, and the statements of an idle one."""
    engine, statements = assembly.engine, 0

    def counting(*_: Any) -> None:
        nonlocal statements
        statements += 1

    now = START + timedelta(minutes=2)
    _tidy(assembly)
    first = _cpu(assembly, lambda: run_pass(engine, now))
    _tidy(assembly)
    for n in range(2):
        run_pass(engine, now + timedelta(minutes=1 + n))
    on.listen(assembly.store.engine, "before_cursor_execute", counting)
    times = [
        _cpu(assembly, lambda n=n: run_pass(engine, now + timedelta(minutes=5 + n))) for n in range(PASSES)
    ]
    on.remove(assembly.store.engine, "before_cursor_execute", counting)
    return first, sum(times) / PASSES, statements / PASSES


def _tidy(assembly: Assembly) -> None:
    assembly.store.survey(anew=True)
    if assembly.store.dialect == "postgresql":
        with assembly.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _cpu(assembly: Assembly, act: Any) -> float:
    before = time.process_time() + _server(assembly)
    act()
    return time.process_time() + _server(assembly) - before


def _server(assembly: Assembly) -> float:
    """Return the CPU seconds that PostgreSQL's processes for this database's sessions have spent."""
    if assembly.store.dialect == "sqlite":
        return 0.0
    with assembly.store.reading() as connection:
        mine = text(
            "SELECT pid FROM pg_stat_activity WHERE application_name = current_setting('application_name')"
        )
        pids = list(connection.scalars(mine))
    spent = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def run(small: bool = False) -> None:
    """Print a line for each database and number of customers."""
    for count in (1_000, 2_000) if small else (10_000, 100_000):
        _report("SQLite", None, count)
        with postgres() as found:
            if found is not None:
                url = found.url.update_query_dict({"application_name": f"idle{os.getpid()}"})
                _report("PostgreSQL", url.render_as_string(hide_password=False), count)


def _report(name: str, database: str | None, count: int) -> None:
    with workspace(database, deliver=False) as assembly:
        fill(assembly, count)
        first, idle, statements = measure(assembly)
    print(
        f"{name:<11} {count:>9,} customers: first pass {first:7.2f} s, idle pass {idle * 1000:9.1f} ms, "
        f"{statements:5.1f} statements",
        flush=True,
    )


if __name__ == "__main__":
    run("--small" in sys.argv)
