"""What the next hours would bring: the real engine on a store whose changes are forgotten, with nothing sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treue.channel import Kind
from treue.engine.counts import JourneyCounts, journey_counts
from treue.engine.delivery.dispatcher import Delivery
from treue.engine.engine import Engine, run_pass
from treue.engine.pretending import Accepting, Blank, pace, standing_still
from treue.engine.versions import Versions
from treue.store.rehearsals import rehearsal
from treue.store.store import Store

AHEAD = timedelta(hours=24)
"""How far a plan looks ahead."""

EVERY = timedelta(hours=1)
"""How far its passes are apart, unless messages go stale sooner."""


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
            every = pace([version.plan for version in twin.versions()], EVERY)
            for instant in _instants(now, until, every):
                run_pass(twin, instant)
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


def _instants(now: datetime, until: datetime, every: timedelta) -> Iterator[datetime]:
    while now <= until:
        yield now
        now += every


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
