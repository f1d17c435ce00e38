"""Every kind of mistake, as the person who made it reads about it.

`TREUE_REWRITE_GOLDEN=1` writes what is said today into the cases; read each before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from treue.language.problems import CODES
from treue.vocabulary.workspace import load

ELSEWHERE = {"T106", "T321"}
"""Files that cannot be read are no text, packages that are missing no file: tests/workspace has them."""


def test_a_mistake_is_said_as_it_was_when_somebody_last_read_it(case: Any, tmp_path: Path) -> None:
    found = case.found(tmp_path)
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        case.rewrite(found)
    assert found == case.problems


def test_every_code_of_the_language_has_a_case(cases: dict[str, Any]) -> None:
    everything = "".join(case.problems for case in cases.values())
    codes = {code for code in CODES if code < "T4"} - ELSEWHERE
    assert [code for code in sorted(codes) if f" {code} " not in everything] == []


def test_only_cases_called_fine_have_no_problems(cases: dict[str, Any]) -> None:
    silent = {name for name, case in cases.items() if not case.problems}
    assert silent == {name for name in cases if name.startswith("fine-")}


def test_the_workspace_below_all_cases_has_no_problems(base: Path) -> None:
    loaded = load(base, tests=True)
    assert loaded.problems == []
    assert set(loaded.journeys) == {"greeting", "everything"}
    assert set(loaded.segments) == {"dormant", "regulars"}


def test_ten_mistakes_in_several_files_are_ten_problems(cases: dict[str, Any], tmp_path: Path) -> None:
    problems = cases["ten-mistakes"].workspace(tmp_path).problems
    assert len(problems) == 10
    assert len({problem.place for problem in problems}) == 10


def test_a_broken_file_leaves_the_others_loaded(cases: dict[str, Any], tmp_path: Path) -> None:
    loaded = cases["ten-mistakes"].workspace(tmp_path)
    assert set(loaded.journeys) == {"greeting", "everything"}
    assert set(loaded.segments) == {"dormant", "regulars"}


def test_settings_that_are_not_yaml_are_the_only_problem(cases: dict[str, Any], tmp_path: Path) -> None:
    loaded = cases["settings-not-yaml"].workspace(tmp_path)
    assert [problem.place.file for problem in loaded.problems] == ["treue.yaml"]
