"""What nearly every command begins with: the workspace, its database, a name, a time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treue.clock import YEARS, parse_instant, utc_now
from treue.errors import UsageError
from treue.language.problems import did_you_mean
from treue.vocabulary.workspace import load
from treue.workspace.files import find_root
from treue.workspace.workspace import Workspace

if TYPE_CHECKING:
    from treue.store.store import Store

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
At = Annotated[str, typer.Option("--at", metavar="TIME", help="As of this time (default: now).")]


def root(context: typer.Context) -> Path:
    """Return the folder of the workspace that is meant. Raises UsageError where there is none."""
    return find_root(context.obj.workspace)


def workspace(context: typer.Context) -> Workspace:
    """Return the workspace that is meant. Raises WorkspaceError where its files have problems."""
    return load(root(context)).require()


@contextmanager
def store(of: Workspace, *, create: bool = False) -> Iterator[Store]:
    """Open the workspace's database for the length of a command; `create` makes it where there is none.

    Raises StoreError where it cannot be reached, is not there, or has another schema.
    """
    from treue.composition.assembly import database_url
    from treue.store.store import Store

    opened = Store.open(database_url(of), create=create)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def store_if_there(of: Workspace) -> Iterator[Store | None]:
    """Open the workspace's database where there is one to be reached, else give None."""
    if _no_file(of):
        yield None
        return
    from treue.composition.assembly import database_url
    from treue.errors import StoreError
    from treue.store.store import Store

    try:
        opened = Store.open(database_url(of))
    except StoreError:
        yield None
        return
    try:
        yield opened
    finally:
        opened.close()


def _no_file(of: Workspace) -> bool:
    """Whether the database is a SQLite file that is not there, which is found out without opening anything."""
    url = of.settings.database.value()
    return url.startswith("sqlite:///") and not (of.root / url.removeprefix("sqlite:///")).exists()


def known(name: str, names: Iterable[str], what: str) -> str:
    """Return the name if it is one of `names`. Raises UsageError with the nearest one."""
    there = list(names)
    if name not in there:
        hint = did_you_mean(name, there) or (
            f"There are {len(there)} others." if there else f"There is no {what} yet."
        )
        raise UsageError(f"There is no {what} `{name}`. {hint}")
    return name


def moment(text: str, zone: str) -> datetime:
    """Return the instant a TIME option means, local to `zone` without an offset; now where it is empty."""
    if not text:
        return utc_now()
    found = parse_instant(text, zone)
    if found is None:
        raise UsageError(f"`{text}` is not a time; write it like 2026-03-31 or 2026-03-31T09:30.")
    if found.year not in YEARS:
        raise UsageError(f"`{text}` is too far away; a time lies between {YEARS[0]} and {YEARS[-1]}.")
    return found


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Interrupt the block on SIGTERM and SIGHUP as on Ctrl-C, so that temporary copies of customers' data are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    fatal = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in fatal:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in fatal:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def event_on_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set while the block lasts; a second signal ends the process at once."""
    ended = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(_number: int, _frame: object) -> None:
        restore()
        ended.set()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, end)
    try:
        yield ended
    finally:
        restore()


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def local(instant: datetime, zone: str) -> str:
    """Return an instant as the workspace's clock shows it, to the minute."""
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
