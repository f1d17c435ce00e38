"""Whether channels fit their adapters, where adapters come from other packages; tests/language has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from treue.language.problems import Problem
from treue.vocabulary.workspace import load
from treue.workspace.channels import channel_problems

SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels:
  sms: {adapter: third-pager, number: 4711}
"""
MODULE = """\
from typing import Callable

from treue.channel import Capabilities


class Pager:
    capabilities = Capabilities(kind="sms", address="a pager's number")

    def __init__(self, number: str, kind: str = "sms", clock: Callable[[], float] = None):
        raise AssertionError("a check makes no adapter")

    def send(self, batch, progress): ...
    def close(self): ...
"""
METADATA = """\
Metadata-Version: 2.1
Name: third-party-pager
Version: 1
Provides-Extra: third-pager
Requires-Dist: pyyaml
Requires-Dist: not-there-at-all >=2 ; extra == "third-pager"
Requires-Dist: pyyaml[x]>=6; extra == 'third-pager'
Requires-Dist: not-there-either; extra == "other"
Requires-Dist: not-there-on-windows; sys_platform == "win32" and extra == "third-pager"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an installed package that brings an adapter; its extra is not there."""
    folder = tmp_path / "site"
    info = folder / "third_party_pager-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text("[treue.channels]\nthird-pager = third_pager_for_tests:Pager\n")
    (folder / "third_pager_for_tests.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(__import__("sys").modules, "third_pager_for_tests", raising=False)
    return folder


def _said(tmp_path: Path, settings: str = SETTINGS) -> list[Problem]:
    (tmp_path / "treue.yaml").write_text(settings)
    return channel_problems(load(tmp_path))


def test_a_missing_extra_is_warned_of_with_what_brings_it(tmp_path: Path, package: Path) -> None:
    (problem,) = _said(tmp_path)
    assert (problem.code, problem.is_warning) == ("T321", True)
    assert (problem.place.line, problem.place.column, problem.place.length) == (5, 18, 11)
    assert "needs `not-there-at-all`, which is not installed here" in problem.message
    assert problem.suggestion == "`pip install 'third-party-pager[third-pager]'` brings what it needs."


def test_an_extra_that_is_there_is_not_spoken_of(tmp_path: Path, package: Path) -> None:
    metadata = package / "third_party_pager-1.dist-info" / "METADATA"
    metadata.write_text(METADATA.replace("not-there-at-all >=2", "pyyaml"))
    assert _said(tmp_path) == []


def test_what_is_for_tests_alone_is_not_proposed(tmp_path: Path, package: Path) -> None:
    said = [one for one in _said(tmp_path, SETTINGS.replace("number", "clok")) if one.code != "T321"]
    assert [one.code for one in said] == ["T319", "T320"]
    assert said[1].suggestion == "Known are `number` and `rate`. Delete it."


@pytest.mark.parametrize("mistake", ["raise RuntimeError('hm')", "import not_there_at_all"])
def test_a_package_that_breaks_is_told_at_the_channel_that_names_it(
    tmp_path: Path, package: Path, mistake: str
) -> None:
    (package / "third_pager_for_tests.py").write_text(mistake)
    (problem,) = [one for one in _said(tmp_path) if one.code != "T321"]
    assert (problem.code, problem.place.line) == ("T322", 5)
    assert problem.message.startswith("The adapter `third-pager` cannot be loaded: ")


def test_settings_that_cannot_be_read_are_told_of_elsewhere(tmp_path: Path) -> None:
    assert _said(tmp_path, "channels: [") == []
    assert _said(tmp_path, "channels: {sms: pager, email: {adapter: [a]}, fax: {adapter: smtp}}") == []
