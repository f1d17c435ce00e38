"""The verbs `web`, `worker` and `up`: the HTTP side, passes and delivery, and both in one process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from treue.cli import opening
from treue.cli.operating.sign_in import PORT, Port, address_of, sign_in_links
from treue.errors import UsageError

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from treue.cli.running.passes import Passes
    from treue.composition.assembly import Assembly
    from treue.workspace.workspace import Workspace

Host = Annotated[str, typer.Option("--host", help="The address to listen at.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("web")(web)
    app.command("worker")(worker)
    app.command("up")(up)


def web(context: typer.Context, host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Take in events and webhooks, show the console; passes and delivery run elsewhere (`worker`, `up`, `run`)."""
    from treue.composition.assembly import assembled
    from treue.web.app import create_app

    workspace = _workspace(context, port)
    with _listening(host, port) as listening, assembled(workspace, deliver=False) as assembly:
        app = create_app(assembly)
        _greet(assembly, host, port)
        _serve(app, listening)


def up(context: typer.Context, host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Run everything in one process: web, passes, delivery, the built-in inbox. Ctrl-C ends it."""
    from treue.cli.running.passes import open_passes
    from treue.web.app import create_app

    workspace = _workspace(context, port)
    with _listening(host, port) as listening, open_passes(workspace) as (assembly, passes):
        app = create_app(assembly, passes.wake.set)
        _greet(assembly, host, port)
        _serve(app, listening, passes)


def worker(
    context: typer.Context,
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            metavar="[HOST:]PORT",
            help="Show this worker's own numbers there, at /metrics, to whoever has the API key; by itself, a port is one of loopback.",
        ),
    ] = "",
) -> None:
    """Run passes and delivery without the web, beside `web` and other workers on one database.

    Ctrl-C or SIGTERM ends it once the messages in hand are sent and recorded; what is left in the outbox, the next one sends.
    """
    from treue.cli.running.passes import open_passes

    _log_to_stderr()
    with (
        opening.event_on_signals() as ended,
        open_passes(opening.workspace(context)) as (assembly, passes),
        _shown_metrics(assembly, metrics),
    ):
        print("Passes and delivery run; Ctrl-C ends them.", flush=True)
        with passes.run(ended):
            ended.wait()
    print("Stopped.", file=sys.stderr)
    passes.must_have_worked()


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
    with passes.run(ended):
        serve(running, listening)
    print("Stopped.", file=sys.stderr)
    passes.must_have_worked()


@contextmanager
def _shown_metrics(assembly: Assembly, where: str) -> Iterator[None]:
    """Show the process's own numbers while the block lasts, where somebody wants them."""
    if not where:
        yield
        return
    from treue.web.guard import api_key
    from treue.web.metrics import process_app
    from treue.web.server import listen, serve_beside

    host, _, port = where.rpartition(":")
    if not port.isdigit():
        raise UsageError(
            f"`--metrics {where}` is neither a port nor HOST:PORT; write it like 9464 or 0.0.0.0:9464."
        )
    app = process_app(api_key(assembly.state)[0])
    with listen(host.strip("[]") or "127.0.0.1", int(port)) as listening, serve_beside(app, listening):
        yield


def _workspace(context: typer.Context, port: int) -> Workspace:
    """Load the workspace. On another port, links lead there too, unless the environment names an address."""
    from treue.channel import installed_adapters
    from treue.vocabulary.workspace import load

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
    for name in ("treue.web", "treue.passes", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _greet(assembly: Assembly, host: str, port: int) -> None:
    """Print where everything is and how to post an event."""
    from treue.web.guard import KEY_VARIABLE, api_key
    from treue.web.operations import uses_inbox

    address = address_of(host, port)
    _, path = api_key(assembly.state)
    links = sign_in_links(assembly.state, assembly.settings, address)
    print("Console     " + "\n            ".join(links))
    print("            signs in one browser, once, within an hour; `treue sign-in` prints a new link")
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
