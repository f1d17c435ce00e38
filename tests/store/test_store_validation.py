"""Values held against the declared schema: one normal form, or a sentence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from treue.errors import RejectedInput
from treue.store.validation import Misfit, conform, fit, plain


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("text", "Ada", "Ada"),
        ("text", 17850.0, "17850"),
        ("number", "19.90", 19.9),
        ("number", "1e3", 1000),
        ("number", " 0049 ", 49),
        ("number", Decimal("12.50"), 12.5),
        ("number", 3, 3),
        ("bool", "Ja", True),
        ("bool", 0, False),
        ("date", "2026-03-31", "2026-03-31"),
        ("date", datetime(2026, 3, 31, 23, 30, tzinfo=UTC), "2026-04-01"),
        ("date", "2026-03-31T23:30:00Z", "2026-04-01"),
        ("date", date(2024, 2, 29), "2024-02-29"),
        ("time", "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),  # a time the clock change skips
        ("time", "2026-07-01 09:00", "2026-07-01T07:00:00Z"),
        ("time", "2026-07-01T09:00:00.75+02:00", "2026-07-01T07:00:00Z"),
        ("time", datetime(2026, 7, 1, 9), "2026-07-01T07:00:00Z"),  # noqa: DTZ001
        ("list", "tee; kaffee", ["tee", "kaffee"]),
        ("list", '["tee", 2]', ["tee", 2]),
        ("list", ("a",), ["a"]),
        ("number", None, None),
    ],
)
def test_a_value_gets_the_normal_form_of_its_type(kind, given, kept):
    found = fit(given, kind, "Europe/Berlin")
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", True), ("text", ["a"]),
        ("number", "19,90"), ("number", "zehn"), ("number", True), ("number", "inf"), ("number", float("nan")),
        ("number", 2**60), ("number", "1e999"), ("number", 10**400), ("number", Decimal("Infinity")), ("number", []),
        ("bool", "maybe"), ("bool", 2),
        ("date", "31.03.2026"), ("date", "2026-02-30"), ("date", 20260331), ("date", "20260331"),
        ("time", "soon"), ("time", 1_700_000_000), ("time", "2026-13-01T00:00:00Z"),
        ("list", 5), ("list", "[1, 2"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_said_in_a_sentence(kind, given):
    with pytest.raises(Misfit, match=r"\.$"):
        fit(given, kind)


def test_every_misfit_is_named_and_the_undeclared_is_kept_as_it_is():
    kept, problems = conform({"n": "x", "d": "y", "free": {"a": [1]}}, {"n": "number", "d": "date"})
    assert kept == {"free": {"a": [1]}}
    assert [problem.split(":")[0] for problem in problems] == ["n", "d"]


def test_nesting_without_end_is_refused_before_it_is_walked():
    deep: list = []
    for _ in range(50_000):
        deep = [deep]
    assert conform({"a": deep}, {}) == ({}, ["The values are nested deeper than 8 levels."])


def test_what_json_does_not_know_becomes_what_it_does():
    given = {"d": date(2026, 1, 2), "n": float("nan"), "m": Decimal("1.10"), "s": (1,), 3: b"x"}
    assert plain(given) == {"d": "2026-01-02", "n": None, "m": 1.1, "s": [1], "3": "b'x'"}


def test_a_misfit_is_rejected_input():
    assert issubclass(Misfit, RejectedInput)
