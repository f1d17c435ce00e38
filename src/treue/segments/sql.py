"""Conditions as SQL: who is in a segment, which branch a customer takes, whether an event fits.

Every condition becomes one SELECT over grouped subqueries (see `sources`). Values are bound parameters throughout;
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

from treue.model.states import ADDRESS, BUILT_IN_ATTRIBUTES
from treue.model.tables import customer
from treue.segments.compare import all_fit, rules_out_zero
from treue.segments.facts import facts_of, reads_customer
from treue.segments.moment import AnyMoment, Moment
from treue.segments.sources import Facts, event_fits_all, shared
from treue.segments.tree import (
    Aggregate,
    All,
    AnyOf,
    Attribute,
    Condition,
    Happened,
    InSegment,
    JourneyIs,
    Not,
    Op,
    Property,
    Reachable,
)
from treue.segments.typed import typed

__all__ = ["AnyMoment", "Moment", "Verdicts", "branches", "event_fits", "members", "shared", "stays"]


def members(
    condition: Condition, moment: Moment, dialect: str, among: FromClause | None = None
) -> Select[Any]:
    """Return the query for the customers a condition holds for: one column, `customer_id`, each once.

    `among` is a table or subquery with `customer_id`, to whose customers the search is confined, and with
    whatever else of their stays the condition `needs`. `dialect` is `sqlite` or `postgresql`.
    """
    found = _holding(condition, moment, dialect, among)
    return found if among is None else found.distinct()


def stays(condition: Condition, moment: Moment, dialect: str, among: FromClause) -> Select[Any]:
    """Return the query for the stays of `among` that a condition holds for: `customer_id` and `enrollment_id`."""
    return _holding(condition, moment, dialect, among).add_columns(among.c.enrollment_id)


def _holding(condition: Condition, moment: Moment, dialect: str, among: FromClause | None) -> Select[Any]:
    facts = Facts([condition], moment, dialect, among)
    base, customer_id = _base([condition], among)
    holds = Verdicts(facts, moment, dialect).loose(condition)
    return select(customer_id.label("customer_id")).select_from(facts.joined(base, customer_id)).where(holds)


def branches(
    conditions: Sequence[Condition | None], moment: Moment, dialect: str, among: FromClause
) -> Select[Any]:
    """Return the query for the first condition that holds (None is `else`) for each row of `among`.

    Columns `customer_id`, `branch` (an index into `conditions`, NULL where none holds), and `enrollment_id`
    where `among` has it: one customer may be inside a journey more than once, with other times of entry.
    """
    asked = [condition for condition in conditions if condition is not None]
    facts = Facts(asked, moment, dialect, among)
    base, customer_id = _base(asked, among)
    verdicts = Verdicts(facts, moment, dialect)
    whens = [
        (true() if condition is None else verdicts.loose(condition), literal(i))
        for i, condition in enumerate(conditions)
    ]
    branch = case(*whens) if whens else null()
    columns: list[ColumnElement[Any]] = [customer_id.label("customer_id"), branch.label("branch")]
    if "enrollment_id" in among.c:
        columns.append(among.c.enrollment_id)
    return select(*columns).select_from(facts.joined(base, customer_id))


def event_fits(
    where: tuple[Property, ...], event_table: FromClause, dialect: str, moment: Moment
) -> ColumnElement[bool]:
    """Return whether an event's own properties fit; never NULL. `moment` is what `30d ago` counts from."""
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

    def __init__(self, facts: Facts, moment: Moment, dialect: str) -> None:
        self._facts, self._moment, self._dialect = facts, moment, dialect

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

    def observed(self, leaf: Condition) -> list[ColumnElement[Any]]:
        """Return what a leaf looks at: an attribute's value, a count, times."""
        if isinstance(leaf, Attribute):
            return [self.attribute(leaf)]
        address = [customer.c[ADDRESS[leaf.channel]]] if isinstance(leaf, Reachable) else []
        return address + [self._facts[fact] for fact in facts_of(leaf)]

    def attribute(self, leaf: Attribute) -> ColumnElement[Any]:
        """Return an attribute's value; NULL where it is missing or of another type."""
        if leaf.name in BUILT_IN_ATTRIBUTES:
            return customer.c["key" if leaf.name == "id" else leaf.name]
        return typed(customer.c.attributes, leaf.name, leaf.type, self._dialect)

    def _leaf(self, leaf: Condition) -> ColumnElement[bool]:
        match leaf:
            case Attribute():
                return all_fit(
                    self.attribute(leaf), attribute_type(leaf), leaf.ops, self._moment, self._dialect
                )
            case Happened():
                return self._happened(leaf)
            case Aggregate():
                return self._aggregate(leaf)
            case Reachable():
                address, agreed, suppressed = self.observed(leaf)
                return and_(address.is_not(null()), agreed.is_not(null()), suppressed.is_(null()))
            case JourneyIs(state="never"):
                (entered,) = self.observed(leaf)
                return entered.is_(null())
        (fact,) = facts_of(leaf)
        return self._facts[fact].is_not(null())

    def _happened(self, leaf: Happened) -> ColumnElement[bool]:
        checks: list[ColumnElement[bool]] = []
        for fact in facts_of(leaf):
            column = self._facts[fact]
            assert hasattr(fact, "function")
            if fact.function == "count":
                checks.append(self._number(column, leaf.ops or (Op("at_least", (1,)),)))
                continue
            ops = leaf.last if fact.function == "last" else leaf.first
            checks.append(column.is_not(null()))
            checks.append(all_fit(column, "instant", ops, self._moment, self._dialect))
        return and_(*checks)

    def _aggregate(self, leaf: Aggregate) -> ColumnElement[bool]:
        (fact,) = facts_of(leaf)
        column = self._facts[fact]
        if leaf.function in ("sum", "count_distinct"):
            return self._number(column, leaf.ops)
        kind = "number" if leaf.function == "average" else leaf.type
        return all_fit(column, kind, leaf.ops, self._moment, self._dialect)

    def _number(self, column: ColumnElement[Any], ops: tuple[Op, ...]) -> ColumnElement[bool]:
        """Compare a number that is 0 where there is no row. Where 0 fits nothing, NULL may stand for it."""
        value = column if any(map(rules_out_zero, ops)) else func.coalesce(column, 0)
        return all_fit(value, "number", ops, self._moment, self._dialect)


def attribute_type(leaf: Attribute) -> str:
    """Return the type an attribute is compared as."""
    built_in = BUILT_IN_ATTRIBUTES.get(leaf.name, leaf.type)
    return "instant" if leaf.name == "created_at" else built_in
