"""An explanation says what each leaf saw and wanted, in the customer's own figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from tests.segments.naive import Happening, Mail, Person, Stay
from tests.segments.worlds import store
from treue.clock import Duration
from treue.model.tables import LAST
from treue.segments.explain import Explanation, explain, explanation
from treue.segments.explain import Stay as Inside
from treue.segments.sql import Moment
from treue.segments.tree import Ago, Ahead, All, AnyOf, Condition, InSegment, Not, Op, Property, Same
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.message.word import MessageWas
from treue.vocabulary.conditions.reachable.word import Reachable

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
MOMENT = Moment(NOW, "Europe/Berlin")
DAYS_90 = Duration(days=90)
ADA = Person(
    "c1",
    NOW - timedelta(days=400),
    attributes={"country": "FR", "vip": True, "größe": "XL", "age": 33, "tags": ["a"], "born": "1990-04-02"},
    events=[
        Happening("order.placed", NOW - timedelta(days=3), {"total": 49.95}),
        Happening("order.placed", NOW - timedelta(days=30), {"total": 50}),
    ],
    consents={"email": (True, NOW - timedelta(days=10))},
    email="ada@example.com",
    phone="+4415",
    suppressed={"sms": NOW - timedelta(days=1)},
    stays=[
        Stay("welcome", "inside", NOW - timedelta(days=5)),
        Stay("win-back", "finished", NOW - timedelta(days=10), NOW - timedelta(days=1)),
    ],
    messages=[Mail("welcome", "email", "welcome", {"opened": NOW - timedelta(days=2)})],
    entered_at=NOW - timedelta(days=5),
)


def at_least(number: float) -> tuple[Op, ...]:
    return (Op("at_least", (number,)),)


def told(connection: Connection, condition: Condition) -> Explanation:
    store(connection, [ADA])
    stay = Inside(ADA.entered_at, ADA.entered_at, LAST)
    query = explain(condition, MOMENT, connection.dialect.name, 1, stay)
    return explanation(condition, connection.execute(query).mappings().one(), MOMENT)


CASES: list[tuple[Condition, bool, str]] = [
    (
        Happened("order.placed", at_least(3), within=DAYS_90),
        False,
        "order.placed within 90d: 2, wanted at least 3",
    ),
    (Happened("order.placed", since="entry"), True, "order.placed since entry: 1, wanted at least 1"),
    (Happened("order.placed", since="arrival"), False, "order.placed since arrival: 0, wanted at least 1"),
    (
        Happened("order.placed", since="entry", same=Same("total", "number")),
        False,
        "order.placed with the same total since entry: 0, wanted at least 1",
    ),
    (Happened("cart.left"), False, "cart.left: 0, wanted at least 1"),
    (
        Happened("order.placed", last=(Op("before", (Ago(DAYS_90),)),)),
        False,
        "order.placed: last 2026-03-27 11:00, wanted before 90d ago",
    ),
    (
        Happened("cart.left", at_least(1), first=(Op("after", ("2026-01-01",)),)),
        False,
        "cart.left: 0, wanted at least 1; first never, wanted after 2026-01-01",
    ),
    (
        Attribute("country", "text", (Op("in", ("DE", "AT")),)),
        False,
        "country: FR, wanted one of DE, AT",
    ),
    (Attribute("city", "text", (Op("is", ("Köln",)),)), False, "city: missing, wanted Köln"),
    (Attribute("größe", "text", (Op("is", ("XL",)),)), True, "größe: XL, wanted XL"),
    (Attribute("vip", "bool", (Op("is", (True,)),)), True, "vip: true, wanted true"),
    (Attribute("age", "number", (Op("between", (18, 30)),)), False, "age: 33, wanted between 18 and 30"),
    (
        Aggregate(
            "sum", "order.placed", "total", "number", (Op("above", (500,)),), within=Duration(months=12)
        ),
        False,
        "sum of order.placed.total within 1y: 99.95, wanted above 500",
    ),
    (
        Aggregate("sum", "cart.left", "total", "number", at_least(1)),
        False,
        "sum of cart.left.total: 0, wanted at least 1",
    ),
    (
        Aggregate("max", "order.placed", "total", "number", at_least(9)),
        True,
        "max of order.placed.total: 50, wanted at least 9",
    ),
    (HasConsent("email"), True, "has agreed to email: yes, since 2026-03-20 11:00"),
    (HasConsent("sms"), False, "has agreed to sms: no"),
    (
        MessageWas("welcome", "opened", DAYS_90),
        True,
        "message welcome was opened within 90d: 2026-03-28 11:00",
    ),
    (MessageWas(None, "clicked"), False, "any message was clicked: never"),
    (Reachable("email"), True, "reachable on email: yes, agreed since 2026-03-20 11:00"),
    (
        Reachable("sms"),
        False,
        "reachable on sms: no: has not agreed, suppressed since 2026-03-29 12:00",
    ),
    (Reachable("push"), False, "reachable on push: no: no address, has not agreed"),
    (JourneyIs("welcome", "inside"), True, "inside journey welcome: yes, since 2026-03-25 11:00"),
    (JourneyIs("win-back", "inside"), False, "inside journey win-back: no"),
    (JourneyIs("win-back", "finished"), True, "has finished journey win-back: yes, 2026-03-29 12:00"),
    (JourneyIs("win-back", "converted"), False, "has converted in journey win-back: no"),
    (
        JourneyIs("win-back", "never"),
        False,
        "has never been in journey win-back: no, came in first 2026-03-20 11:00",
    ),
    (JourneyIs("no-such", "never"), True, "has never been in journey no-such: yes"),
    (
        Attribute("born", "date", (Op("anniversary_in", (Ahead(Duration(days=3)),)),)),
        True,
        "born: 1990-04-02, wanted an anniversary in 3d",
    ),
    (Attribute("country", "text", (Op("matches", ("^D",)),)), False, "country: FR, wanted matches ^D"),
    (Not(HasConsent("sms")), True, "not: has agreed to sms: no"),
    (InSegment("buyers", Happened("order.placed")), True, "in segment buyers"),
    (All((HasConsent("sms"), HasConsent("email"))), False, "all of these: 1 of 2 hold"),
    (AnyOf((HasConsent("sms"), HasConsent("email"))), True, "any of these: 1 of 2 hold"),
]


@pytest.mark.parametrize(("condition", "holds", "text"), CASES)
def test_each_leaf_tells_what_it_saw_and_what_it_wanted(
    connection: Connection, condition: Condition, holds: bool, text: str
) -> None:
    found = told(connection, condition)
    assert (found.holds, found.text) == (holds, text)


def test_an_explanation_has_the_shape_of_its_condition(connection: Connection) -> None:
    consent = HasConsent("sms")
    condition = All((consent, Not(InSegment("buyers", Happened("order.placed"))), consent))
    found = told(connection, condition)
    assert [part.condition for part in found.parts] == list(condition.parts)
    assert found.parts[1].parts[0].parts[0].observed == 2
    assert found.parts[0] == found.parts[2]


def test_nobody_is_explained_where_there_is_no_such_customer(connection: Connection) -> None:
    store(connection, [ADA])
    query = explain(HasConsent("sms"), MOMENT, connection.dialect.name, 999)
    assert connection.execute(query).all() == []


def test_without_a_time_of_entry_nothing_has_happened_since(connection: Connection) -> None:
    store(connection, [ADA])
    condition = Happened("order.placed", since="entry")
    row = connection.execute(explain(condition, MOMENT, connection.dialect.name, 1)).mappings().one()
    assert explanation(condition, row, MOMENT).observed == 0


def test_a_condition_reads_as_one_line_of_english() -> None:
    where = (Property("total", "number", (Op("above", (50,)),)),)
    condition = All(
        (
            Happened("order.placed", at_least(2), DAYS_90, where),
            AnyOf(
                (
                    Attribute("country", "text", (Op("is", ("DE",)),)),
                    MessageWas("welcome", "clicked", channel="sms"),
                )
            ),
            Not(Happened("order.placed", last=(Op("before", (Ago(Duration(days=180)),)),))),
        )
    )
    assert condition.words() == (
        "order.placed where total is above 50 within 90d at least 2 times and "
        "(country is DE or message welcome on sms was clicked) and "
        "not (order.placed last time is before 180d ago)"
    )


def test_a_value_of_another_type_than_declared_is_told_as_what_it_is(connection: Connection) -> None:
    found = told(
        connection,
        All(
            (Attribute("country", "number", at_least(3)), Attribute("age", "date", (Op("exists", (True,)),)))
        ),
    )
    assert [part.text for part in found.parts] == [
        "country: missing, as it is stored as a text and declared as a number, wanted at least 3",
        "age: missing, as it is stored as a number and declared as a date, wanted known",
    ]
    assert [part.holds for part in found.parts] == [False, False]
    assert found.parts[0].observed == [None, "text"]
