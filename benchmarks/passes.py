"""Seconds for a pass of many customers through `welcome`, by stage, and beside one customer at a time.

    python -m benchmarks.passes            100,000 customers
    python -m benchmarks.passes --small    2,000, to see that it works

Nothing is delivered here: the pass ends with the messages in the outbox. The same stages with a batch of one
customer (what a flow run per customer would at least cost in the database) are measured on a sample, and the
ratio is that cost for each customer over the set-based one, in the same run.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

from benchmarks.segments import postgres
from benchmarks.shop import START, fill, workspace
from treue.engine.advancing import advance
from treue.engine.assembly import Assembly
from treue.engine.engine import stages_in_order
from treue.engine.statements import Scene

SAMPLE = 200


def measure(assembly: Assembly, count: int) -> list[tuple[str, float]]:
    """Return (what, seconds) for each part of the first pass over `count` new customers."""
    fill(assembly, count)
    engine, now, rows = assembly.engine, START + timedelta(minutes=2), []
    versions = engine.versions()
    rows.append(("route events", _timed(lambda: engine.route(versions, now))))
    due = next(due for due in engine.due(versions, now, ["welcome"]))
    rows.append(("exits, goals, entries", _timed(lambda: engine.take_in(due, now))))
    version = due.versions[0]
    for later in (now, now + timedelta(days=3)):
        rows += [
            (f"{stage.kind} {stage.id}", _timed(partial(engine.advance, version, stage, later)))
            for stage in stages_in_order(engine, version, later)
        ]
    return rows


def one_by_one(assembly: Assembly, count: int) -> float:
    """Return the seconds for each customer when every stage moves one customer at a time."""
    fill(assembly, count)
    engine, now = assembly.engine, START + timedelta(minutes=2)
    versions = engine.versions()
    engine.route(versions, now)
    due = next(due for due in engine.due(versions, now, ["welcome"]))
    version, spent = due.versions[0], time.perf_counter()
    engine.take_in(due, now)
    scene = replace(Scene(version, now, engine.store.dialect, engine.zone, engine.salt), batch=1)
    for stage in stages_in_order(engine, version, now):
        advance(engine.store, scene, stage)
    return (time.perf_counter() - spent) / count


def _timed(call) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def run(small: bool = False) -> None:
    """Print the table for each database there is."""
    count = 2_000 if small else 100_000
    _report("SQLite", None, count)
    with postgres() as found:
        if found is not None:
            _report("PostgreSQL", found.url.render_as_string(hide_password=False), count)


def _report(name: str, database: str | None, count: int) -> None:
    with workspace(database, deliver=False) as assembly:
        rows = measure(assembly, count)
    total = sum(seconds for _, seconds in rows)
    print(f"\n{name}: {count:,} customers through welcome's first four days")
    for what, seconds in [*rows, ("total", total)]:
        print(f"  {what:<28} {seconds:8.2f} s  {seconds / count * 1e6:8.1f} µs each")
    if database is None:
        with workspace(None, deliver=False) as assembly:
            alone = one_by_one(assembly, SAMPLE)
        print(
            f"  one customer at a time        {alone * 1e6:8.1f} µs each, {alone * count / total:.0f} times as much"
        )


if __name__ == "__main__":
    run("--small" in sys.argv)
