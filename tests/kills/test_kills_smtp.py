"""A worker killed while it sends: its log says of every message what is known, and few are in doubt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.channels.smtp_server import Script, Server
from treue.channel import Accepted, Unknown
from treue.clock import utc_now
from treue.delivery.acceptance import AcceptanceLog, read_log
from treue.testing.channel_contract import example_message
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


SESSIONS, KILLS, MESSAGES = 4, 6, 2_000


def _send(port: int, state: Path, worker: str) -> None:
    log = AcceptanceLog(state, worker)
    log.lease = utc_now() + timedelta(minutes=5)
    adapter = Smtp(url=f"smtp://127.0.0.1:{port}?timeout=5&sessions={SESSIONS}")
    adapter.send([example_message("email", n) for n in range(MESSAGES)], log)


def test_a_killed_worker_leaves_no_more_in_doubt_than_it_had_connections(
    server: Server, script: Script, tmp_path: Path
) -> None:
    caught = 0
    for kill in range(KILLS):
        before = len(script.taken)
        worker = f"here/{kill}/x"
        process = multiprocessing.get_context("fork").Process(
            target=_send, args=(server.port, tmp_path, worker)
        )
        process.start()
        while len(script.taken) < before + 20 * (kill + 1) and process.is_alive():
            time.sleep(0.001)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        deadline = time.monotonic() + 5
        while script.open and time.monotonic() < deadline:
            time.sleep(0.01)  # until the server has read what was on the wire
        log = read_log(tmp_path, worker)
        assert log is not None
        taken = {one.recipient for one in script.taken[before:]}
        assert len(taken) == len(script.taken) - before
        fates = {example_message("email", int(key.split("-")[1])).to: fate for key, fate in log.items()}
        accepted = {to for to, fate in fates.items() if isinstance(fate, Accepted)}
        doubted = {to for to, fate in fates.items() if isinstance(fate, Unknown)}
        assert accepted <= taken
        assert taken <= accepted | doubted
        assert len(doubted) <= SESSIONS
        caught += len(fates) < MESSAGES
    assert caught == KILLS
