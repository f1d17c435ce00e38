"""How long an answer stands: between two instants that are told, time alone changes nothing, on either database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select

from tests.segments.naive import Happening, Naive, Person
from tests.segments.strategies import DURATIONS, conditions, people
from tests.segments.test_segments_agree import examples
from tests.segments.worlds import START, store
from treue.clock import TICK, Duration
from treue.model.tables import cohort
from treue.segments.needs import looks_ahead, needs, unforeseen
from treue.segments.sql import AnyMoment, Moment, branches
from treue.segments.standing import end_of_stretch
from treue.segments.tree import Ago, All, Condition, Not, Op
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.event.word import Happened

MOMENTS = [
    Moment(datetime.fromisoformat("2026-03-30T10:30:00+00:00"), "Europe/Berlin"),
    Moment(datetime.fromisoformat("2018-11-05T02:00:00+00:00"), "America/Sao_Paulo"),
    Moment(datetime.fromisoformat("2026-01-31T12:00:00+00:00"), "Pacific/Auckland"),
    Moment(datetime.fromisoformat("2024-02-28T23:59:59.999999+00:00"), "UTC"),
]
MANY = 60
"""How often an answer is looked at again before a test takes it that it never comes to rest."""


def stands(
    connection: Connection, condition: Condition, person: Person, moment: Moment
) -> tuple[bool, datetime | None]:
    """Return whether a condition holds for a customer, and until when that stands, each asked in its own way."""
    dialect = connection.dialect.name
    then = moment if looks_ahead(condition) else AnyMoment(zone=moment.zone)
    connection.execute(cohort.update().values(at=moment.now, effective_at=moment.now))
    row = connection.execute(
        branches([condition], then, dialect, cohort, standing=True), then.values(moment)
    ).one()
    plain = select(cohort.c.customer_id, *(cohort.c[name] for name in sorted(needs(condition)))).subquery(
        "plain"
    )
    at_once = connection.execute(branches([condition], moment, dialect, plain, standing=True)).one()
    assert at_once.stands_until == row.stands_until
    assert (row.branch == 0) is Naive(moment.now, moment.zone).holds(condition, person)
    return row.branch == 0, row.stands_until


def follow(
    connection: Connection, condition: Condition, person: Person, first: Moment, until: datetime
) -> None:
    """Assert that from one instant that is told to the next the answer is the same, up to a time."""
    store(connection, [person], first.now)
    moment, looks = first, 0
    while moment.now < until:
        held, end = stands(connection, condition, person, moment)
        assert end is None or end > moment.now
        for at in between(person, moment, min(end or until, until)):
            assert Naive(at, moment.zone).holds(condition, person) is held, (at, end, condition)
        looks += 1
        assert looks < MANY, "the answer never comes to rest"
        moment = Moment(end or until, moment.zone)


def between(person: Person, moment: Moment, end: datetime) -> list[datetime]:
    """Return instants before an end at which something may change: so long after something was, and beside, and others."""
    times = [person.created_at, *(one.at for one in person.events)]
    times += [at for mail in person.messages for at in mail.times.values()]
    times += [value for value in person.attributes.values() if isinstance(value, datetime)]
    found = {end - TICK, moment.now + (end - moment.now) / 2}
    for length in DURATIONS:
        found |= {
            length.after(at, moment.zone) + beside for at in times for beside in (-TICK, timedelta(), TICK)
        }
    return sorted(at for at in found if moment.now < at < end)


@st.composite
def lives(draw: st.DrawFn) -> tuple[Moment, Person, Condition]:
    moment = draw(st.sampled_from(MOMENTS))
    person = draw(people(moment, 0))
    person.events = [one for one in person.events if one.at <= moment.now]
    person.began = person.began if person.began in person.events else None
    person.consents = {channel: (given, START) for channel, (given, _) in person.consents.items()}
    person.suppressed, person.stays = dict.fromkeys(person.suppressed, START), []
    for mail in person.messages:
        mail.times = {was: min(at, moment.now) for was, at in mail.times.items()}
    person.entered_at = person.arrived_at = None
    return moment, person, draw(conditions(stay=False).filter(lambda one: not unforeseen(one)))


def look(engine: Engine, life: tuple[Moment, Person, Condition]) -> None:
    moment, person, condition = life
    with engine.connect() as connection:
        cohort.create(connection, checkfirst=True)
        connection.commit()
        follow(connection, condition, person, moment, moment.now + timedelta(days=420))


@examples(200)
@given(life=lives())
def test_an_answer_stands_until_it_says_so_on_sqlite(
    sqlite_engine: Engine, life: tuple[Moment, Person, Condition]
) -> None:
    look(sqlite_engine, life)


@pytest.mark.postgres
@examples(100)
@given(life=lives())
def test_an_answer_stands_until_it_says_so_on_postgresql(
    postgres_engine: Engine, life: tuple[Moment, Person, Condition]
) -> None:
    look(postgres_engine, life)


BOUGHT = "2026-01-10T12:00:00+00:00"


def someone(**attributes: object) -> Person:
    happening = Happening("order.placed", datetime.fromisoformat(BOUGHT), {"total": 20})
    return Person("ada", START, attributes=dict(attributes), events=[happening])


def flips(
    connection: Connection, condition: Condition, person: Person, since: str, count: int = 12
) -> list[str]:
    """Return the instants at which time alone changes an answer, found by looking only when it is said."""
    moment = Moment(datetime.fromisoformat(since), "Europe/Berlin")
    store(connection, [person], moment.now)
    found = list[str]()
    held, end = stands(connection, condition, person, moment)
    for _ in range(count):
        if end is None:
            break
        before, at = held, end
        held, end = stands(connection, condition, person, Moment(at, moment.zone))
        if held is not before:
            found.append(at.isoformat())
    assert end is None
    return found


ORDERED = Happened("order.placed", within=Duration(days=180))


@pytest.mark.parametrize(
    ("condition", "when"),
    [
        (ORDERED, ["2026-07-09T11:00:00+00:00"]),  # 180 days later on the clock: summer time has begun
        (Not(ORDERED), ["2026-07-09T11:00:00+00:00"]),
        (All((Happened("order.placed"), Not(ORDERED))), ["2026-07-09T11:00:00+00:00"]),
        (Happened("order.placed", last=(Op("before", (Ago(Duration(days=2)),)),)), ["2026-01-12T12:00:00.000001+00:00"]),
        (Happened("order.placed", first=(Op("after", (Ago(Duration(months=1)),)),)), ["2026-02-10T12:00:00+00:00"]),
        (Aggregate("sum", "order.placed", "total", "number", (Op("above", (10,)),), Duration(seconds=3600)), ["2026-01-10T13:00:00+00:00"]),
        (Attribute("trial_ends", "date", (Op("before", (Ago(Duration(days=3)),)),)), ["2026-03-04T23:00:00+00:00"]),
        (Attribute("seen", "time", (Op("after", (Ago(Duration(seconds=60)),)),)), ["2026-02-01T00:01:00+00:00"]),
    ],
)  # fmt: skip
def test_the_instant_at_which_time_changes_an_answer_is_exact(
    connection: Connection, condition: Condition, when: list[str]
) -> None:
    person = someone(trial_ends="2026-03-01", seen="2026-02-01T00:00:00Z")
    assert flips(connection, condition, person, BOUGHT) == when


def test_a_month_ago_comes_back_to_the_same_day_where_the_month_before_was_shorter(
    connection: Connection,
) -> None:
    person = Person(
        "ada", START, events=[Happening("order.placed", datetime.fromisoformat("2026-02-28T11:00:00+00:00"))]
    )
    lately = Happened("order.placed", (Op("at_least", (1,)), Op("at_most", (9,))), Duration(months=1))
    for condition in (Happened("order.placed", within=Duration(months=1)), lately):
        assert flips(connection, condition, person, "2026-03-01T00:00:00+00:00") == [
            f"2026-03-{day}:00:00+00:00"
            for day in ("28T11", "28T23", "29T10", "29T22", "30T10", "30T22", "31T10")
        ]


def test_what_time_never_changes_is_never_looked_at_again(connection: Connection) -> None:
    moment = Moment(datetime.fromisoformat(BOUGHT), "Europe/Berlin")
    store(connection, [person := someone()], moment.now)
    for condition in (
        Happened("order.placed"),
        Happened("told", within=Duration(days=3)),
        Attribute("a", "text", ()),
    ):
        assert stands(connection, condition, person, moment)[1] is None


def test_long_waits_are_looked_at_a_few_times_only(connection: Connection) -> None:
    moment = Moment(datetime.fromisoformat(BOUGHT), "Europe/Berlin")
    store(connection, [person := someone()], moment.now)
    looks, end = 0, stands(connection, ORDERED, person, moment)[1]
    while end is not None:
        looks, end = looks + 1, stands(connection, ORDERED, person, Moment(end, moment.zone))[1]
    assert looks <= 3


def test_a_stretch_ends_where_lengths_change() -> None:
    first = datetime.fromisoformat(BOUGHT)
    assert end_of_stretch([ORDERED], "Europe/Berlin", first).isoformat() == "2026-03-29T01:00:00+00:00"
