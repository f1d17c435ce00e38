"""The page of mistakes: each is made in a workspace of its own, says what the page shows, and is mended by its remedy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli import conftest
from tests.cli.calling import Done, Run

ROOT = Path(__file__).parents[2]
treue = conftest.treue
PAGE = (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^### (\d+)\. (.+)\n", re.MULTILINE)
REMEDY = re.compile(r"^Instead[:,]", re.MULTILINE)
FRAMED = re.compile(
    r"^(?P<file>\S+):(?P<line>\d+):(?P<column>\d+) (?P<code>T\d{3}) .+\n"
    r" +(?P=line) \| (?P<source>.*)\n"
    r" +\| (?P<blank> *)\^+\n"
    r" += .+$",
    re.MULTILINE,
)
"""A problem with all that belongs to it: place, cause, the line with a caret, remedy."""
PLACES = {
    "test": re.compile(r"^ +- .+\((?P<file>\S+):(?P<line>\d+)\)\n +\+ .+  ← .+$", re.MULTILINE),
    "events": re.compile(r"^  line (?P<line>\d+): (?P<column>\w+): .+; write .+$", re.MULTILINE),
    "customers": re.compile(
        r"^treue: (?P<file>\S+) has a column `(?P<column>[^`]+)`, .+ `\w+`\.$", re.MULTILINE
    ),
}
"""How a test, and a file that is imported, name place, cause and remedy."""


@dataclass(frozen=True)
class Part:
    """What one half of a section shows: files, commands, and what comes out of them."""

    files: dict[str, str]
    commands: tuple[str, ...]
    shown: tuple[str, ...]


def read(text: str) -> Part:
    fences = FENCE.findall(text)
    return Part(
        {file: inside for _, file, inside in fences if file},
        tuple(inside.strip() for language, file, inside in fences if language == "sh" and not file),
        tuple(inside for language, file, inside in fences if language == "text" and not file),
    )


@dataclass(frozen=True)
class Mistake:
    number: int
    title: str
    written: Part
    instead: Part

    @property
    def command(self) -> str:
        (command,) = self.written.commands
        return command

    @property
    def said(self) -> str:
        (said,) = self.written.shown
        return said


def mistakes() -> list[Mistake]:
    _, *parts = SECTION.split(PAGE)
    found = []
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        written, instead = REMEDY.split(body)
        found.append(Mistake(int(number), title, read(written), read(instead)))
    return found


BASE = read(SECTION.split(PAGE)[0])
MISTAKES = mistakes()


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def call(treue: Run, command: str) -> Done:
    name, *arguments = shlex.split(command)
    assert name == "treue"
    return treue(None, *arguments)


def without_blank_ends(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of the page, with nobody's mistake in it yet, as the folder one stands in."""
    lay(tmp_path, BASE.files)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_twenty_four_mistakes_in_order() -> None:
    assert [one.number for one in MISTAKES] == list(range(1, 25))
    assert len({one.title for one in MISTAKES}) == 24


def test_the_workspace_of_the_page_has_no_problems(treue: Run, workspace: Path) -> None:
    done = call(treue, "treue check")
    assert (done.code, done.out) == (0, "0 journeys, 1 segment, 2 templates: no problems.\n")


def test_the_mistakes_are_of_many_kinds() -> None:
    codes = {found["code"] for one in MISTAKES for found in FRAMED.finditer(one.said)}
    assert len(codes) >= 15
    assert {one.command.split()[1] for one in MISTAKES} == {"check", "plan", "test", "import"}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: f"{one.number}")
def test_each_says_place_cause_and_remedy_and_the_remedy_mends_it(
    mistake: Mistake,
    treue: Run,
    workspace: Path,
) -> None:
    lay(workspace, mistake.written.files)
    done = call(treue, mistake.command)
    assert without_blank_ends(done.out + done.err) == without_blank_ends(mistake.said)
    places = found_places(mistake, workspace)
    assert places != []
    assert set(mistake.instead.files) <= files_of(workspace), "the remedy mends a file that is there"

    lay(workspace, mistake.instead.files)
    mended = call(treue, (mistake.instead.commands or (mistake.command,))[0])
    assert (mended.code, mended.err) == (0, "")
    assert re.findall(r"T\d{3}|warning|set aside|✗", mended.out) == []
    checked = call(treue, "treue check")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.endswith(" templates: no problems.\n")


def files_of(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def found_places(mistake: Mistake, root: Path) -> Sequence[str]:
    """Return the places that are named, after a look whether the words stand there."""
    verb, what = (*mistake.command.split()[1:3], "")[:2]
    if verb in ("check", "plan"):
        framed = list(FRAMED.finditer(mistake.said))
        assert len(framed) == len(re.findall(r" T\d{3} ", mistake.said)), "each with line, caret and remedy"
        for one in framed:
            line = (root / one["file"]).read_text(encoding="utf-8").splitlines()[int(one["line"]) - 1]
            assert one["source"] == line.replace("\t", " ")
            assert len(one["blank"]) == int(one["column"]) - 1
        return [one["file"] for one in framed]
    named = list(PLACES[what if verb == "import" else verb].finditer(mistake.said))
    for one in named:
        known = one.groupdict()
        file = known.get("file") or next(iter(mistake.written.files))
        lines = (root / file).read_text(encoding="utf-8").splitlines()
        if "line" in known:
            assert lines[int(known["line"]) - 1]
        if "column" in known:
            assert known["column"] in re.split("[,;]", lines[0])
    return [one[0] for one in named]
