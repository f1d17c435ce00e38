"""What becomes of a customer is the same however passes fall.

A world of `calm` is lived through by the engine in several ways (`replay.WAYS`), and the same is told of everybody:
entries, exits with reasons and times, branches, attributes, events, and the messages that were queued with their due
times. The interpreter tells the same. `TREUE_TORTURE` and `TREUE_SEED` are as in the differential test.
"""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.differential.generator import Case
from tests.differential.shrinking import Differ, report, shrink
from tests.metamorphic.calm import case
from tests.metamorphic.replay import (
    WAYS,
    OpenStore,
    Way,
    between_ways,
    differing,
    from_interpreter,
    seeds_on,
    told_by_engine,
    told_by_interpreter,
    without_decisions,
)

CUSTOMERS = 80
LIVES = int(os.environ.get("TREUE_TORTURE") or 160)
SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(-(-LIVES // CUSTOMERS))
CHUNKS = min(4, -(-len(SEEDS) // 2))
IN_TIME, *OTHERS = WAYS


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_world_comes_out_the_same_in_each_way(open_store: OpenStore, database: str, chunk: int) -> None:
    for seed in seeds_on(database, SEEDS)[chunk::CHUNKS]:
        made = case(seed, CUSTOMERS)
        in_time = told_by_engine(made, IN_TIME, open_store)
        naive = {one.key: told_by_interpreter(made, one) for one in made.people}
        if differing(made, without_decisions(in_time), naive):
            names = (f"engine, {IN_TIME.name}", "interpreter")
            fail(made, open_store, partial(from_interpreter, IN_TIME), names)
        for way in ways_of(seed):
            if differing(made, in_time, told_by_engine(made, way, open_store)):
                fail(made, open_store, partial(between_ways, IN_TIME, way), (IN_TIME.name, way.name))


def ways_of(seed: int) -> list[Way]:
    """Return the ways whose turn it is in a world: each has its turn on both databases, and all for the one that is named."""
    return OTHERS if SEED else [OTHERS[seed // 2 % len(OTHERS)]]


def fail(made: Case, open_store: OpenStore, differ: Differ, names: tuple[str, str]) -> None:
    """Fail with a world as small as it gets and both stories."""
    small = shrink(made, open_store, budget=80, differ=differ)
    pytest.fail(report(small, open_store, differ, names), pytrace=False)
