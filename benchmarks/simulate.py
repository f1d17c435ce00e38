"""Seconds of `treue simulate`: 45 journeys of 40 customers, and CDNOW's eighteen months through all reference journeys.

    python -m benchmarks.simulate            161 days; 1997-01-01 to 1998-06-30
    python -m benchmarks.simulate --small    two weeks, the last month, to see that it works

`TREUE_DATA` names the folder with cdnow.csv.gz. Reading the file and living through the time are told apart, each
in seconds of this process's own work beside those on the wall: the machine is shared.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from treue.clock import parse_instant, utc_now
from treue.composition.simulation import Period, simulate
from treue.engine.what_if.tally import Tally
from treue.store import history
from treue.store.row_files.recognition import recognise
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

COLUMNS = {"date": "at", "amount": "total"}
JOURNEYS, CUSTOMERS, DAYS = 45, 40, 161


def run(small: bool = False) -> None:
    """Print what both took and what they came to."""
    many_journeys(14 if small else DAYS)
    cdnow(small)


def many_journeys(days: int) -> None:
    """Let few customers live through many journeys, in which mostly nobody is due."""
    begin, rng = datetime(2026, 1, 1, tzinfo=UTC), random.Random(1)
    with tempfile.TemporaryDirectory(prefix="treue-bench-") as folder:
        root = Path(folder) / "workspace"
        past = root / "orders.csv"
        _copied(reference_workspace(), root)
        seconds = sorted(rng.randrange(days * 86_400) for _ in range(CUSTOMERS * 5 * days // DAYS))
        rows = [
            f"c{rng.randrange(CUSTOMERS)},{begin + timedelta(seconds=n):%Y-%m-%d %H:%M:%S},30"
            for n in seconds
        ]
        past.write_text("\n".join(["customer_id,at,total", *rows]))
        workspace, zone = load(root), "UTC"
        events = workspace.settings.schema.events
        found = history.imported(
            recognise(past), Path(folder) / "past.db", {}, events, utc_now(), zone, "en", "order.placed"
        )
        began = _clocks()
        tally = simulate(workspace, found, Period(begin, begin + timedelta(days=days)), Path(folder))
        _report(tally, found, (0.0, 0.0), _between(began, _clocks()))


def _copied(source: Path, root: Path) -> None:
    """Copy a workspace, and its journeys by event again and again: nobody does what the copies wait for."""
    for name in ("segments", "templates"):
        shutil.copytree(source / name, root / name)
    shutil.copy(source / "treue.yaml", root)
    (root / "journeys").mkdir()
    own = sorted(one for one in (source / "journeys").glob("*.yaml") if not one.name.endswith(".test.yaml"))
    idle = [one for one in own if "event: order.placed" in one.read_text(encoding="utf-8").split("exit:")[0]]
    for n in range(JOURNEYS):
        file = own[n] if n < len(own) else idle[n % len(idle)]
        text = file.read_text(encoding="utf-8")
        if n >= len(own):
            text = text.replace("event: order.placed", "event: product.viewed", 1)
        (root / "journeys" / f"{file.stem}-{n}.yaml").write_text(text, encoding="utf-8")


def cdnow(small: bool = False) -> None:
    """Let CDNOW's customers live through the reference journeys."""
    file = Path(os.environ.get("TREUE_DATA", ".")) / "cdnow.csv.gz"
    if not file.is_file():
        print("simulate: no CDNOW purchases here; TREUE_DATA names their folder")
        return
    workspace = load(reference_workspace())
    zone = workspace.settings.timezone
    start, end = (parse_instant(day, zone) for day in ("1998-06-01" if small else "1997-01-01", "1998-07-01"))
    assert start
    assert end
    with tempfile.TemporaryDirectory(prefix="treue-bench-") as folder:
        events = workspace.settings.schema.events
        began = _clocks()
        past = history.imported(
            recognise(file), Path(folder) / "past.db", COLUMNS, events, utc_now(), zone, "en", "order.placed"
        )
        read = _clocks()
        tally = simulate(workspace, past, Period(start, end), Path(folder))
        lived = _clocks()
    _report(tally, past, _between(began, read), _between(read, lived))


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.monotonic()


def _between(before: tuple[float, float], after: tuple[float, float]) -> tuple[float, float]:
    return after[0] - before[0], after[1] - before[1]


def _report(
    tally: Tally, past: history.History, reading: tuple[float, float], living: tuple[float, float]
) -> None:
    print(
        f"{past.events:,} events of {past.customers:,} customers, {len(tally.days)} days, {tally.sent:,} messages"
    )
    for what, (own, wall) in (("read the file", reading), (f"{tally.passes} passes", living)):
        print(f"  {what:<16} {own:7.1f} s of work, {wall:7.1f} s on the wall")
    print(f"  a pass: {living[0] / tally.passes * 1e3:.0f} ms of work")


if __name__ == "__main__":
    run("--small" in sys.argv)
