"""The inbox's SMTP server as a process of its own, which lives no longer than the one that started it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any

from treue.errors import ChannelError
from treue_channels.inbox.box import InboxStore

_START = 30.0
_STOP = 5.0


class Inbox:
    """An SMTP server on this machine that keeps every mail in the file `box_path` and sends none on.

    `port` 0 takes any free port; after `start`, `smtp_url` says which. The server ends when this process
    does, however that ends. Raises ChannelError where it cannot start.
    """

    def __init__(self, box_path: Path, port: int = 0) -> None:
        self.box = InboxStore(box_path)
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def __enter__(self) -> Inbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def smtp_url(self) -> str:
        """Return the URL that the smtp adapter takes."""
        if not self._url:
            raise ChannelError("The inbox has not been started; call start() first.")
        return self._url

    @property
    def pid(self) -> int | None:
        """Return the server's process id, or None while there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing where it runs already."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = _spawn(self.box.path, self._port)
        answer = _first_line(self._process)
        if "smtp" not in answer:
            self.stop()
            raise ChannelError(f"The inbox could not be started: {answer.get('error', 'it gave no reason')}.")
        self._url = answer["smtp"]

    def forget(self, addresses: Collection[str]) -> None:
        """Delete what has come for any of these addresses."""
        self.box.forget(addresses)
        self.box.close()

    def stop(self) -> None:
        """Stop the server. Twice is fine."""
        process, self._process, self._url = self._process, None, ""
        self.box.close()
        if process is not None:
            _end(process)


def _spawn(box: Path, port: int) -> subprocess.Popen[bytes]:
    # -P: a module in the working directory must not pass for one of the library's.
    command = [sys.executable, "-P", "-m", "treue_channels.inbox", "--box", str(box), "--port", str(port)]
    return subprocess.Popen(  # noqa: S603
        [*command, "--parent", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the parent, which may still have mail to hand over
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the server's input, which ends it, and insist after a while."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what the server says of itself once it is ready, or {} where it says nothing in time."""
    assert process.stdout is not None
    timer = threading.Timer(_START, process.kill)
    timer.start()
    try:
        found = json.loads(process.stdout.readline())
    except ValueError:
        return {}
    finally:
        timer.cancel()
    return found if isinstance(found, dict) else {}
