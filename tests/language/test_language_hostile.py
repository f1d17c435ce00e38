"""Files meant to hurt: each ends with problems, none with an exception, and none takes long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treue.language.conditions import OPERATORS
from treue.language.grammar import Context, Schema
from treue.language.journey import JOURNEY
from treue.language.problems import MOST_IN_A_FILE, Place, Problem, Problems, framed, nearest
from treue.language.settings import SEGMENT, SETTINGS, declared_schema
from treue.language.source import MAX_BYTES, read
from treue.language.triggers import enter_shape
from treue.model.states import BUILT_IN_EVENTS
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.registry import WORDS as INSTALLED

SHAPES = (JOURNEY, SEGMENT, SETTINGS)
CONDITIONS = INSTALLED.conditions
SCHEMA = Schema(
    {"country": "text", "points": "number", "birthday": "date", "vip": "bool", "tags": "list"},
    {**BUILT_IN_EVENTS, "order.placed": {"total": "number", "items": "list"}},
    ("email", "sms"),
)
JOURNEY_HEAD = "description: x\ncategory: transactional\nenter: {manual: true}\n"
MOST = MAX_BYTES - 200
UNHURRIED = settings(deadline=None)
UNHURRIED_AND_THOROUGH = settings(deadline=None, max_examples=300)


def everything_said(text: str) -> list[Problem]:
    """Read a text and parse it as each kind of file; return all problems, each put into a frame."""
    problems = Problems()
    root = read("x.yaml", text, problems)
    if root is not None:
        for shape in SHAPES:
            shape.parse(
                root, Context(problems, SCHEMA, lambda name, place: HasConsent("email"), words=INSTALLED)
            )
        declared_schema(root)
    assert all(framed(problem, text) for problem in problems.all()[:20])
    return problems.all()


def only(text: str) -> tuple[str, int, int]:
    problems = Problems()
    assert read("x.yaml", text, problems) is None
    (problem,) = problems.all()
    return problem.code, problem.place.line, problem.place.column


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 3000, "- " * 5000], ids=lambda text: text[:4])
def test_bottomless_nesting_stops_at_the_limit(text: str) -> None:
    code, line, _ = only(text)
    assert (code, line) == ("T103", 1)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: [*a, *a]\n",
        "a: &a {x: 1}\nb: {<<: [*a, *a]}\n",
        "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'x'}]\n" for n in range(10)),
        "a: &a {x: 1}\n" + "".join(f"m{n}: {{<<: *a}}\n" for n in range(1500)),
    ],
    ids=["alias", "merge", "billion laughs", "26 kB of merges"],
)
def test_a_bomb_of_aliases_ends_at_its_first_anchor(text: str) -> None:
    assert only(text) == ("T102", 1, text.index("&") + 1)


def test_a_merge_of_something_written_out_is_refused() -> None:
    problems = Problems()
    root = read("x.yaml", "a: {<<: {x: 1}, y: 2}", problems)
    assert [(p.code, p.place.column) for p in problems.all()] == [("T102", 5)]
    assert root is not None


def test_a_megabyte_is_too_large() -> None:
    assert only("a: 1\n" * 200_000) == ("T103", 1, 1)


def test_the_limit_counts_bytes_not_characters() -> None:
    fits, too_large = "a: " + "ä" * ((MAX_BYTES - 4) // 2), "a: " + "ä" * (MAX_BYTES // 2)
    problems = Problems()
    assert read("x.yaml", fits, problems) is not None
    assert only(too_large) == ("T103", 1, 1)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\nb: \0", 2, 4), ("ä: ü\nß: \x1b[31m", 2, 4), ("a: \x07", 1, 4), ("\x7f", 1, 1)],
)
def test_an_invisible_character_is_found_where_it_stands(text: str, line: int, column: int) -> None:
    assert only(text) == ("T101", line, column)


def test_a_lone_surrogate_is_not_utf_8() -> None:
    assert only("a: \ud800") == ("T106", 1, 1)


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    root = read("x.yaml", "\ufeffa: 1", Problems())
    assert root is not None
    assert root.names() == ["a"]


def test_terminal_codes_in_a_line_never_reach_the_terminal() -> None:
    text = "a: \x1b[31mred"
    problems = Problems()
    read("x.yaml", text, problems)
    assert "\x1b" not in framed(problems.all()[0], text)


def test_a_very_long_line_is_shown_in_part_with_the_caret_below_its_place() -> None:
    line = "x" * 5000 + "HERE" + "y" * 5000
    shown = framed(Problem(Place("x.yaml", 1, 5001, 4), "T203", "Wrong."), line).splitlines()
    assert len(shown[1]) < 200
    start = shown[2].index("^")
    assert shown[1][start : start + 4] == "HERE"
    assert shown[2].strip(" |1") == "^^^^"


HEAVY = {
    "10,000 unknown keys": "".join(f"k{n}: 1\n" for n in range(10_000)),
    "the same key 40,000 times": "a: 1\n" * 40_000,
    "a very long text": "description: " + "a" * MOST,
    "a very long key": "a" * MOST + ": 1",
    "quotes": '"' * MOST,
    "colons": "a: " * (MOST // 3),
    "tabs": "\t" * MOST,
    "exclamation marks": "!" * MOST,
    "escapes": 'a: "' + "\\x41" * (MOST // 4) + '"',
    "steps that are none": JOURNEY_HEAD + "steps:\n" + "- a\n" * (MOST // 4),
    "empty steps": JOURNEY_HEAD + "steps:\n" + "- {}\n" * (MOST // 5),
    "steps of one id": JOURNEY_HEAD + "steps:\n" + "- {id: a, stop: true}\n" * (MOST // 24),
    "unknown channels": JOURNEY_HEAD + "steps: [{send: x, on: [" + "y," * (MOST // 2) + "]}]",
    "values in a list": "description: x\nwhere: {attribute: country, in: [" + "b," * (MOST // 2) + "]}",
    "dots in an address": "sender: {name: x, email: a@" + "." * MOST + "@, postal_address: x}",
    "parts of an address": "sender: {name: x, email: 'a@" + "a." * (MOST // 2) + "@', postal_address: x}",
    "schemes in an address": 'database: "' + "://:" * (MOST // 4) + '"',
    "open variables": 'database: "' + "${A:-" * (MOST // 5) + '"',
    "dashes in a name": "workspace: " + "a-" * 100_000 + "!",
    "digits in a cron expression": JOURNEY_HEAD.replace(
        "manual: true", f"segment: x, schedule: '0 9 * * {'9' * 5000}'"
    ),
    "digits in a duration": JOURNEY_HEAD + "steps: [{wait: " + "9" * 5000 + "d}]",
    "words in a duration": JOURNEY_HEAD + "steps: [{wait: " + "1 day " * 30_000 + "}]",
    "digits in a number": JOURNEY_HEAD + "priority: " + "9" * 5000,
    "years ago": "description: x\nwhere: {attribute: birthday, before: " + "9" * 5000 + "y ago}",
    "wrong types": "customer:\n" + "".join(f"  a{n}: tex\n" for n in range(15_000)),
}


@pytest.mark.parametrize("text", HEAVY.values(), ids=HEAVY)
def test_a_heavy_file_ends_with_problems(text: str) -> None:
    assert everything_said(text)


def test_a_file_with_thousands_of_mistakes_lists_a_hundred_and_says_there_are_more() -> None:
    problems = Problems()
    root = read("x.yaml", HEAVY["10,000 unknown keys"], problems)
    assert root is not None
    JOURNEY.parse(root, Context(problems, words=INSTALLED))
    assert len(problems) == MOST_IN_A_FILE + 1
    assert problems.all()[-1].message == "There is more wrong in this file; put the rest right first."


@UNHURRIED
@given(st.text())
def test_no_text_makes_reading_raise(text: str) -> None:
    everything_said(text)


@UNHURRIED
@given(st.text(alphabet="ab:-[]{},&*!|>'\"%@`#?<~ \n\t0.\\$", max_size=60))
def test_no_punctuation_makes_reading_raise(text: str) -> None:
    everything_said(text)


@UNHURRIED
@given(st.text(alphabet="0123456789*/,-#LWMONJAN ", max_size=30))
def test_no_cron_expression_makes_parsing_raise(text: str) -> None:
    everything_said(JOURNEY_HEAD.replace("manual: true", f"segment: x, schedule: {json.dumps(text)}"))


WORDS = sorted(
    {key.name for shape in (*SHAPES, enter_shape(INSTALLED.triggers)) for key in shape.keys}
    | {
        *CONDITIONS,
        *OPERATORS,
        *INSTALLED.steps,
        "if",
        "else",
        "id",
        "on",
        "data",
        "was",
        "weight",
        "adapter",
        "rate",
    }
    | {
        "country",
        "points",
        "birthday",
        "vip",
        "tags",
        "order.placed",
        "total",
        "items",
        "email",
        "secret",
        "map",
    }
)
VALUES = [
    *WORDS,
    "2d",
    "2 days",
    "10%",
    "30d ago",
    "2026-03-01",
    "never",
    "any",
    "entry",
    "order.placed.total",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(VALUES),
    st.text(max_size=5),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
documents = st.dictionaries(
    st.sampled_from([key.name for shape in SHAPES for key in shape.keys]), trees, max_size=8
)
steps = st.lists(
    st.dictionaries(
        st.sampled_from([*INSTALLED.steps, "if", "id", "on", "data"]), trees, min_size=1, max_size=4
    )
)
conditions = st.dictionaries(
    st.sampled_from([*CONDITIONS, *OPERATORS, "was", "within", "where"]), trees, max_size=4
)


@UNHURRIED_AND_THOROUGH
@given(documents)
def test_no_tree_of_known_words_makes_parsing_raise(document: dict[str, Any]) -> None:
    everything_said(json.dumps(document))


@UNHURRIED_AND_THOROUGH
@given(steps, conditions)
def test_no_steps_and_conditions_make_parsing_raise(steps: list[Any], condition: dict[str, Any]) -> None:
    head = {"description": "x", "category": "relational", "basis": "consent", "enter": {"manual": True}}
    everything_said(json.dumps({**head, "exit": condition, "steps": steps, "where": condition}))


@UNHURRIED
@given(st.text(), st.lists(st.text(), max_size=20))
def test_the_nearest_word_is_always_one_of_the_words(word: str, words: list[str]) -> None:
    found = nearest(word, words)
    assert found is None or found in words
