"""One pass: everybody's pending things in the order of their times, round after round. See ARCHITECTURE.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from treue import meters
from treue.clock import TICK
from treue.cohorts.host import MISSED_FOR_LONG
from treue.cohorts.turns import Turns
from treue.delivery.dispatcher import Delivered
from treue.engine.passes.attempts import DELIVER, ENTER, Attempts, step
from treue.engine.versions.versions import Version, in_order
from treue.language.steps import Stage

if TYPE_CHECKING:
    from treue.engine.passes.engine import Engine

Progress = Callable[[str, int], None]
"""Told what is being done (a stage's id, or `deliver`) and for how many more customers it has been done."""

MAX_ROUNDS = 10_000
"""How many rounds a pass makes at the most; what is left, the next one does, with the same result."""


@dataclass(frozen=True)
class Due:
    """A journey with something to do: all its versions in use, the live one included.

    `delivers` says that what it has in the outbox is to be sent; else somebody is due at its steps.
    """

    name: str
    journey_id: int
    versions: tuple[Version, ...]
    delivers: bool = False


@dataclass
class Passed:
    """What one pass did.

    `left` are customers whose turn it was not, as they owe something to journeys that were not run; `behind` says that the
    next pass goes on with days that were missed in a long standstill.
    """

    routed: int = 0
    arrivals: int = 0
    moved: int = 0
    delivered: Delivered = field(default_factory=Delivered)
    journeys: list[str] = field(default_factory=list)
    left: int = 0
    behind: bool = False


def run_pass(
    engine: Engine,
    now: datetime,
    names: Sequence[str] | None = None,
    *,
    sense: bool = True,
    progress: Progress | None = None,
) -> Passed:
    """Run one pass in this process: the in-process runtime. Raises JourneysFailed as `Engine.passing` does."""
    passed = Passed()
    with engine.passing(now, passed, names, sense=sense) as attempts:
        chronology = Chronology(engine, attempts, now, names, passed)
        for one in chronology.work(sense=sense):
            run_journey(chronology, one, progress)
    return passed


class Chronology:
    """One pass: everybody's pending things in the order of their times, round after round.

    In a round each customer's things of one instant are done, in all journeys; what they bring about is pending at its
    own time. The statements that take somebody see to the order (`cohorts/turns.py`); this makes the rounds. `dealt` counts
    the arrivals at each journey's door.
    """

    def __init__(
        self,
        engine: Engine,
        attempts: Attempts,
        now: datetime,
        names: Sequence[str] | None,
        passed: Passed,
    ) -> None:
        self.engine, self.attempts, self.now, self.passed = engine, attempts, now, passed
        self.versions = engine.readable(attempts)
        self.wanted = [v for v in self.versions if names is None or v.name in names]
        self.until, self.moved = now, 0
        self.dealt: dict[int, int] = {}
        self._turns: tuple[int, Turns] | None = None

    def work(self, *, sense: bool) -> Iterator[Due]:
        """Yield the journeys that somebody is due in, each time it is their turn, and at the end those that have messages.

        Looks over everybody wait for all else.
        """
        yield from self._up_to_now()
        if sense:
            self.engine.reroute(self.attempts, self.versions, self.now)
        yield from self._deliveries()
        if sense:
            before = self.moved
            self.engine.chores(self.attempts, self.versions, self.now)
            yield from self.rounds()
            if self.moved > before:
                yield from self._deliveries()
        if len(self.wanted) < len(self.versions):
            self.passed.left = self.engine.pending(self.wanted, self.now)

    def rounds(self) -> Iterator[Due]:
        """Yield the journeys that somebody is due in, round after round, until nothing is pending any more."""
        for _ in range(MAX_ROUNDS):
            self.attempts.beat()
            before = self.moved
            self.doors()
            busy = self.engine.busy(self.attempts, self.wanted, self.until)
            for journey_id in self.turns().running if busy else ():
                if journey_id in busy:
                    yield self._due(journey_id)
            if self.moved == before:
                return

    def turns(self) -> Turns:
        """Return whose turn it is by now: what has failed meanwhile is passed over."""
        failed = len(self.attempts.failed)
        if self._turns is None or self._turns[0] != failed:
            self._turns = failed, self.engine.turns(self.attempts, self.versions)
        return self._turns[1]

    def stages(self, version: Version) -> Iterator[Stage]:
        """Yield each stage of a version somebody is due at, in order, those included that an earlier one has just made due."""
        due = {stage.id for stage in self.engine.due_stages(self.attempts, version, self.until)}
        reached: set[str | None] = set()
        for stage in version.plan.stages:
            if stage.id in due or (stage.id in reached and self.engine.is_due(version, stage, self.until)):
                yield stage
                reached |= stage.leads_to()

    def advance(self, version: Version, stage: Stage, progress: Callable[[int], None] | None = None) -> int:
        """Act on everyone whose turn it is at a stage; return how many."""
        number = self.engine.advance(
            version, stage, self.turns(), self.until, self.now, self._alive(progress)
        )
        meters.MOVED.labels(version.name, stage.id).inc(number)
        self.moved += number
        self.passed.moved += number
        return number

    def is_due(self, version: Version) -> bool:
        """Say whether anybody is due at a step of a version that may be tried."""
        return bool(self.engine.due_stages(self.attempts, version, self.until))

    def deliver(self, journey_id: int, progress: Callable[[int], None] | None = None) -> Delivered:
        """Send what a journey has in the outbox."""
        alive = self._alive(progress)
        delivered = self.engine.deliver(journey_id, self.now, alive, self.attempts, self.versions)
        self.passed.delivered.add(delivered)
        return delivered

    def _alive(self, progress: Callable[[int], None] | None) -> Callable[[int], None]:
        """Return what is told of each batch: whoever listens hears of it, and that the pass goes on is recorded."""

        def tell(number: int) -> None:
            self.attempts.beat()
            if progress:
                progress(number)

        return tell

    def _up_to_now(self) -> Iterator[Due]:
        """Do all that is pending. Of a long standstill, days are brought and done a stretch at a time.

        Where that takes longer than a pass may, what else is pending waits no more, and the next pass goes on with the days.
        """
        began = time.monotonic()
        while (reached := self.engine.bring_days(self.attempts, self.versions, self.now)) < self.now:
            yield from self._up_to(reached)
            spent = time.monotonic() - began
            self.engine.tell(f"Days that were missed since the last pass are done until {reached:%Y-%m-%d}.")
            if self.engine.is_over(spent):
                self.passed.behind = True
                break
        yield from self._up_to(self.now)

    def _up_to(self, end: datetime) -> Iterator[Due]:
        """Do what is pending until then, stopping at each time of a schedule: its segment is asked of everybody as of it."""
        slot, whose = self.engine.next_slot(self.attempts, self.versions)
        if slot is not None and slot < self.now - MISSED_FOR_LONG:
            self.engine.pass_over(self.attempts, self.versions, self.now)
            slot, whose = self.engine.next_slot(self.attempts, self.versions)
        while slot is not None and slot <= end:
            self.until = slot - TICK
            yield from self.rounds()
            self._slot(slot, whose)
            slot, whose = self.engine.next_slot(self.attempts, self.versions)
        self.until = end
        yield from self.rounds()

    def _slot(self, slot: datetime, whose: Sequence[Version]) -> None:
        """Bring who is in a segment at a time of its schedule to the door, in one journey after the other.

        What comes from outside at that very instant comes first, steps that are due at it come after.
        """
        self.until = slot
        self.doors()
        order = in_order(whose)
        for version in sorted(whose, key=lambda one: order.index(one.journey_id)):
            self.engine.bring_slot(self.attempts, [version], slot)
            self.doors()

    def doors(self) -> None:
        """Let everybody in and out at the doors, until what waits there is not yet its customer's turn."""
        self.passed.routed += self.engine.route(self.versions, self.until)
        dealt = 1
        while dealt:
            dealt, turns = 0, self.turns()
            waits = self.engine.at_doors(turns, self.until)
            for journey_id in turns.running if waits else ():
                mine = [version for version in self.wanted if version.journey_id == journey_id]
                if journey_id in waits and mine:
                    act = partial(self.engine.take_in, mine, turns, self.until)
                    number = self.attempts.make(journey_id, mine[0].name, ENTER, act) or 0
                    self.dealt[journey_id] = self.dealt.get(journey_id, 0) + number
                    dealt += number
            self.moved += dealt
            self.passed.arrivals += dealt

    def _due(self, journey_id: int, *, delivers: bool = False) -> Due:
        mine = tuple(version for version in self.wanted if version.journey_id == journey_id)
        return Due(mine[0].name, journey_id, mine, delivers)

    def _deliveries(self) -> Iterator[Due]:
        found = self.engine.with_messages(self.attempts, self.now)
        mine = {version.journey_id for version in self.wanted} & found
        for journey_id in self.turns().running if mine else ():
            if journey_id in mine:
                yield self._due(journey_id, delivers=True)


def run_journey(chronology: Chronology, due: Due, progress: Progress | None) -> None:
    """Do a journey's part of a round in this process: its steps, or its deliveries. What fails is recorded."""
    tell, attempt = progress or _untold, partial(chronology.attempts.make, due.journey_id, due.name)
    passed = chronology.passed
    if due.name not in passed.journeys:
        passed.journeys.append(due.name)
    if due.delivers:
        attempt(DELIVER, partial(chronology.deliver, due.journey_id, partial(tell, "deliver")))
        return
    for version in due.versions:
        for stage in chronology.stages(version):
            attempt(step(stage), partial(chronology.advance, version, stage, partial(tell, stage.id)))


def _untold(what: str, n: int) -> None:
    """Tell nobody."""
