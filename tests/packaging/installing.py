"""Installs an example as a user would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def install(example: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example installed, built from a copy so that nothing is left in this checkout."""
    source, target = tmp_path_factory.mktemp("source") / example, tmp_path_factory.mktemp("target")
    shutil.copytree(EXAMPLES / example, source)
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--no-deps",
    ]
    done = subprocess.run(
        [*command, "--target", str(target), str(source)],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target
