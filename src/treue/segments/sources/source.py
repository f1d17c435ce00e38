"""Facts as grouped subqueries, so that each table is read as few times as possible.

Facts over the same events come from one subquery, identical facts from one column of it. What that gains and
costs against asking about each customer by itself, benchmarks/segments.py measures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    func,
    literal,
    select,
)

from treue.model.tables import LAST, journey
from treue.segments.compare import all_fit, exactly, rules_out_zero
from treue.segments.fact import Fact
from treue.segments.moment import Moment
from treue.segments.tree import Op

STAY = {
    "entered_at": "the time of entry",
    "entered_effective_at": "the time at which the entry took effect",
    "entered_seq": "the place of the entry among what took effect then",
    "arrived_effective_at": "the time at which the arrival at the step took effect",
    "event_id": "the event that started the stay",
    "enrollment_id": "the stay",
    "at": "the time of each",
    "effective_at": "the time until which all that took effect is seen",
    "last_at": "the time of the last event that is seen",
    "last_seq": "the place of the last event that is seen",
}
"""The columns of those who are asked that conditions may look at."""

OWN_TIME = ("at", "effective_at")
"""The columns by which each row is asked as of a time of its own: what it counts from, and until when it sees."""

ROW_KEYS = ("arrival_id", "enrollment_id")
"""The columns each of which tells those who are asked apart by itself."""

LAST_SEEN = ("last_at", "last_seq")
"""The columns, both or neither, of the place after which a row sees nothing of its instant."""

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True)
class Rows:
    """A table's rows that belong to those who are asked.

    `query` selects what tells those apart, and `by` is that, to group by. `stay` is who is asked, one row each, where
    that matters, and `moment` what they are asked as of.
    """

    query: Select[Any]
    by: tuple[ColumnElement[Any], ...]
    moment: Moment
    stay: FromClause | None = None


@dataclass(frozen=True)
class Scope:
    """Of whom, as of when and of which database conditions are asked.

    `among` is a table or subquery with `customer_id`, and with whatever of a stay the conditions need; None means
    all customers. Where it has `at` and `effective_at`, each row is asked as of its own time, and `given` is the first
    of a stretch of such times (`stretch_end`). `arrival_id`, else `enrollment_id`, tells its rows apart. `last_at` and
    `last_seq` say which is the last event that a row sees of those that took effect at its time; where they are
    empty, it sees all of them.
    """

    given: Moment
    dialect: str
    among: FromClause | None = None

    @property
    def has_own_times(self) -> bool:
        """Whether each of those who are asked is asked as of a time of its own."""
        return self.among is not None and all(name in self.among.c for name in OWN_TIME)

    @property
    def moment(self) -> Moment:
        """What conditions are asked as of, of the rows of `among`."""
        return self.given.of(self.among) if self.among is not None and self.has_own_times else self.given

    def rows(self, source: FromClause, owner: ColumnElement[int], names: Sequence[str] = ()) -> Rows:
        """Return the rows of a source that belong to those who are asked; `owner` is the customer's number in it.

        `names` are the columns of `STAY` that matter besides. Raises ValueError where those asked have none of a name.
        """
        if not names and not self.has_own_times:
            query = select(owner.label("customer_id")).select_from(source)
            return Rows(self.restricted(query, owner), (owner,), self.given)
        stay = self.stays([*names, *(OWN_TIME if self.has_own_times else ())])
        by = self.key(stay)
        query = select(*by).select_from(stay.join(source, owner == stay.c.customer_id))
        # SQLite would think that there are so many that it scans the source for a Bloom filter.
        if self.dialect == "sqlite":
            query = self.restricted(query, stay.c.customer_id)
        return Rows(query, by, self.given.of(stay) if self.has_own_times else self.given, stay)

    def restricted(self, query: Select[Any], customer_id: ColumnElement[int]) -> Select[Any]:
        """Return a query confined to those who are asked."""
        if self.among is None:
            return query
        return query.where(customer_id.in_(select(self.among.c.customer_id)))

    def stays(self, names: Sequence[str]) -> Subquery:
        """Return `customer_id` and these columns of those who are asked, and what tells them apart, each once.

        Raises ValueError where those who are asked have no such column.
        """
        for name in names:
            if self.among is None or name not in self.among.c:
                raise ValueError(f"This condition needs {STAY[name]} of those it is asked of.")
        assert self.among is not None
        columns = [self.column(name).label(name) for name in dict.fromkeys(("customer_id", *names))]
        if self.row_key is not None:
            return select(*columns, self.among.c[self.row_key]).subquery("stay")
        return select(*columns).distinct().subquery("stay")

    @property
    def row_key(self) -> str | None:
        """The column that tells those who are asked apart by itself, where there is one."""
        return next((name for name in ROW_KEYS if self.among is not None and name in self.among.c), None)

    def column(self, name: str) -> ColumnElement[Any]:
        """Return a column of those who are asked; where it bounds what is seen and is empty, the end of the instant."""
        assert self.among is not None
        found: ColumnElement[Any] = self.among.c[name]
        match name:
            case "last_at":
                return func.coalesce(found, self.among.c.effective_at)
            case "last_seq":
                return func.coalesce(found, literal(LAST, BigInteger))
        return found

    def bound(self) -> list[str]:
        """Return the columns of the last event that each one sees, where those who are asked have them."""
        if self.among is None or not self.has_own_times:
            return []
        return [name for name in LAST_SEEN if name in self.among.c]

    def key(self, stay: FromClause) -> tuple[ColumnElement[Any], ...]:
        """Return the columns of `stays` that tell them apart; the customer is the first, as in the sources' indexes."""
        return (stay.c.customer_id, stay.c[self.row_key]) if self.row_key else tuple(stay.c)

    def is_same(self, found: FromClause, customer_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Return whether a row of a source's query belongs to one who is asked."""
        if self.row_key and self.row_key in found.c:
            return found.c[self.row_key] == self.column(self.row_key)
        known = [name for name in STAY if name in found.c]
        return and_(
            found.c.customer_id == customer_id, *(found.c[name] == self.column(name) for name in known)
        )

    def fits(self, value: ColumnElement[Any], kind: str, ops: Iterable[Op]) -> ColumnElement[bool]:
        """Return whether a value of a type fits every comparison; NULL means no."""
        return all_fit(value, kind, ops, self.moment, self.dialect)

    def count_fits(self, value: ColumnElement[Any], ops: Sequence[Op]) -> ColumnElement[bool]:
        """Return whether a number fits that is 0 where there is no row. Where 0 fits nothing, NULL may stand for it."""
        number = value if any(map(rules_out_zero, ops)) else func.coalesce(value, 0)
        return self.fits(number, "number", ops)


class Source(ABC, Generic[F]):
    """How facts that one subquery reads together are read."""

    @abstractmethod
    def query(self, facts: Sequence[F], scope: Scope) -> Select[Any]:
        """Return the query for some facts of one source.

        Its columns are those that `Scope.rows` tells those who are asked apart by, and for each fact one, in order:
        `n0`, `n1` and so on. Who has no row has NULL for every fact.
        """


class Column(NamedTuple):
    """One column of a grouped subquery: an aggregate over the rows that fit; columns with one `key` ask the same."""

    value: ColumnElement[Any]
    fits: tuple[ColumnElement[bool], ...]
    key: str
    round_to: int | None = None


def grouped(query: Select[Any], columns: Sequence[Column], by: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return a query with the columns; what all of them ask of a row is asked once, before grouping."""
    shared = len({column.key for column in columns}) == 1
    if shared:
        query = query.where(*columns[0].fits)
    for i, column in enumerate(columns):
        value = column.value
        if not shared and column.fits:
            value = value.filter(and_(*column.fits))
        query = query.add_columns(_rounded(column, value).label(f"n{i}"))
    return query.group_by(*by)


def _rounded(column: Column, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Round in the subquery: to SQLite, what a function says of a missing row is no reason to leave the row out."""
    return value if column.round_to is None else func.round(value, column.round_to, type_=value.type)


def journey_id(name: str) -> ScalarSelect[int]:
    """Return the number of the journey of a name."""
    return select(journey.c.id).where(exactly(journey.c.name, name)).scalar_subquery()
