"""What all tests share: a migrated store on each database, and the real data, read in place."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from treue.store.store import Store

LOCAL_POSTGRES = "postgresql+psycopg:///test?host=/var/run/postgresql&user=root"
BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "data"

# A shell that runs the tests in its background has them ignore Ctrl-C, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _missing(reason: str, required_by: str) -> None:
    if os.environ.get(required_by) == "1":
        pytest.fail(f"{reason} ({required_by}=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "treue.db"
    Store.open(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a fresh SQLite store with today's tables."""
    shutil.copyfile(_sqlite_template, tmp_path / "treue.db")
    return f"sqlite:///{tmp_path / 'treue.db'}"


@pytest.fixture(scope="session")
def postgres_schema() -> Iterator[str]:
    """The address of an empty schema of this test process's own; dropped at the end."""
    from sqlalchemy import create_engine, exc, make_url, text

    url = os.environ.get("TREUE_TEST_POSTGRES") or LOCAL_POSTGRES
    name = f"treue_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    try:
        engine = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
    except (exc.OperationalError, ModuleNotFoundError) as error:
        first_line = str(error).strip().splitlines()[0]
        _missing(f"no PostgreSQL: {first_line}", "TREUE_REQUIRE_POSTGRES")
    try:
        made = make_url(url).update_query_dict({"options": f"-csearch_path={name}"})
        yield made.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_schema: str) -> Iterator[Store]:
    store = Store.open(postgres_schema, create=True)
    yield store
    store.close()


@pytest.fixture
def postgres_url(_migrated_postgres: Store) -> str:
    """The address of a PostgreSQL store with today's tables, emptied before each test."""
    from sqlalchemy import select, text

    from treue.model.tables import metadata, trace

    tables = metadata.sorted_tables
    with _migrated_postgres.transaction() as connection:
        if len(connection.execute(select(trace.c.id).limit(2_000)).all()) == 2_000:
            connection.execute(text(f"TRUNCATE {', '.join(table.name for table in tables)}"))
        for table in reversed(tables):  # quicker than TRUNCATE for the few rows of most tests
            connection.execute(table.delete())
    return _migrated_postgres.url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of a store with today's tables, once on each database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store with today's tables and no rows, once on each database."""
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets, read in place and never copied."""
    folder = Path(os.environ.get("TREUE_DATA") or BESIDE_THE_REPOSITORY)
    if not (folder / "cdnow.csv.gz").is_file():
        _missing("the real data sets are not here; TREUE_DATA names their folder", "TREUE_REQUIRE_DATA")
    return folder
