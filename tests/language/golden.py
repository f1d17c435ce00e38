"""Golden cases: a title, the files laid over the base workspace, and every problem as people see it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from treue.language.problems import framed
from treue.workspace.loading import Workspace, load

HERE = Path(__file__).parent
BASE = HERE / "base"
ADAPTERS = ["file", "inbox", "smtp"]
MARK = "=== "


@dataclass(frozen=True)
class Case:
    path: Path
    title: str
    files: dict[str, str]
    problems: str

    def __str__(self) -> str:
        return self.path.stem

    def workspace(self, root: Path) -> Workspace:
        """Load the base workspace with this case's files laid over it."""
        shutil.copytree(BASE, root, dirs_exist_ok=True)
        for name, text in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return load(root, lambda: ADAPTERS)

    def rewrite(self, problems: str) -> None:
        """Write the problems into the case's file, to be read by a person before they are kept."""
        kept = self.path.read_text(encoding="utf-8").partition(f"{MARK}problems\n")[0]
        self.path.write_text(f"{kept}{MARK}problems\n{problems}", encoding="utf-8")


def shown(workspace: Workspace) -> str:
    """Return all problems as `treue check` shows them."""
    texts = workspace.texts
    return "\n".join(f"{framed(problem, texts.get(problem.place.file))}\n" for problem in workspace.problems)


def cases() -> Iterator[Case]:
    for path in sorted((HERE / "golden").glob("*.txt")):
        title, *parts = path.read_text(encoding="utf-8").split(f"\n{MARK}")
        named = dict(part.partition("\n")[::2] for part in parts)
        problems = named.pop("problems")
        yield Case(path, title, {name: f"{text}\n" for name, text in named.items()}, problems)
