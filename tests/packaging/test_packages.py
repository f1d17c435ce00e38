"""What installed packages bring is found once, and again where packages come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from treue import packages


def test_packages_are_looked_through_once_for_all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    found = packages.entry_points
    monkeypatch.setattr(packages, "entry_points", lambda: looks.append(None) or found())
    packages._found.cache_clear()
    assert "smtp" in packages.installed_entries("treue.channels").names
    assert "prefect" in packages.installed_entries("treue.runtimes").names
    assert list(packages.installed_entries("treue.nothing")) == []
    assert len(looks) == 1


def test_a_package_in_a_place_that_is_new_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pager" not in packages.installed_entries("treue.channels").names
    info = tmp_path / "pager-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[treue.channels]\npager = pager:Pager\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert "pager" in packages.installed_entries("treue.channels").names
