"""Workers that are there to be killed, stopped and crowded: each in a process of its own, forked from a clean one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from treue.channel import Channel, Outgoing, Progress, Receipt
from treue.delivery import dispatcher, outbox
from treue.delivery.dispatcher import Delivery, Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.engine.passes.engine import Engine
from treue.store.store import Store

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
THINKS = 0.01
FULL = os.environ.get("TREUE_TEST_STORM") == "full"


class Plain:
    """Writes each message as a small mail whose Message-ID is its key."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        return [Written(Outgoing(one.key, one.address, "b@example.com", raw=mail(one))) for one in messages]


def mail(message: Claimed) -> bytes:
    head = f"From: <b@example.com>\r\nTo: <{message.address}>\r\nMessage-ID: <{message.key}@example.com>\r\n"
    return (head + "Subject: Hello\r\n\r\nHello.\r\n").encode()


class Slowly:
    """A provider that honours keys and takes its time over each message."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.capabilities = channel, channel.capabilities

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        receipts: list[Receipt] = []
        for one in batch:
            time.sleep(THINKS)
            receipts += self.channel.send([one], progress)
        return receipts

    def close(self) -> None:
        self.channel.close()


def make_channel(kind: str, where: str) -> Channel:
    """Return the adapter under test: `smtp` at a port, or the inbox, which honours keys, in a file."""
    if kind == "smtp":
        from treue_channels.smtp import Smtp

        return Smtp(f"smtp://127.0.0.1:{where}?sessions=1&timeout=5")
    from treue_channels.inbox import InboxChannel

    return Slowly(InboxChannel("email", where))


def work(url: str, state: str, kind: str, where: str, host: str = "", lease: float = 0.0) -> None:
    """Be a worker that settles what the dead left and delivers until nothing waits. `host` pretends to be elsewhere."""
    if lease:
        outbox.LEASE = timedelta(seconds=lease)
        dispatcher.RENEW_AFTER = lease / 5
    store, channel = Store.open(url), make_channel(kind, where)
    delivery = Delivery(store, {"email": channel}, Plain(), Path(state))
    if host:
        delivery.log.close()
        delivery.log = dispatcher.AcceptanceLog(Path(state), f"{host}/{os.getpid()}/x", delivery.clock)
    engine = Engine(store, "Europe/Berlin", "salt", delivery, Path(state))
    for version in recovered(engine):
        engine.deliver(version.journey_id, NOW)
    delivery.close()
    channel.close()
    store.close()


def recovered(engine: Engine) -> list[Any]:
    engine.recover(NOW)
    return engine.versions()


def write(url: str, seconds: float, number: int) -> int:
    """Read and write for some seconds, as web, passes and delivery do; return how often. Raises what a caller sees."""
    from treue.store import events
    from treue.store.inputs import EventInput

    store, end, done = Store.open(url), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with store.transaction() as connection:
            given = EventInput(f"w{number}", "order.placed", NOW, {"total": done}, f"{number}-{done}")
            events.record(connection, [given], NOW)
        with store.reading() as connection:
            outbox.waiting(connection, NOW)
        done += 1
    store.close()
    return done


def nursery() -> Any:
    """Return a context whose processes are forked from one that has imported all of this already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["storming", "treue_channels.smtp", "treue_channels.inbox", "psycopg"])
    return context


def kill(process: Any) -> bool:
    """Kill a worker as the kernel would; say whether it was still at work."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    return process.exitcode == -signal.SIGKILL
