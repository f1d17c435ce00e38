"""What a number over an event's property is in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from treue.segments.columns import Facts
from treue.segments.face import LeafSql, aim, tell
from treue.segments.moment import Moment
from treue.segments.words import wanted
from treue.vocabulary.conditions.aggregate.word import Aggregate

_ZERO = ("sum", "count_distinct")
"""The functions that are 0 without any event; the others are missing."""


class AggregateSql(LeafSql[Aggregate]):
    """Compares a number over the events that fit."""

    def holds(self, leaf: Aggregate, facts: Facts) -> ColumnElement[bool]:
        """Return whether the aggregate passes its comparisons; a missing sum or count is 0."""
        (column,) = self.observed(leaf, facts)
        if leaf.function in _ZERO:
            return facts.scope.count_fits(column, leaf.ops)
        return facts.scope.fits(column, "number" if leaf.function == "average" else leaf.type, leaf.ops)

    def seen(self, leaf: Aggregate, row: Sequence[Any]) -> list[Any]:
        """Return the aggregate as people read it: a missing sum or count is 0."""
        (one,) = row
        return [0 if one is None and leaf.function in _ZERO else one]

    def told(self, leaf: Aggregate, seen: Sequence[Any], moment: Moment) -> str:
        """Return the number and what is wanted of it."""
        return f"{tell(seen[0], moment, 'missing')}, wanted {aim(wanted(leaf.ops))}"


SQL = AggregateSql()
