"""What makes the database refuse one thing and nothing else, as a fault in the data or a full disk would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from treue.store.store import Store

SAID = "broken on purpose"


@contextmanager
def broken(store: Store, table: str, doing: str, where: str) -> Iterator[None]:
    """Have the database refuse what is done (`INSERT`, `UPDATE OF column`) to rows for which `where` holds."""
    sqlite = (
        (
            f"CREATE TRIGGER broken BEFORE {doing} ON {table} WHEN {where} "
            f"BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
        ),
    )
    postgresql = (
        f"CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE '{SAID}'; END $$ LANGUAGE plpgsql",
        f"CREATE TRIGGER broken BEFORE {doing} ON {table} FOR EACH ROW WHEN ({where}) EXECUTE FUNCTION refuse()",
    )
    _do(store, *(sqlite if store.dialect == "sqlite" else postgresql))
    try:
        yield
    finally:
        if store.dialect == "sqlite":
            _do(store, "DROP TRIGGER broken")
        else:
            _do(store, f"DROP TRIGGER broken ON {table}", "DROP FUNCTION refuse")


def _do(store: Store, *statements: str) -> None:
    with store.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))
