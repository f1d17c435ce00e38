"""`treue doctor` as people call it: lines with remedies, JSON, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import Run
from treue.doctor import CHECKS


def test_a_new_workspace_has_warnings_and_ends_with_0(treue: Run, lived: Path) -> None:
    done = treue(lived, "doctor")
    assert done.code == 0, done.out
    assert done.out.splitlines()[-1].startswith("0 wrong, ")
    assert "well     database: SQLite is in WAL mode on a local file." in done.out
    assert "warning  channels: email: a folder of files takes the messages; no customer gets any." in done.out


def test_what_is_wrong_is_told_with_its_remedy_and_ends_with_1(
    treue: Run, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_URL", "http://shop.de")
    done = treue(lived, "doctor")
    assert done.code == 1
    assert "wrong    public address: Customers' links lead to http://shop.de, unencrypted" in done.out
    assert "         → Put a proxy with TLS before the web" in done.out
    assert "\n1 wrong, " in done.out


def test_json_has_every_finding_and_whether_all_is_well(
    treue: Run, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = treue(lived, "doctor", "--json").json
    assert found["well"] is True
    assert {one["check"] for one in found["findings"]} == {check.name for check in CHECKS}
    assert all(one["remedy"] for one in found["findings"] if one["grade"] == "warning")
    monkeypatch.setenv("TREUE_URL", "http://shop.de")
    done = treue(lived, "doctor", "--json")
    assert (done.code, done.json["well"]) == (1, False)


def test_files_with_problems_are_examined_all_the_same(treue: Run, files: Path) -> None:
    (files / "treue.yaml").write_text("workspace: shop\n", encoding="utf-8")
    done = treue(files, "doctor")
    assert done.code == 1
    assert "wrong    files: " in done.out
    assert "well     Prefect: " in done.out
