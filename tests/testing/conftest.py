"""A small workspace, and golden cases: a file of tests, and what `treue test` says of those that fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from treue.testing import scenarios
from treue.testing.scenarios import Report
from treue.vocabulary.workspace import load
from treue.workspace.workspace import Workspace

HERE = Path(__file__).parent
MARK = "=== "


@dataclass(frozen=True)
class Case:
    path: Path
    tests: str
    says: str

    def report(self, root: Path) -> Report:
        """Run the case's tests on the small workspace."""
        return scenarios.run(made(root, self.tests), ["visit"])

    def rewrite(self, says: str) -> None:
        """Write what is said into the case's file, to be read by a person before it is kept."""
        kept = self.path.read_text(encoding="utf-8").partition(f"{MARK}says\n")[0]
        self.path.write_text(f"{kept}{MARK}says\n{says}", encoding="utf-8")


def made(
    root: Path, tests: str, visit: str = "", quiet: str = "", beside: str = "", settings: str = ""
) -> Workspace:
    """Return the small workspace with a file of tests, and perhaps another journey in its place, one beside it, a segment."""
    shutil.copytree(HERE / "base", root, dirs_exist_ok=True)
    (root / "journeys" / "visit.test.yaml").write_text(tests, encoding="utf-8")
    if visit:
        (root / "journeys" / "visit.yaml").write_text(visit, encoding="utf-8")
        (root / "segments").mkdir(exist_ok=True)
        (root / "segments" / "quiet.yaml").write_text(quiet, encoding="utf-8")
    if beside:
        (root / "journeys" / "beside.yaml").write_text(beside, encoding="utf-8")
    with (root / "treue.yaml").open("a", encoding="utf-8") as file:
        file.write(settings)
    return load(root, tests=True).require()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Workspace]:
    """Make the small workspace with a file of tests."""
    return partial(made, tmp_path)


def _case(path: Path) -> Case:
    _, tests, says = path.read_text(encoding="utf-8").split(f"\n{MARK}")
    return Case(path, tests.partition("\n")[2] + "\n", says.partition("\n")[2])


CASES = [_case(path) for path in sorted((HERE / "golden").glob("*.txt"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" in metafunc.fixturenames:
        metafunc.parametrize("golden", CASES, ids=[case.path.stem for case in CASES])
