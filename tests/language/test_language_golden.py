"""Every kind of mistake, as the person who made it reads about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from golden import Case, cases, shown

from treue.language.problems import CODES

CASES = list(cases())
ELSEWHERE = {"T106"}  # files that cannot be read: test_workspace_loading.py


@pytest.mark.parametrize("case", CASES, ids=str)
def test_problems_read_as_they_did(case: Case, tmp_path: Path) -> None:
    found = shown(case.workspace(tmp_path))
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        case.rewrite(found)
    assert found == case.problems


def test_every_code_of_the_language_has_a_case() -> None:
    everything = "".join(case.problems for case in CASES)
    codes = {code for code in CODES if code < "T4"} - ELSEWHERE
    assert [code for code in sorted(codes) if f" {code} " not in everything] == []


@pytest.mark.parametrize("case", [case for case in CASES if str(case).startswith("fine-")], ids=str)
def test_what_is_fine_has_no_problems(case: Case) -> None:
    assert case.problems == ""


def test_ten_mistakes_in_several_files_are_ten_problems(tmp_path: Path) -> None:
    case = next(case for case in CASES if str(case) == "ten-mistakes")
    assert len(case.workspace(tmp_path).problems) == 10
