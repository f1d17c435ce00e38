"""Rows that name what is not there: counted by night, since no foreign key watches what the engine alone writes.

There are none, or something is at fault: a program that wrote beside Treue, or Treue itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, exists, func, select

from treue.model.tables import NAMES, metadata


def orphans(connection: Connection) -> dict[str, int]:
    """Return by `table.column` how many rows name nothing; what is whole is left out. Reads every such table."""
    found = {f"{column.table.name}.{column.name}": _count(connection, column) for column in named()}
    return {name: number for name, number in found.items() if number}


def named() -> Iterator[Column[int]]:
    """Yield the columns that name rows of another table without a foreign key."""
    for table in metadata.sorted_tables:
        yield from (column for column in table.columns if NAMES in column.info)


def _count(connection: Connection, column: Column[int]) -> int:
    table, key = column.info[NAMES].split(".")
    target = metadata.tables[table].alias("named")
    there = exists().where(target.c[key] == column)
    query = select(func.count()).select_from(column.table).where(column.is_not(None), ~there)
    return connection.scalar(query) or 0
