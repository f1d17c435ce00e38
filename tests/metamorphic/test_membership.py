"""Who is known to be in a segment is who is in it: what looks at those touched keep, held to a look at everybody.

Worlds of random conditions and lives, with all that can touch an answer, late and shuffled, merges in every second one; after
each pass, punctual or not, the kept members are those for whom the condition holds, the time at which each is looked at again
is no later than it has to be, and nobody is inside who has a reason to leave. `TREUE_TORTURE` and `TREUE_SEED` are as in the
differential test.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from tests.differential.harness import Play, by_instant, empty
from tests.metamorphic.calm import merging
from tests.metamorphic.watched import Watched, played
from treue.cohorts.cohort import asked_of
from treue.cohorts.scene import NOW
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.model.states import ArrivalKind, Outcome
from treue.model.tables import arrival, customer, enrollment, membership
from treue.segments.sql import Moment, branches, stays
from treue.segments.tree import Condition
from treue.store.store import Store

CUSTOMERS = 25
PAIRS = int(os.environ.get("TREUE_TORTURE") or 640) // 4
"""How many lives are held to how many conditions."""

SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(-(-PAIRS // (CUSTOMERS * Watched.watchers)))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that worlds are lived through on, one after the other; SQLite's lies in memory."""
    if request.param == "sqlite":
        store = Store.open("sqlite://", create=True)
    else:
        store = Store.open(request.getfixturevalue("postgres_url"))
    yield store
    store.close()


def test_after_each_pass_what_is_known_is_what_asking_everybody_says(world: Store) -> None:
    for seed in SEEDS:
        made = Watched(random.Random(f"watched {seed}")).case(seed, CUSTOMERS)
        if seed % 2:
            made = merging(made)
        empty(world)
        with played(made, world) as play:
            happenings = by_instant(made)
            now, rng = made.start, random.Random(seed)
            while now <= made.end:
                for instant in out_of_order(happenings, now, rng):
                    play.happen(happenings.pop(instant), instant)
                play.pass_at(now)
                compare(play, now, seed)
                coming = min([*happenings, *play.due_after(now), made.end + timedelta(seconds=1)])
                late = now + timedelta(hours=rng.choice((3, 17, 40)))
                now = (
                    max(coming, late) if rng.random() < 0.3 else max(coming, now + timedelta(microseconds=1))
                )


def out_of_order(
    happenings: Mapping[datetime, list[tuple[Any, Any]]], now: datetime, rng: random.Random
) -> list[datetime]:
    """Return the instants whose happenings are handed over by now: those of events alone last, in no order."""
    instants = sorted(at for at in happenings if at <= now)
    events = [
        at for at in instants if all(getattr(what, "kind", "") == "event" for _, what in happenings[at])
    ]
    if rng.random() < 0.5:
        rng.shuffle(events)
        instants = [*(at for at in instants if at not in events), *events]
    return instants


def compare(play: Play, now: datetime, seed: int) -> None:
    """Hold what is known after a pass to what asking everybody says."""
    moment, versions = Moment(now, play.case.zone), play.engine.versions()
    with play.store.reading() as connection:
        names = {row.id: row.key for row in connection.execute(select(customer.c.id, customer.c.key))}
        for version in versions:
            where = (seed, version.name, now)
            joined = watching(version).joined
            if joined is not None and version.live:
                wrong = misjudged(connection, version, joined, moment)
                assert not wrong, (*where, joined.words(), {names[one]: why for one, why in wrong.items()})
            for reason in watching(version).reasons:
                left = leaving(connection, version, reason, moment)
                assert not left, (*where, reason.words(), [names[one] for one in left])


def misjudged(
    connection: Connection, version: Version, condition: Condition, moment: Moment
) -> dict[int, str]:
    """Return the customers of whom it is not known whether they are in the segment, or when time changes that, and why."""
    mine = select(membership.c.customer_id).where(membership.c.journey_id == version.journey_id)
    members = set(connection.scalars(mine))
    expiries = select(arrival.c.customer_id, arrival.c.effective_at).where(
        arrival.c.journey_id == version.journey_id, arrival.c.kind == ArrivalKind.expiry.value
    )
    kept = {row.customer_id: row.effective_at for row in connection.execute(expiries)}
    found: dict[int, str] = {}
    late: dict[datetime, dict[int, bool]] = {}
    for id_, (holds, until) in asked(connection, condition, moment).items():
        if holds is not (id_ in members):
            found[id_] = "is in it" if holds else "is not in it"
        elif until is not None and not (id_ in kept and moment.now < kept[id_] <= until):
            late.setdefault(until, {})[id_] = holds
    for until, some in late.items():
        # Where it is said for caution that an answer stands until then, it may go on to stand.
        then = asked(connection, condition, Moment(until, moment.zone))
        found |= {id_: f"changes {until}" for id_, held in some.items() if then[id_][0] is not held}
    return found


def asked(
    connection: Connection, condition: Condition, moment: Moment
) -> dict[int, tuple[bool, datetime | None]]:
    """Return of everybody whether a condition holds, and until when that stands."""
    everybody = select(customer.c.id.label("customer_id")).subquery("everybody")
    query = branches([condition], moment, connection.dialect.name, everybody, standing=True)
    return {row.customer_id: (row.branch == 0, row.stands_until) for row in connection.execute(query)}


def leaving(connection: Connection, version: Version, reason: Condition, moment: Moment) -> list[int]:
    """Return the customers who are inside a version though they have a reason to leave."""
    inside = (
        select(*asked_of(enrollment, NOW, NOW))
        .where(
            enrollment.c.version_id == version.version_id,
            enrollment.c.outcome == Outcome.inside.value,
        )
        .subquery("inside")
    )
    found = stays(reason, moment, connection.dialect.name, inside).subquery("found")
    return list(connection.scalars(select(found.c.customer_id), {"now": moment.now}))
