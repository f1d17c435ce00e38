"""Every key has an example in the reference, and every example is what it says: accepted, with that key in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from treue.language.examples import EXAMPLES, WHOLE
from treue.language.grammar import INVALID, Context, Shape
from treue.language.problems import Problems, framed
from treue.language.source import read
from treue.vocabulary.reference import SHAPES, keys
from treue.vocabulary.registry import WORDS
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace
from treue.workspace.workspace import Workspace

PAIRS = {(shape.name, key.name) for shape in SHAPES for key in keys(shape)}


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return load(reference_workspace())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_key_has_an_example_that_is_accepted(shape: Shape, workspace: Workspace) -> None:
    for key in keys(shape):
        assert shape.example(key.name), f"give `{key.name}` of a {shape.name} one"
        text, problems = shape.sample(key.name), Problems()
        node = read("example.yaml", text, problems)
        found = shape.parse(node, _context(problems, workspace)) if node else INVALID
        assert not problems.all(), "\n".join(framed(problem, text) for problem in problems.all())
        assert found is not INVALID
        assert node is not None
        assert key.name in node.names()


def test_no_example_is_left_of_a_key_that_is_gone() -> None:
    written = {(shape, key) for shape, rows in EXAMPLES.items() for key in rows}
    written |= {(shape.name, key) for shape in SHAPES for key in shape.examples}
    assert written - PAIRS == set()
    assert set(WHOLE) - {shape.name for shape in SHAPES} == set()


def _context(problems: Problems, workspace: Workspace) -> Context:
    settings, segments = workspace.settings, workspace.segments
    schema = replace(
        settings.schema,
        attributes={**settings.schema.attributes, "points": "number", "tags": "list"},
        calls=("hooks.example.com",),
    )
    return Context(
        problems, schema, lambda name, place: segments[name].condition, ("cart.abandoned",), words=WORDS
    )
