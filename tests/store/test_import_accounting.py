"""Every line of a dirty file is in the database as it was meant, set aside with its reason, or blank: nothing else."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.store.dirty_csv import DirtyFile, files
from treue.model.tables import customer
from treue.store.imports import ImportReport, import_customers
from treue.store.row_files import recognise
from treue.store.store import Store

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
_runs = count()


def _people(store: Store, path: Path) -> ImportReport:
    return import_customers(store, recognise(path), {}, {"first_name": "text"}, NOW)


def _known(store: Store, prefix: str) -> dict[str, str]:
    query = select(customer.c.key, customer.c.attributes).where(customer.c.key.startswith(prefix))
    with store.reading() as connection:
        return {key: told.get("first_name", "") for key, told in connection.execute(query)}


def _set_aside(report: ImportReport) -> list[dict[str, str]]:
    if report.rejected_file is None:
        return []
    with report.rejected_file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=_mark(report.rejected_file)))


def _mark(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as stream:
        return stream.readline()[len("rejected_line")]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), mark=st.sampled_from(",;\t|"))
def test_every_line_of_a_dirty_file_is_accounted_for(
    sqlite_url: str, tmp_path: Path, data: st.DataObject, mark: str
) -> None:
    prefix = f"k{next(_runs)}n"
    dirty: DirtyFile = data.draw(files(prefix, mark))
    folder = tmp_path / prefix
    folder.mkdir()
    (folder / "k.csv").write_bytes(dirty.content)
    store = Store.open(sqlite_url)
    try:
        report = _people(store, folder / "k.csv")
        known, aside = _known(store, prefix), _set_aside(report)

        assert report.lines == dirty.lines
        accounted = report.header + report.kept + report.rejected + report.blank + report.continued
        assert accounted == report.lines
        assert (len(known), len(aside)) == (report.kept, report.rejected)
        _nothing_is_wrong(known, dirty)
        text = "\n".join("|".join(map(str, row.values())) for row in aside)
        assert [
            id_ for id_ in dirty.ids if id_ not in known and f"{id_}@" not in text and f"{id_}|" not in text
        ] == []
        assert all(row["rejected_line"].isdecimal() and row["rejected_reason"] for row in aside)

        if report.rejected_file:
            once_more = _people(store, report.rejected_file)
            assert once_more.read == report.rejected
            _nothing_is_wrong(_known(store, prefix), dirty)
            changed = _people(store, folder / "k.csv")
            assert (changed.created, changed.updated) == (0, 0)
    finally:
        store.close()


def _nothing_is_wrong(known: dict[str, str], dirty: DirtyFile) -> None:
    assert known == {id_: dirty.names.get(id_) for id_ in known}
