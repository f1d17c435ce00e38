"""The tutorial is followed word for word: its files are written, its commands run, and what it promises comes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS = re.compile(r"\s+# ends with (\d)$")


class Reader:
    """Somebody who follows the page in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.here, self.shown = folder, ""

    def follow(self, language: str, file: str, text: str) -> None:
        if file:
            path = self.here / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif language == "sh":
            self.shown = "".join(map(self.run, text.splitlines()))
        elif language == "text":
            missing = [line for line in text.splitlines() if line.strip() not in self.shown]
            assert missing == [], self.shown

    def run(self, line: str) -> str:
        if line.startswith("cd "):
            self.here /= line.removeprefix("cd ")
            return ""
        ends = ENDS.search(line)
        command = [sys.executable, "-m", *ENDS.sub("", line).split()]
        done = subprocess.run(
            command, cwd=self.here, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == (int(ends[1]) if ends else 0), (line, done.stdout, done.stderr)
        return done.stdout + done.stderr


def test_the_tutorial_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TREUE_DATABASE", "SMTP_URL", "TREUE_URL"):
        monkeypatch.delenv(name, raising=False)
    reader, parts = Reader(tmp_path), FENCE.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert len(parts) > 12
    for part in parts:
        reader.follow(*part)
    assert (tmp_path / "shop" / "second-order.svg").read_text(encoding="utf-8").startswith("<svg")
