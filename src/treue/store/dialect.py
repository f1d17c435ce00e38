"""Where SQLite and PostgreSQL differ: everything else in the store is one text for both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    Connection,
    Row,
    Select,
    String,
    Subquery,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement
from sqlalchemy.types import TypeEngine

from treue.clock import micros
from treue.model.types import Instant

BATCH = 5_000
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def is_postgresql(connection: Connection) -> bool:
    """Say whether the connection leads to PostgreSQL (else it is SQLite)."""
    return connection.dialect.name == "postgresql"


def rows_as_table(
    connection: Connection, types: Mapping[str, TypeEngine[Any]], rows: Sequence[Mapping[str, Any]]
) -> Subquery:
    """Return many rows as something to select from: one parameter a column (PostgreSQL) or one in all (SQLite).

    Binding each value of each row by itself takes several times as long.
    """
    return constant_table(connection.dialect.name, types, rows)


def constant_table(
    name: str, types: Mapping[str, TypeEngine[Any]], rows: Sequence[Mapping[str, Any]]
) -> Subquery:
    """Return rows as `rows_as_table` does, for a statement on the dialect `name` that is made once and kept."""
    if name == "postgresql":
        return _unnested(types, rows)
    written = list(zip(*(_column(kind, name, rows) for name, kind in types.items()), strict=True))
    item = (
        func.json_each(bindparam(None, _ENCODE(written), type_=String(), unique=True))
        .table_valued("value")
        .c.value
    )
    cells = [func.json_extract(item, f"$[{place}]").label(name) for place, name in enumerate(types)]
    return select(*cells).subquery("given")


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return an INSERT of many rows, all with the same columns; add `on_conflict_do_…` and `returning` to it."""
    types = {name: table.c[name].type for name in rows[0]}
    given = rows_as_table(connection, types, rows)
    statement = postgresql.insert(table) if is_postgresql(connection) else sqlite.insert(table)
    # Without a WHERE, SQLite takes the ON of ON CONFLICT for a join's.
    return statement.from_select(list(types), select(*given.c).where(true()), include_defaults=False)


def insert_new(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    conflict: Sequence[str],
    returning: Sequence[str],
) -> list[Row[Any]]:
    """Insert the rows whose `conflict` columns are not taken yet; return `returning` of those only.

    Give the rows in the order of their keys: two transactions that insert the same keys then wait for one
    another instead of deadlocking.
    """
    found: list[Row[Any]] = []
    for start in range(0, len(rows), BATCH):
        statement = insert_rows(connection, table, rows[start : start + BATCH])
        statement = statement.on_conflict_do_nothing(index_elements=list(conflict))
        found += connection.execute(statement.returning(*(table.c[name] for name in returning))).all()
    return found


def insert_unless_there(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert one row, which may hold bytes, unless its key is taken."""
    statement = postgresql.insert(table) if is_postgresql(connection) else sqlite.insert(table)
    connection.execute(statement.values(row).on_conflict_do_nothing())


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write `values` on the row whose primary or unique columns are `key`; insert it where there is none."""
    kind = postgresql.insert if is_postgresql(connection) else sqlite.insert
    statement = kind(table).values({**key, **values})
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=dict(values))
    connection.execute(statement)


def add_up(connection: Connection, table: Table, key: Mapping[str, Any], added: Mapping[str, int]) -> None:
    """Add numbers to the row whose primary key is `key`; insert it where there is none."""
    kind = postgresql.insert if is_postgresql(connection) else sqlite.insert
    statement = kind(table).values({**key, **added})
    sums = {name: table.c[name] + statement.excluded[name] for name in added}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=sums))


def among(connection: Connection, column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return `column IN values` with one parameter for any number of texts or integers."""
    return _in(connection.dialect.name, column, None, listed(connection, values))


def among_listed(name: str, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return `column IN values` for a statement kept for the dialect `name`; the values come as `listed` gives them."""
    return _in(name, column, parameter, None)


def listed(connection: Connection, values: Iterable[Any]) -> Any:
    """Return many texts or integers as the value of one parameter."""
    found = list(values)
    return found if is_postgresql(connection) else json.dumps(found)


def _in(name: str, column: ColumnElement[Any], parameter: str | None, value: Any) -> ColumnElement[bool]:
    given: dict[str, Any] = {"unique": True, "value": value} if parameter is None else {}
    if name == "postgresql":
        return column == func.any(bindparam(parameter, type_=postgresql.ARRAY(column.type), **given))
    items = func.json_each(bindparam(parameter, type_=String(), **given))
    return column.in_(select(items.table_valued("value").c.value))


def _unnested(types: Mapping[str, TypeEngine[Any]], rows: Sequence[Mapping[str, Any]]) -> Subquery:
    arrays = [
        bindparam(None, _column(kind, name, rows), type_=postgresql.ARRAY(_plain_type(kind)), unique=True)
        for name, kind in types.items()
    ]
    table = func.unnest(*arrays).table_valued(*types, name="item").render_derived()
    cells = [
        (cast(table.c[name], postgresql.JSONB) if isinstance(kind, JSON) else table.c[name]).label(name)
        for name, kind in types.items()
    ]
    return select(*cells).subquery("given")


def _plain_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, Instant):
        return BigInteger()
    return Text() if isinstance(kind, JSON) else kind


def _column(kind: TypeEngine[Any], name: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return one value of each row as drivers take it."""
    if isinstance(kind, JSON):
        return [None if (value := row[name]) is None else _ENCODE(value) for row in rows]
    return [micros(value) if isinstance(value := row[name], datetime) else value for row in rows]


MANY = 1_000
"""Rows of a temporary table from which on it pays to count them before they are worked with."""


def count_many(connection: Connection, table: Table, rows: int) -> None:
    """Let PostgreSQL count a temporary table that was just filled with many rows, or it plans for a handful.

    Nothing else ever does: autovacuum cannot see temporary tables. SQLite is told once (`sessions`).
    """
    if rows >= MANY and is_postgresql(connection):
        connection.execute(text(f"ANALYZE {table.name}"))


def worked_out(query: Select[Any], name: str) -> CTE:
    """Return a query as a table of its own that is worked out once.

    SQLite would else write it out wherever one of its columns is used, and there again what that is made of.
    """
    return query.cte(name).prefix_with("MATERIALIZED")


def claiming(statement: Select[Any], of: Table | None = None) -> Select[Any]:
    """Lock the rows that are read, `of` one of the tables, and pass over another worker's; SQLite's writer is alone anyway."""
    return statement.with_for_update(skip_locked=True, of=of)


def share_lock(connection: Connection, name: str) -> None:
    """Wait until nobody has the lock of this name alone, and share it to the transaction's end."""
    if is_postgresql(connection):
        connection.execute(_SHARE, {"name": name})


_SHARE = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(current_schema() || '/' || :name, 0))")


def take_locks(connection: Connection, *names: str) -> None:
    """Wait for the locks of these names, held to the transaction's end; SQLite's writer holds them all.

    Shorter names first, so that journeys are in the order of their numbers: in another, two could wait for each other.
    """
    if is_postgresql(connection):
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0))")
        for name in sorted(names, key=lambda name: (len(name), name)):
            connection.execute(key, {"name": name})
