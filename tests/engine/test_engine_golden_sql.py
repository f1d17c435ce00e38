"""The engine's core statements, word for word as each database gets them, in files that a person can read.

`golden/DATABASE/NAME.sql` has what is sent while the engine does NAME, for the journeys below: each statement once, in
order, `:name` for a parameter, and below it the values that it was made with (those that are given at each run are left
out). `TREUE_REWRITE_GOLDEN=1` writes what is sent today into the files; read the difference before you keep it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text, update

from tests.engine.scene import SCHEMA, ZONE, Scene, at
from tests.engine.sent_sql import sent_sql
from treue.clock import Duration
from treue.cohorts.turns import Turns
from treue.delivery import outbox
from treue.engine.passes.attempts import Attempts
from treue.engine.passes.engine import Engine
from treue.engine.steps.personal import Personal
from treue.engine.versions.versions import Version
from treue.language.pressure import Limit, Pressure, QuietHours
from treue.language.steps import Stage
from treue.model.states import MessageState
from treue.model.tables import enrollment, message, metadata
from treue.store.store import Store

GOLDEN = Path(__file__).parent / "golden"
INNER = ("thanks", "one", "two", "three", "four", "five", "six", "seven")
CORE = ("route", "look", "enter", "leave", "judge", "claim", "record")

CARTS = """
enter:
  event: cart.left
  where: {cart_id: {not: test}}
  if: {attribute: country, in: [DE, AT]}
  again: 7d
  per: cart_id
exit:
  - {event: order.placed, same: cart_id}
  - {attribute: vip, is: true}
goal: {event: order.placed, where: {total: {above: 50}}, within: 14d}
holdout: 10%
priority: 60
steps:
  - {id: reminder, send: reminder, on: [email, sms]}
  - {id: reply, wait: {for: {event: order.placed}, at_most: 2d}}
"""
GERMANS = "enter: {segment: germans}\nsteps: [{wait: 1d}]"
MONDAYS = 'enter: {schedule: "0 9 * * MON", segment: germans}\nsteps: [{wait: 1d}]'
BIRTHDAYS = "enter: {date: birthday}\nsteps: [{wait: 1d}]"
STEPS = """
category: relational
basis: existing_customer
enter: {event: signed.up}
goal: {event: order.placed}
steps:
  - {id: send, send: hello, on: email}
  - {id: send-first-of-two, send: hello, on: [sms, email], valid_for: 2h, if: {consent: sms}}
  - {id: send-all, send: hello, on: [email, push], all: true}
  - {id: wait, wait: 2d}
  - {id: wait-month, wait: 1mo, if: {attribute: vip, is: true}}
  - {id: wait-until, wait: {until: "09:00", on: [tue, thu]}}
  - {id: wait-date, wait: {until: {attribute: trial_ends, before: 2d}}}
  - id: wait-for
    wait:
      for: {any: [{event: order.placed, where: {total: {above: 20}}}, {message: hello, was: clicked}]}
      at_most: 3d
      then: [{id: thanks, send: thanks, on: email}]
  - id: choose
    choose:
      - {if: {event: order.placed, at_least: 2, within: 90d}, steps: [{id: one, stop: true}]}
      - {if: [{attribute: country, is: DE}, {not: {event: told, since: entry}}], steps: [{id: two, stop: true}]}
      - else: [{id: three, stop: true}]
  - id: split
    split: {a: {weight: 1, steps: [{id: four, stop: true}]}, b: {weight: 2, steps: [{id: five, stop: true}]}}
  - id: split-learn
    split: {a: {weight: 1, steps: [{id: six, stop: true}]}, b: {weight: 1, steps: [{id: seven, stop: true}]}}
    learn: converted
  - {id: set, set: {country: NO, visits: 3, vip: true}}
  - {id: set-template, set: {country: "{{ customer.country | upper }}"}}
  - {id: emit, emit: told, data: {why: because}}
  - {id: emit-template, emit: told, data: {why: "{{ customer.country }}"}}
  - {id: call, call: "https://api.example.com/orders", json: {who: "{{ customer.id }}"}, secret: SECRET, valid_for: 3h}
  - {id: start, start: germans}
  - {id: stop, stop: true, if: {attribute: vip, is: true}}
