"""The engine: a plan, a store, a clock and channels, and one pass over everybody who is due.

A pass at time `now`, in this order: sense joined segments, schedules and reasons to leave → route new events →
exits and goals → entries → each stage in order → delivery. Both runtimes (in-process here, Prefect in `treue_flows`) make the same calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import select

from treue.engine import entering, routing
from treue.engine.advancing import Personal, advance, due_stages, is_due
from treue.engine.delivery import outbox, recovery
from treue.engine.delivery.dispatcher import Delivered, Delivery
from treue.engine.delivery.rerouting import reroute
from treue.engine.pressure import Judge
from treue.engine.releasing import Released, release
from treue.engine.statements import Scene
from treue.engine.versions import Version, Versions
from treue.language.pressure import Pressure
from treue.model.tables import arrival, journey
from treue.plan.stages import Send, Stage, leads_to
from treue.store.store import Store

Progress = Callable[[str, int], None]
"""Told what is being done (a stage's id, or `deliver`) and for how many more customers it has been done."""

MAX_ROUNDS = 10
"""How often a pass starts over because its own steps brought somebody to a door; what is left, the next pass does."""


@dataclass(frozen=True)
class Due:
    """A journey with something to do: all its versions in use, the live one included."""

    name: str
    journey_id: int
    versions: tuple[Version, ...]

    @property
    def turn(self) -> tuple[int, str]:
        """When it is its turn in a pass: those of the highest priority first, else by name."""
        return -max(version.plan.priority for version in self.versions), self.name


@dataclass
class Passed:
    """What one pass did."""

    routed: int = 0
    arrivals: int = 0
    moved: int = 0
    delivered: Delivered = field(default_factory=Delivered)
    journeys: list[str] = field(default_factory=list)


class Engine:
    """The engine calls that every runtime makes. Holds no state of its own beyond parsed plans."""

    def __init__(
        self,
        store: Store,
        zone: str,
        salt: str,
        delivery: Delivery | None = None,
        state: Path | None = None,
        personal: Personal | None = None,
        pressure: Pressure | None = None,
    ) -> None:
        self.store, self.zone, self.salt = store, zone, salt
        self.judge = Judge(pressure, store.dialect, zone, salt) if pressure else None
        self.delivery, self.state, self.personal = delivery, state, personal
        self._versions = Versions()

    def versions(self) -> list[Version]:
        """Return all versions in use, paused journeys included."""
        with self.store.reading() as connection:
            return self._versions.load(connection)

    def recover(self, now: datetime) -> recovery.Recovered:
        """Settle what dead workers left behind."""
        assert self.state is not None
        if self.delivery is not None:
            self.delivery.take_back(now)
        return recovery.recover(self.store, self.state, now, self.delivery.windows if self.delivery else None)

    def route(self, versions: Sequence[Version], now: datetime) -> int:
        """Show new events to the journeys that react to them; return how many."""
        return routing.route_events(self.store, versions, now)

    def sense(self, versions: Sequence[Version], now: datetime) -> None:
        """Look who has joined a segment, whose schedule or day has come, who has a reason to go on or to leave.

        Where a channel is down, look also whose messages can go another way.
        """
        if self.delivery is not None:
            reroute(self.store, [one for one in versions if not one.paused], now)
        routing.sense(self.store, versions, now, self.zone)

    def open_slots(self, versions: Sequence[Version], now: datetime) -> None:
        """Look only whose schedule or day has come."""
        routing.open_slots(self.store, versions, now, self.zone)

    def due(
        self, versions: Sequence[Version], now: datetime, names: Sequence[str] | None = None
    ) -> list[Due]:
        """Return the journeys with something to do now, highest priority first; no run is started for others."""
        wanted = [v for v in versions if not v.paused and (names is None or v.name in names)]
        with self.store.reading() as connection:
            called = set(
                connection.scalars(select(arrival.c.journey_id).where(arrival.c.at <= now).distinct())
            )
            waiting = (
                {journey_id for journey_id, _ in outbox.waiting(connection, now)} if self.delivery else set()
            )
            busy = {v.journey_id for v in wanted if due_stages(connection, v, now)}
        journeys: dict[int, list[Version]] = {}
        for version in wanted:
            if version.journey_id in called | waiting | busy:
                journeys.setdefault(version.journey_id, []).append(version)
        found = [Due(group[0].name, id_, tuple(group)) for id_, group in journeys.items()]
        return sorted(found, key=lambda due: due.turn)

    def anybody_at_a_door(self, now: datetime) -> bool:
        """Say whether anybody is at a journey's door: an earlier journey of the pass may have started a later one."""
        running = select(journey.c.id).where(journey.c.paused_at.is_(None))
        query = select(arrival.c.id).where(arrival.c.at <= now, arrival.c.journey_id.in_(running)).limit(1)
        with self.store.reading() as connection:
            return connection.scalar(query) is not None

    def take_in(self, due: Due, now: datetime) -> int:
        """Let those at a journey's door in, out, or turn them away; return how many arrivals there were."""
        return entering.take_in(self.store, due.versions, now, self.zone, self.salt)

    def settle(self, due: Due, versions: Sequence[Version], now: datetime) -> int:
        """Show what a journey's steps have recorded to all journeys, to its own at once; return how many events."""
        routed = self.route(versions, now)
        if routed:
            self.take_in(due, now)
        return routed

    def due_stages(self, version: Version, now: datetime, after: int = 0) -> list[Stage]:
        """Return the stages somebody is due at, in order, from the one of index `after` on."""
        with self.store.reading() as connection:
            found = due_stages(connection, version, now)
        return [stage for stage in found if version.plan.stages.index(stage) >= after]

    def is_due(self, version: Version, stage: Stage, now: datetime) -> bool:
        """Say whether anybody is due at a stage."""
        with self.store.reading() as connection:
            return is_due(connection, version, stage, now)

    def advance(
        self, version: Version, stage: Stage, now: datetime, progress: Callable[[int], None] | None = None
    ) -> int:
        """Act on everyone due at a stage and move them on; return how many."""
        if isinstance(stage, Send):
            self._release(version.journey_id, now)  # those held first go first
        scene = Scene(version, now, self.store.dialect, self.zone, self.salt, judge=self.judge)
        return advance(self.store, scene, stage, self.personal, progress)

    def deliver(
        self, journey_id: int, now: datetime, progress: Callable[[int], None] | None = None
    ) -> Delivered:
        """Send what a journey has in the outbox, after a last look at what has happened meanwhile."""
        if self.delivery is None:
            return Delivered()
        released = self._release(journey_id, now)
        judged = self.judge is not None
        delivered = self.delivery.deliver(journey_id, now, progress, self._last_look, reserved_only=judged)
        delivered.add(Delivered(postponed=released.held, refused=released.refused))
        return delivered

    def _release(self, journey_id: int, now: datetime) -> Released:
        return release(self.store, self.judge, journey_id, now) if self.judge else Released()

    def _last_look(self, journey_ids: Sequence[int], now: datetime) -> None:
        """Let events that have come in since the pass began end the stays they end, before more is sent."""
        versions = self.versions()
        if not routing.route_events(self.store, versions, now):
            return
        for journey_id in dict.fromkeys(journey_ids):
            mine = [version for version in versions if version.journey_id == journey_id]
            if mine:
                entering.take_in(self.store, mine, now, self.zone, self.salt)


def stages_in_order(engine: Engine, version: Version, now: datetime) -> Iterator[Stage]:
    """Yield each stage somebody is due at, in order, those included that an earlier one has just made due."""
    due = {stage.id for stage in engine.due_stages(version, now)}
    reached: set[str | None] = set()
    for stage in version.plan.stages:
        if stage.id in due or (stage.id in reached and engine.is_due(version, stage, now)):
            yield stage
            reached |= leads_to(stage)


def run_pass(
    engine: Engine,
    now: datetime,
    names: Sequence[str] | None = None,
    *,
    sense: bool = True,
    progress: Progress | None = None,
) -> Passed:
    """Run one pass in this process: the in-process runtime."""
    passed = Passed()
    for one in in_turn(engine, now, names, passed, sense=sense):
        _run_journey(engine, one, now, passed, progress)
    return passed


def in_turn(
    engine: Engine, now: datetime, names: Sequence[str] | None, passed: Passed, *, sense: bool
) -> Iterator[Due]:
    """Yield the journeys of a pass, each when it is its turn to be run, in rounds from the highest priority down.

    Whom a journey brings to another's door is dealt with in the same round where the other is yet to come, else in
    the next one, whoever else is there: what becomes of a customer does not hang on the others.
    """
    versions, seen = engine.versions(), 0
    (engine.sense if sense else engine.open_slots)(versions, now)
    for round_ in range(MAX_ROUNDS):
        passed.routed += engine.route(versions, now)
        if round_ and passed.routed == seen and not engine.anybody_at_a_door(now):
            return
        seen = passed.routed
        due = engine.due(versions, now, names)
        while due:
            one = due.pop(0)
            yield one
            passed.routed += (routed := engine.settle(one, versions, now))
            if routed or engine.anybody_at_a_door(now):
                due = [other for other in engine.due(versions, now, names) if other.turn > one.turn]


def _run_journey(engine: Engine, due: Due, now: datetime, passed: Passed, progress: Progress | None) -> None:
    tell = progress or _untold
    passed.journeys.append(due.name)
    passed.arrivals += engine.take_in(due, now)
    for version in due.versions:
        for stage in stages_in_order(engine, version, now):
            passed.moved += engine.advance(version, stage, now, partial(tell, stage.id))
    passed.delivered.add(engine.deliver(due.journey_id, now, partial(tell, "deliver")))


def _untold(what: str, n: int) -> None:
    """Tell nobody."""
