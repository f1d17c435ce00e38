"""Hostile words in values, names of attributes, events, templates and journeys are words, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, func, select

from tests.segments.naive import Happening, Person
from tests.segments.worlds import agree, ids, store
from treue.model import tables
from treue.segments.sql import Moment, members
from treue.segments.tree import Condition, InSegment, Not, Op, Property
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.message.word import MessageWas

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
MOMENT = Moment(NOW, "Europe/Berlin")
HOSTILE = [
    "'; DROP TABLE customer; --",
    '"; DROP TABLE event; --',
    "' OR '1'='1",
    '$."a"',
    '" OR 1=1 --',
    "}'::jsonb) OR true --",
    "%(name)s",
    ":name",
    "?",
    "%s%%",
    "a\\",
    "\\u0027",
    "a.b[0]",
    "{0}",
    "🦊\u202e",
    "x" * 5000,
    "",
]
UNSTORABLE = ["a\x00b", "\ud800", "\x00"]


def about(word: str) -> list[Condition]:
    equal = (Op("is", (word,)),)
    return [
        Attribute(word, "text", equal),
        Attribute(
            "a", "text", (Op("contains", (word,)), Op("starts_with", (word,)), Op("ends_with", (word,)))
        ),
        Attribute("a", "text", (Op("in", (word, "other")),)),
        Attribute("tags", "list", (Op("contains", (word,)),)),
        Happened(word, where=(Property(word, "text", equal),)),
        Aggregate("max", word, word, "text", equal),
        Aggregate("count_distinct", word, word, "text", (Op("at_least", (1,)),)),
        InSegment(word, Attribute("a", "text", (Op("at_least", (word,)),))),
    ]


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_word_finds_exactly_those_who_have_it(connection: Connection, word: str) -> None:
    has = Person("has", NOW, attributes={word: word, "a": word, "tags": [word]})
    has.attributes["a"] = word
    has.events = [Happening(word, NOW, {word: word})]
    has_not = Person("has-not", NOW, attributes={"b": "a", "tags": []})
    for condition in about(word):
        agree(connection, [has, has_not], [condition, Not(condition)], MOMENT)
    assert ids(connection, members(about(word)[0], MOMENT, connection.dialect.name)) == [1]
    assert connection.scalar(select(func.count()).select_from(tables.customer)) == 2


@pytest.mark.parametrize("word", HOSTILE + UNSTORABLE)
def test_a_channel_template_or_journey_of_a_hostile_name_is_nobodys(
    connection: Connection, word: str
) -> None:
    store(connection, [Person("c1", NOW, consents={"email": (True, NOW)})])
    dialect = connection.dialect.name
    for leaf in (HasConsent(word), MessageWas(word, "sent"), MessageWas(None, "sent", None, word, word)):
        assert ids(connection, members(leaf, MOMENT, dialect)) == []
        assert ids(connection, members(Not(leaf), MOMENT, dialect)) == [1]


@pytest.mark.parametrize("word", UNSTORABLE)
def test_a_word_no_database_can_hold_is_nobodys_and_raises_nothing(connection: Connection, word: str) -> None:
    store(connection, [Person("c1", NOW, attributes={"a": "a", "tags": ["a"]})])
    for condition in about(word):
        assert ids(connection, members(condition, MOMENT, connection.dialect.name)) == []
        assert ids(connection, members(Not(condition), MOMENT, connection.dialect.name)) == [1]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_nobodys_and_raises_nothing(connection: Connection, number: float) -> None:
    store(connection, [Person("c1", NOW, attributes={"a": 1, "tags": [1]})])
    for name, kind, op in (("a", "number", "below"), ("a", "number", "above"), ("tags", "list", "contains")):
        leaf = Attribute(name, kind, (Op(op, (number,)),))  # type: ignore[arg-type]
        assert ids(connection, members(leaf, MOMENT, connection.dialect.name)) == []
