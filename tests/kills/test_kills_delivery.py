"""Kill it, stop it, crowd it, fill its disk: nobody gets two, nobody is lost, and every doubt is listed.

A smaller run of each in `make test`; in full in `make torture`.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sa_event
from sqlalchemy import func, select, update

from tests.channels.smtp_server import Script, Server
from tests.kills import storming
from tests.kills.storming import FULL, NOW, nursery, work, write
from treue.delivery.doubts import doubts
from treue.delivery.keys import message_key, number_in
from treue.engine.versions.versions import publish
from treue.errors import StoreError
from treue.language.grammar import Context, Schema
from treue.language.journey import JOURNEY
from treue.language.problems import Problems
from treue.language.source import read
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS
from treue.model.tables import channel_gate, customer, enrollment, message
from treue.plan.flatten import build
from treue.store import zones
from treue.store.store import Store
from treue.vocabulary.registry import WORDS

CATEGORY = {
    "marketing": "category: promotional\nbasis: consent\n",
    "transactional": "category: transactional\n",
}


def _queue(store: Store, number: int, category: str = "marketing") -> None:
    """Put a message for each of so many customers into the outbox, in a few statements."""
    text = f"description: x\n{CATEGORY[category]}enter: {{event: a}}\nsteps: [{{send: hello, on: email, valid_for: 30d}}]\n"
    problems = Problems()
    node = read("journeys/hello.yaml", text, problems)
    schema = Schema(BUILT_IN_ATTRIBUTES, {**BUILT_IN_EVENTS, "a": {}}, ("email",))
    journey = JOURNEY.parse(node, Context(problems, schema, lambda *_: None, words=WORDS)) if node else None
    assert not problems.all()
    from dataclasses import replace

    plan = build(replace(journey, name="hello"))  # type: ignore[type-var]
    with store.transaction() as connection:
        zones.ensure(connection, ["Europe/Berlin"])
    publish(store, [plan], {}, NOW)
    from treue.engine.passes.chronology import run_pass
    from treue.engine.passes.engine import Engine
    from treue.store import consents, customers, events
    from treue.store.inputs import ConsentInput, CustomerInput, EventInput

    keys = [f"c{n}" for n in range(number)]
    with store.transaction() as connection:
        customers.upsert(
            connection, [CustomerInput(k, email=f"{k}@example.com", created_at=NOW) for k in keys], NOW
        )
        consents.give(connection, [ConsentInput(k, "email", NOW) for k in keys], NOW)
        events.record(connection, [EventInput(k, "a", NOW, {}, f"a-{k}") for k in keys], NOW)
    run_pass(Engine(store, "Europe/Berlin", "salt"), NOW)
    assert _states(store) == {"queued": number}
    store.engine.dispose()


def _states(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        rows = connection.execute(select(message.c.state, func.count()).group_by(message.c.state))
        return {state: number for state, number in rows}  # noqa: C416


def _in_doubt(store: Store) -> set[str]:
    with store.reading() as connection:
        numbers = {one["message"] for one in doubts(connection, 10_000)}
    return {key for key in _keys(store) if number_in(key) in numbers}


def _keys(store: Store) -> set[str]:
    with store.reading() as connection:
        rows = connection.execute(select(message.c.id, message.c.queued_at)).all()
    return {message_key(row.id, row.queued_at) for row in rows}


def _taken(script: Script) -> Counter[str]:
    """Return how often the server took each message, by the key in its Message-ID."""
    ids = (one.raw.split(b"Message-ID: <", 1)[1].split(b"@", 1)[0].decode() for one in script.taken)
    return Counter(ids)


def _end_pauses(store: Store) -> None:
    """Let the time pass that a dead connection makes its channel and its messages wait; the workers' clock stands."""
    with store.transaction() as connection:
        connection.execute(update(message).where(message.c.state == "queued").values(ready_at=NOW))
        connection.execute(update(channel_gate).values(paused_until=None))


@pytest.fixture
def script() -> Iterator[Script]:
    """A mail server that takes everything."""
    made = Script(features=("PIPELINING", "8BITMIME"))
    with Server(made) as server:
        made.port = server.port  # type: ignore[attr-defined]
        yield made


