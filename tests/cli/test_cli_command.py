"""The command itself: how quickly it is there, its exit codes, what it says to a wrong word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer

import treue.cli
from tests.cli.calling import Run
from treue.cli.app import GROUPS, VERBS

HEAVY = ("prefect", "apscheduler", "fastapi", "uvicorn", "treue_flows")
COMPILERS = ("mjml", "css_inline", "inscriptis", "lxml")


def _loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys; from treue.cli.app import execute; code = execute(sys.argv[1:]);"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "verb", ["--help", "check", "compile welcome", "graph welcome --mermaid", "schema --print"]
)
def test_authoring_verbs_import_no_runtime_and_no_server(verb: str, reference: Path) -> None:
    assert not _loaded_by("--workspace", str(reference), *verb.split()) & set(HEAVY)


@pytest.mark.parametrize("verb", ["--help", "check", "schema --print"])
def test_what_needs_no_sql_does_not_wait_for_sqlalchemy(verb: str, reference: Path) -> None:
    assert "sqlalchemy" not in _loaded_by("--workspace", str(reference), *verb.split())


@pytest.mark.parametrize("verb", ["--help", "compile welcome", "graph welcome --mermaid", "schema --print"])
def test_what_renders_nothing_imports_no_templates_and_no_locales(verb: str, reference: Path) -> None:
    loaded = _loaded_by("--workspace", str(reference), *verb.split())
    assert not loaded & {"jinja2", "babel", *COMPILERS}


def test_check_leaves_what_compiles_mails_to_the_child(reference: Path) -> None:
    loaded = _loaded_by("--workspace", str(reference), "check")
    assert "jinja2" in loaded
    assert not loaded & set(COMPILERS)


def test_the_help_page_shows_each_verb_once_by_whom_it_serves_in_whole_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = subprocess.run(
        [sys.executable, "-m", "treue", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "..." not in done.stdout.split("\n\n", 1)[1]
    for title, (_, verbs) in GROUPS.items():
        (part,) = [part for part in done.stdout.split("\n\n") if part.startswith(f"{title}:\n")]
        entries = re.split(r"\n  (?=\S)", part)[1:]
        assert [entry.split()[0] for entry in entries] == list(verbs)
        assert [entry for entry in entries if not entry.rstrip().endswith(".")] == []
    assert sum(len(verbs) for _, verbs in GROUPS.values()) == len(VERBS), "a verb stands in two groups"


def test_every_verb_that_a_module_adds_stands_in_a_group() -> None:
    added = set()
    for room in iter_modules(treue.cli.__path__, "treue.cli."):
        for module in iter_modules(getattr(import_module(room.name), "__path__", ()), f"{room.name}."):
            register = getattr(import_module(module.name), "register", None)
            if register:
                part = typer.Typer()
                register(part)
                added |= {(verb, module.name) for verb in typer.main.get_group(part).commands}
    assert added == set(VERBS.items())


def test_a_misspelt_verb_is_answered_with_the_nearest_one(treue: Run) -> None:
    done = treue(None, "chekc")
    assert (done.code, done.out) == (2, "")
    assert "There is no command `chekc`. Did you mean `check`?" in done.err


def test_an_unknown_option_is_wrong_usage(treue: Run, reference: Path) -> None:
    done = treue(reference, "check", "--colour")
    assert done.code == 2
    assert "--colour" in done.err


def test_outside_a_workspace_the_way_to_one_is_told(
    treue: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = treue(None, "check")
    assert done.code == 2
    assert "treue init" in done.err


def test_the_workspace_is_found_from_a_folder_inside_it(
    treue: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files / "journeys")
    done = treue(None, "check", "welcome.yaml")
    assert done.code == 0, done.out


def test_a_reader_that_goes_away_gets_no_traceback(reference: Path) -> None:
    command = f"{sys.executable} -m treue --workspace {reference} compile welcome | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("welcome")
    assert "Traceback" not in done.stderr


def test_off_a_terminal_there_is_no_colour(reference: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    done = subprocess.run(
        [sys.executable, "-m", "treue", "--workspace", str(reference), "compile", "welcome"],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    assert "\x1b[" not in done.stdout + done.stderr
