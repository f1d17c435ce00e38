"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Text, literal_column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from treue.clock import instant, micros

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document: text on SQLite, `jsonb` on PostgreSQL."""


class Instant(TypeDecorator[datetime]):
    """An aware UTC `datetime`, kept as microseconds since 1970 so that both databases do arithmetic alike.

    Plain integers pass as microseconds, so `column + 60_000_000` is a minute later.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """Turn an aware datetime into microseconds."""
        return micros(value) if isinstance(value, datetime) else value

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        """Write the microseconds into SQL that is shown to people."""
        return "NULL" if value is None else str(self.process_bind_param(value, dialect))

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an aware datetime."""
        return None if value is None else instant(value)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Let integers be integers and datetimes be instants in comparisons and sums."""
        return self if isinstance(value, datetime) else BigInteger()


class KeywordType(TypeDecorator[str]):
    """One of a few words of ours, such as a state. What it is compared with is written into the statement.

    Partial indexes are found by constants: with parameters, SQLite plans the statement anew whenever it is run, and
    a plan of PostgreSQL's for any value passes the index over.
    """

    impl = Text
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator[str]):  # noqa: N801 - SQLAlchemy's name
        """Comparisons with words."""

        def operate(self, op: Any, *other: Any, **options: Any) -> Any:
            """Compare with words written out as literals."""
            return super().operate(op, *map(_written, other), **options)


def _written(value: Any) -> Any:
    if isinstance(value, str) and value.isidentifier():
        return literal_column(f"'{value}'", Text)
    return [_written(one) for one in value] if isinstance(value, (list, tuple, set, frozenset)) else value
