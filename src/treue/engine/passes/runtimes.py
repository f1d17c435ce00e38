"""Runtimes: who calls the engine. The plan and the calls are the same; only the surroundings differ."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from treue.engine.passes.chronology import Passed, Progress, run_pass
from treue.engine.passes.engine import Engine
from treue.errors import UsageError
from treue.packages import installed_entries


class Runtime(Protocol):
    """Runs passes. Registered in the entry-point group `treue.runtimes`; made with the workspace's state folder."""

    def run_pass(
        self,
        engine: Engine,
        now: datetime,
        names: Sequence[str] | None = None,
        *,
        sense: bool = True,
        progress: Progress | None = None,
    ) -> Passed:
        """Run one pass at `now` over everybody who is due, of all journeys or the named ones."""

    def warm_up(self, progress: Progress | None = None) -> None:
        """Start what the runtime needs, so that the first pass need not wait for it."""

    def ui_url(self) -> str | None:
        """Return where a browser sees what the runtime does, or None where there is no such page."""

    def ui_password(self) -> Path | None:
        """Return the file with the password that page asks for, or None where it asks for none the runtime has set."""

    def keep_running(self, engine: Engine, wake: threading.Event, stop: threading.Event) -> None:
        """Run passes until `stop` is set: at regular ticks, and at once whenever `wake` is set."""

    def close(self) -> None:
        """Let go of what the runtime started."""


class InProcess:
    """The runtime of tests, simulation and the days between in the demo: plain calls, any clock."""

    def run_pass(
        self,
        engine: Engine,
        now: datetime,
        names: Sequence[str] | None = None,
        *,
        sense: bool = True,
        progress: Progress | None = None,
    ) -> Passed:
        """Run one pass right here."""
        return run_pass(engine, now, names, sense=sense, progress=progress)


def load_runtime(name: str, state: Path) -> Runtime:
    """Return the runtime called `name`. Raises UsageError where it is not installed."""
    found: dict[str, Any] = {entry.name: entry for entry in installed_entries("treue.runtimes")}
    if name not in found:
        raise UsageError(f"There is no runtime called {name!r} installed.")
    runtime: Runtime = found[name].load()(state)
    return runtime
