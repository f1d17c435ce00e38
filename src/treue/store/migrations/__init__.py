"""The schema's history. Each file in `versions` is one revision, numbered; the last one is today's schema."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from treue.store import dialect, sessions

_STAMP = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@cache
def revisions() -> tuple[str, ...]:
    """Return the numbers of all revisions, oldest first."""
    folder = files("treue.store.migrations").joinpath("versions")
    return tuple(sorted(entry.name[:4] for entry in folder.iterdir() if entry.name[:4].isdigit()))


def current(connection: Connection) -> str | None:
    """Return the revision the database is at, or None where it has no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(engine: Engine) -> None:
    """Bring the database to the last revision, in one transaction that only one process is in at a time.

    An empty database gets today's tables in one go (a test proves them equal to the migrated ones).
    """
    with engine.connect() as connection, sessions.without_foreign_keys(connection), connection.begin():
        dialect.take_locks(connection, "migrations")
        found = current(connection)
        if found is None:
            _create(connection)
        elif found in revisions()[:-1]:
            migrate(connection)


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the revisions the database lacks, up to one of them, within the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _create(connection: Connection) -> None:
    from treue.model.tables import metadata

    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(_STAMP))
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": revisions()[-1]}
    )
