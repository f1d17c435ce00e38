"""Both databases, empty and real: a SQLite file, and a PostgreSQL schema made for one test module."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError

from treue.model.tables import cohort, metadata
from treue.segments.functions import add_functions

DEFAULT_POSTGRES = "postgresql+psycopg:///test?host=/var/run/postgresql&user=root"


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('segments') / 'treue.db'}")
    event.listen(engine, "connect", lambda connection, _record: add_functions(connection))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def postgres_engine() -> Iterator[Engine]:
    url = make_url(os.environ.get("TREUE_TEST_POSTGRES", DEFAULT_POSTGRES))
    server = create_engine(url)
    schema = f"segments_{uuid.uuid4().hex[:12]}"
    try:
        with server.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError as error:
        if "TREUE_TEST_POSTGRES" in os.environ:
            raise
        pytest.skip(f"no PostgreSQL server (set TREUE_TEST_POSTGRES to name one): {error.orig}")
    engine = create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
    metadata.create_all(engine)
    yield engine
    engine.dispose()
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection with the temporary table `cohort`; closing it rolls back what was not committed."""
    name = "sqlite_engine" if request.param == "sqlite" else "postgres_engine"
    engine: Engine = request.getfixturevalue(name)
    with engine.connect() as found:
        cohort.create(found, checkfirst=True)
        found.commit()
        yield found
