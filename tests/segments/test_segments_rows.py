"""Many asked in one statement, each as of a time of its own: what each of them sees, and that nobody sees another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, FromClause, delete, insert, select, update

from tests.segments.naive import Happening, Mail, Person, Stay
from tests.segments.strategies import worlds
from tests.segments.test_segments_agree import examples
from tests.segments.worlds import event_row, store
from treue.clock import Duration
from treue.cohorts.kept import Kept
from treue.model.tables import LAST, caller, cohort, enrollment, event
from treue.segments.needs import looks_ahead
from treue.segments.sql import AnyMoment, Moment, branches, event_fits, members
from treue.segments.stretch import stretch_end
from treue.segments.tree import Ago, Ahead, All, Condition, Not, Op, Property, Same
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.message.word import MessageWas
from treue.vocabulary.conditions.reachable.word import Reachable

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
ZONE = "Europe/Berlin"
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
ORDER = "order.placed"
STAY = (
    "customer_id",
    "event_id",
    "entered_at",
    "entered_effective_at",
    "entered_seq",
    "arrived_effective_at",
)
LATER = [timedelta(), TICK, timedelta(minutes=30), timedelta(hours=1), DAY, DAY - TICK, timedelta(days=40)]


def asked(*more: str, where: Any = None) -> FromClause:
    """Return the cohort with these columns besides those of the stay."""
    query = select(*(cohort.c[name] for name in (*STAY, *more)))
    return (query if where is None else query.where(where)).subquery("asked")


def person(**parts: Any) -> Person:
    return Person(**({"key": "c1", "created_at": NOW - timedelta(days=400)} | parts))


def stand(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Let the cohort be these rows: of each customer the stay that is stored, with times of its own."""
    stays = {row["customer_id"]: dict(row) for row in connection.execute(select(cohort)).mappings()}
    connection.execute(delete(cohort))
    for n, row in enumerate(rows, start=1):
        connection.execute(insert(cohort), stays[row["customer_id"]] | {"enrollment_id": n} | row)


