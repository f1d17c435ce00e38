"""A folder becomes a workspace: what is found, what is passed over, and what is said about the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from treue.errors import UsageError, WorkspaceError
from treue.language.problems import Problem
from treue.segments.tree import InSegment
from treue.vocabulary.workspace import load
from treue.workspace.files import find_root, reference_workspace, template_folders, yaml_files
from treue.workspace.workspace import Workspace

SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels: {email: {adapter: inbox}}
customer: {country: text}
"""
JOURNEY = """\
description: Say hello.
category: transactional
enter: {manual: true}
steps: [{send: hello, on: email}]
"""
SEGMENT = "description: A case.\nwhere: {attribute: country, is: DE}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small workspace without problems."""
    put(tmp_path, "treue.yaml", SETTINGS)
    put(tmp_path, "journeys/hello.yaml", JOURNEY)
    put(tmp_path, "segments/german.yaml", SEGMENT)
    put(tmp_path, "templates/hello/email.html", "<p>Hello</p>")
    return tmp_path


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def said(workspace: Workspace) -> list[tuple[str, int, int, str]]:
    return [(p.place.file, p.place.line, p.place.column, p.code) for p in workspace.problems]


def only(workspace: Workspace) -> Problem:
    (problem,) = workspace.problems
    return problem


# --- where it is


def test_the_workspace_is_found_from_a_folder_deep_inside(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "journeys/drafts/old").mkdir(parents=True)
    monkeypatch.chdir(root / "journeys/drafts/old")
    assert find_root(None) == root


def test_the_nearest_workspace_wins(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "examples/inner/treue.yaml", SETTINGS)
    monkeypatch.chdir(root / "examples/inner")
    assert find_root(None) == root / "examples/inner"


def test_a_folder_that_is_named_must_be_a_workspace_itself(root: Path) -> None:
    assert find_root(root) == root
    with pytest.raises(UsageError, match=r"it has no treue\.yaml"):
        find_root(root / "journeys")


def test_outside_of_any_workspace_one_learns_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="treue init"):
        find_root(None)


def test_the_reference_workspace_is_found_and_has_no_problems() -> None:
    workspace = load(reference_workspace()).require()
    assert workspace.settings.workspace == "klangladen"
    assert len(workspace.journeys) >= 5
    assert len(workspace.segments) >= 5
    assert {journey.name for journey in workspace.journeys.values()} == set(workspace.journeys)


# --- which files


def test_tests_of_journeys_are_no_journeys(root: Path) -> None:
    put(root, "journeys/hello.test.yaml", "- test: nothing\n")
    assert set(load(root).require().journeys) == {"hello"}
    assert [path.name for path in yaml_files(root / "journeys", tests=True)] == ["hello.test.yaml"]


def test_hidden_files_notes_and_folders_are_passed_over(root: Path) -> None:
    put(root, "journeys/.hello.yaml", "- unfinished")
    put(root, "journeys/.#hello.yaml", "- unfinished")
    put(root, "journeys/README.md", "# Journeys")
    put(root, "journeys/drafts/next.yaml", "- unfinished")
    assert set(load(root).require().journeys) == {"hello"}


def test_both_endings_of_yaml_count(root: Path) -> None:
    put(root, "journeys/other.yml", JOURNEY)
    assert set(load(root).require().journeys) == {"hello", "other"}


def test_a_workspace_needs_nothing_but_its_settings(tmp_path: Path) -> None:
    put(tmp_path, "treue.yaml", SETTINGS)
    workspace = load(tmp_path).require()
    assert (workspace.journeys, workspace.segments, workspace.templates) == ({}, {}, {})


def test_a_template_is_a_folder_with_its_channels_and_locales(root: Path) -> None:
    for name in ("email.de.mjml", "email.txt", "sms.txt", "push.de-AT.txt", "notes.md", "email.mjml.bak"):
        put(root, f"templates/hello/{name}", "Hello")
    put(root, "templates/_layout/email.mjml", "")
    put(root, "templates/.drafts/email.mjml", "")
    folders = template_folders(root)
    assert set(folders) == {"hello"}
    assert folders["hello"].channels == ("email", "push", "sms")
    assert set(folders["hello"].variants) == {("email", ""), ("email", "de"), ("push", "de-AT"), ("sms", "")}


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("journeys/Hello.yaml", "hello.yaml"),
        ("journeys/say_hello.yaml", "say-hello.yaml"),
        ("journeys/grüße.yaml", "gruesse.yaml"),
        ("journeys/hello..yaml", "hello.yaml"),
        ("journeys/cafés.yaml", "cafes.yaml"),
        ("segments/Big Spenders.yaml", "big-spenders.yaml"),
    ],
)
def test_names_are_small_letters_digits_and_dashes(root: Path, name: str, right: str) -> None:
    put(root, name, JOURNEY if name.startswith("journeys") else SEGMENT)
    problem = only(load(root))
    assert (problem.place.file, problem.code) == (name, "T208")
    assert problem.suggestion == f"Rename it to `{right}`."


