"""The acceptance log: what a worker put on the wire and what the provider said, outside the database.

A line is written before a message goes on the wire and another when its fate is known, straight to the
operating system, so that they survive `kill -9`. When a worker dies, its log says which of its claimed messages
were never touched (they go back into the outbox), which were accepted (they are recorded as sent), and which
were on the wire at that very instant: only those are in doubt.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from treue.channel import Accepted, Receipt, Refused, Retry, Unknown
from treue.clock import EPOCH as LONG_AGO
from treue.clock import utc_now

_FOLDER = "acceptances"


def worker_name() -> str:
    """Return a name for this process as a worker: host, process id, and a part that is never used again."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def lives(state: Path, worker: str) -> bool | None:
    """Return whether a worker of this host is still there; None where that cannot be told.

    A worker has its log locked as long as it lives. Its process id says nothing: in a container, the next process has
    the same one again.
    """
    if worker.partition("/")[0] != socket.gethostname():
        return None
    try:
        file = os.open(_path(state, worker), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(file)


def _path(state: Path, worker: str) -> Path:
    return state / _FOLDER / f"{worker.replace('/', '~')}.log"


class AcceptanceLog:
    """One worker's log. Also the `Progress` that channel adapters report to.

    `lease` is when, by the real clock, what the worker has in its hands may become another's. `in_hand` says that it
    has claimed messages whose fate is not recorded yet.
    """

    def __init__(self, state: Path, worker: str, clock: Callable[[], datetime] = utc_now) -> None:
        self.worker, self.lease, self.in_hand = worker, LONG_AGO, False
        self._clock = clock
        self._path = _path(state, worker)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks; then leases have to do
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def started(self, key: str) -> bool:
        """Note that a message is about to go on the wire; a worker that slept past its lease lets none go."""
        if self._clock() >= self.lease:
            return False
        os.write(self._file, f"> {key}\n".encode())
        return True

    def settled(self, key: str, receipt: Receipt) -> None:
        """Note what the provider said, before the database hears of it."""
        os.write(self._file, (" ".join(_line(key, receipt).split()) + "\n").encode())

    def forget(self) -> None:
        """Empty the log: everything in it is in the database."""
        os.ftruncate(self._file, 0)
        self.in_hand = False

    def close(self) -> None:
        """Close the log and remove it, unless somebody has yet to record what it says."""
        os.close(self._file)
        if not self.in_hand:
            self._path.unlink(missing_ok=True)


def _line(key: str, receipt: Receipt) -> str:
    match receipt:
        case Accepted(provider_id):
            return f"+ {key} {provider_id}"
        case Refused(reason, suppress, forbidden):
            return f"{'x' if forbidden else '!' if suppress else '-'} {key} {reason}"
        case Retry(reason, after, everyone, ours, alone):
            sign = ("O" if everyone else "o") if ours else "=" if everyone else "~"
            return f"{sign}{_ALONE if alone else ''} {key} {after:.0f} {reason}"
        case Unknown(reason, alone):
            return f"?{_ALONE if alone else ''} {key} {reason}"
    raise AssertionError(receipt)


_ALONE = "|"
"""Behind the sign of a message at which the conversation broke."""

_SIGNS: dict[str, Callable[[str], Receipt]] = {
    ">": lambda _: Unknown("It was on the wire when its worker died."),
    "+": Accepted,
    "-": Refused,
    "!": lambda text: Refused(text, suppress=True),
    "x": lambda text: Refused(text, forbidden=True),
    "~": lambda text: _retry(text),
    "=": lambda text: _retry(text, everyone=True),
    "o": lambda text: _retry(text, ours=True),
    "O": lambda text: _retry(text, everyone=True, ours=True),
    "?": Unknown,
}


def _retry(text: str, *, everyone: bool = False, ours: bool = False) -> Retry:
    after, _, reason = text.partition(" ")
    return Retry(reason, float(after) if after.isdigit() else Retry.after, everyone, ours)


def read_log(state: Path, worker: str) -> dict[str, Receipt] | None:
    """Return the last word on each message in a worker's log, or None where there is no log."""
    try:
        lines = _path(state, worker).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    fates: dict[str, Receipt] = {}
    for line in lines:
        sign, _, rest = line.partition(" ")
        key, _, text = rest.partition(" ")
        if sign.removesuffix(_ALONE) in _SIGNS and key:
            fates[key] = _said(sign, text)
    return fates


def _said(sign: str, text: str) -> Receipt:
    receipt = _SIGNS[sign.removesuffix(_ALONE)](text)
    if isinstance(receipt, Retry | Unknown) and sign.endswith(_ALONE):
        return replace(receipt, alone=True)
    return receipt


def remove_log(state: Path, worker: str) -> None:
    """Remove a dead worker's log once the database has it all."""
    _path(state, worker).unlink(missing_ok=True)
