"""A backtest: a workspace's journeys live through a recorded past again, on the engine that runs live.

Nothing is written and nothing is sent: channels accept every message unseen, webhooks are not called, and the
database is thrown away.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from treue.channel import Channel, Kind
from treue.engine.assembly import make_engine, plans
from treue.engine.delivery.dispatcher import Delivery
from treue.engine.engine import Engine
from treue.engine.pretending import Accepting, Blank, pace, standing_still
from treue.engine.replay import Tick, replay
from treue.engine.tally import Tally, tally
from treue.engine.timekeeping import next_appointment, next_end
from treue.engine.versions import publish
from treue.plan.stages import Plan
from treue.render.workspace_check import workspace_renderer
from treue.store.history import History, Past, attach
from treue.store.store import Store
from treue.workspace.loading import Workspace

EVERY, IN_QUIET_HOURS = timedelta(hours=6), timedelta(hours=1)
"""How far passes are apart where there is something to do, and where there are quiet hours to be met.

Nearer than that where messages go stale sooner.
"""

ONE_DAY, A_WEEK = timedelta(days=1), timedelta(days=7)
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Period:
    """From when until when time is lived through; the end itself is not part of it."""

    start: datetime
    end: datetime

    @property
    def last(self) -> datetime:
        """The last instant that is lived through."""
        return self.end - timedelta(microseconds=1)


def simulate(
    workspace: Workspace,
    history: History,
    period: Period,
    folder: Path,
    names: Sequence[str] | None = None,
    told: Callable[[datetime], None] | None = None,
) -> Tally:
    """Return what the journeys (all, or those named) would have done in a period of the past.

    They go live at its start: what happened before is known and starts nobody. `folder` is a temporary one.
    """
    zone = workspace.settings.timezone
    store = Store.open(f"sqlite:///{folder / 'replayed.db'}", create=True)
    store.forgo_syncing()
    attach(store.engine, history.path)
    channels: dict[str, Channel] = {kind: Accepting(kind) for kind in KINDS}
    delivery = Delivery(store, channels, Blank(), folder, clock=standing_still)
    try:
        gc.freeze()  # what is loaded by now would be looked through for garbage again and again
        engine = make_engine(workspace.settings, store, delivery, folder)
        clock, live = Clock(engine, Past(period.start), period), _wanted(workspace, names)
        clock.every = pace(live, IN_QUIET_HOURS if workspace.settings.quiet_hours else EVERY)
        with store.transaction() as connection:
            clock.past.begin(connection, zone)
        publish(store, live, {}, period.start)
        passes = replay(engine, clock.ticks(), clock.happen, told or _untold).passes
        with store.reading() as connection:
            return tally(connection, live, (period.start, period.last), zone, clock.every, passes)
    finally:
        gc.unfreeze()
        delivery.close()
        store.close()


def _wanted(workspace: Workspace, names: Sequence[str] | None) -> list[Plan]:
    found = plans(workspace, workspace_renderer(workspace))
    return [plan for plan in found if names is None or plan.journey in names]


@dataclass
class Clock:
    """The virtual clock: makes the past happen, and says when passes are run."""

    engine: Engine
    past: Past
    period: Period
    every: timedelta = EVERY

    def __post_init__(self) -> None:
        self.seen, self.surveyed = self.past.before, self.past.before

    def happen(self, now: datetime) -> None:
        """Record what happened since the last time."""
        with self.engine.store.transaction() as connection:
            self.past.happen(connection, self.seen, now)
        if now - self.surveyed >= A_WEEK:
            self.engine.store.survey(anew=True)  # the tables were empty a moment ago
            self.surveyed = now
        self.seen = now

    def ticks(self) -> Iterator[Tick]:
        """Yield when passes are run: where there is something to do, once a day with a look at the segments.

        Asked for one by one: when there is something to do depends on the pass before.
        """
        now, day = self.period.start, self.period.start + ONE_DAY
        yield Tick(now)
        while now < self.period.last:
            busy, appointment = self._next(now)
            now = min(self._slot(min(busy or day, day), now), appointment or day, self.period.last)
            yield Tick(now, now >= day)
            while day <= now:
                day += ONE_DAY

    def _next(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return when something happens or is due next, and the next time of a schedule or a customer's day."""
        versions, zone = self.engine.versions(), self.engine.zone
        with self.engine.store.reading() as connection:
            found = (self.past.next(connection, now), next_end(connection, versions, now))
            busy = min((at for at in found if at is not None), default=None)
            return busy, next_appointment(connection, versions, now, zone)

    def _slot(self, at: datetime, now: datetime) -> datetime:
        """Return the first slot that is after now and not before a time."""
        start = self.period.start
        return start + max(-((start - at) // self.every), (now - start) // self.every + 1) * self.every


def _untold(_: datetime) -> None:
    """Tell nobody."""
