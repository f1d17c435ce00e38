"""Living through time again: at each tick, what has happened by then is recorded, and a pass is run.

The engine is the one that runs live; only the clock is ours. The demo lives its ninety days this way, and a
simulation its years.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from treue.engine.delivery.dispatcher import Delivered
from treue.engine.engine import Engine, Passed, run_pass


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
