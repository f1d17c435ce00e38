"""Living through time again: at each tick, what has happened by then is recorded, and a pass is run.

The engine is the one that runs live; only the clock is ours. The demo lives its ninety days this way, and a
simulation its years.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from treue.delivery.dispatcher import Delivered
from treue.engine.passes.chronology import Passed, run_pass
from treue.engine.passes.engine import Engine


@dataclass(frozen=True)
class Tick:
    """A moment at which a pass is run; with `sense` it also looks at segments and reasons to leave."""

    now: datetime
    sense: bool = True


@dataclass
class Replayed:
    """What living through the ticks came to."""

    passes: int = 0
    delivered: Delivered = field(default_factory=Delivered)


EXACT = 24
"""How many passes of a day may fall wherever something happens."""


@dataclass
class Pace:
    """When the pass after one runs: at the very instant at which something happens or is due next.

    On a day with more than `EXACT` of these, passes are at least `every` apart. What customers do at their steps stays the
    same; but messages are weighed against limits, and sent, at the time of a pass. `crowded` counts these days.
    """

    every: timedelta
    left: int = EXACT
    crowded: int = 0

    def begin_day(self, instants: int) -> None:
        """Begin a day on which at least so many instants are to come."""
        self.left = EXACT if instants <= EXACT else 0
        self.crowded += not self.left

    def following(self, now: datetime, coming: datetime) -> datetime:
        """Return when the pass after one at `now` runs, where something comes at `coming`."""
        if not self.left:
            return max(coming, now + self.every)
        self.left -= 1
        self.crowded += not self.left
        return coming


Happen = Callable[[datetime], None]
"""Records everything that has happened up to a time and was not recorded yet."""

RunTick = Callable[[Engine, Tick], Passed]
"""Runs the pass of one tick."""

Told = Callable[[datetime], None]
"""Told which time has been lived through."""


def in_process(engine: Engine, tick: Tick) -> Passed:
    """Run a tick's pass right here."""
    return run_pass(engine, tick.now, sense=tick.sense)


def replay(
    engine: Engine, ticks: Iterable[Tick], happen: Happen, told: Told, run: RunTick = in_process
) -> Replayed:
    """Live through the ticks, in their order; each is asked for when the one before it is over."""
    replayed = Replayed()
    for tick in ticks:
        happen(tick.now)
        replayed.delivered.add(run(engine, tick).delivered)
        replayed.passes += 1
        told(tick.now)
    return replayed
