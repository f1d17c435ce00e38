"""The page about tests of a journey: its examples are read, run, and pass."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from treue.testing import scenarios
from treue.vocabulary.workspace import load

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "treue.yaml", tmp_path)
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "journeys" / "welcome.test.yaml").write_text("".join(examples), encoding="utf-8")
    report = scenarios.run(load(tmp_path, tests=True).require(), ["welcome"])
    assert [(result.scenario.name, result.diff) for result in report.results if not result.passed] == []
    assert len(report.results) == len(examples) == 2
