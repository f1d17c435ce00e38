"""The acceptance log: what a worker put on the wire and what the provider said, outside the database.

A line is written before a message goes on the wire and another when its fate is known, straight to the
operating system, so that they survive `kill -9`. When a worker dies, its log says which of its claimed messages
were never touched (they go back into the outbox), which were accepted (they are recorded as sent), and which
were on the wire at that very instant: only those are in doubt.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from treue.channel import Accepted, Receipt, Refused, Retry, Unknown

_FOLDER = "acceptances"


def worker_name() -> str:
    """Return a name for this process as a worker: host, process id, and a part that is never used again."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def is_here(worker: str) -> bool:
    """Whether a worker runs, or ran, on this host."""
    return worker.partition("/")[0] == socket.gethostname()


def is_dead(worker: str) -> bool:
    """Whether a worker ran on this host and its process is gone; of other hosts' nothing is known."""
    host, _, rest = worker.partition("/")
    pid, _, _ = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(int(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _path(state: Path, worker: str) -> Path:
    return state / _FOLDER / f"{worker.replace('/', '~')}.log"


class AcceptanceLog:
    """One worker's log. Also the `Progress` that channel adapters report to."""

    def __init__(self, state: Path, worker: str) -> None:
        self.worker = worker
        self._path = _path(state, worker)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def started(self, key: str) -> bool:
        """Note that a message is about to go on the wire; a worker that slept past its lease lets none go."""
        os.write(self._file, f"> {key}\n".encode())
        return True

    def settled(self, key: str, receipt: Receipt) -> None:
        """Note what the provider said, before the database hears of it."""
        match receipt:
            case Accepted(provider_id):
                line = f"+ {key} {provider_id}"
            case Refused(reason):
                line = f"- {key} {reason}"
            case Retry(reason):
                line = f"~ {key} {reason}"
            case Unknown(reason):
                line = f"? {key} {reason}"
        os.write(self._file, (" ".join(line.split()) + "\n").encode())

    def forget(self) -> None:
        """Empty the log: everything in it is in the database."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the log and remove it."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Fate:
    """What a log says of one message: `sign` is `>` (on the wire), `+`, `-`, `~` or `?`."""

    sign: str
    text: str = ""


def read_log(state: Path, worker: str) -> dict[str, Fate] | None:
    """Return the last word on each message in a worker's log, or None where there is no log."""
    try:
        lines = _path(state, worker).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    fates: dict[str, Fate] = {}
    for line in lines:
        sign, _, rest = line.partition(" ")
        key, _, text = rest.partition(" ")
        if sign in (">", "+", "-", "~", "?") and key:
            fates[key] = Fate(sign, text)
    return fates


def remove_log(state: Path, worker: str) -> None:
    """Remove a dead worker's log once the database has it all."""
    _path(state, worker).unlink(missing_ok=True)
