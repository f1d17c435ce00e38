"""What each kind of condition means, where the language's page says so or a marketer would expect it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import Connection, Engine, FromClause, create_engine, insert, select

from tests.segments.naive import Happening, Mail, Person, Stay
from tests.segments.worlds import agree, ids, stay_columns, store
from treue.clock import Duration
from treue.model import tables
from treue.segments.needs import looks_ahead
from treue.segments.sql import AnyMoment, Moment, branches, event_fits, members
from treue.segments.tree import Ago, Ahead, All, Condition, InSegment, Not, Op, Property, Same
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.message.word import MessageWas
from treue.vocabulary.conditions.reachable.word import Reachable

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
MOMENT = Moment(NOW, "Europe/Berlin")
TICK = timedelta(microseconds=1)
STATES: tuple[Literal["inside", "finished", "converted", "never"], ...] = (
    "inside",
    "finished",
    "converted",
    "never",
)
DAYS_90 = Duration(days=90)
EDGE = DAYS_90.before(NOW, "Europe/Berlin")


def person(**parts: object) -> Person:
    return Person(**({"key": "c1", "created_at": NOW - timedelta(days=400)} | parts))  # type: ignore[arg-type]


def ordered(*times: datetime, **properties: object) -> list[Happening]:
    return [Happening("order.placed", at, properties) for at in times]


def holds(connection: Connection, condition: Condition, who: Person, moment: Moment = MOMENT) -> bool:
    agree(connection, [who], [condition], moment)
    return bool(ids(connection, members(condition, moment, connection.dialect.name, tables.cohort)))


def attribute(name: str, kind: str, op: str, *values: object) -> Attribute:
    return Attribute(name, kind, (Op(op, values),))  # type: ignore[arg-type]


def another_stay() -> dict[str, object]:
    return {"enrollment_id": 77, "customer_id": 1, "at": NOW, "effective_at": NOW}


def test_an_order_exactly_90_days_old_has_left_a_window_of_90_days(connection: Connection) -> None:
    within = Happened("order.placed", within=DAYS_90)
    assert not holds(connection, within, person(events=ordered(EDGE)))
    assert holds(connection, within, person(events=ordered(EDGE + TICK)))
    assert holds(connection, within, person(events=ordered(NOW)))


def test_90_days_count_back_on_the_workspace_clock_across_a_clock_change(connection: Connection) -> None:
    assert timedelta(days=90) - timedelta(hours=1) == NOW - EDGE
    midway = person(events=ordered(EDGE - timedelta(minutes=30)))
    within = Happened("order.placed", within=DAYS_90)
    assert not holds(connection, within, midway)
    assert holds(connection, within, midway, Moment(NOW, "UTC"))


def test_what_looks_ahead_is_asked_of_one_moment(connection: Connection) -> None:
    birthday = attribute("birthday", "date", "anniversary_in", Ahead(Duration(days=3)))
    assert looks_ahead(birthday)
    with pytest.raises(TypeError, match="one moment"):
        members(birthday, AnyMoment(), connection.dialect.name)


def test_what_happens_after_now_is_not_known_yet(connection: Connection) -> None:
    later = NOW + TICK
    mail = Mail("welcome", "email", "welcome", {"opened": later})
    who = person(events=ordered(later, total=50), messages=[mail], consents={"email": (True, later)})
    total = Aggregate("sum", "order.placed", "total", "number", (Op("above", (0,)),))
    for leaf in (Happened("order.placed"), total, HasConsent("email"), MessageWas("welcome", "opened")):
        assert not holds(connection, leaf, who)


@pytest.mark.parametrize(
    ("kind", "value"), [("number", "42"), ("text", 42), ("bool", 1), ("list", "a"), ("date", 7)]
)
def test_a_value_of_another_type_is_missing(connection: Connection, kind: str, value: object) -> None:
    who = person(attributes={"a": value})
    assert holds(connection, attribute("a", kind, "exists", False), who)
    assert holds(connection, attribute("a", kind, "not", "x"), who)
    assert not holds(connection, attribute("a", kind, "is", value), who)


def test_not_of_a_comparison_with_a_missing_attribute_holds(connection: Connection) -> None:
    above = attribute("age", "number", "above", 17)
    assert not holds(connection, above, person())
    assert holds(connection, Not(above), person())
    assert holds(connection, Not(Not(Not(above))), person())


def test_an_attribute_with_an_umlaut_in_its_name_is_found(connection: Connection) -> None:
    assert holds(connection, attribute("größe", "text", "is", "XL"), person(attributes={"größe": "XL"}))


def test_text_is_compared_case_by_case_and_percent_signs_are_letters(connection: Connection) -> None:
    who = person(attributes={"a": "100% Ärger"})
    assert holds(connection, attribute("a", "text", "contains", "0% Ä"), who)
    assert holds(connection, attribute("a", "text", "ends_with", "Ärger"), who)
    for wrong in ("ärger", "100%%", "1_0", "100% ärger"):
        assert not holds(connection, attribute("a", "text", "contains", wrong), who)


def test_a_list_contains_whole_values_of_the_same_type(connection: Connection) -> None:
    who = person(attributes={"tags": ["vip", 7, True]})
    for present in ("vip", 7, 7.0, True):
        assert holds(connection, attribute("tags", "list", "contains", present), who)
    for absent in ("vi", "7", 1, False, "true"):
        assert not holds(connection, attribute("tags", "list", "contains", absent), who)


def test_a_list_of_one_and_a_list_of_true_are_different_conditions(connection: Connection) -> None:
    true_only = attribute("tags", "list", "contains", True)
    who = person(attributes={"tags": [True]})
    assert not holds(connection, All((true_only, attribute("tags", "list", "contains", 1))), who)


def test_ten_cents_and_twenty_cents_are_thirty_cents(connection: Connection) -> None:
    total = Aggregate("sum", "order.placed", "total", "number", (Op("is", (0.3,)),))
    events = ordered(NOW, total=0.1) + ordered(NOW - TICK, total=0.2)
    assert holds(connection, total, person(events=events))


def test_without_any_event_a_sum_is_0_and_an_average_missing(connection: Connection) -> None:
    at_most = (Op("at_most", (10,)),)
    assert holds(connection, Aggregate("sum", "order.placed", "total", "number", at_most), person())
    assert holds(connection, Aggregate("count_distinct", "order.placed", "sku", "text", at_most), person())
    average = Aggregate("average", "order.placed", "total", "number", at_most)
    assert not holds(connection, average, person())
    assert holds(connection, Not(average), person())


def test_numbers_beyond_64_bits_are_added_without_an_error(connection: Connection) -> None:
    events = (
        ordered(NOW, total=2**63 - 1) + ordered(NOW - TICK, total=2**63 - 1) + ordered(NOW, total=10**400)
    )
    store(connection, [person(events=events)])
    total = Aggregate("sum", "order.placed", "total", "number", (Op("above", (1e18,)),))
    assert ids(connection, members(total, MOMENT, connection.dialect.name)) == [1]


def test_an_aggregate_of_a_type_it_does_not_know_finds_nothing(connection: Connection) -> None:
    store(connection, [person(events=ordered(NOW, paid=True, items=[1]))])
    for function in ("sum", "average", "min", "max"):
        for kind, name in (("bool", "paid"), ("list", "items")):
            leaf = Aggregate(function, "order.placed", name, kind, (Op("above", (0,)),))  # type: ignore[arg-type]
            assert ids(connection, members(leaf, MOMENT, connection.dialect.name)) == []


def test_last_before_180_days_ago_needs_an_order_at_all(connection: Connection) -> None:
    lapsed = Happened("order.placed", last=(Op("before", (Ago(Duration(days=180)),)),))
    assert not holds(connection, lapsed, person())
    assert holds(connection, lapsed, person(events=ordered(NOW - timedelta(days=200))))
    assert not holds(
        connection, lapsed, person(events=ordered(NOW - timedelta(days=200), NOW - timedelta(days=9)))
    )


def test_after_a_date_means_from_the_next_local_day_on(connection: Connection) -> None:
    after = Happened("order.placed", first=(Op("after", ("2026-03-28",)),))
    midnight = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert not holds(connection, after, person(events=ordered(midnight - TICK)))
    assert holds(connection, after, person(events=ordered(midnight)))


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_the_ends_of_the_calendar_are_days_like_others(connection: Connection, day: str) -> None:
    store(connection, [person(attributes={"until": day}, events=ordered(NOW))])
    dialect = connection.dialect.name
    assert ids(connection, members(attribute("until", "date", "is", day), MOMENT, dialect)) == [1]
    first = Happened("order.placed", first=(Op("before" if day > "2" else "after", (day,)),))
    assert ids(connection, members(first, MOMENT, dialect)) == [1]


def test_a_window_longer_than_the_calendar_takes_in_everything(connection: Connection) -> None:
    store(connection, [person(events=ordered(NOW))])
    ever = Happened("order.placed", within=Duration(months=12 * 9000))
    assert ids(connection, members(ever, MOMENT, connection.dialect.name)) == [1]


def test_the_customers_own_columns_are_attributes(connection: Connection) -> None:
    who = person(key="c-7", email="a@example.com", attributes={"email": "other@example.com"})
    assert holds(connection, attribute("id", "text", "is", "c-7"), who)
    assert holds(connection, attribute("email", "text", "ends_with", "a@example.com"), who)
    assert holds(connection, attribute("created_at", "time", "before", Ago(Duration(months=12))), who)
    assert holds(connection, attribute("phone", "text", "exists", False), who)


def test_a_segment_means_its_condition(connection: Connection) -> None:
    named = InSegment("buyers", Happened("order.placed"))
    assert holds(connection, named, person(events=ordered(NOW)))
    assert not holds(connection, named, person())


def test_since_entry_is_counted_for_each_stay_by_itself(connection: Connection) -> None:
    first, second = NOW - timedelta(days=3), NOW - timedelta(days=1)
    store(connection, [person(events=ordered(NOW - timedelta(days=2)), entered_at=first)], NOW)
    connection.execute(insert(tables.cohort), another_stay() | stay_columns(person(entered_at=second)))
    bought = Happened("order.placed", since="entry")
    query = branches([bought, None], MOMENT, connection.dialect.name, tables.cohort)
    assert {row.enrollment_id: row.branch for row in connection.execute(query)} == {1: 0, 77: 1}


def test_an_event_at_the_very_moment_of_entry_is_not_since_entry(connection: Connection) -> None:
    bought = Happened("order.placed", since="entry")
    assert not holds(connection, bought, person(events=ordered(NOW - TICK), entered_at=NOW - TICK))
    assert holds(connection, bought, person(events=ordered(NOW), entered_at=NOW - TICK))


def test_since_arrival_counts_what_came_later_than_the_arrival(connection: Connection) -> None:
    bought = Happened("order.placed", since="arrival")
    here = {"entered_at": NOW - timedelta(days=1), "arrived_at": NOW - TICK}
    assert not holds(connection, bought, person(events=ordered(NOW - TICK), **here))
    assert holds(connection, bought, person(events=ordered(NOW), **here))


def test_the_same_counts_only_events_that_share_the_property(connection: Connection) -> None:
    left = Happening("cart.left", NOW - timedelta(days=1), {"cart": "a"})
    bought = Happened("order.placed", same=Same("cart", "text"))
    for properties, wanted in (({"cart": "a"}, True), ({"cart": "b"}, False), ({}, False)):
        who = person(events=[left, *ordered(NOW, **properties)], began=left)
        assert holds(connection, bought, who) is wanted
    assert not holds(connection, bought, person(events=[left, *ordered(NOW, cart="a")]))


def test_the_same_is_nowhere_where_the_property_is_missing_on_both(connection: Connection) -> None:
    left = Happening("cart.left", NOW - timedelta(days=1), {})
    bought = Happened("order.placed", same=Same("cart", "text"))
    assert not holds(connection, bought, person(events=[left, *ordered(NOW)], began=left))
    assert holds(connection, Not(bought), person(events=[left, *ordered(NOW)], began=left))


def test_the_same_is_asked_of_each_stay_by_itself(connection: Connection) -> None:
    carts = [Happening("cart.left", NOW - timedelta(days=2), {"cart": cart}) for cart in "ab"]
    store(connection, [person(events=[*carts, *ordered(NOW, cart="b")], began=carts[0])], NOW)
    connection.execute(insert(tables.cohort), another_stay() | {"event_id": 101})
    bought = Happened("order.placed", same=Same("cart", "text"))
    query = branches([bought, None], MOMENT, connection.dialect.name, tables.cohort)
    assert {row.enrollment_id: row.branch for row in connection.execute(query)} == {1: 1, 77: 0}


BERLIN_NEW_YEAR = Moment(datetime(2026, 12, 30, 23, 30, tzinfo=UTC), "Europe/Berlin")  # the 31st there
LEAP_YEAR = Moment(datetime(2028, 2, 27, 12, 0, tzinfo=UTC), "Europe/Berlin")
COMMON_YEAR = Moment(datetime(2027, 2, 27, 12, 0, tzinfo=UTC), "Europe/Berlin")


def comes_round(days: int, name: str = "birthday", kind: str = "date") -> Attribute:
    return attribute(name, kind, "anniversary_in", Ahead(Duration(days=days)))


@pytest.mark.parametrize(
    ("birthday", "moment", "days", "wanted"),
    [
        ("1990-03-30", MOMENT, 3, True),
        ("1990-04-02", MOMENT, 3, True),
        ("1990-04-03", MOMENT, 3, False),
        ("1990-03-29", MOMENT, 3, False),
        ("1990-12-31", BERLIN_NEW_YEAR, 1, True),
        ("1990-12-30", BERLIN_NEW_YEAR, 1, False),
        ("1990-01-01", BERLIN_NEW_YEAR, 1, True),
        ("1990-01-02", BERLIN_NEW_YEAR, 1, False),
        ("2000-02-29", COMMON_YEAR, 1, True),
        ("2000-02-29", LEAP_YEAR, 1, False),
        ("2000-02-29", LEAP_YEAR, 2, True),
        ("2000-02-28", LEAP_YEAR, 1, True),
        ("1990-03-29", MOMENT, 364, True),
        ("1990-03-29", MOMENT, 363, False),
    ],
)
def test_an_anniversary_is_today_or_in_the_days_ahead(
    connection: Connection, birthday: str, moment: Moment, days: int, wanted: bool
) -> None:
    who = person(attributes={"birthday": birthday})
    assert holds(connection, comes_round(days), who, moment) is wanted


def test_the_anniversary_of_a_time_is_that_of_its_day_on_the_workspaces_clock(connection: Connection) -> None:
    late = person(
        created_at=datetime(2024, 3, 29, 23, 30, tzinfo=UTC), attributes={"at": "2024-03-29T22:59:59Z"}
    )
    assert holds(connection, comes_round(0, "created_at", "time"), late)
    assert not holds(connection, comes_round(0, "at", "time"), late)


def test_no_date_has_no_anniversary(connection: Connection) -> None:
    for days in (3, 5000):
        assert not holds(connection, comes_round(days), person(attributes={"birthday": "30.3.1990"}))
        assert not holds(connection, comes_round(days), person())


def test_an_entry_of_a_list_may_match(connection: Connection) -> None:
    vip = attribute("tags", "list", "matches", "^vip-[0-9]+$")
    assert holds(connection, vip, person(attributes={"tags": ["new", "vip-12"]}))
    for tags in (["vip-", 12], [12, None, ["vip-1"]], [], "vip-1", None):
        assert not holds(connection, vip, person(attributes={"tags": tags}))


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({}, True),
        ({"email": None}, False),
        ({"consents": {}}, False),
        ({"consents": {"email": (False, NOW)}}, False),
        ({"suppressed": {"email": NOW}}, False),
        ({"suppressed": {"email": NOW + TICK}}, True),
        ({"suppressed": {"sms": NOW}, "phone": "+4415"}, True),
    ],
)
def test_reachable_is_who_has_an_address_and_agreed_and_is_not_suppressed(
    connection: Connection, parts: dict[str, object], wanted: bool
) -> None:
    who = person(**{"email": "ada@example.com", "consents": {"email": (True, NOW)}, **parts})
    assert holds(connection, Reachable("email"), who) is wanted


def test_an_address_is_suppressed_in_whatever_letters(connection: Connection) -> None:
    store(connection, [person(email="Ada@Example.com", consents={"email": (True, NOW)})])
    row = {"channel": "email", "address": "ada@example.com", "reason": "", "since": NOW, "evidence": {}}
    connection.execute(insert(tables.suppression), row)
    assert ids(connection, members(Reachable("email"), MOMENT, connection.dialect.name)) == []


def test_how_a_customer_stands_to_a_journey_is_told_by_all_stays(connection: Connection) -> None:
    before, after = NOW - timedelta(days=9), NOW + TICK
    cases: list[tuple[list[Stay], set[str]]] = [
        ([], {"never"}),
        ([Stay("welcome", "inside", NOW)], {"inside"}),
        ([Stay("welcome", "inside", after)], {"never"}),
        ([Stay("welcome", "finished", before, NOW)], {"finished"}),
        ([Stay("welcome", "finished", before, after)], {"inside"}),
        ([Stay("welcome", "converted", before, NOW)], {"finished", "converted"}),
        ([Stay("welcome", "exited", before, NOW)], set()),
        ([Stay("welcome", "converted", before, NOW), Stay("welcome", "inside", NOW)], {*STATES} - {"never"}),
        ([Stay("win-back", "finished", before, NOW)], {"never"}),
    ]
    for stays, wanted in cases:
        leaves = {state: JourneyIs("welcome", state) for state in STATES}
        assert {state for state in STATES if holds(connection, leaves[state], person(stays=stays))} == wanted


def test_a_sum_of_nothing_is_one_of_0_and_more(connection: Connection) -> None:
    for op in (Op("in", (0, 5)), Op("between", (0, 5)), Op("not", (5,)), Op("is", (0,)), Op("below", (1,))):
        assert holds(connection, Aggregate("sum", "order.placed", "total", "number", (op,)), person())
    for op in (
        Op("in", (1, 5)),
        Op("between", (1, 5)),
        Op("not", (0,)),
        Op("not_in", (0,)),
        Op("above", (0,)),
    ):
        assert not holds(connection, Aggregate("sum", "order.placed", "total", "number", (op,)), person())


def test_a_customer_with_two_stays_is_a_member_once(connection: Connection) -> None:
    store(connection, [person(events=ordered(NOW))], NOW)
    connection.execute(insert(tables.cohort), another_stay())
    query = members(Happened("order.placed"), MOMENT, connection.dialect.name, tables.cohort)
    assert ids(connection, query) == [1]


@pytest.mark.parametrize(
    ("leaf", "missing"),
    [
        (Happened("order.placed", since="entry"), "the entry took effect"),
        (Happened("order.placed", since="arrival"), "the arrival at the step"),
        (Happened("order.placed", same=Same("cart", "text")), "the event that started the stay"),
    ],
)
def test_what_looks_at_a_stay_is_refused_without_one(
    connection: Connection, leaf: Happened, missing: str
) -> None:
    with pytest.raises(ValueError, match=missing):
        members(leaf, MOMENT, connection.dialect.name)


def test_where_no_branch_holds_the_branch_is_empty(connection: Connection) -> None:
    store(connection, [person()])
    query = branches([Happened("order.placed")], MOMENT, connection.dialect.name, tables.cohort)
    assert [(row.customer_id, row.branch) for row in connection.execute(query)] == [(1, None)]


def test_an_events_own_properties_fit_or_not_and_are_never_unknown(connection: Connection) -> None:
    events = ordered(NOW, source="shop") + ordered(NOW - TICK, source="import") + ordered(NOW - 2 * TICK)
    store(connection, [person(events=events)])
    where = (
        Property("source", "text", (Op("not", ("import",)),)),
        Property("source", "text", (Op("exists", (True,)),)),
    )
    for properties, wanted in (
        (where, [False, False, True]),
        (where[:1], [True, False, True]),
        ((), [True] * 3),
    ):
        fits = event_fits(properties, tables.event, connection.dialect.name, MOMENT)
        query = select(fits).select_from(tables.event).order_by(tables.event.c.at)
        assert [bool(one) for one in connection.scalars(query)] == wanted


def test_one_table_read_serves_all_conditions_on_the_same_events() -> None:
    leaves = (
        Happened("order.placed", (Op("at_least", (2,)),), within=DAYS_90),
        Happened("order.placed", last=(Op("after", (Ago(DAYS_90),)),)),
        Aggregate("sum", "order.placed", "total", "number", (Op("above", (500,)),), within=DAYS_90),
    )
    both = str(members(All((*leaves, Not(InSegment("same", All(leaves))))), MOMENT, "sqlite"))
    assert both.count("FROM event") == 1
    assert both.count("count(*)") == 1


DOOR = select(
    *(tables.caller.c[name] for name in ("arrival_id", "customer_id", "event_id", "at", "effective_at")),
    *(tables.caller.c.at.label(name) for name in ("last_at", "entered_at", "entered_effective_at")),
    *(tables.caller.c.seq.label(name) for name in ("last_seq", "entered_seq")),
    tables.caller.c.at.label("arrived_effective_at"),
).subquery("coming")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """SQLite that thinks it has a million events, so that it plans as it does where it has."""
    path = tmp_path_factory.mktemp("crowded") / "treue.db"
    before = create_engine(f"sqlite:///{path}")
    tables.metadata.create_all(before)
    with before.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
        for index, stat in {"event_name_customer": "300000 10 1 1 1", "event_customer": "20 1"}.items():
            row = ("event", index, f"1000000 {stat}")
            connection.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", row)
    before.dispose()
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("among", [tables.cohort, DOOR], ids=["stage", "door"])
@pytest.mark.parametrize(
    "leaf",
    [
        Happened("order.placed"),
        Happened("order.placed", within=DAYS_90),
        Happened("order.placed", since="entry"),
        Happened("order.placed", since="arrival"),
    ],
)
def test_sqlite_looks_up_the_events_of_those_asked_by_name_and_customer(
    crowded: Engine, leaf: Happened, among: FromClause
) -> None:
    query = branches([leaf], MOMENT, "sqlite", among)
    shown = str(query.compile(crowded, compile_kwargs={"literal_binds": True}))
    with crowded.connect() as connection:
        tables.cohort.create(connection, checkfirst=True)
        tables.caller.create(connection, checkfirst=True)
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {shown}")]
    (looked_up,) = [line for line in plan if " event " in line]
    assert looked_up.startswith(
        "SEARCH event USING COVERING INDEX event_name_customer (name=? AND customer_id=? AND"
    )
    assert not [line for line in plan if "TEMP B-TREE" in line]
