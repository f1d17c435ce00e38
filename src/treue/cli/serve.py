"""The verbs `web` and `up`: the HTTP side alone, and everything in one process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from treue.errors import TreueError

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from treue.engine.assembly import Assembly
    from treue.engine.runtimes import Runtime
    from treue.workspace.loading import Workspace

PORT = 8420
RUNTIME = "prefect"
PATIENCE = 60.0
"""How many seconds a pass under way has to come to its end when everything is to stop."""

Host = Annotated[str, typer.Option("--host", help="The address to listen at.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen at.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("web")(web)
    app.command("up")(up)


def web(context: typer.Context, host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Take in events and webhooks, show the console; passes and delivery run elsewhere (`up`, `run`)."""
    from treue.engine.assembly import assembled
    from treue.web.app import create_app

    workspace = _workspace(context, port)
    with _listening(host, port) as listening, assembled(workspace, deliver=False) as assembly:
        app = create_app(assembly)
        _greet(assembly, host, port)
        _serve(app, listening)


def up(context: typer.Context, host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Run everything in one process: web, passes, delivery, the built-in inbox. Ctrl-C ends it."""
    from treue.cli.plan import differs
    from treue.clock import utc_now
    from treue.engine.assembly import assembled
    from treue.engine.runtimes import load_runtime
    from treue.web.app import create_app

    workspace = _workspace(context, port)
    with _listening(host, port) as listening, assembled(workspace) as assembly:
        differs(assembly.begin(utc_now()))
        assembly.engine.recover(utc_now())
        runtime = load_runtime(RUNTIME, assembly.state)
        try:
            passes = Passes(runtime, assembly)
            app = create_app(assembly, passes.wake.set)
            _greet(assembly, host, port)
            with _bounces(assembly):
                _serve(app, listening, passes)
        finally:
            runtime.close()


@contextmanager
def _bounces(assembly: Assembly) -> Iterator[None]:
    """Read the mails that come back, where the environment names their mailbox."""
    from treue.engine.delivery.mailroom import looking, named

    where = named(assembly.workspace.root)
    if not where:
        yield
        return
    with looking(where, assembly.store, assembly.return_paths, lambda said: print(said, file=sys.stderr)):
        yield


class Passes:
    """The runtime in a thread beside the server. If it fails, the server is told to end."""

    def __init__(self, runtime: Runtime, assembly: Assembly) -> None:
        self.wake, self.stop = threading.Event(), threading.Event()
        self.failure: BaseException | None = None
        self._runtime, self._engine = runtime, assembly.engine
        self._thread = threading.Thread(target=self._run, name="treue-passes", daemon=True)
        self._ended = threading.Event()

    @contextmanager
    def running(self, ended: threading.Event) -> Iterator[None]:
        """Run passes while the block lasts; `ended` is set where they end by themselves."""
        self._ended = ended
        self.wake.set()
        self._thread.start()
        try:
            yield
        finally:
            self.stop.set()
            self.wake.set()
            self._thread.join(PATIENCE)

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


def _serve(app: FastAPI, listening: socket.socket, passes: Passes | None = None) -> None:
    from treue.web.server import serve, server

    running = server(app)
    if passes is None:
        serve(running, listening)
        return
    ended = threading.Event()

    def watch() -> None:
        ended.wait()
        running.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    with passes.running(ended):
        serve(running, listening)
    print("Stopped.", file=sys.stderr)
    if passes.failure is not None:
        raise TreueError(f"The passes ended: {passes.failure}") from passes.failure


def _workspace(context: typer.Context, port: int) -> Workspace:
    """Load the workspace. On another port, links lead there too, unless the environment names an address."""
    from treue.channel import installed_adapters
    from treue.cli import opening
    from treue.workspace.loading import load

    if port != PORT:
        os.environ.setdefault("TREUE_URL", f"http://localhost:{port}")
    _log_to_stderr()
    return load(opening.root(context), installed_adapters).require()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    from treue.web.server import listen

    listening = listen(host, port)
    try:
        yield listening
    finally:
        listening.close()


def _log_to_stderr() -> None:
    """Log requests and warnings to stderr, one line each."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name in ("treue.web", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _greet(assembly: Assembly, host: str, port: int) -> None:
    """Print where everything is and how to post an event."""
    from treue.web.guard import KEY_VARIABLE, api_key
    from treue.web.operations import uses_inbox

    anywhere = host in ("127.0.0.1", "localhost", "0.0.0.0", "::", "::1")  # noqa: S104 - compared, not bound
    shown = "localhost" if anywhere else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    _, path = api_key(assembly.state)
    print(f"Console     {address}/")
    if uses_inbox(assembly):
        print(f"Inbox       {address}/inbox")
    print(f"API key     {path or 'from the environment variable ' + KEY_VARIABLE}")
    for name, source in assembly.settings.sources.items():
        print(f"Webhooks    {address}/v1/hooks/{name}  ({source.scheme}{_secretless(source)})")
    key = f"$(cat {path})" if path else f"${KEY_VARIABLE}"
    print("\nTo post an event:\n")
    print(f'  curl {address}/v1/events -H "Authorization: Bearer {key}" \\')
    print(f"    -d '{_example(assembly)}'\n", flush=True)


def _secretless(source: object) -> str:
    from treue.errors import SettingsError
    from treue.language.settings import SourceSettings

    assert isinstance(source, SourceSettings)
    try:
        known = source.secret.value().strip()
    except SettingsError:
        known = ""
    return "" if known else f"; refused until {source.secret} is set"


def _example(assembly: Assembly) -> str:
    """Return an event this workspace declares, as JSON."""
    import json

    from treue.model.states import BUILT_IN_EVENTS

    values = {"number": 1, "text": "a", "bool": True, "date": "2026-03-31", "time": "2026-03-31T09:30:00Z"}
    events = {
        name: types for name, types in assembly.settings.schema.events.items() if name not in BUILT_IN_EVENTS
    }
    name, types = next(iter(events.items()), ("consent.withdrawn", {"channel": "text"}))
    properties = {key: values.get(kind, ["a"]) for key, kind in types.items()}
    return json.dumps({"id": "example-1", "customer": "42", "event": name, "properties": properties})