def test_a_file_with_an_unusable_name_is_not_loaded(root: Path) -> None:
    put(root, "journeys/Hello You.yaml", JOURNEY)
    assert set(load(root).journeys) == {"hello"}


# --- files that cannot be read


def test_settings_that_are_not_there_are_the_only_problem(root: Path) -> None:
    (root / "treue.yaml").unlink()
    put(
        root,
        "journeys/more.yaml",
        JOURNEY.replace("manual: true", "event: order.placed, if: {attribute: age, is: 5}"),
    )
    assert said(load(root)) == [("treue.yaml", 1, 1, "T106")]


def test_a_file_that_is_not_utf_8_is_said_with_its_place(root: Path) -> None:
    put(root, "journeys/hello.yaml", "description: x\n# für: ".encode() + "Grüße".encode("latin-1"))
    problem = only(load(root))
    assert (problem.place.line, problem.place.column, problem.code) == (2, 10, "T106")
    assert problem.suggestion == "Save it as UTF-8."


def test_a_byte_order_mark_does_no_harm(root: Path) -> None:
    put(root, "journeys/hello.yaml", b"\xef\xbb\xbf" + JOURNEY.encode())
    assert set(load(root).require().journeys) == {"hello"}


def test_a_folder_in_place_of_the_settings_is_a_problem(root: Path) -> None:
    (root / "treue.yaml").unlink()
    (root / "treue.yaml").mkdir()
    problem = only(load(root))
    assert (problem.code, problem.message) == ("T106", "The file cannot be read: it is a folder.")


def test_a_file_nobody_may_read_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: Path, *args: int) -> int:
        if path.name == "hello.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    monkeypatch.setattr("treue.workspace.files.os.open", refuse)
    problem = only(load(root))
    assert (problem.place.file, problem.message) == (
        "journeys/hello.yaml",
        "The file cannot be read: its permissions forbid it.",
    )


def test_a_huge_file_is_refused_before_it_is_read_whole(root: Path) -> None:
    with (root / "journeys/hello.yaml").open("wb") as file:
        file.truncate(1024**3)
    assert said(load(root)) == [("journeys/hello.yaml", 1, 1, "T103")]


# --- problems, and files that hang together


def test_requiring_a_workspace_with_problems_shows_all_of_them(root: Path) -> None:
    put(root, "journeys/hello.yaml", JOURNEY.replace("send: hello", "send: helo").replace("Say", '"Say'))
    put(root, "segments/german.yaml", SEGMENT.replace("country", "contry"))
    with pytest.raises(WorkspaceError) as raised:
        load(root).require()
    message = str(raised.value)
    assert "journeys/hello.yaml:1:14 T101" in message
    assert "Did you mean `country`?" in message
    assert message.endswith("2 problems in this workspace.")


def test_a_problem_is_json_for_scripts(root: Path) -> None:
    put(root, "segments/german.yaml", SEGMENT.replace("country", "contry"))
    assert json.loads(json.dumps(only(load(root)).as_json())) == {
        "file": "segments/german.yaml",
        "line": 2,
        "column": 20,
        "code": "T304",
        "message": "There is no attribute `contry`.",
        "suggestion": "Did you mean `country`?",
    }


def test_a_segment_carries_the_condition_of_the_one_it_names(root: Path) -> None:
    put(root, "segments/a-first.yaml", "description: x\nwhere: {not: {segment: german}}\n")
    segments = load(root).require().segments
    inner = segments["a-first"].condition.part  # type: ignore[union-attr]
    assert inner == InSegment("german", segments["german"].condition)


def test_every_circle_of_segments_is_said_once(root: Path) -> None:
    for name, other in {"a": "b", "b": "a", "c": "d", "d": "d", "e": "german", "f": "a"}.items():
        put(root, f"segments/{name}.yaml", f"description: x\nwhere: {{segment: {other}}}\n")
    workspace = load(root)
    assert [(p.place.file, p.message.split(": ")[1]) for p in workspace.problems] == [
        ("segments/b.yaml", "a → b → a."),
        ("segments/d.yaml", "d → d."),
    ]
    assert set(workspace.segments) == {"german", "e"}


