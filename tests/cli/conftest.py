"""A workspace with customers who have lived through twelve days, and the command as people call it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.calling import Done, Run, live, make
from treue.cli.app import execute


@pytest.fixture
def treue(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; the workspace, if any, comes first."""
    for name in ("TREUE_DATABASE", "SMTP_URL", "TREUE_URL", "TREUE_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def run(workspace: Path | None, *arguments: object) -> Done:
        capsys.readouterr()
        before = ["--workspace", str(workspace)] if workspace is not None else []
        code = execute([*before, *map(str, arguments)])
        shown = capsys.readouterr()
        return Done(code, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference workspace, to be read only."""
    from treue.workspace.files import reference_workspace

    return reference_workspace()


@pytest.fixture
def files(tmp_path: Path, reference: Path) -> Path:
    """A copy of the reference workspace without a database."""
    root = tmp_path / "shop"
    root.mkdir()
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(reference / name, root / name)
    shutil.copy(reference / "treue.yaml", root)
    return root


@pytest.fixture(scope="session")
def _lived(tmp_path_factory: pytest.TempPathFactory, reference: Path) -> Path:
    root = tmp_path_factory.mktemp("lived")
    make(root, reference)
    live(root)
    return root


@pytest.fixture
def lived(_lived: Path, tmp_path: Path) -> Path:
    """A copy of a workspace whose customers have lived through twelve days of March 2026."""
    root = tmp_path / "lived"
    shutil.copytree(_lived, root)
    return root
