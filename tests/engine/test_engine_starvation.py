"""Messages at which the provider breaks the conversation: claimed after all others, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.channels.smtp_server import HANG_UP, Script, Server
from tests.engine.scene import Scene, Sink
from treue.channel import Accepted, Outgoing, Progress, Receipt, Retry, Unknown
from treue.delivery import doubts, gates
from treue.delivery.acceptance import AcceptanceLog, read_log
from treue.delivery.dispatcher import Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.model.tables import message
from treue.testing.channel_contract import example_message
from treue_channels.smtp import Smtp

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email, valid_for: 3d}, {wait: 9d}]\n"
PAPER = "category: transactional\nenter: {event: order.placed}\nsteps: [{send: paper, on: email}]\n"
WAYS = [
    (s, how)
    for s in ("rcpt", "data", "dot")
    for how in (HANG_UP, "421 4.3.2 closing", "nonsense", "999 what")
]
KEYS = [f"{'bad' if 2 <= n < 26 else 'good'}{n}" for n in range(56)]
BAD = [key for key in KEYS if key.startswith("bad")]


class Letters:
    """Writes whole mails."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        return [
            Written(replace(example_message("email", 1), key=one.key, to=one.address)) for one in messages
        ]


@pytest.fixture
def relayed(scene: Scene) -> Iterator[tuple[Scene, Script]]:
    """A scene that sends by SMTP to a relay which breaks the connection at 24 of 56 recipients, in ways that show at once."""
    script = Script(features=("PIPELINING", *Script.features))
    for (stage, how), key in zip(WAYS * 2, BAD, strict=True):
        script.answers[f"{stage} {key}@example.com"] = how
    with Server(script) as server:
        scene.channels["email"] = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=0.7")
        scene.delivery.composer = Letters()
        scene.journeys(hello=PAPER)
        yield scene, script
        scene.channels["email"].close()


def test_nobody_waits_for_those_at_whom_the_relay_breaks_the_connection(
    relayed: tuple[Scene, Script],
) -> None:
    scene, script = relayed
    delivery, scene.engine.delivery = scene.engine.delivery, None
    for key in KEYS:
        _orders(scene, key)
    scene.engine.delivery = delivery
    scene.run()
    assert _taken(script, scene) >= {key for key in KEYS if key not in BAD}
    for newcomer in ("ada", "bob", "cleo"):  # who comes while those at whom it breaks are tried again
        scene.now += timedelta(minutes=3)
        _orders(scene, newcomer)
        assert newcomer in _taken(script, scene)


def test_those_at_whom_it_breaks_are_tried_after_all_others_and_one_at_a_time(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    sink = Broken("email", {"bad0@example.com", "bad1@example.com"})
    scene.channels["email"] = sink
    for key in ("bad0", "bad1"):
        _orders(scene, key)
    sink.batches.clear()
    scene.later(minutes=2)
    assert sink.batches == [["bad0@example.com"]], "a pass ends with the first at which it breaks again"
    sink.broken = {"bad0@example.com"}
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.now += timedelta(minutes=3)
    for key in ("ada", "bob"):
        _orders(scene, key)
    scene.engine.delivery = delivery
    sink.batches.clear()
    scene.run()
    assert [sorted(batch) for batch in sink.batches[:1]] == [["ada@example.com", "bob@example.com"]]
    assert sorted(sink.batches[1:]) in ([["bad0@example.com"]], [["bad0@example.com"], ["bad1@example.com"]])
    scene.later(hours=1)
    assert ("bad1", "sent") in {(row[0], row[3]) for row in scene.messages()}
    with scene.store.reading() as connection:
        assert gates.failures(connection) == {}


def test_one_that_breaks_it_each_time_has_failed_after_eight_and_stops_no_channel(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    scene.channels["email"] = Broken("email", {"bad0@example.com"})
    _orders(scene, "bad0")
    for _ in range(30):
        scene.later(hours=1)
    assert [row[3:5] for row in scene.messages()] == [("failed", "rejected_by_provider")]
    with scene.store.transaction() as connection:
        assert gates.failures(connection) == {}
        assert doubts.retry(connection, scene.now) == 1
        assert connection.scalar(select(message.c.alone)) is False


def test_a_message_in_doubt_that_goes_again_by_itself_is_alone_too(scene: Scene) -> None:
    scene.journeys(hello=PAPER)
    scene.channels["email"] = sink = Broken("email", {"bad0@example.com"}, Unknown("lost", alone=True))
    _orders(scene, "bad0")
    for _ in range(6):
        scene.later(hours=1)
    assert len(sink.batches) == 7
    with scene.store.reading() as connection:
        assert connection.scalar(select(message.c.alone)) is True
        assert gates.failures(connection) == {"email": 1}, "the first may have been the provider's silence"


def test_the_acceptance_log_remembers_at_which_messages_it_broke(tmp_path: Path) -> None:
    log = AcceptanceLog(tmp_path, "here/1/x")
    told: dict[str, Receipt] = {
        "a": Retry("why not", 60.0, alone=True), "b": Retry("why not", 60.0), "c": Unknown("who knows", alone=True),
        "d": Unknown("who knows"), "e": Retry("ours", 5.0, ours=True, alone=True),
    }  # fmt: skip
    for key, receipt in told.items():
        log.settled(key, receipt)
    assert read_log(tmp_path, "here/1/x") == told


class Broken(Sink):
    """A provider that breaks the conversation at some. `batches` are the addresses it was handed together."""

    def __init__(self, kind: str, broken: set[str], receipt: Receipt | None = None) -> None:
        super().__init__(kind)
        self.broken, self.batches = broken, list[list[str]]()
        self.capabilities = replace(self.capabilities, batch=50)
        self.receipt = receipt or Retry("it hung up", alone=True)

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        self.batches.append([one.to for one in batch])
        self.answers = [self.receipt if one.to in self.broken else Accepted() for one in batch]
        return super().send(batch, progress)


def _orders(scene: Scene, key: str) -> None:
    scene.customer(key)
    scene.event(key, "order.placed")
    scene.run()


def _taken(script: Script, scene: Scene) -> set[str]:
    return {one.recipient.partition("@")[0] for one in script.taken}
