"""What the starting events of stays say, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

from treue.model.tables import event
from treue.segments.columns import Facts
from treue.segments.face import LeafSql, aim, tell
from treue.segments.moment import Moment
from treue.segments.sources.source import Scope, Source
from treue.segments.typed import typed
from treue.segments.words import wanted
from treue.vocabulary.conditions.began.word import Began, BeganFact


class BeganSource(Source[BeganFact]):
    """The starting events of the stays that are asked."""

    def query(self, facts: Sequence[BeganFact], scope: Scope) -> Select[Any]:
        """Select a row for each stay with the properties of the event that started it."""
        stay = scope.stays(["event_id"])
        values = [
            typed(event.c.properties, fact.name, fact.type, scope.dialect).label(f"n{i}")
            for i, fact in enumerate(facts)
        ]
        query = select(*scope.key(stay), *values)
        return query.select_from(stay.join(event, event.c.id == stay.c.event_id))


class BeganSql(LeafSql[Began]):
    """Compares each property of the starting event."""

    def holds(self, leaf: Began, facts: Facts) -> ColumnElement[bool]:
        """Return whether every property passes its comparisons."""
        values = self.observed(leaf, facts)
        return and_(
            *(
                facts.scope.fits(value, one.type, one.ops)
                for value, one in zip(values, leaf.properties, strict=True)
            )
        )

    def told(self, leaf: Began, seen: Sequence[Any], moment: Moment) -> str:
        """Return each value, and what was wanted of it."""
        return "; ".join(
            f"{tell(value, moment, 'missing')}, wanted {aim(wanted(one.ops))}"
            for value, one in zip(seen, leaf.properties, strict=True)
        )


SOURCE = BeganSource()
SQL = BeganSql()
