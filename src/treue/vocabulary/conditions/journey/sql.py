"""How customers stand to a journey, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, not_, true

from treue.model.states import Outcome
from treue.model.tables import enrollment
from treue.segments.columns import Facts
from treue.segments.face import LeafSql, tell
from treue.segments.moment import Moment
from treue.segments.sources.source import Column, Scope, Source, grouped, journey_id
from treue.vocabulary.conditions.journey.word import JourneyIs, StayFact

_THROUGH = (Outcome.finished.value, Outcome.converted.value)


class StaySource(Source[StayFact]):
    """The customers' stays in one journey."""

    def query(self, facts: Sequence[StayFact], scope: Scope) -> Select[Any]:
        """Select for each of those asked, from their stays in one journey, when they came in or left."""
        rows = scope.rows(enrollment, enrollment.c.customer_id)
        been = enrollment.c.effective_at <= rows.moment.present
        query = rows.query.where(enrollment.c.journey_id == journey_id(facts[0].leaf.journey), been)
        columns = [Column(*_stay(fact.leaf.state, rows.moment), repr(fact)) for fact in facts]
        return grouped(query, columns, rows.by)


def _stay(state: str, moment: Moment) -> tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]]:
    """Return what is told of a customer's stays that have begun, and which of them count."""
    left = enrollment.c.left_at <= moment.present
    match state:
        case "inside":
            return func.max(enrollment.c.entered_at), (func.coalesce(not_(left), true()),)
        case "never":
            return func.min(enrollment.c.entered_at), ()
    outcomes = _THROUGH if state == "finished" else _THROUGH[1:]
    return func.max(enrollment.c.left_at), (enrollment.c.outcome.in_(outcomes), left)


class JourneyIsSql(LeafSql[JourneyIs]):
    """Asks when the customer entered, finished or converted."""

    def holds(self, leaf: JourneyIs, facts: Facts) -> ColumnElement[bool]:
        """Return whether there is a time; for `never`, whether there is none."""
        (at,) = self.observed(leaf, facts)
        return at.is_(None) if leaf.state == "never" else at.is_not(None)

    def told(self, leaf: JourneyIs, seen: Sequence[Any], moment: Moment) -> str:
        """Return "yes" or "no", with the date the stay began or ended."""
        told = tell(seen[0], moment)
        if leaf.state == "never":
            return f"no, came in first {told}" if told else "yes"
        return f"yes, {'since ' if leaf.state == 'inside' else ''}{told}" if told else "no"


SOURCE = StaySource()
SQL = JourneyIsSql()
