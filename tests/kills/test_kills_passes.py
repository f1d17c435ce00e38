"""Workers side by side, and workers killed: nobody gets two, nobody is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.engine.scene import Plainly, Scene, Sink
from tests.engine.test_engine_delivering import SEND, _ordered
from treue.channel import Accepted, Outgoing, Progress, Receipt
from treue.delivery.dispatcher import Delivery
from treue.delivery.doubts import doubts
from treue.engine.passes.chronology import run_pass
from treue.engine.passes.engine import Engine
from treue.store.store import Store


def test_two_processes_in_the_same_pass_send_each_message_once(store_url: str, tmp_path: Path) -> None:
    store = Store.open(store_url)
    scene = Scene(store, tmp_path / "state")
    scene.journeys(hello=SEND)
    keys = [f"c{n}" for n in range(300)]
    _ordered(scene, *keys)
    store.engine.dispose()
    context = multiprocessing.get_context("spawn")
    arguments = (store_url, tmp_path, scene.now.isoformat())
    workers = [context.Process(target=_pass_elsewhere, args=(*arguments, n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    sent = [line for n in range(2) for line in (tmp_path / f"sent-{n}").read_text().split()]
    assert sorted(sent) == sorted(f"{key}@example.com" for key in keys)
    assert scene.counts("hello").sent == {"email": 300}
    store.close()


class _Writing(Sink):
    """A sink that writes each address into a file as it goes, slowly enough to be killed in the middle."""

    def __init__(self, path: Path, pause: float = 0.0) -> None:
        super().__init__("email")
        self.path, self.pause = path, pause

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        receipts: list[Receipt] = []
        with self.path.open("a") as file:
            for message in batch:
                progress.started(message.key)
                file.write(message.to + "\n")
                file.flush()
                time.sleep(self.pause)
                receipts.append(Accepted())
                progress.settled(message.key, receipts[-1])
        return receipts


def _pass_elsewhere(url: str, folder: Path, now: str, n: int, pause: float = 0.0) -> None:
    from datetime import datetime

    store = Store.open(url)
    delivery = Delivery(store, {"email": _Writing(folder / f"sent-{n}", pause)}, Plainly(), folder / "state")
    (folder / f"sent-{n}").touch()
    engine = Engine(store, "Europe/Berlin", "salt", delivery, folder / "state")
    engine.recover(datetime.fromisoformat(now))
    run_pass(engine, datetime.fromisoformat(now))
    delivery.close()
    store.close()


@pytest.mark.parametrize("kills", [3])
def test_killed_in_the_middle_again_and_again_nobody_gets_two_and_nobody_is_lost(
    store_url: str, tmp_path: Path, kills: int
) -> None:
    store = Store.open(store_url)
    scene = Scene(store, tmp_path / "state")
    scene.journeys(hello=SEND)
    keys = [f"c{n}" for n in range(120)]
    _ordered(scene, *keys)
    store.engine.dispose()
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "sent-0"
    for kill in range(kills + 1):
        pause = 0.004 if kill < kills else 0.0
        worker = context.Process(
            target=_pass_elsewhere, args=(store_url, tmp_path, scene.now.isoformat(), 0, pause)
        )
        worker.start()
        if kill < kills:
            before = _lines(path)
            deadline = time.monotonic() + 60
            while _lines(path) < before + 20 and worker.is_alive() and time.monotonic() < deadline:
                time.sleep(0.002)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        worker.join(60)
    sent = path.read_text().split()
    assert len(sent) == len(set(sent)), "somebody got it twice"
    with store.reading() as connection:
        listed = {f"{doubt['customer']}@example.com" for doubt in doubts(connection)}
    assert set(sent) | listed == {f"{key}@example.com" for key in keys}
    assert len(listed) <= kills, "only what was on the wire at a kill is in doubt"
    store.close()


def _lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0