def _storm(store: Store, state: Path, kind: str, where: str, kills: int, seed: int) -> int:
    """Kill workers at random times while there is work, then let one finish; return how many were killed at work."""
    context, chance, url = nursery(), random.Random(seed), store.url.render_as_string(hide_password=False)
    killed = 0
    while killed < kills and {"queued", "claimed"} & _states(store).keys():
        store.engine.dispose()
        worker = context.Process(target=work, args=(url, str(state), kind, where))
        worker.start()
        time.sleep(chance.uniform(0.02, 0.25))
        killed += storming.kill(worker)
    for _ in range(40):
        if not {"queued", "claimed"} & _states(store).keys():
            break
        last = context.Process(target=work, args=(url, str(state), kind, where))
        last.start()
        last.join(300)
        assert last.exitcode == 0
    _end_pauses(store)
    last = context.Process(target=work, args=(url, str(state), kind, where))
    last.start()
    last.join(300)
    assert last.exitcode == 0
    return killed


MESSAGES, KILLS = (3_000, 300) if FULL else (250, 12)
THINKS = storming.THINKS
"""Seconds a server takes over a message, so that the work outlasts the storm."""


@pytest.mark.parametrize("seed", [1])
def test_a_kill_storm_over_smtp_gives_nobody_two_and_lists_every_doubt(
    store: Store, tmp_path: Path, script: Script, seed: int
) -> None:
    _queue(store, MESSAGES)
    script.thinks = THINKS
    killed = _storm(store, tmp_path / "state", "smtp", str(script.port), KILLS, seed)  # type: ignore[attr-defined]
    taken, listed = _taken(script), _in_doubt(store)
    assert killed == KILLS, "the storm ended before the work did"
    assert [key for key, number in taken.items() if number > 1] == []
    assert taken.keys() | listed == _keys(store), "nobody is lost without being listed"
    assert len(listed) <= killed, "no more than one message on the wire at each kill"
    assert _states(store).keys() <= {"sent", "in_doubt"}
    _whole(store)


def test_a_kill_storm_with_a_provider_that_honours_keys_loses_none_and_doubts_none(
    store: Store, tmp_path: Path
) -> None:
    from treue_channels.inbox.box import InboxStore

    _queue(store, MESSAGES)
    path = tmp_path / "inbox.db"
    killed = _storm(store, tmp_path / "state", "inbox", str(path), KILLS, 2)
    box = InboxStore(path)
    assert killed == KILLS
    assert box.count() == MESSAGES
    assert _states(store) == {"sent": MESSAGES}
    box.close()
    _whole(store)


def test_one_refusal_in_a_thousand_and_a_kill_right_after_leave_nobody_out(
    store: Store, tmp_path: Path, script: Script
) -> None:
    _queue(store, 1_000)
    script.answers["rcpt c500@example.com"] = "550 5.1.1 no such user"
    script.dies_at = 501
    context, url = nursery(), store.url.render_as_string(hide_password=False)
    arguments = (url, str(tmp_path / "state"), "smtp", str(script.port))  # type: ignore[attr-defined]
    first = context.Process(target=work, args=arguments)
    first.start()
    deadline = time.monotonic() + 60
    while len(script.taken) < 501 and time.monotonic() < deadline:
        time.sleep(0.002)
    storming.kill(first)
    script.dies_at = 10**9
    for _ in range(3):
        _end_pauses(store)
        again = context.Process(target=work, args=arguments)
        again.start()
        again.join(120)
        assert again.exitcode == 0
    taken, listed = _taken(script), _in_doubt(store)
    assert set(taken.values()) == {1}
    assert len(taken.keys() | listed) == 999
    assert len(listed) <= 2, "the one at whose dot the server died, and the one of the kill"
    assert _states(store)["refused"] == 1


STOPS = 200 if FULL else 5
LEASE = 0.6


def test_a_worker_stopped_past_its_lease_sends_nothing_that_another_has_taken_over(
    store: Store, tmp_path: Path, script: Script
) -> None:
    _queue(store, 60 * STOPS)
    script.thinks = THINKS
    context, chance, url = nursery(), random.Random(3), store.url.render_as_string(hide_password=False)
    arguments = (url, str(tmp_path / "state"), "smtp", str(script.port))  # type: ignore[attr-defined]
    overtaken = 0
    for n in range(STOPS):
        with _working(context, (*arguments, f"far{n}", LEASE)) as worker:
            before = len(script.taken)
            assert _until(lambda at=before: len(script.taken) > at)
            time.sleep(chance.uniform(0.0, 0.2))
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(LEASE + 0.1)
            before = len(script.taken)
            with _working(context, (*arguments, f"near{n}", LEASE)):
                # Where the first one sleeps in the middle of a SQLite transaction, the other has to wait for it.
                overtaken += _until(lambda at=before: len(script.taken) > at + 5, 20.0)
                os.kill(worker.pid, signal.SIGCONT)
                time.sleep(0.2)
    taken = _taken(script)
    assert overtaken
    assert [key for key, number in taken.items() if number > 1] == []


