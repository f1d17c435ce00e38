"""What becomes of two records that are merged is the same however passes fall before and after it.

The worlds are those of `calm`, in which half of the customers turn out to be others, in the middle of their lives. What is
due before a merge has been done when it comes: until then they were two. `TREUE_TORTURE` and `TREUE_SEED` are as in the
differential test.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from functools import partial

import pytest

from tests.differential.generator import Act, Case
from tests.differential.shrinking import report, shrink
from tests.metamorphic import calm
from tests.metamorphic.replay import WAYS, OpenStore, between_ways
from treue.store.store import Store

CUSTOMERS = 40
LIVES = int(os.environ.get("TREUE_TORTURE") or 160) // 4
SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(-(-LIVES // CUSTOMERS))
IN_TIME = WAYS[0]
OTHERS = [way for way in WAYS[1:] if not way.out_of_order]
"""Whoever hands over what came before a merge after it tells it of the one customer that both are by then."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Opens the store that worlds are lived through on, one after the other."""
    url = request.getfixturevalue(f"{request.param}_url")
    return lambda: Store.open(url)


def merging(seed: int) -> Case:
    """Return a world in which customers are merged two by two, at some instant of their lives or right after one."""
    made, rng = calm.case(seed, CUSTOMERS), random.Random(f"merging {seed}")
    acts = list(made.acts)
    for kept, other in zip(made.people[::2], made.people[1::2], strict=True):
        known = max(kept.born, other.born)
        instants = sorted({one.at for who in (kept, other) for one in who.timeline if one.at > known})
        if instants:
            acts.append(Act(rng.choice(instants), "merge", name=f"{kept.key} {other.key}"))
    return replace(made, acts=acts)


def test_what_becomes_of_merged_records_is_the_same_in_each_way(open_store: OpenStore) -> None:
    for seed in SEEDS:
        made = merging(seed)
        for way in OTHERS if SEED else [OTHERS[seed % len(OTHERS)]]:
            differ = partial(between_ways, IN_TIME, way)
            if differ(made, open_store):
                small = shrink(made, open_store, budget=80, differ=differ)
                pytest.fail(report(small, open_store, differ, (IN_TIME.name, way.name)), pytrace=False)
