"""Scenarios played on the real engine under a virtual clock: from one instant at which something happens to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from treue.cohorts.draws import holdout_purpose, place, split_purpose, way
from treue.cohorts.player import splitter
from treue.engine.door import arrivals
from treue.engine.passes.chronology import run_pass
from treue.engine.passes.next_instants import next_instant
from treue.language.journey import Journey
from treue.language.problems import Place
from treue.language.scenario import (
    Act,
    Agrees,
    Changes,
    Does,
    Enrolls,
    Outside,
    Receives,
    Scenario,
    Withdraws,
)
from treue.language.steps import Stage
from treue.model.faces import face
from treue.model.states import ADDRESS, Basis, MessageState
from treue.model.tables import customer, message
from treue.plan.plan import Plan
from treue.store import consents, customers, events, suppressions, touches
from treue.store import journeys as live_journeys
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.testing.happenings import Happened, Observer
from treue.testing.instants import Watch
from treue.testing.world import World

CREATED = "customer.created"
MINUTE = timedelta(minutes=1)
AT_MOST = timedelta(days=366)
"""How long after its last entry a timeline is followed where the test has no `until`."""

MOST_PASSES = 20_000
DRAWS_TRIED = 200_000
SOURCE = "test"
_FACTS = dict.fromkeys(consents.EXISTING_CUSTOMER_FACTS, SOURCE)


Happen = Callable[[Connection, Any, int, datetime], None]
"""Writes what an `Outside` says of a customer, by number, at a time."""


@dataclass(frozen=True)
class Impossible:
    """Something in a test that cannot be, as a sentence."""

    place: Place
    sentence: str


@dataclass(frozen=True)
class Played:
    """What came of a scenario: what happened from `live` until `until`, and what in it could not be."""

    scenario: Scenario
    customer_id: int
    zone: str
    live: datetime
    until: datetime
    happened: Happened
    impossible: tuple[Impossible, ...]


def play(world: World, journeys: Sequence[Journey], scenario: Scenario) -> Played:
    """Play a scenario with these journeys live, the tested one first."""
    [played] = play_together(world, journeys, [scenario])
    return played


def play_together(world: World, journeys: Sequence[Journey], scenarios: Sequence[Scenario]) -> list[Played]:
    """Play scenarios of different customers in one world; the journeys go live when the first one says."""
    lives = [_Life(world, journeys, scenario) for scenario in scenarios]
    live = min(life.live for life in lives)
    world.begin(journeys, live)
    for life in lives:
        life.begin(live)
    observer = Observer(world)
    run_pass(world.engine, live)
    now = live
    for now in _instants(world, lives, live):
        for life in lives:
            life.act(now)
        run_pass(world.engine, now)
        observer.look()
    return [life.played(observer, now) for life in lives]


def _instants(world: World, lives: Sequence[_Life], live: datetime) -> Iterator[datetime]:
    """Yield each instant at which something may happen; the next one is looked for once that is done."""
    zone, until = world.settings.timezone, max(life.until for life in lives)
    versions = world.versions()
    watch = Watch.of(versions, zone)
    planned = sorted({at for life in lives for at in life.instants() if at >= live})
    now = live - MINUTE
    for _ in range(MOST_PASSES):
        with world.store.reading() as connection:
            due = next_instant(connection, versions, now, zone)
            ahead = [at for at in (*planned, due, *watch.instants(connection)) if at and at > now]
        now = min(ahead, default=until + MINUTE)
        if now > until:
            return
        yield now


def outside(act: Outside) -> Happen:
    """Return what lets an entry of a word's own happen: by its class among the `ACTS` of its SQL face."""
    acts: Mapping[type[Outside], Happen] = face(type(act), "sql").ACTS
    return acts[type(act)]


