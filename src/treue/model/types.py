"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect
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
