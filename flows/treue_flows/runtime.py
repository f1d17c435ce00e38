"""The runtime that runs passes through Prefect: one flow run a journey with something to do, else none at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from treue.clock import utc_now
from treue.engine.passes.attempts import RUN, JourneysFailed
from treue.engine.passes.chronology import Chronology, Due, Passed, Progress
from treue.engine.passes.engine import Engine
from treue.errors import StoreError, TreueError
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
        self._host: host.FlowHost | None = None
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

        A journey that fails leaves the others to run; JourneysFailed is raised at the end. `progress` hears a
        sentence first where Prefect has to be started, with 0 customers.
        """
        passed = Passed()
        with engine.passing(now, passed, names, sense=sense) as attempts:
            chronology = Chronology(engine, attempts, now, names, passed)
            work = Pass(chronology, progress or _ignore_progress)
            for journey in chronology.work(sense=sense):
                self._run_journey(work, journey)
        return passed

    def warm_up(self, progress: Progress | None = None) -> None:
        """Start Prefect now, so that the first pass need not wait for it. May be called from another thread."""
        tell = progress or _log_progress
        with self._starting:
            if self._host is None:
                self._host = host.enter(self.state, lambda sentence: tell(sentence, 0))

    def ui_url(self) -> str | None:
        """Return where a browser sees the flows, or None while Prefect is not started."""
        return self._host.ui_url if self._host else None

    def ui_password(self) -> Path | None:
        """Return the file with what Prefect's UI asks for, or None where the user has set that."""
        return self._host.auth_file if self._host else None

    def keep_running(self, engine: Engine, wake: threading.Event, stop: threading.Event) -> None:
        """Run passes until `stop` is set: one every 15 seconds, and one at once whenever `wake` is set.

        All passes run one after the other in this thread; an error is logged, and the next pass comes.
        """
        from treue_flows.ticker import run_ticker

        engine.every, engine.said = timedelta(seconds=self.tick_seconds), partial(log.info, "%s")
        if engine.delivery is not None:
            engine.delivery.slice_seconds = (
                self.tick_seconds
            )  # what is urgent meanwhile comes with the next pass
        self._survive(self.warm_up)
        with run_ticker(wake, self.tick_seconds) as ticker:
            while not stop.is_set():
                if wake.wait(0.5) and not stop.is_set():
                    wake.clear()
                    self._survive(self._one_pass, engine, ticker.take(), wake)

    def close(self) -> None:
        """Let go of Prefect; the last one in the process ends it."""
        if self._host is not None:
            host.leave(self._host)
            self._host = None

    def _run_journey(self, work: Pass, due: Due) -> None:
        """Run a journey's flow and record what fails. Raises where all others would fail, too."""
        self.warm_up(work.progress)
        assert self._host is not None
        from treue_flows.compile import run_flow

        work.faults.clear()
        chronology = work.chronology
        before = set(chronology.attempts.failed)
        if due.name not in chronology.passed.journeys:
            chronology.passed.journeys.append(due.name)

        async def run(ask: Ask) -> None:
            await run_flow(JourneyWork(work, due, ask), chronology.now)

        try:
            self._host.loop.run(run)
        except Exception as error:
            fault = work.faults[-1] if work.faults else error
            if isinstance(fault, StoreError):
                raise fault from error
            if fault is error:
                self._must_be_there(error)
            if (
                set(chronology.attempts.failed) == before
            ):  # it is no step that failed, but the flow around them
                chronology.attempts.record(due.journey_id, due.name, RUN, fault)

    def _must_be_there(self, error: Exception) -> None:
        """Raise TreueError where an error comes of Prefect's server having gone; the next pass starts it anew."""
        assert self._host is not None
        if self._host.well():
            return
        url = self._host.api_url
        host.abandon(self._host)
        self._host = None
        raise TreueError(
            f"Prefect's server at {url} has gone away; nothing is lost, the next pass goes on."
        ) from error

    def _one_pass(self, engine: Engine, regular: bool, wake: threading.Event) -> None:
        if regular:
            self._survive(engine.recover, utc_now())
            engine.store.survey()
        try:
            passed = self.run_pass(engine, utc_now(), sense=regular)
        except JourneysFailed as failed:
            _log_failures(failed)
            passed = failed.passed
        if passed.delivered.unfinished or passed.behind:
            wake.set()

    def _survive(self, act: Callable[..., object], *values: Any) -> None:
        try:
            act(*values)
        except TreueError as error:
            log.error("%s", error)
        except Exception:
            log.exception("A pass failed; the next one comes in %.0f s at the latest.", self.tick_seconds)


def _log_failures(failed: JourneysFailed) -> None:
    """Log a line for each failure, and of a fault also how it came about."""
    for one in failed.failed:
        log.error("%s", one, exc_info=one.error if one.is_fault else None)


def _log_progress(what: str, _number: int) -> None:
    log.info("%s", what)


def _ignore_progress(what: str, number: int) -> None:
    """Show no progress."""
