"""What `treue test` says of a test that fails, as the person who wrote it reads it.

`TREUE_REWRITE_GOLDEN=1` writes what is said today into the cases; read each before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from treue.testing.scenarios import Report


def said(report: Report) -> str:
    """Return every failed test's name and diff."""
    return "\n".join(
        "".join(f"{line}\n" for line in (result.scenario.name, *(f"  {line}" for line in result.diff)))
        for result in report.results
        if not result.passed
    )


def test_a_failure_is_told_as_it_was_when_somebody_last_read_it(golden: Any, tmp_path: Path) -> None:
    found = said(golden.report(tmp_path))
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        golden.rewrite(found)
    assert found == golden.says
