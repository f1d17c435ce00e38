"""Who is known to be in a segment is who is in it: what looks at those touched keep, held to a look at everybody.

Worlds of random conditions and lives, with late and shuffled events and receipts; after each pass, punctual or not, the kept
members are those for whom the condition holds. `TREUE_TORTURE` and `TREUE_SEED` are as in the differential test.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import generator
import pytest
from calm import Calm
from generator import Act, Case
from harness import Play, by_instant, empty, engine_of
from sqlalchemy import select

from treue.engine.versions.watching import watching
from treue.model.tables import customer, membership
from treue.segments.sql import Moment, members
from treue.store.store import Store

CUSTOMERS = 25
WATCHERS = 5
PAIRS = int(os.environ.get("TREUE_TORTURE") or 750)
"""How many lives are held to how many conditions."""

SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(-(-PAIRS // (CUSTOMERS * WATCHERS)))
KINDS = (
    *("event",) * 12,
    *("attribute",) * 4,
    "consent",
    "withdraw",
    "suppress",
    "address",
    *("receipt",) * 3,
)


class _Watched(Calm):
    """Worlds with journeys that do nothing but watch."""

    def case(self, seed: int, customers: int) -> Case:
        made = super().case(seed, customers)
        segments = {f"s{n}": self.watched_for() for n in range(WATCHERS)}
        watchers = {f"w{n}": self.watcher(f"s{n}") for n in range(WATCHERS)}
        (act,) = made.acts
        acts = [Act(act.at, "publish", act.journeys | watchers)]
        return replace(made, segments=made.segments | segments, acts=acts)

    def watcher(self, segment: str) -> dict[str, Any]:
        enter = {"segment": segment, "again": "always"}
        return {
            "description": "Watches.",
            "category": "relational",
            "basis": "consent",
            "enter": enter,
            "steps": [{"stop": True}],
        }

    def entry(self, addresses: dict[str, str], at: datetime) -> generator.Entry:
        kind = self.pick(KINDS)
        return generator.Entry(at, kind, getattr(self, f"_{kind}")(addresses))

    def message_leaf(self) -> dict[str, Any]:
        found: dict[str, Any] = generator.Making.message_leaf(self)
        return found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that worlds are lived through on, one after the other; SQLite's lies in memory."""
    if request.param == "sqlite":
        store = Store.open("sqlite://", create=True)
    else:
        store = Store.open(request.getfixturevalue("postgres_url"))
    yield store
    store.close()


def test_after_each_pass_the_known_members_are_those_who_are_in_the_segment(world: Store) -> None:
    for seed in SEEDS:
        made = _Watched(random.Random(f"watched {seed}")).case(seed, CUSTOMERS)
        empty(world)
        with engine_of(made, world) as engine:
            play = Play(made, engine)
            happenings = by_instant(made)
            now, rng = made.start, random.Random(seed)
            while now <= made.end:
                for instant in sorted(at for at in happenings if at <= now):
                    play.happen(happenings.pop(instant), instant)
                play.pass_at(now)
                compare(play, now, seed)
                coming = min([*happenings, *play.due_after(now), made.end + timedelta(seconds=1)])
                late = now + timedelta(hours=rng.choice((3, 17, 40)))
                now = (
                    max(coming, late) if rng.random() < 0.3 else max(coming, now + timedelta(microseconds=1))
                )


def compare(play: Play, now: datetime, seed: int) -> None:
    moment, versions = Moment(now, play.case.zone), play.engine.versions()
    with play.store.reading() as connection:
        names = {row.id: row.key for row in connection.execute(select(customer.c.id, customer.c.key))}
        for version in versions:
            condition = watching(version).joined
            if condition is None or not version.live:
                continue
            wanted = set(connection.scalars(members(condition, moment, play.store.dialect)))
            mine = select(membership.c.customer_id).where(membership.c.journey_id == version.journey_id)
            differ = {names[one] for one in wanted ^ set(connection.scalars(mine))}
            assert not differ, (seed, version.name, now, condition.words(), differ)
