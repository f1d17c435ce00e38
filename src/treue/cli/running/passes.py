"""Passes and delivery in a thread of their own: what `treue up` and `treue worker` have in common."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from treue.errors import TreueError

if TYPE_CHECKING:
    from treue.composition.assembly import Assembly
    from treue.engine.passes.runtimes import Runtime
    from treue.workspace.workspace import Workspace

RUNTIME = "prefect"
PATIENCE = 60.0
"""How many seconds a pass under way has to come to its end when everything is to stop."""


@contextmanager
def open_passes(workspace: Workspace) -> Iterator[tuple[Assembly, Passes]]:
    """Assemble a workspace, recover what dead workers left, and yield its passes, not yet started.

    Mails that come back are read meanwhile. Raises as `assembled` does.
    """
    from treue.cli.changing.plan import differs
    from treue.clock import utc_now
    from treue.composition.assembly import assembled
    from treue.composition.vacuum import nightly
    from treue.engine.passes.runtimes import load_runtime

    with assembled(workspace) as assembly:
        differs(assembly.begin(utc_now()))
        assembly.engine.recover(utc_now())
        assembly.engine.nightly = nightly(workspace, assembly.store)
        runtime = load_runtime(RUNTIME, assembly.state)
        try:
            with _bounces(assembly):
                yield assembly, Passes(runtime, assembly)
        finally:
            runtime.close()


class Passes:
    """The runtime in a thread beside the main one, which is told if it fails."""

    def __init__(self, runtime: Runtime, assembly: Assembly) -> None:
        self.wake, self.stop = threading.Event(), threading.Event()
        self.failure: BaseException | None = None
        self._runtime, self._engine = runtime, assembly.engine
        self._thread = threading.Thread(target=self._run, name="treue-passes", daemon=True)
        self._ended = threading.Event()

    @contextmanager
    def run(self, ended: threading.Event) -> Iterator[None]:
        """Run passes while the block lasts; `ended` is set where they end by themselves."""
        self._ended = ended
        self.wake.set()
        self._thread.start()
        try:
            yield
        finally:
            self.stop.set()
            self.wake.set()
            if self._engine.delivery is not None:
                self._engine.delivery.wind_down()
            self._thread.join(PATIENCE)

    def must_have_worked(self) -> None:
        """Raise TreueError where the passes ended by themselves."""
        if self.failure is not None:
            raise TreueError(f"The passes ended: {self.failure}") from self.failure

    def _run(self) -> None:
        try:
            self._show_runtime()
            self._runtime.keep_running(self._engine, self.wake, self.stop)
        except BaseException as error:
            self.failure = error
        finally:
            self._ended.set()

    def _show_runtime(self) -> None:
        """Print where the runtime's own pages are, once it is up; if it will not start, the passes say why."""
        with suppress(TreueError):
            self._runtime.warm_up()
            if address := self._runtime.ui_url():
                print(f"Prefect     {address}  (each journey is a flow, each step a task)", flush=True)
                if password := self._runtime.ui_password():
                    print(f"            asks for what is in {password}", flush=True)


@contextmanager
def _bounces(assembly: Assembly) -> Iterator[None]:
    """Read the mails that come back, where the environment names their mailbox."""
    from treue.delivery.mailroom import looking, named

    where = named(assembly.workspace.root)
    if not where:
        yield
        return
    with looking(where, assembly.store, assembly.return_paths, lambda said: print(said, file=sys.stderr)):
        yield
