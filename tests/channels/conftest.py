from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.smtp_server import Script, Server
from treue_channels.inbox import Inbox, InboxStore
from treue_channels.smtp import Smtp


@pytest.fixture(params=["pipelined", "in-lock-step"])
def script(request: pytest.FixtureRequest) -> Script:
    if request.param == "in-lock-step":
        return Script()
    return Script(features=("PIPELINING", *Script.features), lenient=True)


@pytest.fixture
def server(script: Script) -> Iterator[Server]:
    with Server(script) as running:
        yield running


@pytest.fixture
def smtp(server: Server) -> Iterator[Smtp]:
    adapter = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=0.7")
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    with Inbox(tmp_path_factory.mktemp("inbox") / "inbox.db") as running:
        yield running


@pytest.fixture
def box(tmp_path: Path) -> Iterator[InboxStore]:
    opened = InboxStore(tmp_path / "inbox.db")
    yield opened
    opened.close()
