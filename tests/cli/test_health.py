"""`treue status --health` says the truth: 0 where all is well or is meant to wait, 1 and a sentence where somebody has to act."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.channels.smtp_server import Script, Server
from tests.cli.calling import Done, Run
from tests.cli.processes import free_port, started
from tests.engine.breaking import SAID, broken
from treue.composition.assembly import Assembly, assembled
from treue.delivery import gates
from treue.engine.passes.attempts import JourneysFailed
from treue.engine.passes.chronology import run_pass
from treue.store import chores, consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load

LETTER = """\
description: A letter after each order.
category: {category}
basis: consent
enter: {{event: order.placed, again: always}}
steps:
  - {{id: letter, send: {template}, on: {channel}}}
  - {{id: rest, wait: 1h}}
"""
TICK, MINUTE, NOW_AND_THEN = timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=12)


class Shop:
    """A workspace with one journey, and a clock of its own for its passes and for who asks after its health."""

    def __init__(self, root: Path, assembly: Assembly, treue: Run, now: datetime) -> None:
        self.root, self.assembly, self._treue, self.now = root, assembly, treue, now
        assembly.engine.every = TICK
        assert assembly.engine.delivery is not None
        assembly.engine.delivery.slice_seconds = 0.0  # a pass waits for no rate
        assembly.publish(self.now)

    def order(self, *names: str) -> None:
        """Let customers who have agreed to everything place an order."""
        with self.assembly.store.transaction() as connection:
            people = [
                CustomerInput(name, email=f"{name}@example.com", phone="+4915112345678", created_at=self.now)
                for name in names
            ]
            customers.upsert(connection, people, self.now)
            agreed = [ConsentInput(name, channel) for name in names for channel in ("email", "sms")]
            consents.give(connection, agreed, self.now)
            orders = [
                EventInput(name, "order.placed", self.now, {"order_id": f"{name} {self.now}"})
                for name in names
            ]
            events.record(connection, orders, self.now)

    def run(self) -> None:
        """Run a pass now; what fails in it is recorded."""
        with suppress(JourneysFailed):
            run_pass(self.assembly.engine, self.now)

    def wait(self, *, passes: timedelta | None = TICK, **length: float) -> None:
        """Let time go by, with regular passes or with none at all."""
        end = self.now + timedelta(**length)
        while passes is not None and self.now + passes <= end:
            self.now += passes
            self.run()
        self.now = end

    def treue(self, *arguments: str) -> Done:
        """Call the command."""
        return self._treue(self.root, *arguments)

    def health(self) -> Done:
        """Ask after the health."""
        return self.treue("status", "--health")

    def status(self) -> str:
        """Return the screen that says how things stand."""
        return self.treue("status").out

    def wrong(self) -> list[str]:
        """Return what the command finds wrong; it ends with 1 where that is something."""
        done = self.health()
        found = re.findall(r"^unhealthy: (.*)$", done.out, re.MULTILINE)
        assert done.code == int(bool(found)), done
        assert found or done.out.startswith("healthy\n")
        return found


Open = Callable[..., Shop]
TEN_O_CLOCK = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0)


@pytest.fixture
def shop(files: Path, treue: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open a workspace whose letters go by a channel with these options."""
    with ExitStack() as stack:

        def make(
            *,
            email: str = "{adapter: file}",
            channel: str = "email",
            category: str = "relational",
            now: datetime = TEN_O_CLOCK,
        ) -> Shop:
            for path in (files / "journeys").iterdir():
                path.unlink()
            template = "win-back-letter" if channel == "email" else "win-back-last"
            letter = LETTER.format(category=category, channel=channel, template=template)
            (files / "journeys/letter.yaml").write_text(letter)
            settings = (files / "treue.yaml").read_text()
            settings = settings.replace('{adapter: smtp, url: "${SMTP_URL:-}"}', email)
            settings = settings.replace("{adapter: inbox}", "{adapter: file}")
            (files / "treue.yaml").write_text(
                re.sub("^limits:\n(  - .*\n)+", "", settings, flags=re.MULTILINE)
            )
            made = Shop(files, stack.enter_context(assembled(load(files))), treue, now)
            monkeypatch.setattr("treue.cli.operating.status.utc_now", lambda: made.now)
            return made

        yield make


def test_a_mail_server_that_is_down_is_named_within_ten_minutes_and_until_it_is_back(shop: Open) -> None:
    port = free_port()
    world = shop(email=f'{{adapter: smtp, url: "smtp://127.0.0.1:{port}"}}')
    world.order("ada")
    world.run()
    assert world.wrong() == [], "one failure may be a restart"
    world.wait(passes=MINUTE, minutes=10)
    for _ in range(8):
        (said,) = world.wrong()
        assert said.startswith("email: "), said
        assert "failures" in said
        world.wait(seconds=15)
    with Server(Script(), port) as server:
        world.wait(passes=NOW_AND_THEN, minutes=12)
        assert len(server.script.taken) == 1
    assert world.wrong() == []


