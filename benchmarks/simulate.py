"""Seconds of `treue simulate` over CDNOW's eighteen months through all reference journeys.

    python -m benchmarks.simulate            1997-01-01 to 1998-06-30
    python -m benchmarks.simulate --small    its last month, to see that it works

`TREUE_DATA` names the folder with cdnow.csv.gz. Reading the file and living through the time are told apart, each
in seconds of this process's own work beside those on the wall: the machine is shared.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from treue.clock import parse_instant, utc_now
from treue.engine.simulating import Period, simulate
from treue.engine.tally import Tally
from treue.store import history
from treue.workspace.files import reference_workspace
from treue.workspace.loading import load

COLUMNS = {"date": "at", "amount": "total"}


def run(small: bool = False) -> None:
    """Print what it took and what it came to."""
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
            file, Path(folder) / "past.db", COLUMNS, events, utc_now(), zone, "order.placed"
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
