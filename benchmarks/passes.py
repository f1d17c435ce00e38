"""Seconds of CPU for a pass of many customers through `welcome`, by stage, and beside one customer at a time.

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

from benchmarks.cpu import Spent, timed
from benchmarks.segments import postgres
from benchmarks.shop import START, fill, workspace
from treue.cohorts.scene import Scene
from treue.composition.assembly import Assembly
from treue.engine.passes.attempts import Attempts
from treue.engine.passes.chronology import Chronology, Passed
from treue.engine.steps.stages import advance

SAMPLE = 200


def measure(assembly: Assembly, count: int) -> list[tuple[str, Spent]]:
    """Return what each part of the first pass over `count` new customers takes."""
    fill(assembly, count)
    engine, now, rows = assembly.engine, START + timedelta(minutes=2), []
    versions, measured = engine.versions(), partial(timed, engine.store.engine)
    rows.append(("route events", measured(lambda: engine.route(versions, now))))
    for later in (now, now + timedelta(days=3)):
        chronology = Chronology(engine, Attempts(engine.store, later), later, None, Passed())
        rows.append(("exits, goals, entries", measured(chronology.doors)))
        version = next(version for version in chronology.wanted if version.live)
        rows += [
            (f"{stage.kind} {stage.id}", measured(partial(chronology.advance, version, stage)))
            for stage in chronology.stages(version)
        ]
    return rows


def one_by_one(assembly: Assembly, count: int) -> float:
    """Return the seconds for each customer when every stage moves one customer at a time."""
    fill(assembly, count)
    engine, now = assembly.engine, START + timedelta(minutes=2)
    chronology = Chronology(engine, Attempts(engine.store, now), now, None, Passed())
    engine.route(chronology.versions, now)
    version, spent = chronology.wanted[0], time.process_time()
    chronology.doors()
    scene = replace(Scene(version, now, engine.store.dialect, engine.zone, engine.salt), batch=1)
    for stage in chronology.stages(version):
        advance(engine.store, scene, version, stage, chronology.turns())
    return (time.process_time() - spent) / count


def run(small: bool = False) -> None:
    """Print the table for each database there is."""
    count = 2_000 if small else 100_000
    _report("SQLite", None, count)
    with postgres() as found:
        if found is not None:
            _report("PostgreSQL", found.url.render_as_string(hide_password=False), count)


def _report(name: str, database: str | None, count: int) -> None:
    with workspace(database, deliver=False, journey="welcome") as assembly:
        rows = measure(assembly, count)
    total = sum((spent for _, spent in rows), Spent(0, 0))
    print(f"\n{name}: {count:,} customers through welcome's first four days")
    print(f"  {'':<28} {'wall':>8}   {'CPU':>8}   {'of it ours':>10}   CPU each")
    for what, spent in [*rows, ("total", total)]:
        print(
            f"  {what:<28} {spent.wall:8.2f} s {spent.cpu:8.2f} s {spent.ours:10.2f} s {spent.cpu / count * 1e6:8.1f} µs"
        )
    if database is None:
        with workspace(None, deliver=False, journey="welcome") as assembly:
            alone = one_by_one(assembly, SAMPLE)
        print(
            f"  one customer at a time        {alone * 1e6:8.1f} µs each, {alone * count / total.cpu:.0f} times as much"
        )


if __name__ == "__main__":
    run("--small" in sys.argv)