def batches(
    condition: Condition, times: Sequence[datetime], zone: str
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches in which all of these times lie, as those do who take a batch at a time."""
    left = sorted(times)
    while left:
        end = stretch_end([condition], zone, left[0], left[-1] + TICK)
        yield left[0], end
        left = [one for one in left if one >= end]


def by_row(connection: Connection, condition: Condition, zone: str = ZONE) -> dict[int, bool]:
    """Return for whom of the cohort a condition holds, asked in batches."""
    found: dict[int, bool] = {}
    times = list(connection.scalars(select(cohort.c.at)))
    for first, end in batches(condition, times, zone):
        moment = Moment(first, zone)
        made_for = moment if looks_ahead(condition) else AnyMoment(zone=zone)
        these = (cohort.c.at >= first) & (cohort.c.at < end)
        whole = asked("enrollment_id", "at", "effective_at", where=these)
        query = branches([condition], made_for, connection.dialect.name, whole)
        rows = connection.execute(query, made_for.values(moment)).all()
        found |= {row.enrollment_id: row.branch == 0 for row in rows}
        apart = asked("at", "effective_at", where=these)
        query = branches([condition], made_for, connection.dialect.name, apart)
        again = connection.execute(query, made_for.values(moment)).all()
        assert Counter((row.customer_id, row.branch) for row in again) == Counter(
            (row.customer_id, row.branch) for row in rows
        )
    return found


def one_by_one(connection: Connection, condition: Condition, zone: str = ZONE) -> dict[int, bool]:
    """Return the same, asked of one after the other as of its moment."""
    found: dict[int, bool] = {}
    for row in connection.execute(select(cohort.c.enrollment_id, cohort.c.at)).all():
        one = asked(where=cohort.c.enrollment_id == row.enrollment_id)
        query = members(condition, Moment(row.at, zone), connection.dialect.name, one)
        found[row.enrollment_id] = bool(connection.execute(query).all())
    return found


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Moment, list[Person], Condition, list[tuple[int, timedelta]]]:
    moment, people, conditions = draw(worlds())
    row = st.tuples(st.integers(1, len(people)), st.sampled_from(LATER))
    return moment, people, conditions[0], draw(st.lists(row, min_size=2, max_size=6))


Crowd = tuple[Moment, list[Person], Condition, list[tuple[int, timedelta]]]


def look(engine: Engine, crowd: Crowd) -> None:
    moment, people, condition, rows = crowd
    with engine.connect() as connection:
        cohort.create(connection, checkfirst=True)
        connection.commit()
        store(connection, people, moment.now)
        times = [(who, moment.now + later) for who, later in rows]
        stand(connection, [{"customer_id": who, "at": at, "effective_at": at} for who, at in times])
        asked_at_once = by_row(connection, condition, moment.zone)
        assert asked_at_once == one_by_one(connection, condition, moment.zone)


@examples(120)
@given(crowd=crowds())
def test_asked_together_or_one_by_one_sqlite_answers_the_same(sqlite_engine: Engine, crowd: Crowd) -> None:
    look(sqlite_engine, crowd)


@pytest.mark.postgres
@examples(60)
@given(crowd=crowds())
def test_asked_together_or_one_by_one_postgresql_answers_the_same(
    postgres_engine: Engine, crowd: Crowd
) -> None:
    look(postgres_engine, crowd)


# --- what each of them sees ---------------------------------------------------------------------------------


def happens(
    connection: Connection, at: datetime, seq: int, *, known: datetime | None = None, **more: Any
) -> int:
    """Store an event of the customer, known from its own time on or later; return its number."""
    row = event_row(1, Happening(more.pop("name", ORDER), at, more))
    row |= {"seq": seq, "effective_at": known or at, "received_at": known or at, "id": 5000 + seq}
    connection.execute(insert(event), row)
    return 5000 + seq


def exactly(number: int, **more: Any) -> Happened:
    return Happened(ORDER, (Op("is", (number,)),), **more)


def counted(connection: Connection, **more: Any) -> dict[int, int]:
    """Return how often each row of the cohort has seen it happen."""
    counts = {n: by_row(connection, exactly(n, **more)) for n in range(5)}
    return {row: next(n for n in counts if counts[n][row]) for row in counts[0]}


def at(time: datetime, effective: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {"customer_id": 1, "at": time, "effective_at": effective or time} | more


def test_each_row_counts_what_had_happened_by_its_own_time(connection: Connection) -> None:
    store(connection, [person()], NOW)
    for n in range(3):
        happens(connection, NOW + n * DAY, n)
    stand(connection, [at(NOW - TICK), at(NOW), at(NOW + DAY), at(NOW + 2 * DAY)])
    assert counted(connection) == {1: 0, 2: 1, 3: 2, 4: 3}
    assert counted(connection, within=Duration(days=1)) == {1: 0, 2: 1, 3: 1, 4: 1}


def test_what_came_late_is_seen_from_then_on_and_counts_for_its_own_time(connection: Connection) -> None:
    store(connection, [person()], NOW)
    happens(connection, NOW - 2 * DAY, 1, known=NOW)
    stand(connection, [at(NOW - TICK), at(NOW), at(NOW - DAY, NOW)])
    assert counted(connection) == {1: 0, 2: 1, 3: 1}
    assert counted(connection, within=Duration(days=2)) == {
        1: 0,
        2: 0,
        3: 1,
    }  # an hour shorter by the clock change
    moment = members(Happened(ORDER), Moment(NOW - TICK, ZONE), connection.dialect.name)
    assert connection.execute(moment).all() == []


def test_since_entry_counts_what_came_after_the_starting_event(connection: Connection) -> None:
    store(connection, [person(entered_at=NOW, arrived_at=NOW)], NOW)
    for seq in (1, 2, 3):
        happens(connection, NOW, seq)
    happens(connection, NOW - DAY, 4, known=NOW)
    entered = [{"entered_seq": seq} for seq in (0, 1, 2, LAST)]
    stand(connection, [at(NOW, **one) for one in entered])
    assert counted(connection, since="entry") == {1: 3, 2: 2, 3: 1, 4: 0}
    late = {"entered_at": NOW - DAY, "entered_effective_at": NOW, "entered_seq": 4}
    stand(connection, [at(NOW, **late), at(NOW - DAY, NOW, **late)])
    assert counted(connection, since="entry") == {1: 3, 2: 3}
    early = {"entered_at": NOW - DAY, "entered_effective_at": NOW - DAY, "entered_seq": 9}
    stand(connection, [at(NOW, **early)])
    assert counted(connection, since="entry") == {1: 4}


def test_since_arrival_counts_the_instant_of_entry_only_where_the_stay_came_to_the_step_then(
    connection: Connection,
) -> None:
    store(connection, [person(entered_at=NOW, arrived_at=NOW)], NOW)
    for seq in (1, 2, 3):
        happens(connection, NOW, seq)
    happens(connection, NOW + DAY, 4)
    later = NOW + 2 * DAY
    here = {"entered_seq": 1, "arrived_effective_at": NOW}
    before = {"entered_at": NOW - DAY, "entered_effective_at": NOW - DAY}
    stand(connection, [at(later, **here), at(later, **here | before), at(NOW, **here)])
    assert counted(connection, since="arrival") == {1: 3, 2: 1, 3: 2}


def test_the_same_is_that_of_each_ones_own_beginning(connection: Connection) -> None:
    store(connection, [person()], NOW)
    begun = [happens(connection, NOW - DAY, n, name="cart.left", cart=cart) for n, cart in enumerate("ab")]
    happens(connection, NOW, 5, cart="a")
    stand(connection, [at(NOW, event_id=n) for n in (*begun, None)] + [at(NOW - TICK, event_id=begun[0])])
    bought = Happened(ORDER, same=Same("cart", "text"))
    assert by_row(connection, bought) == {1: True, 2: False, 3: False, 4: False}


def test_messages_stays_consents_and_lists_are_seen_from_their_own_times_on(connection: Connection) -> None:
    mail = Mail("welcome", "email", "welcome", {"opened": NOW})
    who = person(email="a@x.example", consents={"email": (True, NOW)}, messages=[mail])
    who.stays = [Stay("welcome", "finished", NOW, NOW + DAY)]
    who.suppressed = {"email": NOW + DAY}
    store(connection, [who], NOW)
    stand(connection, [at(NOW - TICK), at(NOW), at(NOW - DAY, NOW), at(NOW + DAY - TICK), at(NOW + DAY)])
    begun = {1: False, 2: True, 3: True, 4: True, 5: True}
    over = dict.fromkeys((1, 2, 3, 4), False) | {5: True}
    assert by_row(connection, MessageWas("welcome", "opened")) == begun
    assert by_row(connection, HasConsent("email")) == begun
    assert by_row(connection, Not(JourneyIs("welcome", "never"))) == begun
    assert by_row(connection, JourneyIs("welcome", "finished")) == over
    assert by_row(connection, JourneyIs("welcome", "inside")) == {n: begun[n] and not over[n] for n in begun}
    assert by_row(connection, Reachable("email")) == {n: begun[n] and not over[n] for n in begun}


def test_a_stay_that_began_late_is_seen_when_it_took_effect(connection: Connection) -> None:
    store(connection, [person(stays=[Stay("welcome", "inside", NOW - DAY)])], NOW)
    connection.execute(update(enrollment).values(effective_at=NOW))
    stand(connection, [at(NOW - TICK), at(NOW)])
    assert by_row(connection, JourneyIs("welcome", "inside")) == {1: False, 2: True}


# --- at the door --------------------------------------------------------------------------------------------


def seen_up_to(
    connection: Connection, condition: Condition, *last: tuple[datetime | None, int | None]
) -> list[bool]:
    """Return whether a condition holds for the customer, asked now and seeing nothing after these places of it."""
    stand(connection, [at(NOW, deadline_at=time, visit=seq) for time, seq in last])
    bound = (cohort.c.deadline_at.label("last_at"), cohort.c.visit.label("last_seq"))
    columns = (cohort.c.customer_id, cohort.c.at, cohort.c.effective_at, *bound)
    dialect, moment = connection.dialect.name, Moment(NOW, ZONE)
    whole = select(cohort.c.enrollment_id, *columns).subquery("asked")
    found = connection.execute(branches([condition], moment, dialect, whole)).all()
    apart = branches([condition], moment, dialect, select(*columns).subquery("asked"))
    assert Counter(row.branch for row in connection.execute(apart)) == Counter(row.branch for row in found)
    return [row.branch == 0 for row in sorted(found, key=lambda row: row.enrollment_id)]


def test_two_orders_in_one_second_are_the_first_and_the_second_to_their_own_callers(
    connection: Connection,
) -> None:
    store(connection, [person()], NOW)
    happens(connection, NOW, 7)
    happens(connection, NOW, 8)
    places = [(NOW, 6), (NOW, 7), (NOW, 8), (None, None)]
    assert seen_up_to(connection, exactly(0), *places) == [True, False, False, False]
    assert seen_up_to(connection, exactly(1), *places) == [False, True, False, False]
    assert seen_up_to(connection, exactly(2), *places) == [False, False, True, True]


def test_of_one_instant_what_happened_earlier_comes_first_whatever_its_number(connection: Connection) -> None:
    store(connection, [person()], NOW)
    happens(connection, NOW - DAY, 9, known=NOW)
    happens(connection, NOW, 8)
    happens(connection, NOW - DAY, 20)  # known before
    assert seen_up_to(connection, exactly(2), (NOW - DAY, 9), (NOW, 7), (NOW - DAY, 8)) == [True, True, False]
    assert seen_up_to(connection, exactly(3), (NOW, 8)) == [True]


def test_callers_are_told_apart_by_their_arrivals(connection: Connection) -> None:
    caller.create(connection, checkfirst=True)
    store(connection, [person(), person(key="c2")], NOW)
    happens(connection, NOW, 7)
    happens(connection, NOW, 8)
    rows = [{"arrival_id": 30, "customer_id": 1, "seq": 7}, {"arrival_id": 31, "customer_id": 2, "seq": 8}]
    connection.execute(insert(caller), [row | {"at": NOW, "effective_at": NOW} for row in rows])
    last = (caller.c.at.label("last_at"), caller.c.seq.label("last_seq"))
    known = (caller.c.arrival_id, caller.c.customer_id, caller.c.at, caller.c.effective_at)
    coming = select(*known, *last).subquery("coming")
    for condition, wanted in ((exactly(1), [1]), (exactly(0), [2])):
        query = members(condition, Moment(NOW, ZONE), connection.dialect.name, coming)
        assert list(connection.scalars(query)) == wanted


def test_an_events_own_properties_are_counted_from_its_own_time(connection: Connection) -> None:
    store(connection, [person()], NOW)
    for n, hours in enumerate((0, 1, 2)):
        happens(connection, NOW + timedelta(hours=hours), n, paid="2026-03-29T11:00:00Z")
    where = (Property("paid", "time", (Op("after", (Ago(Duration(days=1)),)),)),)
    assert stretch_end(where, ZONE, NOW, NOW + DAY) == NOW + DAY
    moment = AnyMoment(zone=ZONE)
    fits = event_fits(where, event, connection.dialect.name, moment.of(event))
    query = select(fits).select_from(event).order_by(event.c.at)
    found = connection.scalars(query, moment.values(Moment(NOW, ZONE)))
    assert [bool(one) for one in found] == [True, False, False]


# --- what is kept -------------------------------------------------------------------------------------------


def test_one_statement_serves_all_stretches(connection: Connection) -> None:
    kept, condition = Kept(), Happened(ORDER, within=Duration(days=1))
    store(connection, [person()], NOW)
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    happens(connection, spring, 1)
    happens(connection, spring + DAY - timedelta(hours=1), 2)
    found: list[tuple[Any, bool]] = []
    for hours in (23, 47, 70):  # the day after the clocks went on, a day before is 23 hours before
        time = spring + timedelta(hours=hours) - TICK
        stand(connection, [at(time)])
        make = lambda moment: branches([condition], moment, connection.dialect.name, cohort)  # noqa: E731
        statement, values = kept.asking("asked", [condition], Moment(time, ZONE), make)
        found.append((statement, connection.execute(statement, values).one().branch == 0))
    assert [holds for _, holds in found] == [True, True, False]
    assert len({id(statement) for statement, _ in found}) == 1


@pytest.mark.parametrize("what", [Property, Attribute])
def test_what_looks_ahead_is_made_for_each_stretch(what: type[Property | Attribute]) -> None:
    kept, asked_for = Kept(), [what("birthday", "date", (Op("anniversary_in", (Ahead(D),)),))]
    for time in (NOW, NOW + DAY):
        moment = Moment(time, ZONE)
        assert kept.asking("asked", asked_for, moment, lambda made_for: made_for) == (moment, {})


# --- the edges of windows -----------------------------------------------------------------------------------

D = Duration(days=1)
EDGE = D.before(NOW, ZONE)


def compared(op: str) -> tuple[Op, ...]:
    return (Op(op, (Ago(D),)),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (Happened(ORDER, within=D), [False, False, True]),
        (Aggregate("sum", ORDER, "total", "number", (Op("above", (0,)),), within=D), [False, False, True]),
        (All((Happened(ORDER, (Op("at_least", (1,)),), within=D), Happened(ORDER))), [False, False, True]),
        (MessageWas("welcome", "opened", within=D), [False, False, True]),
        (Happened(ORDER, last=compared("before")), [True, False, False]),
        (Happened(ORDER, first=compared("before")), [True, False, False]),
        (Happened(ORDER, last=compared("after")), [False, False, True]),
        (Happened(ORDER, first=compared("after")), [False, False, True]),
        (Attribute("created_at", "time", compared("before")), [True, False, False]),
        (Attribute("created_at", "time", compared("after")), [False, False, True]),
    ],
)
def test_what_is_exactly_so_long_ago_is_neither_within_nor_before_nor_after(
    connection: Connection, condition: Condition, wanted: list[bool]
) -> None:
    for instant, holds in zip((EDGE - TICK, EDGE, EDGE + TICK), wanted, strict=True):
        mail = Mail("welcome", "email", "welcome", {"opened": instant})
        ordered = Happening(ORDER, instant, {"total": 5})
        store(connection, [person(created_at=instant, events=[ordered], messages=[mail])], NOW)
        stand(connection, [at(NOW)])
        assert by_row(connection, condition)[1] is holds
        assert one_by_one(connection, condition)[1] is holds


@pytest.mark.parametrize(
    ("op", "wanted"), [("before", [True, False, False]), ("after", [False, False, True])]
)
def test_a_time_to_the_second_that_is_exactly_so_long_ago_is_neither_before_nor_after(
    connection: Connection, op: str, wanted: list[bool]
) -> None:
    second = timedelta(seconds=1)
    for instant, holds in zip((EDGE - second, EDGE, EDGE + second), wanted, strict=True):
        store(connection, [person(attributes={"paid": f"{instant:%Y-%m-%dT%H:%M:%SZ}"})], NOW)
        stand(connection, [at(NOW), at(NOW + TICK), at(NOW - TICK)])
        condition = Attribute("paid", "time", compared(op))
        found = by_row(connection, condition)
        on_time, later, earlier = found[1], found[2], found[3]
        assert on_time is holds
        if instant == EDGE:  # a microsecond decides
            assert (later, earlier) == (op == "before", op == "after")


def test_the_hour_that_was_skipped_so_long_ago_counts_from_where_the_clocks_went_on(
    connection: Connection,
) -> None:
    """A day before 02:30 on the 30th is 03:00 on the 29th, for the clocks went from 02:00 to 03:00 then."""
    skipped = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    half_past = datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    store(connection, [person()], NOW)
    happens(connection, skipped, 1)
    happens(connection, skipped + TICK, 2)
    stand(
        connection, [at(half_past), at(half_past + timedelta(minutes=29)), at(half_past - timedelta(hours=1))]
    )
    assert counted(connection, within=D) == {1: 1, 2: 1, 3: 2}
    assert by_row(connection, Happened(ORDER, last=compared("after"))) == dict.fromkeys((1, 2, 3), True)
    assert by_row(connection, Happened(ORDER, first=compared("after"))) == {1: False, 2: False, 3: True}


def test_a_birthday_comes_round_by_each_ones_own_day(connection: Connection) -> None:
    store(connection, [person(attributes={"birthday": "1990-04-01"})], NOW)
    midnight = datetime(2026, 3, 30, 22, 0, tzinfo=UTC)
    stand(connection, [at(midnight - TICK), at(midnight), at(midnight + DAY), at(midnight + 2 * DAY)])
    tomorrow = Attribute("birthday", "date", (Op("anniversary_in", (Ahead(D),)),))
    assert by_row(connection, tomorrow) == {1: False, 2: True, 3: True, 4: False}


def test_a_day_so_long_ago_is_each_ones_own(connection: Connection) -> None:
    store(connection, [person(attributes={"renewal": "2026-03-30"})], NOW)
    midnight = datetime(2026, 3, 30, 22, 0, tzinfo=UTC)
    stand(connection, [at(midnight - TICK), at(midnight), at(midnight + DAY - TICK), at(midnight + DAY)])
    on_the_day = Attribute("renewal", "date", (Op("is", (Ago(D),)),))
    assert by_row(connection, on_the_day) == {1: False, 2: True, 3: True, 4: False}