"""
RULES = Pressure(
    (Limit(1, Duration(days=7)), Limit(2, Duration(days=1), channel="sms", when_over="drop")),
    {"sms": QuietHours(20 * 60, 8 * 60)},
)


@pytest.fixture
def life(store: Store, tmp_path: Path) -> Iterator[Life]:
    if store.dialect == "postgresql":
        with store.transaction() as connection:
            tables = ", ".join(table.name for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    scene = Scene(store, tmp_path / "state")
    yield Life(scene)
    scene.delivery.close()


class Life:
    """What befalls ada and bob, told so that every core statement is sent; `found` has what was, by name."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.store, self.found = scene, scene.store, dict[str, str]()
        self.engine = self.engine_with(None)
        scene.journeys(carts=CARTS, germans=GERMANS, mondays=MONDAYS, birthdays=BIRTHDAYS, steps=STEPS)

    def engine_with(self, pressure: Pressure | None) -> Engine:
        personal = Personal(SCHEMA.attributes, SCHEMA.events)
        return Engine(self.store, ZONE, "salt", personal=personal, pressure=pressure)

    @contextmanager
    def sending(self, name: str, since: str = "") -> Iterator[None]:
        with sent_sql(self.store) as sent:
            yield
        self.found[name] = sent.text(since)

    def tell(self) -> None:
        self.a_cart_is_left()
        self.a_week_goes_by()
        self.a_second_cart_is_left()
        self.messages_go_out()
        self.she_leaves()
        self.she_stands_at_every_step()

    def a_cart_is_left(self) -> None:
        scene = self.scene
        scene.customer("ada", "email sms", country="DE", birthday="1990-03-09", trial_ends="2026-03-20")
        self.engine.readable(Attempts(self.store, scene.now))  # the first look at a segment lets nobody in
        scene.event("ada", "cart.left", "e1", cart_id="c1")
        self.route()
        self.take_in("carts", "enter")
        self.advance("carts", "reminder")
        self.advance("carts", "reply")

    def a_week_goes_by(self) -> None:
        self.scene.now = at("2026-03-09 10:00")
        self.scene.customer("bob", country="DE")
        self.route()
        self.take_in("germans", "look")

    def a_second_cart_is_left(self) -> None:
        """Its reminder is one too many: the first one's was given its place only now."""
        scene, pressed = self.scene, self.engine_with(RULES)
        with self.store.transaction() as connection:
            connection.execute(update(message).values(reserved_at=scene.now))
        scene.event("ada", "cart.left", "e2", cart_id="c2")
        self.route()
        self.advance("carts", "reply")  # what is due earlier comes first
        self.take_in("carts")
        version = version_of(pressed, "carts")
        turns = self.turns("carts")
        with self.sending("judge", since="judged"):
            assert pressed.advance(version, version.plan.stage("reminder"), turns, scene.now, scene.now)

    def messages_go_out(self) -> None:
        now, journey = self.scene.now, version_of(self.engine, "carts").journey_id
        own, urgent = outbox.Lane("email", journey, reserved_only=True), outbox.Lane("email")
        with self.sending("claim"), self.store.transaction() as connection:
            assert outbox.express(connection, "email", now) == []
            assert outbox.claim(connection, urgent, now, now, "worker", 500) == []
            claimed = outbox.claim(connection, own, now, now, "worker", 500)
        settled = [outbox.Settled(one, MessageState.sent, provider_id="p1") for one in claimed]
        with self.sending("record"), self.store.transaction() as connection:
            assert outbox.record(connection, settled, now) == settled != []

    def she_leaves(self) -> None:
        scene = self.scene
        scene.event("ada", "order.placed", "e3", cart_id="c2", total=60)
        scene.event("ada", "signed.up", "e4")
        scene.customer("ada", country="DE", vip=True)
        self.route("route")
        self.take_in("carts", "leave")

    def she_stands_at_every_step(self) -> None:
        self.take_in("steps")
        for stage in version_of(self.engine, "steps").plan.stages:
            if stage.id not in INNER:
                self.engine.route(self.engine.versions(), self.scene.now)  # what a step before has recorded
                self.stands_at(stage)
                self.advance("steps", stage.id, f"advance-{stage.id}")
                if stage.kind.startswith("wait"):
                    self.is_due_at_once()
                    self.advance("steps", stage.id, f"advance-{stage.id}-over")

    def route(self, name: str = "") -> None:
        versions = self.engine.versions()
        with self.sending(name):
            assert self.engine.route(versions, self.scene.now)

    def take_in(self, journey: str, name: str = "") -> None:
        version, turns = version_of(self.engine, journey), self.turns(journey)
        with self.sending(name):
            assert self.engine.take_in([version], turns, self.scene.now)

    def advance(self, journey: str, stage: str, name: str = "") -> None:
        version, turns = version_of(self.engine, journey), self.turns(journey)
        with self.sending(name):
            assert self.engine.advance(
                version, version.plan.stage(stage), turns, self.scene.now, self.scene.now
            )

    def turns(self, journey: str) -> Turns:
        return Turns((version_of(self.engine, journey).journey_id,))

    def stands_at(self, stage: Stage) -> None:
        """Put ada's stay at a stage, as if she had just come there."""
        now, number = self.scene.now, version_of(self.engine, "steps").number(stage)
        self.write(
            step_id=number, outcome="inside", left_at=None, deadline_at=None, arrived_at=now, due_at=now
        )

    def is_due_at_once(self) -> None:
        self.write(due_at=self.scene.now, deadline_at=self.scene.now)

    def write(self, **values: object) -> None:
        version = version_of(self.engine, "steps")
        hers = update(enrollment).where(enrollment.c.version_id == version.version_id).values(values)
        with self.store.transaction() as connection:
            assert connection.execute(hers).rowcount == 1


def version_of(engine: Engine, journey: str) -> Version:
    return next(version for version in engine.versions() if version.name == journey)


def test_databases_get_the_statements_they_got_when_somebody_last_read_them(life: Life) -> None:
    life.tell()
    found = {name: sql for name, sql in life.found.items() if name}
    folder = GOLDEN / life.store.dialect
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        _rewrite(folder, found)
    assert found == {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
    assert set(CORE) <= set(found)
    assert all(found.values())


def _rewrite(folder: Path, found: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.sql"):
        path.unlink()
    for name, sql in found.items():
        (folder / f"{name}.sql").write_text(sql, encoding="utf-8")
