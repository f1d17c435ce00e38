"""Golden cases: a title, the files laid over the base workspace, and every problem as people see it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from treue.language.problems import framed
from treue.vocabulary.workspace import load
from treue.workspace.channels import channel_problems
from treue.workspace.workspace import Workspace

HERE = Path(__file__).parent
ADAPTERS = ["file", "inbox", "smtp", "twilio"]
MARK = "=== "


@dataclass(frozen=True)
class Case:
    path: Path
    title: str
    files: dict[str, str]
    problems: str

    @property
    def name(self) -> str:
        return self.path.stem

    def workspace(self, root: Path) -> Workspace:
        """Load the base workspace with this case's files laid over it."""
        shutil.copytree(HERE / "base", root, dirs_exist_ok=True)
        for name, text in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return load(root, lambda: ADAPTERS, tests=True)

    def found(self, root: Path) -> str:
        """Return all problems as `treue check` shows them."""
        workspace = self.workspace(root)
        problems = sorted([*workspace.problems, *channel_problems(workspace)])
        return "\n".join(f"{framed(p, workspace.texts.get(p.place.file))}\n" for p in problems)

    def rewrite(self, problems: str) -> None:
        """Write the problems into the case's file, to be read by a person before they are kept."""
        kept = self.path.read_text(encoding="utf-8").partition(f"{MARK}problems\n")[0]
        self.path.write_text(f"{kept}{MARK}problems\n{problems}", encoding="utf-8")


def _case(path: Path) -> Case:
    title, *parts = path.read_text(encoding="utf-8").split(f"\n{MARK}")
    named = dict(part.partition("\n")[::2] for part in parts)
    problems = named.pop("problems")
    return Case(path, title, {name: f"{text}\n" for name, text in named.items()}, problems)


CASES = [_case(path) for path in sorted((HERE / "golden").glob("*.txt"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """All golden cases by name."""
    return {case.name: case for case in CASES}


@pytest.fixture(scope="session")
def base() -> Path:
    """The small workspace without problems that every case is laid over."""
    return HERE / "base"
