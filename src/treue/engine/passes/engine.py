"""The engine: a plan, a store, a clock and channels, and one pass over everybody who is due.

A pass at time `now` does what is pending until then in the order in which it takes effect, looks who has joined a segment or
has a reason to leave, and sends. Both runtimes (in-process here, Prefect in `treue_flows`) make the same calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import func, select, union

from treue import meters
from treue.clock import Duration
from treue.cohorts.host import host_of
from treue.cohorts.scene import Renders, Scene
from treue.cohorts.turns import Turns
from treue.delivery import outbox, recovery
from treue.delivery.dispatcher import Delivered, Delivery
from treue.delivery.rerouting import channels_down, reroute
from treue.engine.door import arrivals, entries, exits, full_looks
from treue.engine.passes.attempts import (
    DELIVER,
    ENTER,
    EXITS,
    LONGEST_LOOK,
    REROUTE,
    SEGMENT,
    Attempts,
    JourneysFailed,
    step,
)
from treue.engine.passes.chores import Chores
from treue.engine.passes.chronology import Chronology, Passed, run_journey
from treue.engine.pressure.first_look import ask_again
from treue.engine.pressure.judge import Judge
from treue.engine.pressure.release import Released, release
from treue.engine.steps.stages import advance, due_stages, is_due
from treue.engine.versions.versions import Version, Versions, in_order
from treue.engine.versions.watching import is_watched_for, watch_for, watching
from treue.errors import StoreError
from treue.language.pressure import Pressure
from treue.language.step_rows import DEFAULT_HOLD
from treue.language.steps import Stage
from treue.model.states import Outcome
from treue.model.tables import arrival, enrollment
from treue.store import failures, heartbeat
from treue.store.failures import PLAN
from treue.store.store import Store

BY_HAND = timedelta(hours=1)
"""How far apart passes are that no worker runs: nobody has said, but whoever runs them by cron does so by the hour."""

BETWEEN_SENTENCES = 5.0
"""Seconds between two sentences about what is being done."""


class Engine:
    """The engine calls that every runtime makes. Holds no state of its own beyond parsed plans.

    `every` is how far apart passes are, to be set by whoever runs them regularly; `said` is given a sentence now and then
    where a pass takes long, and `nightly` is called by each pass at its end, for what is not a journey's own work. Without `compares`, nobody
    looks by night whether something was missed: it finds nothing but faults, and costs whoever exists.
    """

    def __init__(
        self,
        store: Store,
        zone: str,
        salt: str,
        delivery: Delivery | None = None,
        state: Path | None = None,
        personal: Renders | None = None,
        pressure: Pressure | None = None,
        hold: Duration = DEFAULT_HOLD,
    ) -> None:
        self.store, self.zone, self.salt = store, zone, salt
        self.judge = Judge(pressure, store.dialect, zone, salt) if pressure else None
        self.delivery, self.state, self.personal = delivery, state, personal
        self.hold = hold
        self.every = BY_HAND
        self.said: Callable[[str], object] = _say_nothing
        self.nightly: Callable[[datetime], None] | None = None
        self.compares = True
        self._said_at = float("-inf")
        self._versions = Versions()

    @contextmanager
    def passing(
        self, now: datetime, passed: Passed, names: Sequence[str] | None, *, sense: bool
    ) -> Iterator[Attempts]:
        """Record that a pass begins, and how it ends; give what the journeys' work is tried by.

        A pass over the journeys `names` alone does not say how passes go: it leaves no record. Raises JourneysFailed at
        the end where something of a journey has failed: all else is done by then, and the pass counts as one that succeeded.
        """
        attempts = Attempts(self.store, now, recorded_pass=names is None)
        with self._recorded(attempts, now) if names is None else nullcontext():
            yield attempts
            attempts.settle(whole=sense and names is None)
        if attempts.failed:
            failed = list(attempts.failed.values())
            raise JourneysFailed(failed, passed) from failed[0].error

    @contextmanager
    def _recorded(self, attempts: Attempts, now: datetime) -> Iterator[None]:
        """Record when a pass begins, and whether it succeeds or fails."""
        began = time.monotonic()
        with self.store.transaction() as connection:
            heartbeat.begin(connection, now, self.every)
        try:
            yield
        except Exception as error:
            meters.PASSES.labels("failed").inc()
            with suppress(StoreError), self.store.transaction() as connection:
                heartbeat.fail(connection, attempts.moment, failures.reason(error))
            raise
        with self.store.transaction() as connection:
            heartbeat.succeed(connection, attempts.moment)
        meters.PASSES.labels("succeeded").inc()
        meters.PASS_SECONDS.observe(time.monotonic() - began)

    def versions(self) -> list[Version]:
        """Return all versions in use, paused journeys included, but for journeys whose plan cannot be read."""
        with self.store.reading() as connection:
            return self._versions.load(connection)

    def readable(self, attempts: Attempts) -> list[Version]:
        """Return `versions`, and record which journeys are left out.

        Of those that watch a segment it is found out before anything else who was in it when they went live.
        """
        versions = self.versions()
        self._watch_for(versions)
        if new := [version for version in versions if not _knows_its_members(version)]:
            for version in new:
                look = partial(full_looks.first_look, self.store, version, self.zone, LONGEST_LOOK)
                attempts.make(version.journey_id, version.name, SEGMENT, look)
            versions = self.versions()
        for version in versions:
            attempts.succeed(version.journey_id, PLAN)
        for journey_id, (name, error) in self._versions.unreadable.items():
            if attempts.may(journey_id, PLAN):
                attempts.record(journey_id, name, PLAN, error)
        return versions

    def _watch_for(self, versions: Sequence[Version]) -> None:
        with self.store.reading() as connection:
            if is_watched_for(connection, versions, self._versions.unreadable):
                return
        with self.store.transaction() as connection:
            watch_for(connection, versions, self._versions.unreadable)

    def recover(self, now: datetime) -> recovery.Recovered:
        """Settle what dead workers left behind."""
        assert self.state is not None
        if self.delivery is not None:
            self.delivery.take_back(now)
        return recovery.recover(self.store, self.state, now, self.delivery.windows if self.delivery else None)

    def route(self, versions: Sequence[Version], now: datetime) -> int:
        """Show new events to the journeys that react to them; return how many."""
        routed = arrivals.route_events(self.store, versions, now, tuple(self._versions.unreadable))
        meters.ROUTED.inc(routed)
        return routed

    def chores(self, attempts: Attempts, versions: Sequence[Version], now: datetime) -> bool:
        """Look over everybody where that is due, for some seconds; say whether it was."""
        done = Chores(self.store, attempts, versions, now, self.zone, compares=self.compares).do()
        if self.nightly is not None:
            self.nightly(now)
        return done

    def reroute(self, attempts: Attempts, versions: Sequence[Version], now: datetime) -> None:
        """Where a channel is down, let messages that can go another way go that way."""
        down = channels_down(self.store, now) if self.delivery is not None else set()
        for version in versions if down else ():
            if not version.paused:
                act = partial(reroute, self.store, version, down, now)
                attempts.make(version.journey_id, version.name, REROUTE, act)

    def bring_days(self, attempts: Attempts, versions: Sequence[Version], now: datetime) -> datetime:
        """Bring those whose day has come to the doors; return until when: after a long standstill, for a stretch of it."""
        return arrivals.bring_days(self.store, attempts, versions, now, self.zone)

    def pass_over(self, attempts: Attempts, versions: Sequence[Version], now: datetime) -> None:
        """Let the times of schedules that were missed for long come once, not once each."""
        arrivals.pass_over(self.store, attempts, versions, now, self.zone)

    def next_slot(
        self, attempts: Attempts, versions: Sequence[Version]
    ) -> tuple[datetime | None, Sequence[Version]]:
        """Return the first time of a schedule that has not been looked at yet, of those that may be, and whose it is."""
        tried = [version for version in versions if attempts.may(version.journey_id, slot_work(version))]
        return arrivals.next_slot(self.store, tried, self.zone)

    def bring_slot(self, attempts: Attempts, versions: Sequence[Version], slot: datetime) -> None:
        """Bring who is in the segment to the doors of journeys whose schedule has this time."""
        arrivals.bring_slot(self.store, attempts, versions, slot, self.zone)

    def is_over(self, seconds: float) -> bool:
        """Say whether what takes so long already is to make way for what else is due."""
        longest = self.delivery.slice_seconds if self.delivery is not None else None
        return longest is not None and seconds > longest

    def tell(self, sentence: str) -> None:
        """Say what is being done, unless something was said a moment ago."""
        if (now := time.monotonic()) - self._said_at > BETWEEN_SENTENCES:
            self._said_at = now
            self.said(sentence)

    def turns(self, attempts: Attempts, versions: Sequence[Version]) -> Turns:
        """Return the journeys that run, in their order, with the steps that are passed over since they have failed."""
        unknown = {v.journey_id for v in versions if not _knows_its_members(v)}
        running = [
            v
            for v in versions
            if not v.paused and v.journey_id not in unknown and attempts.may_run(v.journey_id)
        ]
        stuck = {
            version.number(stage)
            for version in running
            for stage in version.plan.stages
            if not attempts.may(version.journey_id, step(stage))
        }
        return Turns(tuple(in_order(running)), tuple(sorted(n for n in stuck if n is not None)))

    def take_in(self, versions: Sequence[Version], turns: Turns, now: datetime) -> int:
        """Let whoever's turn it is at a journey's door in, out, or turn them away; return how many arrivals there were."""
        return entries.take_in(self.store, versions, turns, now, self.zone, self.salt)

    def at_doors(self, turns: Turns, now: datetime) -> set[int]:
        """Return the journeys at whose doors somebody waits."""
        running = arrival.c.journey_id.in_(turns.running)
        query = select(arrival.c.journey_id).where(arrival.c.effective_at <= now, running).distinct()
        with self.store.reading() as connection:
            return set(connection.scalars(query))

    def busy(self, attempts: Attempts, versions: Sequence[Version], now: datetime) -> set[int]:
        """Return the journeys that somebody is due in, at a step that may be tried."""
        return {version.journey_id for version, stages in self._due(attempts, versions, now) if stages}

    def pending(self, versions: Sequence[Version], now: datetime) -> int:
        """Return how many customers something is pending of in these versions' journeys that run."""
        running = [version for version in versions if not version.paused]
        journeys, numbers = {one.journey_id for one in running}, [one.version_id for one in running]
        comes = select(arrival.c.customer_id).where(
            arrival.c.journey_id.in_(journeys), arrival.c.effective_at <= now
        )
        acts = select(enrollment.c.customer_id).where(
            enrollment.c.version_id.in_(numbers),
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.due_at <= now,
        )
        with self.store.reading() as connection:
            return connection.scalar(select(func.count()).select_from(union(comes, acts).subquery())) or 0

    def with_messages(self, attempts: Attempts, now: datetime) -> set[int]:
        """Return the journeys that have something to send."""
        if self.delivery is None:
            return set()
        with self.store.reading() as connection:
            return {id_ for id_, _ in outbox.waiting(connection, now) if attempts.may(id_, DELIVER)}

    def due_stages(self, attempts: Attempts, version: Version, now: datetime) -> list[Stage]:
        """Return the stages of a version somebody is due at, in order, but for those that are left alone."""
        return [stage for _, stages in self._due(attempts, [version], now) for stage in stages]

    def _due(
        self, attempts: Attempts, versions: Sequence[Version], now: datetime
    ) -> list[tuple[Version, list[Stage]]]:
        with self.store.reading() as connection:
            found = due_stages(connection, versions, now)
        return [
            (
                version,
                [
                    stage
                    for stage in found.get(version.version_id, ())
                    if attempts.may(version.journey_id, step(stage))
                ],
            )
            for version in versions
        ]

    def is_due(self, version: Version, stage: Stage, due_by: datetime) -> bool:
        """Say whether anybody is due at a stage by then."""
        with self.store.reading() as connection:
            return is_due(connection, version, stage, due_by)

    def advance(
        self,
        version: Version,
        stage: Stage,
        turns: Turns,
        due_by: datetime,
        now: datetime,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Act at `now` on everyone due by then whose turn it is at a stage, and move them on; return how many."""
        if stage.message:
            self._release(version.journey_id, now)  # those held first go first
        scene = Scene(
            version,
            now,
            self.store.dialect,
            self.zone,
            self.salt,
            renders=self.personal,
            hold=self.hold,
        )
        return advance(self.store, scene, version, stage, turns, due_by, progress, self.judge)

    def deliver(
        self,
        journey_id: int,
        now: datetime,
        progress: Callable[[int], None] | None = None,
        attempts: Attempts | None = None,
        versions: Sequence[Version] | None = None,
    ) -> Delivered:
        """Send what a journey has in the outbox, after a last look at what has happened meanwhile.

        `versions` are those in use, where they are known.
        """
        if self.delivery is None:
            return Delivered()
        mine = [v for v in (versions or self.versions()) if v.journey_id == journey_id]
        for version in mine:
            exits.ask_before_sending(self.store, version, now, self.zone)
        asked = ask_again(self.store, mine, journey_id, now)
        released = self._release(journey_id, now)
        judged, look = self.judge is not None, partial(self._last_look, attempts, journey_id, {journey_id})
        delivered = self.delivery.deliver(journey_id, now, progress, look, reserved_only=judged)
        delivered.add(Delivered(refused=asked))
        delivered.add(Delivered(postponed=released.held, refused=released.refused))
        return delivered

    def _release(self, journey_id: int, now: datetime) -> Released:
        return release(self.store, self.judge, journey_id, now) if self.judge else Released()

    def _last_look(
        self,
        attempts: Attempts | None,
        own: int,
        asked: set[int],
        journey_ids: Sequence[int],
        now: datetime,
    ) -> None:
        """Let what has come in since the pass began take effect, before more is sent: it may end stays.

        Reasons to leave are asked of journeys that are not yet among those `asked`: of what goes first of others, too.
        Another journey cannot keep the messages of journey `own` from going; what fails of `own` is raised.
        """
        tried = attempts or Attempts(self.store, now)
        if unasked := {*journey_ids} - asked:
            for version in self.versions():
                if version.journey_id in unasked:
                    ask = partial(exits.ask_before_sending, self.store, version, now, self.zone)
                    tried.make(version.journey_id, version.name, EXITS, ask)
            asked |= unasked
        if not arrivals.is_anything_new(self.store) or not self.route(self.versions(), now):
            return
        meanwhile = Chronology(self, tried, now, None, Passed())
        for due in meanwhile.rounds():
            run_journey(meanwhile, due, None)
        if (failed := tried.failed.get((own, ENTER))) is not None:
            raise failed.error


def _say_nothing(_: str) -> None:
    """Tell nobody."""


def _knows_its_members(version: Version) -> bool:
    """Whether it is known who was in a version's segment when the journey went live, where it has one."""
    return version.sensed or not version.live or watching(version).joined is None


def slot_work(version: Version) -> str:
    """Return the name of the work of finding whom a version's trigger brings."""
    return host_of(version.plan.entry.trigger).work
