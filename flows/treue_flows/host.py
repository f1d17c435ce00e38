"""Prefect in this process: its server, found or started, and its event loop. Started once and then kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from treue.errors import TreueError
from treue_flows import environment, server
from treue_flows.loop import Loop

if TYPE_CHECKING:
    from treue.engine.runtimes import Runtime  # noqa: F401

Told = Callable[[str], None]


class Host:
    """What flows need around them. One a process: Prefect reads its settings when it is imported."""

    def __init__(self, state: Path, told: Told) -> None:
        self._home = environment.prepare(state)
        self._share: server.Share | None = None
        self.api_url = environment.users_server() or ""
        if self.api_url:
            _must_answer(self.api_url)
        else:
            self._start(told)
        from treue_flows import compile as _compile  # noqa: F401 - Prefect is imported here, and only once

        self.loop = Loop()

    @property
    def ui_url(self) -> str:
        """Where a browser sees the flows."""
        return self.api_url.removesuffix("/").removesuffix("/api")

    def _start(self, told: Told) -> None:
        self._share = server.Share(self._home)
        if server.running(self._home) is None:
            told("Starting Prefect's server.")
        importing = threading.Thread(target=__import__, args=("prefect.main",), daemon=True)
        self._share.start()
        self.api_url = self._share.api_url
        environment.point_to(self.api_url)
        del importing

    def close(self) -> None:
        """Send off what Prefect still has to report, then end the loop and give up the server."""
        _report_the_rest()
        self.loop.close()
        if self._share is not None:
            self._share.leave()