class _Life:
    """One customer of a test."""

    def __init__(self, world: World, journeys: Sequence[Journey], scenario: Scenario) -> None:
        self.world, self.journeys, self.scenario = world, journeys, scenario
        self.person = scenario.customer
        self.zone = dict(self.person.built_in).get("timezone") or world.settings.timezone
        self.acts = sorted(scenario.timeline or (), key=self._at)
        self.history = sorted(scenario.history, key=self._at)
        self.births = [act for act in self.acts if isinstance(act, Does) and act.event == CREATED][:1]
        self.live = self._live()
        self.until, self.born = self._until(), self._born()
        self.impossible: list[Impossible] = []
        self.customer_id = 0

    # --- when -----------------------------------------------------------------------------------------------

    def _at(self, act: Act) -> datetime:
        return act.at.start(self.zone)

    def _live(self) -> datetime:
        if self.scenario.live:
            return self.scenario.live.start(self.zone)
        return self._at(self.acts[0]) - MINUTE if self.acts else self._at(self.history[-1]) + MINUTE

    def _until(self) -> datetime:
        if self.scenario.until:
            return self.scenario.until.end(self.zone)
        return max([self.live, *map(self._at, self.acts)]) + AT_MOST

    def _born(self) -> datetime:
        """Return when the customer is created: as the test says, with the event that says so, or before all else."""
        if self.person.created_at:
            return self.person.created_at.start(self.zone)
        if self.births:
            return self._at(self.births[0])
        return min([self.live, *map(self._at, self.history)]) - MINUTE

    def instants(self) -> list[datetime]:
        """Return when the test itself lets something happen."""
        return [self.born, *map(self._at, self.acts)]

    # --- what happens ---------------------------------------------------------------------------------------

    def begin(self, live: datetime) -> None:
        """Record everything from before the journeys went live."""
        if self.born < live:
            self._create()
        for act in self.history:
            self._do(act, self._at(act))

    def act(self, now: datetime) -> None:
        """Do what the test says for this instant."""
        if self.born == now:
            self._create()
        for act in self.acts:
            if self._at(act) == now and act not in self.births:
                self._do(act, now)

    def played(self, observer: Observer, last: datetime) -> Played:
        """Return what came of it until the test's end, or until the last instant at which anything happened."""
        until = self.until if self.scenario.until else last
        happened, impossible = observer.happened(self.customer_id), tuple(self.impossible)
        return Played(self.scenario, self.customer_id, self.zone, self.live, until, happened, impossible)

    def _create(self) -> None:
        origin = dict(self.births[0].data).get("source", "api") if self.births else "api"
        given = CustomerInput(
            self.person.key,
            **dict[str, Any](self.person.built_in),
            attributes=dict(self.person.attributes),
            created_at=self.born,
            source=str(origin),
        )
        with self.world.store.transaction() as connection:
            [self.customer_id] = customers.upsert(connection, [given], self.born)
            mine = update(customer).where(customer.c.id == self.customer_id)
            connection.execute(mine.values(draw=self._draw()))
            words = [self._word(channel, self.born, basis) for channel, basis in self.person.consents]
            consents.give(connection, words, self.born)
            for channel in self.person.suppressed:
                address = dict(self.person.built_in).get(ADDRESS[channel], "")
                suppressions.add(connection, channel, [address], "bounced", self.born)

    def _word(self, channel: str, at: datetime, basis: str) -> ConsentInput:
        proof = _FACTS if basis == Basis.existing_customer.value else {}
        return ConsentInput(self.person.key, channel, at, basis, SOURCE, proof)

    def _do(self, act: Act, now: datetime) -> None:
        with self.world.store.transaction() as connection:
            match act:
                case Does():
                    given = EventInput(self.person.key, act.event, now, dict(act.data), None, SOURCE)
                    events.record(connection, [given], now)
                case Changes():
                    customers.upsert(connection, [_changed(self.person.key, act)], now)
                case Agrees():
                    consents.give(connection, [self._word(c, now, act.basis) for c in act.channels], now)
                case Withdraws():
                    words = [ConsentInput(self.person.key, c, now, source=SOURCE) for c in act.channels]
                    consents.withdraw(connection, words, now)
                case Enrolls():
                    number = live_journeys.find(connection, self.journeys[0].name)
                    assert number is not None
                    arrivals.enroll(connection, number, [self.customer_id], now)
                case Receives():
                    self._receive(connection, act, now)
                case Outside():
                    outside(act)(connection, act, self.customer_id, now)

    def _receive(self, connection: Connection, act: Receives, now: datetime) -> None:
        query = select(message.c.id).where(
            message.c.customer_id == self.customer_id,
            message.c.template == act.template,
            message.c.state == MessageState.sent.value,
        )
        if act.channel:
            query = query.where(message.c.channel == act.channel)
        latest = connection.scalar(query.order_by(message.c.sent_at.desc(), message.c.id.desc()).limit(1))
        if latest is None:
            sentence = (
                f"`{act.template}` cannot be {act.what} at {act.at.text}: it has not been sent by then."
            )
            self.impossible.append(Impossible(act.place, sentence))
            return
        connection.execute(update(message).where(message.c.id == latest).values({f"{act.what}_at": now}))
        touches.of_messages(connection, [(self.customer_id, act.what)], now)

    # --- draws ----------------------------------------------------------------------------------------------

    def _draw(self) -> int:
        """Return a number under which the real arithmetic sends the customer where the test wants."""
        wishes, start = list(self._wishes()), customers.draw(self.person.key)
        for n in range(DRAWS_TRIED):
            draw = (start + n) % customers.DRAWS
            if all(wish(draw) for wish in wishes):
                return draw
        where = self.scenario.draw[0][2] if self.scenario.draw else self.scenario.place
        self.impossible.append(Impossible(where, "Nobody draws this: a weight or the holdout forbids it."))
        return start

    def _wishes(self) -> Iterator[Callable[[int], bool]]:
        plans = [self.world.plan(one) for one in self.journeys]
        salt = self.world.settings.workspace
        for n, plan in enumerate(plans):
            yield _held_out(plan, salt, wanted=self.scenario.held_out and n == 0)
        wanted = {step: arm for step, arm, _ in self.scenario.draw}
        for stage in plans[0].stages:
            if stage.draws and stage.id in wanted:
                yield _takes(plans[0], salt, stage, wanted[stage.id])


def _held_out(plan: Plan, salt: str, *, wanted: bool) -> Callable[[int], bool]:
    purpose = holdout_purpose(salt, plan.journey)
    return lambda draw: (place(draw, purpose, 10_000) < plan.holdout) is wanted


def _takes(plan: Plan, salt: str, stage: Stage, arm: str) -> Callable[[int], bool]:
    purpose = split_purpose(salt, plan.journey, stage.id)
    weights, ways = splitter(stage).weights(stage), stage.inner_ways()
    return lambda draw: ways[way(draw, purpose, weights)].name == arm


def _changed(key: str, act: Changes) -> CustomerInput:
    own: dict[str, Any] = dict(act.values)
    columns: dict[str, Any] = {name: own.pop(name) or "" for name in customers.COLUMNS if name in own}
    return CustomerInput(key, attributes=own, **columns)
