"""Whether something is known of which the row was deleted as old: its key stays for ever, as a digest.

Keys move to the narrow tables in the transaction that deletes their rows. So whoever records something new inserts it
first, which waits for such a transaction where it has the same row, and asks here afterwards, in a statement of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, func, literal, select

from treue.model.tables import metadata
from treue.store import dialect
from treue.store.event_identity import digest

BETWEEN = "\n"
"""What stands between the parts of a key: none of the first parts holds a line break."""


def identity(*parts: str) -> str:
    """Return the digest of a key's parts."""
    return digest(BETWEEN.join(parts))


def identity_of(name: str, *parts: ColumnElement[str]) -> ColumnElement[str]:
    """Return the digest of a key's parts in SQL, the same as `identity`, on the dialect `name`."""
    whole: ColumnElement[str] = parts[0]
    for part in parts[1:]:
        whole = whole + literal(BETWEEN) + part
    if name == "sqlite":
        return func.treue_digest(whole, type_=Text)
    first = func.substring(func.sha256(func.convert_to(whole, "UTF8")), 1, 12)
    return func.encode(first, "base64", type_=Text)


def past_events(connection: Connection, identities: Iterable[str]) -> dict[str, str | None]:
    """Return which events with these identities were deleted as old, each with the digest of its content."""
    rows = _known(connection, "past_event", identities)
    return {row.identity: row.content for row in rows}


def past_receipts(connection: Connection, identities: Iterable[str]) -> set[str]:
    """Return which receipts with these identities were deleted as old."""
    return {row.identity for row in _known(connection, "past_receipt", identities)}


def _known(connection: Connection, table: str, identities: Iterable[str]) -> Sequence[Row[Any]]:
    asked = list(identities)
    if not asked:
        return []
    values = {"asked": dialect.listed(connection, asked)}
    return connection.execute(_asking(connection.dialect.name, table), values).all()


@lru_cache(maxsize=4)
def _asking(name: str, table: str) -> Select[Any]:
    """Return the query of a narrow table for the identities `asked`, on the dialect `name`."""
    narrow = metadata.tables[table]
    return select(narrow).where(dialect.among_listed(name, narrow.c.identity, "asked"))
