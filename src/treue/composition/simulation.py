"""A backtest: a workspace's journeys live through a recorded past again, on the engine that runs live.

Nothing is written and nothing is sent: channels accept every message unseen, webhooks are not called, and the
database is thrown away.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from treue.channel import Channel, Kind
from treue.composition.assembly import make_engine, plans
from treue.delivery.dispatcher import Delivery
from treue.engine.passes.chores import looks_regularly
from treue.engine.passes.engine import Engine
from treue.engine.passes.next_instants import next_appointment, next_end
from treue.engine.versions.versions import publish
from treue.engine.what_if.replay import EXACT, Pace, Tick, replay
from treue.engine.what_if.stand_ins import Accepting, Blank, pace, standing_still
from treue.engine.what_if.tally import Tally, tally
from treue.plan.plan import Plan
from treue.render.templates.workspace_check import workspace_renderer
from treue.store.history import History, Past, attach
from treue.store.store import Store
from treue.workspace.workspace import Workspace

EVERY, IN_QUIET_HOURS = timedelta(hours=6), timedelta(hours=1)
"""How far passes are apart on crowded days, and where there are quiet hours to be met; nearer where messages go stale sooner."""

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
    with living(workspace, history, period, folder, names) as clock:
        passes = replay(clock.engine, clock.ticks(), clock.happen, told or _untold).passes
        with clock.engine.store.reading() as connection:
            return tally(connection, clock.live, (period.start, period.last), zone, clock.pace, passes)


@contextmanager
def living(
    workspace: Workspace, history: History, period: Period, folder: Path, names: Sequence[str] | None = None
) -> Iterator[Clock]:
    """Give the clock by which journeys live through a period, live at its start; all of it is gone afterwards."""
    store = Store.open(f"sqlite:///{folder / 'replayed.db'}", create=True)
    store.forgo_syncing()
    attach(store.engine, history.path)
    channels: dict[str, Channel] = {kind: Accepting(kind) for kind in KINDS}
    delivery = Delivery(store, channels, Blank(), folder, clock=standing_still)
    try:
        gc.freeze()  # what is loaded by now would be looked through for garbage again and again
        engine = make_engine(workspace.settings, store, delivery, folder)
        engine.compares = False
        live, past = _wanted(workspace, names), Past(period.start)
        every = pace(live, IN_QUIET_HOURS if workspace.settings.quiet_hours else EVERY)
        with store.transaction() as connection:
            past.begin(connection, workspace.settings.timezone)
        publish(store, live, {}, period.start)
        yield Clock(engine, live, past, period, Pace(every))
    finally:
        gc.unfreeze()
        delivery.close()
        store.close()


def _wanted(workspace: Workspace, names: Sequence[str] | None) -> list[Plan]:
    found = plans(workspace, workspace_renderer(workspace))
    return [plan for plan in found if names is None or plan.journey in names]


@dataclass
class Clock:
    """The virtual clock: makes the past happen, and says when passes are run of the journeys `live`."""

    engine: Engine
    live: Sequence[Plan]
    past: Past
    period: Period
    pace: Pace

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
        """Yield when passes are run: where something happens or is due, and once a day where segments are looked at.

        Asked for one by one: when there is something to do depends on the pass before.
        """
        day = self.period.start
        now: datetime | None = day
        while now is not None and now <= self.period.last:
            looks = now >= day
            while day <= now:
                day += ONE_DAY
                self._begin_day(day)
            yield Tick(now, looks)
            now = min(self._ahead(now, day), default=None)

    def _begin_day(self, end: datetime) -> None:
        with self.engine.store.reading() as connection:
            self.pace.begin_day(self.past.instants(connection, end - ONE_DAY, end, EXACT + 1))

    def _ahead(self, now: datetime, day: datetime) -> Iterator[datetime]:
        """Yield when a pass is to be run for what happens or is due next, for a schedule or somebody's day, for a look."""
        versions, zone = self.engine.versions(), self.engine.zone
        with self.engine.store.reading() as connection:
            found = (self.past.next(connection, now), next_end(connection, versions, now))
            appointment = next_appointment(connection, versions, now, zone)
        if coming := min((at for at in found if at is not None), default=None):
            yield self.pace.following(now, coming)
        if appointment is not None:
            yield appointment
        if looks_regularly(versions):
            yield day


def _untold(_: datetime) -> None:
    """Tell nobody."""
