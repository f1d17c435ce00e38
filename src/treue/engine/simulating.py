"""A backtest: a workspace's journeys live through a recorded past again, on the engine that runs live.

Nothing is written and nothing is sent: channels accept every message unseen, webhooks are not called, and the
database is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from treue.channel import Channel, Kind
from treue.engine.assembly import make_engine, make_renderer, plans
from treue.engine.delivering import Delivery
from treue.engine.engine import Engine
from treue.engine.pretending import Accepting, Blank, pace
from treue.engine.replay import Tick, replay
from treue.engine.tally import Tally, tally
from treue.engine.versions import publish
from treue.model.states import MessageState, Outcome
from treue.model.tables import arrival, enrollment, message
from treue.plan.stages import Plan
from treue.store.history import History, Past, attach
from treue.store.store import Store
from treue.workspace.loading import Workspace

EVERY, IN_QUIET_HOURS = timedelta(hours=6), timedelta(hours=1)
"""How far passes are apart where there is something to do, and where there are quiet hours to be met.

Nearer than that where messages go stale sooner.
"""

ONE_DAY = timedelta(days=1)
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
    delivery = Delivery(store, channels, Blank(), folder)
    try:
        engine = make_engine(workspace.settings, store, delivery, folder)
        clock, live = Clock(engine, Past(period.start), period), _wanted(workspace, names)
        clock.every = pace(live, IN_QUIET_HOURS if workspace.settings.quiet_hours else EVERY)
        clock.schedules = [plan.entry.schedule for plan in live if plan.entry.schedule]
        clock.look = clock.every if any(_on_days(plan) for plan in live) else ONE_DAY
        with store.transaction() as connection:
            clock.past.begin(connection, zone)
        publish(store, live, {}, period.start)
        passes = replay(engine, clock.ticks(), clock.happen, told or _untold).passes
        with store.reading() as connection:
            return tally(
                connection, live, (period.start, period.last), zone, (clock.every, clock.look), passes
            )
    finally:
        delivery.close()
        store.close()


def _on_days(plan: Plan) -> bool:
    """Whether a journey is entered on certain days of each customer's own."""
    entry = plan.entry
    return not (entry.event or entry.segment or entry.schedule or entry.manual)


def _wanted(workspace: Workspace, names: Sequence[str] | None) -> list[Plan]:
    found = plans(workspace, make_renderer(workspace))
    return [plan for plan in found if names is None or plan.journey in names]


@dataclass
class Clock:
    """The virtual clock: makes the past happen, and says when passes are run."""

    engine: Engine
    past: Past
    period: Period
    every: timedelta = EVERY
    look: timedelta = ONE_DAY
    schedules: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.seen = self.past.before

    def happen(self, now: datetime) -> None:
        """Record what happened since the last time."""
        with self.engine.store.transaction() as connection:
            self.past.happen(connection, self.seen, now)
        self.seen = now

    def ticks(self) -> Iterator[Tick]:
        """Yield when passes are run: where there is something to do, and regularly to look at segments and schedules.

        Asked for one by one: when there is something to do depends on the pass before.
        """
        now, look = self.period.start, self.period.start + self.look
        yield Tick(now)
        while now < self.period.last:
            scheduled = self._scheduled(now)
            busy = self._slot(min(self._next(now) or look, look), now)
            now = min(busy, scheduled or busy, self.period.last)
            yield Tick(now, now >= look or now == scheduled)
            while look <= now:
                look += self.look

    def _scheduled(self, now: datetime) -> datetime | None:
        """Return the next time of a schedule; who is in its segment is asked right then."""
        from cronsim import CronSim

        local = now.astimezone(ZoneInfo(self.engine.zone))
        return min((next(CronSim(cron, local)).astimezone(UTC) for cron in self.schedules), default=None)

    def _next(self, now: datetime) -> datetime | None:
        """Return when there is something to do next."""
        with self.engine.store.reading() as connection:
            found = [at for at in (self.past.next(connection, now), _due(connection)) if at]
        return min(found, default=None)

    def _slot(self, at: datetime, now: datetime) -> datetime:
        """Return the first slot that is after now and not before a time."""
        start = self.period.start
        return start + max(-((start - at) // self.every), (now - start) // self.every + 1) * self.every


def _due(connection: Connection) -> datetime | None:
    """Return the earliest time at which something in the store is due."""
    looks = (
        select(func.min(enrollment.c.due_at)).where(enrollment.c.outcome == Outcome.inside.value),
        select(func.min(message.c.ready_at)).where(message.c.state == MessageState.queued.value),
        select(func.min(arrival.c.at)),
    )
    found = [at for look in looks if (at := connection.scalar(look))]
    return min(found, default=None)


def _untold(_: datetime) -> None:
    """Tell nobody."""
