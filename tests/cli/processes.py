"""Commands as processes of their own, with plain calls in place of Prefect."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

SECRET = "hush"

PLAIN = """
import threading
from treue.clock import utc_now
from treue.engine.passes import runtimes

class Plain(runtimes.InProcess):
    def keep_running(self, engine, wake, stop):
        while not stop.is_set():
            wake.wait(1)
            wake.clear()
            self.run_pass(engine, utc_now())

    def warm_up(self, progress=None): pass
    def ui_url(self): return None
    def close(self): pass

class Broken(Plain):
    def keep_running(self, engine, wake, stop):
        raise RuntimeError("the passes are broken")

runtimes.load_runtime = lambda name, state: {runtime}()
from treue.cli import main
main()
"""
"""The command with a runtime of plain calls in Prefect's place, which takes seconds to start."""


class Running:
    """A `treue` process and a client for it; `sign_in` is the command that prints a link."""

    def __init__(self, process: subprocess.Popen[str], port: int, sign_in: Callable[[], str]) -> None:
        self.process, self.port, self._sign_in = process, port, sign_in
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)

    @cached_property
    def operator(self) -> httpx.Client:
        """The client, signed in as an operator is: with the link that the command prints."""
        answer = self.client.post("/sign-in", data={"token": self._sign_in()})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        return self.client

    def wait_for(self, ask: Callable[[], Any], seconds: float = 60) -> Any:
        """Return what `ask` returns once that is something; fail after a while, or when the process ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if found := ask():
                    return found
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail(f"nothing came; exit code {self.process.poll()}")

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what was printed."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=90)
        return self.process.returncode, out, errors

    def mails(self, recipient: str) -> list[dict[str, Any]]:
        found = self.operator.get("/inbox/api/messages", params={"recipient": recipient}).json()
        messages: list[dict[str, Any]] = found["messages"]
        return messages


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would lead a workspace elsewhere, and with `more`."""
    ours = ("TREUE_DATABASE", "TREUE_URL", "TREUE_SECRET", "TREUE_API_KEY", "SMTP_URL", "CRM_SECRET")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"SHOPIFY_SECRET": SECRET} | more


@contextmanager
def started(
    root: Path, *arguments: str, port: bool = True, runtime: str | None = "Plain", **more: str
) -> Iterator[Running]:
    """Run a command until the block ends; `port` says that it takes one, `more` is put in its environment."""
    where = free_port()
    code = PLAIN.replace("{runtime}", runtime) if runtime else "from treue.cli import main; main()"
    treue = [sys.executable, "-c", code, "--workspace", str(root)]
    at = ["--port", str(where)] if port else []
    process = subprocess.Popen(
        [*treue, *arguments, *at],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def sign_in() -> str:
        """Return the link that the command prints."""
        done = subprocess.run(
            [*treue, "sign-in", *at], env=environment(**more), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    running = Running(process, where, sign_in)
    try:
        yield running
    finally:
        running.client.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def up(root: Path, *arguments: str, **options: Any) -> Iterator[Running]:
    """Run a server, `up` where no command is given, and wait until it is ready."""
    with started(root, *(arguments or ("up",)), **options) as running:
        running.wait_for(lambda: running.client.get("/readyz").status_code == 200)
        yield running