def test_a_server_that_asks_to_try_everybody_again_takes_nothing(shop: Open) -> None:
    with Server(Script(answers={"rcpt": "451 4.3.0 Try again later"})) as server:
        world = shop(email=f'{{adapter: smtp, url: "smtp://127.0.0.1:{server.port}"}}')
        world.order("ada", "bob")
        world.wait(passes=NOW_AND_THEN, minutes=24)
        assert world.wrong() == [], "that may be these two's own mailboxes"
        world.order(*(f"c{n}" for n in range(25)))
        world.run()
        world.wait(passes=NOW_AND_THEN, minutes=12)
        assert world.wrong() == []
        world.wait(passes=NOW_AND_THEN, minutes=12)
        (said,) = world.wrong()
        assert said.startswith("Messages by email have been ready for up to"), said


def test_a_segment_that_fails_is_named_when_it_has_failed_three_times(shop: Open) -> None:
    world = shop()
    joiners = (world.root / "journeys/letter.yaml").read_text()
    joiners = joiners.replace("{event: order.placed, again: always}", "{segment: regulars}")
    (world.root / "journeys/joiners.yaml").write_text(joiners)
    with assembled(load(world.root)) as assembly:
        assembly.publish(world.now)
    world.run()
    with world.assembly.store.reading() as connection:
        (nightly,) = chores.find(connection)
    world.now = nightly.next_at - TICK
    world.run()
    where = f"NEW.journey_id = {nightly.journey_id}"
    with broken(world.assembly.store, "chore", "UPDATE OF done_until", where):
        world.wait(seconds=60)
        assert world.wrong() == [], "it has failed twice"
        world.wait(seconds=90)
        (said,) = world.wrong()
        assert said.startswith("joiners: looking whom its segment brings has failed 3 times in a row")
        assert SAID in said
        world.order("ada")
        world.wait(seconds=15)
        assert "1 email" in world.status(), "the other journey goes on"
    world.wait(passes=MINUTE, minutes=5)
    assert world.wrong() == []


def test_a_worker_that_was_killed_is_missed_after_three_ticks(shop: Open) -> None:
    world = shop(now=datetime.now(UTC))
    with started(world.root, "worker", port=False) as worker:
        worker.wait_for(lambda: world.health().code == 0)
        world.now = datetime.now(UTC)
        worker.end(signal.SIGKILL)
    world.run()
    world.wait(passes=None, seconds=45)
    assert world.wrong() == []
    world.wait(passes=None, seconds=2)
    (said,) = world.wrong()
    assert said.startswith("No pass has succeeded for 46 s; is"), said


def test_whoever_is_due_in_a_paused_journey_is_meant_to_wait(shop: Open) -> None:
    world = shop()
    world.order("ada")
    world.run()
    world.treue("pause", "letter")
    world.wait(passes=NOW_AND_THEN, minutes=84)
    assert world.wrong() == []
    world.treue("resume", "letter")
    world.run()
    assert world.wrong() == []
    assert "1 customers" not in world.status()


def test_whoever_is_due_and_nothing_happens_is_counted_by_step(shop: Open) -> None:
    world = shop()
    world.order("ada", "bob")
    world.run()
    with broken(world.assembly.store, "enrollment", "UPDATE OF outcome", "NEW.outcome = 'finished'"):
        world.wait(passes=NOW_AND_THEN, minutes=70)
        assert not any("due at the step" in said for said in world.wrong())
        world.wait(passes=MINUTE, minutes=1)
        assert "letter: 2 customers are due at the step rest for up to 11 min." in world.wrong()
    world.wait(passes=NOW_AND_THEN, minutes=12)
    assert world.wrong() == []


def test_what_quiet_hours_hold_is_meant_to_wait(shop: Open) -> None:
    world = shop(channel="sms")
    world.now = world.now.replace(hour=19, minute=30)  # half past eight, or nine, in Berlin
    world.order("ada")
    world.run()
    assert "1 quiet hours" in world.status()
    for _ in range(5):
        world.wait(passes=timedelta(hours=1), hours=2)
        assert world.wrong() == []
    assert "1 quiet hours" in world.status()
    world.wait(passes=timedelta(hours=1), hours=3)
    assert "1 sms" in world.status()


def test_what_a_rate_holds_is_meant_to_wait(shop: Open) -> None:
    world = shop(email="{adapter: file, rate: 1/h}")
    world.order("ada", "bob")
    world.wait(passes=NOW_AND_THEN, minutes=24)
    assert world.wrong() == []
    assert "1 queued, 1 ready" in world.status()


def test_a_pause_that_a_provider_has_asked_for_is_waited_for_and_no_longer(shop: Open) -> None:
    world = shop()
    with world.assembly.store.transaction() as connection:
        gates.failed(connection, "email", world.now, 3_600.0, "429 Too Many Requests")
    world.order("ada")
    world.wait(passes=NOW_AND_THEN, minutes=48)
    assert world.wrong() == []
    with broken(world.assembly.store, "message", "UPDATE OF state", "NEW.state = 'claimed'"):
        world.wait(passes=NOW_AND_THEN, minutes=24)
        assert not any("ready" in said for said in world.wrong())
        world.wait(passes=MINUTE, minutes=4)
        assert any("by email have been ready for up to 16 min" in said for said in world.wrong())


def test_a_channel_that_has_sent_in_the_same_hour_can_have_stopped_since(shop: Open) -> None:
    world = shop()
    world.order("ada")
    world.run()
    assert "1 email" in world.status()
    world.order("bob")
    with broken(world.assembly.store, "message", "UPDATE OF state", "NEW.state = 'claimed'"):
        world.wait(passes=NOW_AND_THEN - MINUTE, minutes=22)
        assert any("by email have been ready for up to 2" in said for said in world.wrong())