@pytest.mark.parametrize("start", ["s", "z"])
def test_segments_may_not_name_each_other_without_end(root: Path, start: str) -> None:
    names = [f"{start}{n:04}" for n in range(2000)]
    for name, other in zip(names, [*names[1:], "german"], strict=True):
        put(root, f"segments/{name}.yaml", f"description: x\nwhere: {{segment: {other}}}\n")
    problem = only(load(root))
    assert problem.code == "T103"
    assert "With the segments it names" in problem.message


def test_the_property_of_an_event_may_be_called_segment(root: Path) -> None:
    put(root, "treue.yaml", SETTINGS + "events: {moved: {segment: text}}\n")
    put(root, "segments/vip.yaml", "description: x\nwhere: {event: moved, where: {segment: vip}}\n")
    assert "vip" in load(root).require().segments


def test_texts_are_kept_to_show_problems_with(root: Path) -> None:
    assert set(load(root).texts) == {"treue.yaml", "journeys/hello.yaml", "segments/german.yaml"}


# --- speed


def test_loading_imports_nothing_heavy(root: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom treue.vocabulary.workspace import load\n"
        "load(Path(sys.argv[1])).require()\nprint('\\n'.join(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "yaml" in loaded
    heavy = {
        "sqlalchemy",
        "sqlmodel",
        "pydantic",
        "prefect",
        "fastapi",
        "jinja2",
        "babel",
        "rich",
        "typer",
        "httpx",
    }
    assert loaded & heavy == set()


def test_a_copy_of_the_reference_workspace_loads_alike(tmp_path: Path) -> None:
    source = reference_workspace()
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(source / name, tmp_path / name)
    shutil.copyfile(source / "treue.yaml", tmp_path / "treue.yaml")
    assert load(tmp_path).require().journeys == load(source).require().journeys


# --- what stands in the place of a file


def no_file(path: Path, kind: str) -> None:
    """Put something in the place of a file that is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("nothing-here")


NO_FILES = {
    "folder": "it is a folder",
    "pipe": "it is no file but a pipe or a device",
    "device": "it is no file but a pipe or a device",
    "loop": "it is a link that leads back to itself",
    "nowhere": "it is a link that leads nowhere",
}


@pytest.mark.parametrize(("kind", "why"), NO_FILES.items())
@pytest.mark.parametrize("name", ["journeys/other.yaml", "segments/other.yaml", "journeys/hello.test.yaml"])
def test_what_is_no_file_is_a_problem_with_its_place_and_the_rest_goes_on(
    root: Path, kind: str, why: str, name: str
) -> None:
    no_file(root / name, kind)
    loaded = load(root, tests=True)
    (problem,) = loaded.problems
    assert (problem.place.file, problem.code, problem.message) == (
        name,
        "T106",
        f"The file cannot be read: {why}.",
    )
    assert set(loaded.journeys) == {"hello"}


@pytest.mark.parametrize(("kind", "why"), NO_FILES.items())
def test_settings_that_are_no_file_are_told_as_what_they_are(tmp_path: Path, kind: str, why: str) -> None:
    no_file(tmp_path / "treue.yaml", kind)
    with pytest.raises(UsageError, match=f"treue.yaml cannot be read: {why}"):
        find_root(tmp_path)


PLACES = ("segments", "templates", "channels", "templates/other")


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        *((name, "loop", "it is a link that leads back to itself") for name in PLACES),
        *((name, "nowhere", "it is a link that leads nowhere") for name in PLACES),
        *((name, "pipe", "it is no folder") for name in PLACES if "/" not in name),
    ],
)
def test_what_has_the_place_of_a_folder_is_a_problem_too(root: Path, name: str, kind: str, why: str) -> None:
    for path in sorted((root / name).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if (root / name).exists():
        (root / name).rmdir()
    no_file(root / name, kind)
    found = [one for one in load(root).problems if one.code == "T106"]
    assert [(one.place.file, one.message) for one in found] == [
        (name, f"Nothing in this folder can be read: {why}.")
    ]


def test_twenty_thousand_unknown_keys_are_a_hundred_problems(root: Path) -> None:
    put(root, "journeys/keys.yaml", "description: x\n" + "".join(f"kee{n}: 1\n" for n in range(20_000)))
    found = [one for one in load(root).problems if one.place.file == "journeys/keys.yaml"]
    assert len(found) == 101
    assert found[-1].message == "There is more wrong in this file; put the rest right first."
