"""How much conditions look at."""

from __future__ import annotations

from collections.abc import Iterable

from treue.segments.needs import leaves
from treue.segments.tree import Condition


def reads(conditions: Iterable[Condition]) -> int:
    """Return how many subqueries it takes to answer some conditions together."""
    wanted = (fact for condition in conditions for leaf in leaves(condition) for fact in leaf.facts())
    return len({repr(fact.source()) for fact in wanted})


def reads_customer(conditions: Iterable[Condition]) -> bool:
    """Return whether a condition looks at the customer's own row."""
    return any(leaf.reads_customer() for condition in conditions for leaf in leaves(condition))
