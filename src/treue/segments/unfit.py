"""Values that are stored as something else than they are declared: imported before, or declared otherwise since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import customer
from treue.segments.typed import stored_as, typed

TYPES = ("text", "number", "bool", "date", "time", "list")
_AT_ONCE = 50
"""Attributes that one statement asks of."""
NOUNS = {
    "text": "a text", "number": "a number", "bool": "yes or no", "date": "a date", "time": "a time", "list": "a list",
    "record": "a record",
}  # fmt: skip


@dataclass(frozen=True)
class Unfit:
    """How many of all customers have something else in an attribute than its declared type, by what it is."""

    attribute: str
    type: str
    stored: Mapping[str, int]
    customers: int

    @property
    def heads(self) -> int:
        """How many customers that are."""
        return sum(self.stored.values())

    def words(self) -> str:
        """Return a sentence with the numbers."""
        kinds = ", ".join(f"{_other(kind, self.type)} for {heads:,}" for kind, heads in self.stored.items())
        return (
            f"`{self.attribute}` is declared as {NOUNS[self.type]}, and {self.heads:,} of {self.customers:,} customers have "
            f"something else there ({kinds}): for them it counts as missing."
        )


def _other(kind: str, declared: str) -> str:
    return f"a text that is no {declared}" if kind == "text" and declared in ("date", "time") else NOUNS[kind]


def is_unfit(document: ColumnElement[Any], name: str, kind: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a document has a field that is not of the declared type."""
    return and_(
        stored_as(document, name, dialect).is_not(None), typed(document, name, kind, dialect).is_(None)
    )


def unfit(connection: Connection, types: Mapping[str, str]) -> Iterator[Unfit]:
    """Yield each of these attributes that some customers have as something else. Looks at every customer once."""
    dialect = connection.dialect.name
    own = [(name, kind) for name, kind in types.items() if kind in TYPES and name not in BUILT_IN_ATTRIBUTES]
    for begin in range(0, len(own), _AT_ONCE):
        some = own[begin : begin + _AT_ONCE]
        wrong = [is_unfit(customer.c.attributes, name, kind, dialect) for name, kind in some]
        counts = connection.execute(select(func.count(), *(func.count().filter(one) for one in wrong))).one()
        for (name, kind), condition, heads in zip(some, wrong, counts[1:], strict=True):
            if heads:
                stored = stored_as(customer.c.attributes, name, dialect).label("stored")
                query = (
                    select(stored, func.count().label("heads"))
                    .where(condition)
                    .group_by(stored)
                    .order_by(stored)
                )
                counted = {row.stored: int(row.heads) for row in connection.execute(query)}
                yield Unfit(name, kind, counted, counts[0])
