"""What events are in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_

from treue.segments.columns import Facts
from treue.segments.face import LeafSql, aim, tell
from treue.segments.moment import Moment
from treue.segments.tree import Op
from treue.segments.words import times, wanted
from treue.vocabulary.conditions.event.word import Happened

_ONCE = (Op("at_least", (1,)),)


class HappenedSql(LeafSql[Happened]):
    """Compares the count, the latest and the earliest time of the events that fit."""

    def holds(self, leaf: Happened, facts: Facts) -> ColumnElement[bool]:
        """Return whether all that is asked for fits; a time that is missing fits nothing."""
        checks: list[ColumnElement[bool]] = []
        for fact in leaf.facts():
            column = facts[fact]
            if fact.function == "count":
                checks.append(facts.scope.count_fits(column, leaf.ops or _ONCE))
                continue
            ops = leaf.last if fact.function == "last" else leaf.first
            checks += [column.is_not(None), facts.scope.fits(column, "instant", ops)]
        return and_(*checks)

    def seen(self, leaf: Happened, row: Sequence[Any]) -> list[Any]:
        """Return the count or the times; a missing count is 0."""
        return [row[0] or 0, *row[1:]] if _is_counted(leaf) else list(row)

    def told(self, leaf: Happened, seen: Sequence[Any], moment: Moment) -> str:
        """Return the count or the times in words, and what was wanted of them."""
        told, rest = list[str](), list(seen)
        if _is_counted(leaf):
            told.append(f"{rest.pop(0)}, wanted {times(leaf.ops) if leaf.ops else 'at least 1'}")
        for name, ops in (("last", leaf.last), ("first", leaf.first)):
            if ops:
                told.append(f"{name} {tell(rest.pop(0), moment, 'never')}, wanted {aim(wanted(ops))}")
        return "; ".join(told)


def _is_counted(leaf: Happened) -> bool:
    return leaf.facts()[0].function == "count"


SQL = HappenedSql()
