"""The third-party adapter in examples/: installed as a package, found by its entry point, and its own tests pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.installing import install

ROOT = Path(__file__).parents[2]
SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels: {sms: {adapter: pigeon, token: "${PIGEON_TOKEN:-}"}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("custom_channel", tmp_path_factory)


def run(*arguments: str, path: Path | None, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(path)] if path else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path])}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_its_own_tests_pass_against_the_installed_package(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "custom_channel" / "tests" / "test_pigeon.py", tmp_path)
    done = run("pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), path=installed, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_a_workspace_can_name_it_once_it_is_installed_and_not_before(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "treue.yaml").write_text(SETTINGS)
    without = run("treue", "check", path=None, folder=tmp_path)
    assert without.returncode == 1
    assert "There is no channel adapter `pigeon`" in without.stdout
    assert run("treue", "check", path=installed, folder=tmp_path).returncode == 0


def test_its_readme_shows_what_is_there() -> None:
    folder = ROOT / "examples" / "custom_channel"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for name in (
        "pyproject.toml",
        "treue_pigeon/__init__.py",
        "treue_pigeon/callbacks.py",
        "tests/test_pigeon.py",
    ):
        assert f"`{name}`" in text
        assert (folder / name).is_file()
