"""Events in SQL: counted by customer, or by stay where only the events of a stay count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Select,
    case,
    cast,
    func,
    literal,
    not_,
    tuple_,
)

from treue.model.tables import LAST, event
from treue.segments.compare import all_fit, exactly
from treue.segments.moment import Moment
from treue.segments.needs import SINCE
from treue.segments.sources.event.fact import EventFact
from treue.segments.sources.source import Column, Rows, Scope, Source, grouped
from treue.segments.tree import Property, Same, Since
from treue.segments.typed import missing, typed

DECIMALS = 6
"""Sums and averages are rounded to this many places, so that 0.1 + 0.2 is 0.3 on both databases."""

_began = event.alias("began")
_place = tuple_(event.c.effective_at, event.c.at, event.c.seq)

_ORDERED = ("number", "text", "date", "time")
_KINDS = {
    "sum": ("number",),
    "average": ("number",),
    "min": _ORDERED,
    "max": _ORDERED,
    "count_distinct": (*_ORDERED, "bool"),
}


class EventSource(Source[EventFact]):
    """The events of one name."""

    def query(self, facts: Sequence[EventFact], scope: Scope) -> Select[Any]:
        """Return the query."""
        since, same, bound = facts[0].since, facts[0].same, scope.bound()
        names = [*(SINCE[since] if since else ()), *(["event_id"] if same else ()), *bound]
        source: FromClause = event
        if same:
            source = event.join(_began, shared(same, event, _began, scope.dialect))
        rows = scope.rows(source, event.c.customer_id, names)
        query = rows.query.where(exactly(event.c.name, facts[0].event), _seen(rows, bound))
        if since and rows.stay is not None:
            query = query.where(_place > _beginning(since, rows.stay))
        if same and rows.stay is not None:
            query = query.where(_began.c.id == rows.stay.c.event_id)
        windows = [fact.within for fact in facts if fact.within and not fact.is_over()]
        if len(windows) == len(
            facts
        ):  # no event takes effect before its own time, and by that they are found
            query = query.where(event.c.effective_at > rows.moment.since_all(windows))
        return grouped(query, [_column(fact, rows.moment, scope.dialect) for fact in facts], rows.by)


def _seen(rows: Rows, bound: Sequence[str]) -> ColumnElement[bool]:
    """Return what says that an event has taken effect; of the same instant, only those up to the last that is seen."""
    if not bound or rows.stay is None:
        from_then = event.c.at if rows.moment.by_own_time else event.c.effective_at
        return from_then <= rows.moment.present
    return _place <= tuple_(rows.moment.present, *(rows.stay.c[name] for name in bound))


def _beginning(since: Since, stay: FromClause) -> ColumnElement[Any]:
    """Return the place after which events count: the entry's, or the end of the instant of arrival.

    Who arrived at the instant of entry has seen nothing of it but what began the stay.
    """
    if since == "entry":
        return tuple_(stay.c.entered_effective_at, stay.c.entered_at, stay.c.entered_seq)
    arrived = stay.c.arrived_effective_at
    at_once = arrived == stay.c.entered_effective_at
    at = case((at_once, stay.c.entered_at), else_=arrived)
    seq = case((at_once, stay.c.entered_seq), else_=literal(LAST, BigInteger))
    return tuple_(arrived, at, seq)


def _column(fact: EventFact, moment: Moment, dialect: str) -> Column:
    window: tuple[ColumnElement[bool], ...] = ()
    if fact.within:
        inside = moment.is_within(event.c.at, fact.within)
        window = (not_(inside) if fact.is_over() else inside,)
    fits = window + event_fits_all(fact.where, event.c.properties, moment, dialect)
    round_to = DECIMALS if fact.function in ("sum", "average") else None
    return Column(_value(fact, dialect), fits, repr((fact.within, fact.is_over(), fact.where)), round_to)


def _value(fact: EventFact, dialect: str) -> ColumnElement[Any]:
    if fact.function == "count":
        return func.count()
    if fact.function in ("last", "left", "first"):
        return (func.min if fact.function == "first" else func.max)(event.c.at)
    return _aggregate(fact, dialect)


def _aggregate(fact: EventFact, dialect: str) -> ColumnElement[Any]:
    value = typed(event.c.properties, fact.property, fact.type, dialect)
    if fact.type not in _KINDS[fact.function]:
        value = missing("number", dialect)
    match fact.function:
        case "count_distinct":
            return func.count(value.distinct())
        case "min" | "max":
            text = dialect != "sqlite" and fact.type in ("text", "date", "time")
            lowest = fact.function == "min"
            return (func.min if lowest else func.max)(value.collate("C") if text else value)
    exact = cast(value, Float) if dialect == "sqlite" else value  # SQLite's integers overflow
    return func.sum(exact) if fact.function == "sum" else func.avg(exact)


def event_fits_all(
    where: tuple[Property, ...], properties: ColumnElement[Any], moment: Moment, dialect: str
) -> tuple[ColumnElement[bool], ...]:
    """Return one condition for each property of an event that is asked for; NULL means no."""
    return tuple(
        all_fit(typed(properties, one.name, one.type, dialect), one.type, one.ops, moment, dialect)
        for one in where
    )


def shared(same: Same, one: FromClause, other: FromClause, dialect: str) -> ColumnElement[bool]:
    """Return whether two events have the same value of a property; NULL where either has none."""
    first, second = (typed(row.c.properties, same.name, same.type, dialect) for row in (one, other))
    found: ColumnElement[bool] = first == second
    return found


SOURCE = EventSource()
