"""Ninety days in a minute: what happens to the shop's people, lived through on a virtual clock."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from treue.cli.authoring.demo.carts import Cart, Fate
from treue.cli.authoring.demo.shop import Shopper
from treue.composition.assembly import Assembly
from treue.delivery.dispatcher import Delivered
from treue.engine.what_if.replay import RunTick, Tick, replay
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, EventInput

START = datetime(1998, 1, 1, tzinfo=UTC)
DAYS = 90
ONE_DAY = timedelta(days=1)
PASSES = (timedelta(hours=17, minutes=30),)
"""When on each day a pass runs, by day wherever customers live; the day's first also looks at segments and schedules."""

LOADED_AT_ONCE = 4_000


@dataclass
class Lived:
    """What the days brought."""

    newcomers: int = 0
    orders: int = 0
    carts: Counter[Fate] = field(default_factory=Counter)
    passes: int = 0
    delivered: Delivered = field(default_factory=Delivered)

    def count(self, happened: Sequence[Shopper | ConsentInput | EventInput]) -> None:
        """Count newcomers, orders, and abandoned carts by what became of them."""
        self.newcomers += sum(isinstance(one, Shopper) for one in happened)
        self.orders += sum(isinstance(one, EventInput) and one.name == "order.placed" for one in happened)
        self.carts.update(one.fate for one in happened if isinstance(one, Cart))


Coming = tuple[datetime, int, Shopper | ConsentInput | EventInput]
"""Something that is going to happen: when, a number that keeps the order, and what."""


def load_past(assembly: Assembly, people: Sequence[Shopper], told: Callable[[int], None]) -> None:
    """Record everything that happened before the demo begins; no journey looks at it."""
    past = [person for person in people if person.since < START]
    for start in range(0, len(past), LOADED_AT_ONCE):
        chunk = past[start : start + LOADED_AT_ONCE]
        _record(
            assembly,
            [what for person in chunk for at, what in _life(person) if at < START],
            START,
            routed=True,
        )
        told(len(chunk))


def _life(person: Shopper) -> Iterator[tuple[datetime, Shopper | ConsentInput | EventInput]]:
    yield person.since, person
    dated: tuple[ConsentInput | EventInput, ...] = (*person.consents, *person.carts, *person.orders)
    if person.farewell:
        dated += (person.farewell,)
    for what in dated:
        assert what.at is not None
        yield what.at, what


def _record(
    assembly: Assembly,
    happened: Sequence[Shopper | ConsentInput | EventInput],
    now: datetime,
    *,
    routed: bool = False,
) -> None:
    with assembly.store.transaction() as connection:
        customers.merge(connection, [one.customer for one in happened if isinstance(one, Shopper)], now)
        consents.give(connection, [one for one in happened if isinstance(one, ConsentInput)], now)
        events.record(connection, [one for one in happened if isinstance(one, EventInput)], now, routed)


def _to_come(people: Sequence[Shopper]) -> list[Coming]:
    """Return the events still to happen, as a heap by time."""
    found = [
        (at, n, what)
        for n, (at, what) in enumerate(pair for person in people for pair in _life(person))
        if at >= START
    ]
    heapq.heapify(found)
    return found


def live(
    assembly: Assembly, people: Sequence[Shopper], run: RunTick, told: Callable[[datetime], None]
) -> Lived:
    """Live through the days. `run` runs each tick's pass."""
    coming, lived = _to_come(people), Lived()

    def happen(now: datetime) -> None:
        happened = list(_until(coming, now))
        if happened:
            _record(assembly, happened, now)
        lived.count(happened)

    ticks = (
        Tick(START + day * ONE_DAY + hour, n == 0) for day in range(DAYS) for n, hour in enumerate(PASSES)
    )
    replayed = replay(assembly.engine, ticks, happen, told, run)
    lived.passes, lived.delivered = replayed.passes, replayed.delivered
    return lived


def day_of(tick: Tick) -> int:
    """Return the number of the day a tick lies in, the first being 0."""
    return (tick.now - START) // ONE_DAY


def _until(coming: list[Coming], now: datetime) -> Iterator[Shopper | ConsentInput | EventInput]:
    while coming and coming[0][0] <= now:
        yield heapq.heappop(coming)[2]
