"""The JSON Schema for editors agrees with the parser it is made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from treue.language.grammar import Later, Shape
from treue.language.journey import GOAL, JOURNEY
from treue.language.pressure import LIMIT
from treue.language.problems import Problems
from treue.language.scenario import ACTS, EXPECTATIONS, scenario_shapes
from treue.language.schema import json_schema
from treue.language.settings import SEGMENT, SENDER, SETTINGS, SOURCE
from treue.language.source import Items, Mapping, Node, read_any
from treue.language.triggers import enter_shape
from treue.vocabulary.registry import WORDS
from treue.workspace.files import reference_workspace

CONDITIONS = WORDS.conditions
SCHEMA = json_schema(WORDS)
VALIDATOR = Draft202012Validator(SCHEMA)
SHAPES = [
    *(
        kind
        for kind in (*WORDS.steps.values(), *CONDITIONS.values(), *scenario_shapes(ACTS, EXPECTATIONS))
        if isinstance(kind, Shape)
    ),
    *WORDS.parts["step"],
    *(enter_shape(WORDS.triggers), GOAL, JOURNEY, LIMIT, SEGMENT, SENDER, SETTINGS, SOURCE),
]
UNSEEN = {"typo-where-operators"}
"""What an editor cannot know: the properties of an event are not in the schema."""


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    return [plain(item) for item in node.nodes] if isinstance(node, Items) else node.value


def loaded(text: str) -> Any:
    node = read_any("x.yaml", text, Problems())
    return None if node is None else plain(node)


def files(root: Path) -> Iterator[Path]:
    yield root / "treue.yaml"
    for folder in ("journeys", "segments"):
        yield from sorted((root / folder).glob("*.yaml"))


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from objects(part)


def test_it_is_a_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_in_it_leads_somewhere() -> None:
    targets = {part["$ref"].removeprefix("#/$defs/") for part in objects(SCHEMA) if "$ref" in part}
    assert targets == set(SCHEMA["$defs"])


def test_every_key_has_a_description() -> None:
    keys = [
        (name, key)
        for shape in objects(SCHEMA)
        if isinstance(shape.get("properties"), dict) and shape.get("type") == "object"
        for name, key in shape["properties"].items()
    ]
    assert len(keys) > 50
    assert [name for name, key in keys if not key.get("description")] == []


@pytest.mark.parametrize("path", list(files(reference_workspace())), ids=lambda path: path.name)
def test_it_accepts_the_reference_workspace(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(loaded(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize("path", list(files(Path(__file__).parent / "base")), ids=lambda path: path.name)
def test_it_accepts_what_the_parser_accepts(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(loaded(path.read_text(encoding="utf-8")))] == []


def test_it_accepts_the_cases_that_are_fine(cases: dict[str, Any]) -> None:
    texts = [text for name, case in cases.items() if name.startswith("fine-") for text in case.files.values()]
    assert len(texts) >= 3
    assert [text for text in texts if not VALIDATOR.is_valid(loaded(text))] == []


def test_it_refuses_every_misspelt_key_that_it_can_see(cases: dict[str, Any]) -> None:
    typos = {name: case for name, case in cases.items() if name.startswith("typo-") and name not in UNSEEN}
    assert len(typos) >= 12
    accepted = [
        (name, file)
        for name, case in typos.items()
        for file, text in case.files.items()
        if VALIDATOR.is_valid(loaded(text))
    ]
    assert accepted == []


@pytest.mark.parametrize(
    "name",
    [
        "durations",
        "weights",
        "empty-lists",
        "missing-keys",
        "two-in-one",
        "words-of-a-journey",
        "later-steps",
        "test-says-nothing",
        "words-of-limits",
        "wrong-types-in-limits",
        "quiet-hours",
    ],
)
def test_it_refuses_what_else_an_editor_can_see(cases: dict[str, Any], name: str) -> None:
    assert [file for file, text in cases[name].files.items() if VALIDATOR.is_valid(loaded(text))] == []


def test_every_key_says_what_belongs_there() -> None:
    keys = [key for shape in SHAPES for key in shape.keys]
    assert len(keys) > 50
    assert [
        key.name for key in keys if not key.kind.noun or not (key.doc or isinstance(key.kind, Later))
    ] == []