@contextmanager
def _working(context: Any, arguments: tuple[object, ...]) -> Iterator[Any]:
    """A worker that is killed at the block's end, however that comes."""
    worker = context.Process(target=work, args=arguments, daemon=True)
    worker.start()
    try:
        yield worker
    finally:
        storming.kill(worker)


def test_four_processes_write_one_sqlite_file_while_a_stranger_locks_it_and_nobody_hears_of_it(
    sqlite_url: str,
) -> None:
    from concurrent.futures import ProcessPoolExecutor

    seconds, locked = (60.0, 10.0) if FULL else (4.0, 1.0)
    with ProcessPoolExecutor(4, mp_context=nursery()) as pool:
        running = [pool.submit(write, sqlite_url, seconds, n) for n in range(4)]
        time.sleep(seconds / 4)
        stranger = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=60, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        time.sleep(locked)
        stranger.execute("ROLLBACK")
        stranger.close()
        done = [one.result(timeout=seconds + 120) for one in running]
    store = Store.open(sqlite_url)
    with store.reading() as connection:
        recorded = connection.scalar(select(func.count()).select_from(customer))
    store.close()
    assert recorded == 4
    assert all(number > 0 for number in done)


ROUNDS = 20 if FULL else 4


def test_on_a_full_disk_nothing_is_sent_without_a_committed_claim_and_all_go_once_there_is_room(
    sqlite_url: str, tmp_path: Path, script: Script
) -> None:
    from treue.delivery import recovery
    from treue.delivery.dispatcher import Delivery
    from treue.engine.passes.engine import Engine

    _queue(store := Store.open(sqlite_url), 300)
    channel = storming.make_channel("smtp", str(script.port))  # type: ignore[attr-defined]
    chance, refused = random.Random(4), 0
    room: dict[str, int | None] = {"pages": None}

    @sa_event.listens_for(store.engine, "begin")
    def _limit(connection: Any) -> None:
        driver = connection.connection.driver_connection
        used = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(
            f"PRAGMA max_page_count = {used + room['pages'] if room['pages'] is not None else 1073741823}"
        )

    for _ in range(ROUNDS):
        room["pages"] = chance.randrange(0, 4)
        delivery = Delivery(store, {"email": channel}, storming.Plain(), tmp_path / "state")
        engine = Engine(store, "Europe/Berlin", "salt", delivery, tmp_path / "state")
        before = len(script.taken)
        try:
            engine.deliver(engine.versions()[0].journey_id, NOW)
        except StoreError as error:
            refused += "disk is full" in str(error)
        sent = len(script.taken) - before
        room["pages"] = None
        states = _states(store)
        assert sent <= states.get("claimed", 0) + states.get("sent", 0), "sent without a claim"
        # The worker ends here as one does that was killed: its log stays, and says what became of its messages.
        with store.transaction() as connection:
            gone = f"{storming.dispatcher.worker_name().split('/')[0]}/999999999/{_}"
            connection.execute(update(message).where(message.c.state == "claimed").values(worker=gone))
        log = tmp_path / "state" / "acceptances" / f"{delivery.log.worker.replace('/', '~')}.log"
        log.rename(log.with_name(f"{gone.replace('/', '~')}.log"))
        os.close(delivery.log._file)
        recovery.recover(store, tmp_path / "state", NOW)
    delivery = Delivery(store, {"email": channel}, storming.Plain(), tmp_path / "state")
    engine = Engine(store, "Europe/Berlin", "salt", delivery, tmp_path / "state")
    engine.deliver(engine.versions()[0].journey_id, NOW)
    assert refused > 0, "the disk was never full"
    taken = _taken(script)
    assert set(taken.values()) == {1}
    assert taken.keys() == _keys(store), "nobody is lost, nobody is in doubt"
    assert _states(store) == {"sent": 300}
    channel.close()
    store.close()


def _until(come: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for something to come true; say whether it did."""
    deadline = time.monotonic() + seconds
    while not come() and time.monotonic() < deadline:
        time.sleep(0.005)
    return come()


def _whole(store: Store) -> None:
    """The database is sound, and everybody is where somebody can be."""
    with store.reading() as connection:
        if store.dialect == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        outcomes = connection.scalars(select(enrollment.c.outcome).distinct())
        assert set(outcomes) <= {"inside", "finished"}
