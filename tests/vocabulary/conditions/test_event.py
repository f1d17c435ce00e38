"""`{event: …}` and what it says of whoever it holds for."""

from __future__ import annotations

import pytest

from treue.segments.tree import Op
from treue.vocabulary.conditions.event.word import Happened


@pytest.mark.parametrize(
    ("ops", "implies"),
    [
        ((), True),
        ((Op("at_least", (1,)),), True),
        ((Op("is", (2,)),), True),
        ((Op("at_least", (2,)), Op("at_most", (9,))), True),
        ((Op("at_most", (3,)),), False),
        ((Op("is", (0,)),), False),
        ((Op("at_least", (0,)),), False),
    ],
)
def test_an_event_is_implied_where_none_does_not_do(ops: tuple[Op, ...], implies: bool) -> None:
    assert Happened("order.placed", ops).implies_event("order.placed") is implies
    assert not Happened("order.placed", ops).implies_event("order.shipped")
