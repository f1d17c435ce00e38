"""Prefect in this process: its server, found or started, and its event loop. Started once and then kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from treue.errors import TreueError
from treue_flows import environment, server
from treue_flows.loop import Loop

DRAIN_SECONDS = 10.0


class FlowHost:
    """The Prefect environment in which flows run. `told` is called while the server starts, which takes a while."""

    def __init__(self, state: Path, told: Callable[[str], None]) -> None:
        self._home = environment.prepare(state)
        self._importing: threading.Thread | None = None
        self._share: server.ServerShare | None = None
        self.api_url = environment.users_server() or ""
        if self.api_url:
            _must_answer(self.api_url)
        else:
            self._share = _started(self._home, told, self._import_meanwhile)
            self.api_url = self._share.api_url
        _import_prefect()
        self.loop = Loop()

    @property
    def ui_url(self) -> str:
        """Where a browser sees the flows."""
        return self.api_url.rstrip("/").removesuffix("/api")

    @property
    def auth_file(self) -> Path | None:
        """Where the auth string that the server asks for lies; None where the user knows it."""
        return environment.auth_file(self._home) if self._share else None

    def well(self) -> bool:
        """Whether the server answers."""
        return server.answers(self.api_url, 10.0)

    def close(self) -> None:
        """Send off what Prefect still has to report, then end the loop and give up the server."""
        _report_the_rest()
        self.loop.close()
        if self._share is not None:
            self._share.leave()

    def _import_meanwhile(self, api_url: str) -> None:
        """Import Prefect while its server starts: both take seconds, and there is more than one core."""
        environment.point_to(api_url, self._home)
        self._importing = threading.Thread(target=_import_prefect, daemon=True)
        self._importing.start()


def _started(home: Path, told: Callable[[str], None], known: Callable[[str], None]) -> server.ServerShare:
    share = server.ServerShare(home)
    try:
        share.start(lambda: told("Starting Prefect's server, once for this process"), known)
    except BaseException:
        share.leave()
        raise
    return share


def _must_answer(api_url: str) -> None:
    if not server.answers(api_url, 10.0):
        raise TreueError(
            f"There is no Prefect server at {api_url}, where PREFECT_API_URL points. Start it with "
            "`prefect server start`, or unset PREFECT_API_URL to have Treue start one."
        )


def _import_prefect() -> None:
    """Import Prefect, with the settings of now where it had been imported before."""
    from prefect.context import refresh_global_settings_context

    import treue_flows.compile  # noqa: F401

    refresh_global_settings_context()


def _report_the_rest() -> None:
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=DRAIN_SECONDS)
    APILogWorker.drain_all(timeout=DRAIN_SECONDS)


class _Shared:
    """The one host of this process and its number of users; Prefect's settings are the process's, too."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.host: FlowHost | None = None
        self.users = 0


_shared = _Shared()


def enter(state: Path, told: Callable[[str], None]) -> FlowHost:
    """Return this process's host, started if need be. Each `enter` needs a `leave`."""
    with _shared.lock:
        if _shared.host is None:
            _shared.host = FlowHost(state, told)
        _shared.users += 1
        return _shared.host


def leave(host: FlowHost) -> None:
    """Give up a host; the last one ends it."""
    with _shared.lock:
        if host is not _shared.host:
            return
        _shared.users -= 1
        if _shared.users == 0:
            _shared.host = None
            host.close()


def abandon(host: FlowHost) -> None:
    """Give up a host whose server is gone, for everybody: the next `enter` starts a new one."""
    with _shared.lock:
        if host is _shared.host:
            _shared.host, _shared.users = None, 0
            host.close()
