"""The third-party word in examples/: installed as a package, its own tests pass; without it its people are held."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.installing import install

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_step"
ORACLES = [str(ROOT)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("custom_step", tmp_path_factory)


def run(*arguments: str, paths: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path]), **more}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def test_its_own_tests_pass_against_the_installed_package(
    installed: Path, tmp_path: Path, postgres_url: str
) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    done = run(
        "pytest", "-q", "-p", "no:cacheprovider", "tests",
        paths=[str(installed), *ORACLES], folder=tmp_path, TREUE_TEST_POSTGRES=postgres_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


LOYAL = """\
description: A tag for whoever asks.
category: relational
basis: consent
enter: {manual: true}
steps: [{tag: vip}]
"""


def test_without_the_package_its_people_are_held_and_named_and_others_go_on(
    installed: Path, tmp_path: Path
) -> None:
    shop = shutil.copytree(EXAMPLE / "tests" / "shop", tmp_path / "shop")
    shutil.rmtree(shop / "journeys")
    (shop / "journeys").mkdir()
    (shop / "customers.csv").write_text("id,country\nada,DE\nbob,DE\n", encoding="utf-8")
    loyal = shop / "journeys" / "loyal.yaml"
    without = LOYAL.replace("tag: vip", "set: {country: FR}")
    (shop / "journeys" / "other.yaml").write_text(without, encoding="utf-8")

    def treue(*arguments: str, code: int = 0, path: Path | None = None) -> str:
        done = run("treue", *arguments, paths=[str(path)] if path else [], folder=shop)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        assert done.returncode == code, said
        return said

    loyal.write_text(LOYAL, encoding="utf-8")
    treue("apply", "--yes", path=installed)
    treue("import", "customers", "customers.csv", path=installed)
    treue("enroll", "loyal", "ada", path=installed)
    treue("enroll", "other", "bob", path=installed)

    assert "This is not a step." in treue("check", code=1)
    loyal.write_text(without, encoding="utf-8")
    remedy = "A stored version of loyal has the step `tag`; install the package that brings it."
    assert f"reading its plan has failed once: {remedy}" in treue("run", code=1)
    assert f"{remedy.removesuffix('.')}; tried again" in treue("status")
    assert "came to the end" in treue("why", "bob", "--journey", "other")
    assert remedy in treue("why", "ada", "--journey", "loyal")
    assert treue("plan", code=2) == treue("apply", "--yes", code=2) == f"treue: {remedy}\n"
    assert "set country = FR" in treue("graph", "loyal", "--mermaid")

    loyal.write_text(LOYAL, encoding="utf-8")
    treue("run", path=installed)
    assert "attributes were written (tags: vip)" in treue("why", "ada", path=installed)
    assert "healthy\n" in treue("status", path=installed)


def test_its_readme_shows_what_is_there() -> None:
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for path in (
        *EXAMPLE.glob("treue_tag/[a-z]*.py"),
        *EXAMPLE.glob("tests/test_*.py"),
        EXAMPLE / "pyproject.toml",
    ):
        assert f"`{path.relative_to(EXAMPLE).as_posix()}`" in text
