"""The runtime that runs passes through Prefect: one flow run a journey with something to do, else none at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from treue.clock import utc_now
from treue.engine.engine import Due, Engine, Passed, Progress, in_turn
from treue.errors import TreueError
from treue_flows import host
from treue_flows.loop import Ask
from treue_flows.passes import JourneyWork, Pass

TICK_SECONDS = 15.0

log = logging.getLogger("treue.passes")


class PrefectRuntime:
    """Runs passes as Prefect flows. `state` is the workspace's state folder.

    Prefect starts with the first pass that has something to do, once a process, and stays until the last
    runtime is closed. A server that PREFECT_API_URL names is used; else one is started, its data kept in
    PREFECT_HOME or `prefect/` in the state folder. Passes run one at a time, each in its caller's thread.
    """

    tick_seconds = TICK_SECONDS

    def __init__(self, state: Path) -> None:
        self.state = state
        self._host: host.Host | None = None
        self._starting = threading.Lock()

    def run_pass(
        self,
        engine: Engine,
        now: datetime,
        names: Sequence[str] | None = None,
        *,
        sense: bool = True,
        progress: Progress | None = None,
    ) -> Passed:
        """Run one pass at `now` over everybody who is due.

        A journey that fails leaves the others to run; its error is raised at the end. `progress` hears a
        sentence first where Prefect has to be started, with 0 customers.
        """
        work = Pass(engine, now, progress or _untold)
        failed: dict[str, Exception] = {}
        for journey in in_turn(engine, now, names, work.passed, sense=sense):
            if journey.name not in failed and (error := self._run_journey(work, journey)):
                failed[journey.name] = error
        _raise(failed)
        return work.passed

    def warm_up(self, progress: Progress | None = None) -> None:
        """Start Prefect now, so that the first pass need not wait for it. May be called from another thread."""
        tell = progress or _logged
        with self._starting:
            if self._host is None:
                self._host = host.enter(self.state, lambda sentence: tell(sentence, 0))

    def ui_url(self) -> str | None:
        """Return where a browser sees the flows, or None while Prefect is not started."""
        return self._host.ui_url if self._host else None

    def keep_running(self, engine: Engine, wake: threading.Event, stop: threading.Event) -> None:
        """Run passes until `stop` is set: one every 15 seconds, and one at once whenever `wake` is set.

        All passes run one after the other in this thread; an error is logged, and the next pass comes.
        """
        from treue_flows.ticking import ticking

        if engine.delivery is not None:
            engine.delivery.slice_seconds = (
                self.tick_seconds
            )  # what is urgent meanwhile comes with the next pass
        self._survive(self.warm_up)
        with ticking(wake, self.tick_seconds) as tick:
            while not stop.is_set():
                if wake.wait(0.5) and not stop.is_set():
                    wake.clear()
                    self._survive(self._one_pass, engine, tick.taken(), wake)

    def close(self) -> None:
        """Let go of Prefect; the last one in the process ends it."""
        if self._host is not None:
            host.leave(self._host)
            self._host = None

    def _run_journey(self, work: Pass, due: Due) -> Exception | None:
        self.warm_up(work.progress)
        assert self._host is not None
        from treue_flows.compile import run_flow

        work.faults.clear()
        work.passed.journeys.append(due.name)

        async def run(ask: Ask) -> None:
            await run_flow(JourneyWork(work, due, ask), work.now)

        try:
            self._host.loop.run(run)
        except Exception as error:
            return work.faults[-1] if work.faults else self._told_apart(error)
        return None

    def _told_apart(self, error: Exception) -> Exception:
        """Return an error of Prefect's, or a sentence where its server is gone, which the next pass starts anew."""
        assert self._host is not None
        if self._host.well():
            return error
        url = self._host.api_url
        host.abandon(self._host)
        self._host = None
        return TreueError(f"Prefect's server at {url} has gone away; nothing is lost, the next pass goes on.")

    def _one_pass(self, engine: Engine, regular: bool, wake: threading.Event) -> None:
        if regular:
            engine.recover(utc_now())
            engine.store.survey()
        if self.run_pass(engine, utc_now(), sense=regular).delivered.unfinished:
            wake.set()

    def _survive(self, act: Callable[..., None], *values: Any) -> None:
        try:
            act(*values)
        except TreueError as error:
            log.error("%s", error)
        except Exception:
            log.exception("A pass failed; the next one comes in %.0f s at the latest.", self.tick_seconds)


def _raise(failed: dict[str, Exception]) -> None:
    """Raise the first error; the others are logged."""
    errors = list(failed.items())
    for name, error in errors[1:]:
        log.error("The journey %s failed: %s: %s", name, type(error).__name__, error)
    for name, error in errors[:1]:
        error.add_note(f"While the journey {name} ran.")
        raise error


def _logged(what: str, _number: int) -> None:
    log.info("%s", what)


def _untold(what: str, number: int) -> None:
    """Tell nobody."""
