"""Seconds of CPU of everything that works on a measurement: this process, and the backends of its PostgreSQL connections.

On a machine that others use, seconds on the wall say little. The backends are found by their `application_name`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

_BACKENDS = text("SELECT pid FROM pg_stat_activity WHERE application_name = :name")


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, of this process's CPU, of its backends' CPU."""

    wall: float
    ours: float
    theirs: float = 0.0

    def __sub__(self, before: Spent) -> Spent:
        return Spent(self.wall - before.wall, self.ours - before.ours, self.theirs - before.theirs)

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.ours + other.ours, self.theirs + other.theirs)

    @property
    def cpu(self) -> float:
        """All CPU."""
        return self.ours + self.theirs


def timed(engine: Engine, act: Callable[[], object]) -> Spent:
    """Return what calling `act` takes."""
    before = _until_now(engine)
    act()
    return _until_now(engine) - before


def _until_now(engine: Engine) -> Spent:
    wall, ours = time.perf_counter(), time.process_time()
    name = engine.url.query.get("application_name")
    if not isinstance(name, str):
        return Spent(wall, ours)
    with engine.connect() as connection:
        pids = connection.scalars(_BACKENDS, {"name": name}).all()
    return Spent(wall, ours, sum(map(_seconds, pids)))


def _seconds(pid: int) -> float:
    """Return the CPU time of a process on this machine; its name, in brackets, may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
