"""YAML 1.2 and no more: what stays text, what becomes a value, and where each stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from treue.language.problems import Place, Problem, Problems, did_you_mean, framed, nearest
from treue.language.source import Items, Mapping, Scalar, read
from treue.vocabulary.steps.emit.word import Emit
from treue.vocabulary.steps.send.word import Send
from treue.vocabulary.steps.set.word import Set


def value(text: str) -> Any:
    root = read("x.yaml", f"a: {text}", Problems())
    assert root is not None
    node = root.get("a")
    assert isinstance(node, Scalar)
    return node.value


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "No",
        "NO",
        "y",
        "22:30",
        "08:00",
        "1:2:3",
        "010",
        "007",
        "01067",
        "0x1F",
        "0o17",
        "1_000",
        "2027-03-01",
        "1.2.3",
        "1e",
        "+",
        "-x",
        ".",
        "=",
        "true story",
        "nullable",
        "9" * 19,
        "1." + "1" * 50,
    ],
)
def test_it_stays_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_it_becomes_a_value(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["true", "7", "null", "~", "", "1.5"])
def test_in_quotes_everything_is_text(text: str) -> None:
    assert value(f'"{text}"') == text
    assert value(f"'{text}'") == text


def test_every_node_knows_its_place() -> None:
    root = read("x.yaml", "ä: [1, zwei]\nb:\n  c: drei\n", Problems())
    assert root is not None
    items, inner = root.get("ä"), root.get("b")
    assert isinstance(items, Items)
    assert isinstance(inner, Mapping)
    assert items.nodes[1].place == Place("x.yaml", 1, 8, 4)
    key, drei = inner.entries[0]
    assert (key.place, drei.place) == (Place("x.yaml", 3, 3, 1), Place("x.yaml", 3, 6, 4))


def test_what_a_journey_says_reaches_the_plan_as_it_was_written(
    cases: dict[str, Any], tmp_path: Path
) -> None:
    journey = cases["fine-words-stay-text"].workspace(tmp_path).require().journeys["case"]
    send, set_ = journey.steps
    assert isinstance(send, Send)
    assert isinstance(set_, Set)
    assert journey.description == "no"
    assert journey.enter.trigger.where[0].ops[0].values == ("010",)
    assert journey.enter.when.ops[0].values == ("NO", "on", "off", "yes")  # type: ignore[union-attr]
    assert dict(send.data)["time"] == "22:30"
    assert dict(set_.values) == {"country": "NO", "first_name": "1.10"}


def test_values_of_an_event_or_attribute_have_its_declared_type(base: Path) -> None:
    from treue.vocabulary.workspace import load

    *_, set_, emit = load(base).journeys["everything"].steps
    assert isinstance(set_, Set)
    assert isinstance(emit, Emit)
    assert dict(emit.data) == {"cart_id": "007", "total": 9.9}
    assert dict(set_.values)["birthday"] == "2001-02-03"
    assert dict(set_.values)["points"] == 5


@pytest.mark.parametrize(
    ("word", "words", "found"),
    [
        ("sned", ["send", "set"], "send"),
        ("Send", ["send"], "send"),
        ("valid-for", ["valid_for"], "valid_for"),
        ("fi", ["if", "id"], "if"),
        ("greater_than", ["above", "below"], "above"),
        ("equals", ["above", "below"], None),
        ("xyz", ["send", "set"], None),
        ("", ["send"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_word_is_the_one_that_was_meant(word: str, words: list[str], found: str | None) -> None:
    assert nearest(word, words) == found


def test_where_no_word_is_near_a_short_list_is_given_and_a_long_one_is_not() -> None:
    assert did_you_mean("x", ["beta", "alpha"]) == "Known are `alpha` and `beta`."
    assert did_you_mean("x", ["alpha"], "Declare it.") == "Declare it."
    assert did_you_mean("x", [f"word{n}" for n in range(13)], "Declare it.") == "Declare it."
    assert did_you_mean("x", []) is None


def test_a_problem_is_shown_with_its_line_a_caret_and_what_to_do() -> None:
    problem = Problem(Place("a.yaml", 2, 4, 3), "T203", "Wrong.", "Right it.")
    assert framed(problem, "one\nx: two\n").splitlines() == [
        "a.yaml:2:4 T203 Wrong.",
        "  2 | x: two",
        "    |    ^^^",
        "    = Right it.",
    ]


def test_a_problem_without_its_text_is_shown_all_the_same() -> None:
    assert framed(Problem(Place("a.yaml", 9, 1), "T106", "Gone."), None) == "a.yaml:9:1 T106 Gone."


def test_the_same_problem_is_listed_once_and_all_are_in_order() -> None:
    problems = Problems()
    for line in (3, 1, 3):
        problems.add(Place("a.yaml", line, 1), "T203", "Wrong.")
    assert [problem.place.line for problem in problems] == [1, 3]
