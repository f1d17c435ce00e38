"""What becomes of two records that are merged is the same however passes fall before and after it.

The worlds are those of `calm`, in which half of the customers turn out to be others, in the middle of their lives. What is
due before a merge has been done when it comes: until then they were two. `TREUE_TORTURE` and `TREUE_SEED` are as in the
differential test.
"""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.differential.shrinking import report, shrink
from tests.metamorphic import calm
from tests.metamorphic.replay import WAYS, OpenStore, between_ways, seeds_on

CUSTOMERS = 40
LIVES = int(os.environ.get("TREUE_TORTURE") or 160) // 4
SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(max(2, -(-LIVES // CUSTOMERS)))
CHUNKS = min(4, -(-len(SEEDS) // 2))
IN_TIME = WAYS[0]
OTHERS = [way for way in WAYS[1:] if not way.out_of_order]
"""Whoever hands over what came before a merge after it tells it of the one customer that both are by then."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_becomes_of_merged_records_is_the_same_in_each_way(
    open_store: OpenStore, database: str, chunk: int
) -> None:
    for seed in seeds_on(database, SEEDS)[chunk::CHUNKS]:
        made = calm.merging(calm.case(seed, CUSTOMERS))
        for way in OTHERS if SEED else [OTHERS[seed // 2 % len(OTHERS)]]:
            differ = partial(between_ways, IN_TIME, way)
            if differ(made, open_store):
                small = shrink(made, open_store, budget=80, differ=differ)
                pytest.fail(report(small, open_store, differ, (IN_TIME.name, way.name)), pytrace=False)
