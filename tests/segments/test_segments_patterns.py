"""`matches` means the same on both databases, in our own automaton, and to Python's `re`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, literal, select

from tests.segments.strategies import patterns, storable
from tests.segments.test_segments_agree import examples
from treue.segments.functions import matches
from treue.segments.pattern import PatternError, matcher, parsed

SIGNS = "abDzAZ19ß é😀😅.\\'\"%_-\t\n"
texts = st.lists(st.text(st.sampled_from(SIGNS) | storable, max_size=8), min_size=1, max_size=20)

CASES = [
    (r"^DE$", ["DE"], ["DE\n", "XDE", "de", ""]),
    (r"a|^b|c$", ["xa", "bx", "xc"], ["xb", "cx", ""]),
    (r"^(?:ab|c){2}$", ["abc", "cab", "cc"], ["ab", "abcc"]),
    (r"^[^,]+,\s?\w+$", ["Köln, Mitte", "a,b"], ["a, ", "a,ß"]),
    (r"\$[0-9]{1,3}\.", ["$12.", "x $1.5"], ["$.", "12."]),
    (r"[$^|]", ["a$", "^", "|"], ["a", ""]),
    (r"^[]-]$", [], []),
    (r"^[a\]-]+$", ["a]-", "-"], ["b"]),
    (r"^.{3}$", ["a\nb", "äöü", "😀😀😀"], ["ab", "abcd"]),
    (r"^\d*$", ["", "123"], ["١٢٣", "1a"]),
    (r"^[\D]$", ["a", "١"], ["1"]),
    (r"^[ä-ü]+$", ["äöü"], ["ÄÖÜ", "z"]),
    (r"(a+)+$", ["baa"], ["ab"]),
    (r"^x{2,}y?$", ["xx", "xxxy"], ["x", "xxyy"]),
    (r"***:a", [], []),
    (r"\[(?i)", [], []),
]
UNDERSTOOD = [(pattern, good, bad) for pattern, good, bad in CASES if good]


def found(connection: Connection, pattern: str, asked: list[str]) -> list[bool]:
    dialect = connection.dialect.name
    columns = [matches(literal(text), pattern, dialect).label(f"n{n}") for n, text in enumerate(asked)]
    return [bool(one) for one in connection.execute(select(*columns)).one()]


@pytest.mark.parametrize(("pattern", "good", "bad"), UNDERSTOOD)
def test_a_pattern_fits_what_it_says_and_nothing_else(
    connection: Connection, pattern: str, good: list[str], bad: list[str]
) -> None:
    assert found(connection, pattern, good) == [True] * len(good)
    assert found(connection, pattern, bad) == [False] * len(bad)


@pytest.mark.parametrize("pattern", [pattern for pattern, good, _ in CASES if not good])
def test_what_one_of_the_engines_would_read_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        parsed(pattern)


def agree(engine: Engine, pattern: str, asked: list[str]) -> None:
    strictly = re.compile(pattern.replace("$", r"\Z"), re.ASCII | re.DOTALL)
    wanted = [bool(strictly.search(text)) for text in asked]
    assert [matcher(pattern).fits(text) for text in asked] == wanted
    with engine.connect() as connection:
        assert found(connection, pattern, asked) == wanted


@examples(200)
@given(pattern=patterns, asked=texts)
def test_sqlite_and_python_agree_on_any_pattern(
    sqlite_engine: Engine, pattern: str, asked: list[str]
) -> None:
    agree(sqlite_engine, pattern, asked)


@pytest.mark.postgres
@examples(200)
@given(pattern=patterns, asked=texts)
def test_postgresql_and_python_agree_on_any_pattern(
    postgres_engine: Engine, pattern: str, asked: list[str]
) -> None:
    agree(postgres_engine, pattern, asked)


def refusal(text: str) -> str:
    try:
        parsed(text)
    except PatternError as error:
        return str(error)
    return ""


@examples(300)
@given(text=st.text(st.sampled_from("ab1()[]{}|*+?^$\\.,-:=dws"), max_size=12))
def test_whatever_is_written_is_understood_as_python_does_or_refused_with_a_sentence(text: str) -> None:
    said = refusal(text)
    if said:
        assert re.match(r"[A-Z`].*\.$", said)
    else:
        assert matcher(text).fits("ab1") is bool(re.search(text, "ab1", re.ASCII))


def test_patterns_that_make_others_backtrack_for_ever_are_done_with_in_one_reading() -> None:
    for pattern in (r"^(a+)+$", r"^(a|a)*$", r"^(a|aa)+$", r"^(.*)(.*)(.*)(.*)(.*)x$"):
        assert not matcher(pattern).fits("a" * 50_000 + "b")


def test_an_automaton_forgets_before_it_grows_without_end() -> None:
    reader = matcher(r"a.{14}$")
    text = "".join("ab"[n * n % 7 < 3] for n in range(40_000))
    assert reader.fits(text) is (text[-15] == "a")
    assert len(reader._known) <= 2_000
