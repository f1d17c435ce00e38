"""What a `pip install` brings: all three source roots, and the reference workspace byte for byte."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_has_the_core_the_flows_and_the_channels(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for package in ("treue", "treue_flows", "treue_channels"):
        assert f"{package}/__init__.py" in names


def test_the_reference_workspace_is_in_the_wheel_byte_for_byte(wheel: zipfile.ZipFile) -> None:
    content = [
        ROOT / "treue.yaml",
        *(
            path
            for folder in ("journeys", "segments", "templates")
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        ),
    ]
    assert len(content) > 40
    for path in content:
        assert (
            wheel.read(f"treue/workspace/reference/{path.relative_to(ROOT).as_posix()}") == path.read_bytes()
        )


def test_migrations_pages_and_settings_of_logging_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for source, package in (("src", "treue"), ("flows", "treue_flows"), ("channels", "treue_channels")):
        for path in (ROOT / source / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT / source).as_posix() in names
