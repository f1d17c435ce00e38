"""Workers that are stopped in the middle: by an error, by a kill, by another that has their number by now."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tests.engine.scene import Plainly, Scene
from treue.channel import Accepted, Outgoing, Progress, Receipt
from treue.delivery import outbox, recovery
from treue.delivery.acceptance import AcceptanceLog, lives, worker_name
from treue.delivery.dispatcher import Delivery
from treue.engine.passes.attempts import JourneysFailed
from treue.model.tables import message

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email, valid_for: 9d}, {wait: 9d}]\n"


@pytest.fixture
def ordered(scene: Scene) -> Scene:
    """A scene in which three customers are due a mail."""
    scene.journeys(hello=SEND)
    for key in ("ada", "bob", "cem"):
        scene.customer(key)
        scene.event(key, "order.placed", total=1)
    return scene


@pytest.fixture
def unrecorded(ordered: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The database goes away after the provider took the messages and before that is recorded."""

    def gone(*_: Any) -> None:
        raise ConnectionError("the database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "record", gone)
        with pytest.raises(JourneysFailed, match="the database is gone"):
            ordered.run()
        yield patch


def _states(scene: Scene) -> list[str]:
    return [row[3] for row in scene.messages()]


def test_what_could_not_be_recorded_is_recorded_by_the_next_pass_of_the_same_worker(
    ordered: Scene, unrecorded: pytest.MonkeyPatch
) -> None:
    assert _states(ordered) == ["claimed"] * 3
    unrecorded.undo()
    ordered.engine.recover(ordered.now)
    assert _states(ordered) == ["sent"] * 3
    ordered.later(minutes=5)
    assert len(ordered.sent()) == 3


def test_the_next_batch_does_not_wipe_the_log_of_one_that_could_not_be_recorded(
    ordered: Scene, unrecorded: pytest.MonkeyPatch
) -> None:
    unrecorded.undo()
    ordered.customer("dan")
    ordered.event("dan", "order.placed", total=1)
    ordered.later(minutes=1)
    assert _states(ordered) == ["sent"] * 4
    assert len(ordered.sent()) == 4


def test_a_worker_that_ends_after_an_error_leaves_its_log_to_the_next(
    ordered: Scene, unrecorded: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unrecorded.undo()
    ordered.delivery.close()
    assert recovery.recover(ordered.store, tmp_path / "state", ordered.now).sent == 3
    assert list((tmp_path / "state" / "acceptances").iterdir()) == []
    ordered.delivery = Delivery(ordered.store, ordered.channels, Plainly(), tmp_path / "state")


def test_an_adapter_that_breaks_its_word_and_raises_loses_nothing_and_sends_nothing_twice(
    ordered: Scene,
) -> None:
    sink = ordered.channels["email"]
    took = sink.send

    def raising(batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        if batch[0].to.startswith("bob") and len(sink.sent) == 1:
            progress.started(batch[0].key)
            raise ZeroDivisionError
        return took(batch, progress)

    sink.send = raising  # type: ignore[method-assign]
    with pytest.raises(JourneysFailed, match="ZeroDivisionError"):
        ordered.run()
    ordered.engine.recover(ordered.now)
    ordered.later(minutes=1)
    assert _states(ordered) == ["sent", "in_doubt", "sent"]
    assert [to for to, _ in ordered.sent()] == ["ada@example.com", "cem@example.com"]


def test_a_dead_worker_is_dead_though_another_process_has_its_number(ordered: Scene, tmp_path: Path) -> None:
    state, dead = (
        tmp_path / "state",
        worker_name(),
    )  # this very process's number, as in a container that started anew
    log = AcceptanceLog(state, dead)
    assert lives(state, dead) is True
    ordered.engine.delivery = None
    ordered.run()
    claimed = ordered.claim("email", dead)
    log.settled(claimed[0].key, Accepted("id"))
    os.close(log._file)
    assert lives(state, dead) is False
    ordered.engine.recover(ordered.now)
    assert _states(ordered) == ["sent", "queued", "queued"]


def test_a_worker_without_a_log_here_keeps_what_it_has_until_its_lease_is_over(ordered: Scene) -> None:
    ordered.engine.delivery = None
    ordered.run()
    ordered.claim("email", f"{socket.gethostname()}/999999999/in-another-container")
    ordered.engine.recover(ordered.now)
    assert _states(ordered) == ["claimed"] * 3
    with ordered.store.transaction() as connection:
        connection.execute(update(message).values(lease_until=ordered.now - timedelta(days=900)))
    ordered.engine.recover(ordered.now)
    assert _states(ordered) == ["in_doubt"] * 3


def test_a_log_that_another_process_is_just_settling_stays(ordered: Scene, tmp_path: Path) -> None:
    state, dead = tmp_path / "state", worker_name()
    os.close(AcceptanceLog(state, dead)._file)
    ordered.engine.delivery = None
    ordered.run()
    ordered.claim("email", dead)
    recovery._remove_logs(ordered.store, state, [dead])
    assert lives(state, dead) is False, "its messages are not settled yet"
    ordered.engine.recover(ordered.now)
    assert lives(state, dead) is None, "now they are, and it is gone"
    assert _states(ordered) == ["queued"] * 3


def test_a_refusal_at_the_door_counts_for_the_brake(ordered: Scene) -> None:
    from treue.channel import Refused
    from treue.delivery.brakes import brakes

    ordered.channels["email"].answers = [Refused("550 5.1.1", suppress=True), Accepted(), Refused("552")]
    ordered.run()
    with ordered.store.reading() as connection:
        found = brakes(connection, ordered.now)["email"]
    assert (found.sent, found.bounced) == (2, 1)
