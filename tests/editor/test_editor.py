"""What people see in an editor with a YAML language server: completion, hover text, mistakes underlined."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.editor.language_server import REPOSITORY, LanguageServer, command
from treue.language.schema import json_schema
from treue.vocabulary.registry import WORDS

HEAD = "# yaml-language-server: $schema=../treue.schema.json\n"
JOURNEY = """\
description: Greet a new customer.
category: relational
basis: consent
enter:
  event: customer.created
steps:
  - send: welcome
    on: email
  - wait: 2d
"""

NUMBERS = count()

pytestmark = pytest.mark.xdist_group("editor")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(REPOSITORY / "journeys", folder / "journeys")
    shutil.copytree(REPOSITORY / "segments", folder / "segments")
    shutil.copy(REPOSITORY / "treue.yaml", folder)
    (folder / "treue.schema.json").write_text(json.dumps(json_schema(WORDS)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LanguageServer]:
    program = command()
    if program is None:
        if os.environ.get("TREUE_REQUIRE_EDITOR"):
            pytest.fail("TREUE_REQUIRE_EDITOR is set, and there is no yaml-language-server")
        pytest.skip("no yaml-language-server: npm install --prefix .venv/npm yaml-language-server")
    with LanguageServer(program, root) as running:
        yield running


def opened(server: LanguageServer, root: Path, text: str) -> str:
    """Open a new journey with this text; return its address."""
    return server.open(root / "journeys" / f"new-{next(NUMBERS)}.yaml", HEAD + text)


def offered(server: LanguageServer, root: Path, text: str) -> dict[str, str]:
    """Return what is offered where `|` stands in a journey."""
    before, _, after = text.partition("|")
    uri = opened(server, root, before + after)
    lines = (HEAD + before).split("\n")
    return server.completions(uri, len(lines) - 1, len(lines[-1]))


def said(server: LanguageServer, root: Path, text: str) -> list[str]:
    uri = opened(server, root, text)
    return [found["message"] for found in server.diagnostics(uri)]


def test_the_reference_workspace_has_no_mistakes(server: LanguageServer, root: Path) -> None:
    for path in [root / "treue.yaml", *root.glob("*/*.yaml")]:
        uri = server.open(path, path.read_text(encoding="utf-8"))
        assert (path.name, server.diagnostics(uri)) == (path.name, [])


def test_the_keys_of_a_journey_are_offered_with_their_meaning(server: LanguageServer, root: Path) -> None:
    found = offered(server, root, JOURNEY + "|")
    assert {"goal", "exit", "holdout", "in_flight", "priority"} <= set(found)
    assert "success" in found["goal"]


def test_every_kind_of_step_is_offered(server: LanguageServer, root: Path) -> None:
    found = offered(server, root, JOURNEY + "  - |")
    assert {"send", "wait", "choose", "split", "set", "emit", "stop"} <= set(found)


def test_words_are_offered_where_only_words_fit(server: LanguageServer, root: Path) -> None:
    found = offered(server, root, JOURNEY.replace("relational", "|"))
    assert {"promotional", "relational", "transactional"} <= set(found)


def test_the_comparisons_of_a_condition_are_offered(server: LanguageServer, root: Path) -> None:
    text = JOURNEY + "  - send: welcome\n    on: email\n    if:\n      attribute: country\n      |"
    assert {"is", "in", "starts_with", "exists"} <= set(offered(server, root, text))


def test_resting_on_a_key_shows_its_meaning(server: LanguageServer, root: Path) -> None:
    uri = opened(server, root, JOURNEY + "holdout: 10%\n")
    line = (HEAD + JOURNEY).count("\n")
    assert "sent nothing" in server.hover(uri, line, 2)
    assert "outbox" in server.hover(uri, 7, 5)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("category: relational", "category: relationnal", 'Valid values: "promotional", "relational"'),
        ("    on: email", "    onn: email", "Property onn is not allowed"),
        ("wait: 2d", "wait: two days", "a duration such as `2d`"),
        ("enter:", "entr:", "Property entr is not allowed"),
    ],
)
def test_a_mistake_is_underlined(
    server: LanguageServer, root: Path, right: str, wrong: str, message: str
) -> None:
    assert said(server, root, JOURNEY) == []
    assert message in "\n".join(said(server, root, JOURNEY.replace(right, wrong)))
