"""The page about words of one's own: its code is the example's, and what it lists is what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from treue.language.steps import Container, Leaf
from treue.language.words import Word

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "custom_step"
SOURCES = [path.read_text(encoding="utf-8") for path in (*EXAMPLE.rglob("*.py"), EXAMPLE / "pyproject.toml")]
CODE = re.findall(r"^```(?:python|toml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", CODE, ids=lambda code: code.split("\n")[0].strip())
def test_its_code_is_taken_from_the_example(code: str) -> None:
    assert any(code in source for source in SOURCES)


def test_every_field_of_a_word_is_told() -> None:
    table = PAGE.partition("## The light face")[0]
    assert [one.name for one in fields(Word)] == re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_what_a_step_may_be_asked_is_what_the_core_asks() -> None:
    table = PAGE.partition("| of a step | who asks |")[2].partition("\n\n")[0]
    named = [
        name
        for line in table.splitlines()
        for name in re.findall(r"`(\w+)`", line.split("|")[1] if line else "")
    ]
    assert named
    assert [name for name in named if not (hasattr(Leaf, name) or hasattr(Container, name))] == []


@pytest.mark.parametrize("dotted", sorted(set(re.findall(r"`(treue\.[a-z_.]+\.[A-Z]\w+)`", PAGE))))
def test_what_it_names_is_there(dotted: str) -> None:
    module, _, name = dotted.rpartition(".")
    assert hasattr(__import__(module, fromlist=[name]), name)
