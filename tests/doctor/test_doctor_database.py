"""The examination of the database: its tables, whether it takes what is written, what it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.doctor.scene import Shop, grades, said
from treue.doctor.database import _version
from treue.store import migrations
from treue.store.store import Store


@pytest.fixture
def there(shop: Shop) -> Iterator[Path]:
    """The file of a database with today's tables."""
    path = shop.root / "treue.db"
    Store.open(f"sqlite:///{path}", create=True).close()
    yield path
    path.chmod(0o600)


def test_a_database_of_this_version_is_well(shop: Shop, there: Path) -> None:
    found = shop.found("database")
    assert grades(found) == ["well", "well", "well"]
    assert f"is at revision {migrations.revisions()[-1]}" in said(found)
    assert "WAL mode on a local file" in said(found)


@pytest.mark.postgres
def test_postgresql_is_well_and_named(shop: Shop, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREUE_DATABASE", postgres_url)
    found = shop.found("database")
    assert grades(found)[:2] == ["well", "well"]
    assert "PostgreSQL " in found[2].sentence


def test_no_database_yet_is_a_warning_and_none_is_made(shop: Shop) -> None:
    found = shop.found("database")
    assert grades(found) == ["warning"]
    assert "`treue db upgrade` makes it" in said(found)
    assert [path.name for path in shop.root.iterdir()] == ["treue.yaml"]


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0005", "`treue db upgrade`"), ("9999", "Install the newer Treue")]
)
def test_tables_of_another_version_are_wrong(shop: Shop, there: Path, revision: str, remedy: str) -> None:
    with sqlite3.connect(there) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    found = shop.found("database")
    assert grades(found) == ["wrong", "well"]
    assert revision in said(found)
    assert remedy in said(found)


def test_a_database_without_tables_is_wrong(shop: Shop) -> None:
    sqlite3.connect(shop.root / "treue.db").execute("VACUUM")
    assert "has no tables yet. `treue db upgrade` makes them" in said(shop.found("database"))


def test_what_is_no_database_is_wrong(shop: Shop) -> None:
    (shop.root / "treue.db").write_text("my diary " * 200)
    assert grades(shop.found("database")) == ["wrong"]


def test_a_database_that_cannot_be_reached_is_wrong_and_its_password_is_not_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", "postgresql://treue:hush@127.0.0.1:1/treue")
    found = shop.found("database")
    assert grades(found) == ["wrong"]
    assert "127.0.0.1:1" in said(found)
    assert "hush" not in said(found)


@pytest.mark.postgres
def test_a_database_that_may_only_be_read_is_wrong(
    shop: Shop, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgres_url)
    options = f"{url.query['options']} -cdefault_transaction_read_only=on"
    only_read = url.update_query_dict({"options": options}).render_as_string(hide_password=False)
    monkeypatch.setenv("TREUE_DATABASE", only_read)
    found = shop.found("database")
    assert "wrong" in grades(found), said(found)
    assert "may only be read" in said(found) or "read-only" in said(found)


def test_a_file_of_another_machine_is_wrong(shop: Shop, there: Path) -> None:
    shop.file_system = lambda _: "nfs4"
    found = shop.found("database")
    assert grades(found) == ["well", "well", "wrong"]
    assert "another machine (nfs4)" in said(found)
    assert "or use PostgreSQL" in said(found)


@pytest.mark.parametrize(("major", "grade"), [(11, "wrong"), (14, "warning"), (15, "well"), (18, "well")])
def test_the_version_of_postgresql_counts(major: int, grade: str) -> None:
    assert _version(major, f"{major}.3").grade == grade
