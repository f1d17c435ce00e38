"""`check --fix` puts right what is safe to put right, and leaves the rest as it was."""

from __future__ import annotations

from treue.language.problems import Place, Problem
from treue.lint.fixes import fix

TEXT = """\
description: Hello.
categry: relational
enter:
  event: order.plced
steps:
  - send: welcome
"""


def problem(line: int, column: int, length: int, code: str, message: str, suggestion: str) -> Problem:
    return Problem(Place("journeys/x.yaml", line, column, length), code, message, suggestion)


def test_misspelt_words_become_the_suggested_ones() -> None:
    found = fix(
        TEXT,
        [
            problem(2, 1, 7, "T201", "There is no key `categry` in a journey.", "Did you mean `category`?"),
            problem(4, 10, 11, "T303", "There is no event `order.plced`.", "Did you mean `order.placed`?"),
        ],
    )
    assert found.text == TEXT.replace("categry", "category").replace("order.plced", "order.placed")
    assert [what for _, what in found.done] == [
        "`categry` is now `category`",
        "`order.plced` is now `order.placed`",
    ]


def test_a_quoted_word_keeps_its_quotes() -> None:
    text = "on: 'emial'\n"
    (said,) = [problem(1, 5, 7, "T307", "There is no channel `emial`.", "Did you mean `email`?")]
    assert fix(text, [said]).text == "on: 'email'\n"


def test_a_missing_exit_is_added_before_the_steps() -> None:
    found = fix(TEXT, [problem(5, 1, 5, "T504", "This journey has no `exit`.", "Add it.")])
    assert "exit:\n  - event: consent.withdrawn\nsteps:\n" in found.text


def test_what_has_no_safe_fix_stays_as_it_is() -> None:
    given = [
        problem(5, 1, 5, "T503", "The goal …", "Add `- event: order.placed` under `exit`."),
        problem(2, 1, 7, "T201", "There is no key `categry` in a journey.", "Known are `a` and `b`."),
        problem(2, 1, 7, "T208", "`categry` is not a name.", "Did you mean `category`?"),
    ]
    assert fix(TEXT, given) == fix(TEXT, [])
    assert fix(TEXT, given).text == TEXT
