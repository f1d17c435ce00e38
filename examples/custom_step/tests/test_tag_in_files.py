"""`tag` in files: what is said of mistakes, what editors and the reference show, what a plan keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from treue_tag.word import Tag

from treue.language.problems import framed
from treue.language.schema import json_schema
from treue.plan.flatten import build
from treue.plan.stored import plan_hash, to_json
from treue.vocabulary.reference import of_word
from treue.vocabulary.registry import WORDS
from treue.vocabulary.workspace import load

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, found: str) -> None:
    """Hold a text to the file in which somebody last read it; TREUE_REWRITE_GOLDEN=1 writes today's."""
    path = GOLDEN / name
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


MISTAKES = {
    "a-template": ("tags: list", '{tag: "{{ customer.country }}"}'),
    "capitals": ("tags: list", "{tag: At Home}"),
    "a-list": ("tags: list", "{tag: [a, b]}"),
    "misspelt": ("tags: list", "{tga: vip}"),
    "unknown-key": ("tags: list", "{tag: vip, on: email}"),
    "no-attribute": ("points: number", "{tag: vip}"),
    "no-list": ("tags: text", "{tag: vip}"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_with_its_place_and_a_remedy(shop: Path, name: str) -> None:
    """Each as `treue check` shows it."""
    attribute, step = MISTAKES[name]
    settings = (shop / "treue.yaml").read_text(encoding="utf-8")
    (shop / "treue.yaml").write_text(settings.replace("tags: list", attribute), encoding="utf-8")
    (shop / "journeys" / "loyal.test.yaml").unlink()
    head = (shop / "journeys" / "loyal.yaml").read_text(encoding="utf-8").partition("steps:")[0]
    (shop / "journeys" / "loyal.yaml").write_text(f"{head}steps:\n  - {step}\n", encoding="utf-8")
    found = load(shop)
    said = "\n".join(framed(one, found.texts.get(one.place.file)) for one in found.problems)
    golden(f"{name}.txt", f"{said}\n")


def test_a_test_that_expects_a_tag_nobody_gives_is_said(shop: Path) -> None:
    """With the tag that was meant."""
    path = shop / "journeys" / "loyal.test.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("tag: at-home", "tag: at-hom"), encoding="utf-8")
    (problem,) = load(shop, tests=True).problems
    assert (problem.code, problem.message) == ("T330", "The journey `loyal` gives no tag `at-hom`.")
    assert problem.suggestion == "Did you mean `at-home`?"


def test_editors_mark_what_is_no_tag() -> None:
    """By the JSON Schema, which shows the example as well."""
    schema = json_schema(WORDS)
    step = {"$ref": "#/$defs/step", "$defs": schema["$defs"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tag": "At Home"}, step)
    assert "Example: `tag: vip`" in schema["$defs"]["tag-step"]["properties"]["tag"]["description"]


def test_its_section_of_the_reference() -> None:
    """As `python -m treue.vocabulary.reference tag` prints it."""
    golden("reference.md", of_word("tag"))


def test_a_plan_keeps_it_as_it_was_kept_before(shop: Path) -> None:
    """The file is what databases hold: change the class so that they can still be read."""
    plan = build(load(shop).require().journeys["loyal"])
    golden("plan.json", json.dumps({"hash": plan_hash(plan), "plan": to_json(plan)}, indent=2) + "\n")
    assert [stage.words() for stage in plan.stages if isinstance(stage, Tag)] == [
        "tag customer",
        "tag at-home",
    ]
