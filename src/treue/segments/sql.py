"""Conditions as SQL: who is in a segment, which branch a customer takes, whether an event fits.

Every condition becomes one SELECT over grouped subqueries (see `columns`). Values are bound parameters throughout;
identifiers come from the tables only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)

from treue.model.tables import customer
from treue.segments.columns import Facts
from treue.segments.face import sql_of
from treue.segments.facts import reads_customer
from treue.segments.moment import AnyMoment, Moment
from treue.segments.sources.event.sql import event_fits_all, shared
from treue.segments.sources.source import ROW_KEYS, Scope
from treue.segments.standing import stands_until
from treue.segments.tree import All, AnyOf, Condition, InSegment, Leaf, Not, Property

__all__ = ["AnyMoment", "Moment", "Verdicts", "branches", "event_fits", "members", "shared", "stays"]


def members(
    condition: Condition, moment: Moment, dialect: str, among: FromClause | None = None
) -> Select[Any]:
    """Return the query for the customers a condition holds for: one column, `customer_id`, each once.

    `among` is a table or subquery with `customer_id`, to whose customers the search is confined, and with
    whatever else of their stays the condition `needs`; where it has `at` and `effective_at`, each row is asked as of
    its own time (see `Scope`). `dialect` is `sqlite` or `postgresql`.
    """
    found = _holding(condition, moment, dialect, among)
    return found if among is None else found.distinct()


def stays(condition: Condition, moment: Moment, dialect: str, among: FromClause) -> Select[Any]:
    """Return the query for the stays of `among` that a condition holds for: `customer_id` and `enrollment_id`."""
    return _holding(condition, moment, dialect, among).add_columns(among.c.enrollment_id)


def _holding(condition: Condition, moment: Moment, dialect: str, among: FromClause | None) -> Select[Any]:
    facts = Facts([condition], Scope(moment, dialect, among))
    base, customer_id = _base([condition], among)
    holds = Verdicts(facts).loose(condition)
    return select(customer_id.label("customer_id")).select_from(facts.joined(base, customer_id)).where(holds)


def branches(
    conditions: Sequence[Condition | None],
    moment: Moment,
    dialect: str,
    among: FromClause,
    *,
    standing: bool = False,
) -> Select[Any]:
    """Return the query for the first condition that holds (None is `else`) for each row of `among`.

    Columns `customer_id`, `branch` (an index into `conditions`, NULL where none holds), and `enrollment_id`
    and `arrival_id` where `among` has them: one customer may be inside a journey more than once, with other times of
    entry. With `standing`, the column `stands_until` has the first instant at which time alone may change an answer.
    """
    asked = [condition for condition in conditions if condition is not None]
    facts = Facts(asked, Scope(moment, dialect, among), expiring=standing)
    base, customer_id = _base(asked, among)
    verdicts = Verdicts(facts)
    whens = [
        (true() if condition is None else verdicts.loose(condition), literal(i))
        for i, condition in enumerate(conditions)
    ]
    branch = case(*whens) if whens else null()
    columns: list[ColumnElement[Any]] = [customer_id.label("customer_id"), branch.label("branch")]
    columns += [among.c[name] for name in ROW_KEYS if name in among.c]
    if standing:
        columns.append(stands_until(asked, facts).label("stands_until"))
    return select(*columns).select_from(facts.joined(base, customer_id))


def event_fits(
    where: tuple[Property, ...], event_table: FromClause, dialect: str, moment: Moment
) -> ColumnElement[bool]:
    """Return whether an event's own properties fit; never NULL.

    `moment` is what `30d ago` counts from: `moment.of(event_table)` is each event's own time.
    """
    if not where:
        return true()
    fits = event_fits_all(where, event_table.c.properties, moment, dialect)
    return func.coalesce(and_(*fits), false())


def _base(conditions: Sequence[Condition], among: FromClause | None) -> tuple[FromClause, ColumnElement[int]]:
    if among is None:
        return customer, customer.c.id
    customer_id = among.c.customer_id
    if not reads_customer(conditions):
        return among, customer_id
    return among.join(customer, customer.c.id == customer_id), customer_id


class Verdicts:
    """Conditions as boolean expressions over gathered facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def loose(self, condition: Condition) -> ColumnElement[bool]:
        """Return whether the condition holds; NULL means no.

        Where nothing negates a leaf, NULL may stand, and the planners turn outer joins into inner ones.
        """
        match condition:
            case All():
                return and_(true(), *map(self.loose, condition.parts))
            case AnyOf():
                return or_(false(), *map(self.loose, condition.parts))
            case Not():
                return not_(self.total(condition.part))
            case InSegment():
                return self.loose(condition.condition)
        return self._leaf(condition)

    def total(self, condition: Condition) -> ColumnElement[bool]:
        """Return whether the condition holds; never NULL."""
        match condition:
            case All():
                return and_(true(), *map(self.total, condition.parts))
            case AnyOf():
                return or_(false(), *map(self.total, condition.parts))
            case Not():
                return not_(self.total(condition.part))
            case InSegment():
                return self.total(condition.condition)
        return func.coalesce(self._leaf(condition), false())

    def observed(self, leaf: Leaf) -> list[ColumnElement[Any]]:
        """Return what a leaf looks at: an attribute's value, a count, times."""
        return sql_of(leaf).observed(leaf, self._facts)

    def _leaf(self, condition: Condition) -> ColumnElement[bool]:
        assert isinstance(condition, Leaf)
        return sql_of(condition).holds(condition, self._facts)
