"""What the next hours would bring: the real engine on a store whose changes are forgotten, with nothing sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treue.channel import Kind
from treue.delivery.dispatcher import Delivery
from treue.engine.passes.chores import looks_regularly
from treue.engine.passes.chronology import run_pass
from treue.engine.passes.engine import Engine
from treue.engine.passes.next_instants import next_instant
from treue.engine.versions.versions import Versions
from treue.engine.what_if.replay import Pace
from treue.engine.what_if.stand_ins import Accepting, Blank, pace, standing_still
from treue.store.journey_counts import JourneyCounts, journey_counts
from treue.store.rehearsals import rehearsal
from treue.store.store import Store

AHEAD = timedelta(hours=24)
"""How far a plan looks ahead."""

EVERY = timedelta(hours=1)
"""How far its passes are apart where very much is due, unless messages go stale sooner, and how often it looks at segments."""


@dataclass(frozen=True)
class Outlook:
    """What a journey would do: how many enter, what is sent by channel, not sent by reason, and still waits then."""

    entering: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Forecast:
    """What all journeys would do until a time, by name; those with nothing to do are left out."""

    until: datetime
    journeys: Mapping[str, Outlook]


def forecast(
    engine: Engine, channels: Sequence[Kind], prepare: Callable[[Store], object], now: datetime
) -> Forecast:
    """Return what would happen in the next 24 hours if `prepare` were done now.

    From what is known now: events that are yet to come are not foreseen. Templates are not rendered, so a
    message that would fail for one customer counts as sent. Nothing is kept and nothing leaves the house.
    """
    until = now + AHEAD
    with rehearsal(engine.store) as store, TemporaryDirectory(prefix="treue-") as folder:
        prepare(store)
        before = _counts(store)
        delivery = Delivery(
            store, {kind: Accepting(kind) for kind in channels}, Blank(), Path(folder), clock=standing_still
        )
        try:
            twin = _twin(engine, store, delivery, Path(folder))
            gait = Pace(pace([version.plan for version in twin.versions()], EVERY))
            instant: datetime | None = now
            while instant is not None and instant <= until:
                run_pass(twin, instant)
                instant = _following(twin, gait, instant)
        finally:
            delivery.close()
        after = _counts(store)
    found = {name: _outlook(before.get(name, JourneyCounts()), counts) for name, counts in after.items()}
    return Forecast(until, {name: outlook for name, outlook in found.items() if outlook != Outlook()})


def _twin(engine: Engine, store: Store, delivery: Delivery, state: Path) -> Engine:
    """Return the same engine on another store, with another way out."""
    twin = copy(engine)
    twin.store, twin.delivery, twin.state, twin._versions = store, delivery, state, Versions()
    return twin


def _following(twin: Engine, gait: Pace, now: datetime) -> datetime | None:
    """Return when the pass after one runs: where something is due, and each hour where that cannot be told of all."""
    versions = twin.versions()
    with twin.store.reading() as connection:
        coming = next_instant(connection, versions, now, twin.zone)
    ahead = [gait.following(now, coming)] if coming is not None else []
    if looks_regularly(versions):
        ahead.append(now + EVERY)
    return min(ahead, default=None)


def _counts(store: Store) -> dict[str, JourneyCounts]:
    with store.reading() as connection:
        return journey_counts(connection)


def _outlook(before: JourneyCounts, after: JourneyCounts) -> Outlook:
    return Outlook(
        after.entered - before.entered,
        _more(before.sent, after.sent),
        _more(before.refused, after.refused),
        after.queued,
    )


def _more(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {key: n - before.get(key, 0) for key, n in sorted(after.items()) if n > before.get(key, 0)}
