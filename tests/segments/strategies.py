"""Conditions and customers that hypothesis makes: few names, so that they meet; odd values, so that they bite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.segments.naive import Happening, Mail, Person, Stay
from tests.segments.worlds import JOURNEYS
from tests.vocabulary import oracles
from treue.clock import Duration
from treue.segments.sql import Moment
from treue.segments.tree import Ago, Ahead, All, AnyOf, Condition, InSegment, Not, Op, Property, Same
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.message.word import MessageWas
from treue.vocabulary.conditions.reachable.word import Reachable

MOMENTS = [
    Moment(datetime(2026, 3, 30, 10, 30, tzinfo=UTC), "Europe/Berlin"),  # the day after the clocks went on
    Moment(datetime(2026, 10, 25, 1, 30, 0, 5, tzinfo=UTC), "Europe/Berlin"),  # the hour that comes twice
    Moment(datetime(2018, 11, 5, 2, 0, tzinfo=UTC), "America/Sao_Paulo"),  # the day before had no midnight
    Moment(datetime(2026, 3, 1, 0, 0, tzinfo=UTC), "Pacific/Auckland"),
]
DURATIONS = [Duration(days=90), Duration(days=1), Duration(months=1), Duration(days=1, seconds=43_200)]
DURATIONS += [Duration(seconds=7200), Duration(months=12), Duration(days=7)]
EVENTS = ("order.placed", "cart.left", 'O\'Brien "x"; --')
NAMES = ("a", "plan", "größe", 'qu"ote', "o'reilly", "x.y", "$.z", "[0]", "", "a b", "\\", "a\\u00e4")
TEXTS = ["DE", "de", "AT", "", "ß", "SS", "Ärger", "ärger", "O'Neil", '"q"', "%", "_", "a%b", "é", "e\u0301"]
TEXTS += [
    "😀",
    "\\",
    "2026-01-01",
    "null",
    "true",
    "1",
    "'; DROP TABLE customer; --",
    "Z",
    "a",
    "z",
    "D",
    "\t",
]
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    0.1,
    0.2,
    0.3,
    0.30000000000000004,
    49.99,
    50,
    1.0,
    10**12,
    2**53,
    1e300,
    10**30,
    -0.5,
]
DAYS = ["2026-03-29", "2026-03-30", "2026-02-28", "2024-02-29", "2018-11-04", "2018-11-05", "1969-12-31"]
DAYS += ["9999-12-31", "0001-01-01", "2026-03-01", "2026-10-25"]
NEARLY_DAYS = ["2026-02-29", "2026-13-01", "2026-00-10", "1900-02-29", "2026-1-1", "2026-01-32", "2026-04-31"]
NEARLY_DAYS += ["0000-01-01", " 2026-01-01", "2026-01-01 ", "now", "2026-01-01\n", "２０２６-01-01"]
HOURS = ["00:00:00", "23:59:59", "10:30:00", "03:00:00", "22:00:00", "23:00:00"]
NEARLY_TIMES = ["2026-03-30T10:30:00", "2026-03-30T24:00:00Z", "2026-03-30 10:30:00Z", "2026-03-30T10:30:60Z"]
NEARLY_TIMES += ["2026-02-30T10:30:00Z", "2026-03-30T10:30:00+00:00", "2026-03-30T10:30:00.5Z"]
CHANNELS = ("email", "sms")
TEMPLATES = ("welcome", "voucher")
STANDINGS = ("inside", "finished", "converted", "never")
WAS = ("sent", "opened", "clicked")

storable = st.characters(codec="utf-8", exclude_characters="\x00")
texts = st.sampled_from(TEXTS) | st.text(storable, max_size=4)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 5)
money = st.integers(-1000, 10_000).map(lambda cents: cents / 100) | st.integers(0, 60)
days = st.sampled_from(DAYS)
instants = st.builds("{}T{}Z".format, st.sampled_from(DAYS[:7]), st.sampled_from(HOURS))
scalars = texts | numbers | st.booleans() | days | instants
junk = st.none() | scalars | st.sampled_from(NEARLY_DAYS + NEARLY_TIMES) | st.lists(scalars, max_size=3)
values = junk | st.dictionaries(texts, scalars, max_size=1)
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)

ago = st.sampled_from(DURATIONS).map(Ago)
ahead = st.sampled_from([*DURATIONS, Duration(days=3), Duration(days=364), Duration(days=365)]).map(Ahead)
far = st.sampled_from(["9999-12-30", "0001-01-02", "1850-06-01", "2900-01-01"])
points = (
    st.sampled_from([*DAYS[:7], "2026-10-25"])
    | far
    | instants
    | ago
    | st.just("2026-03-30T10:30:00.000005+00:00")
)
OPERANDS: dict[str, Any] = {
    "text": texts,
    "number": numbers,
    "bool": st.booleans(),
    "date": points,
    "time": points,
    "list": texts | numbers | st.booleans(),
}
ORDERING = ["above", "at_least", "below", "at_most", "between"]
SETS = ["is", "not", "in", "not_in", "exists"]
OPS = {
    "text": [*SETS, *ORDERING, "contains", "starts_with", "ends_with", "matches", "matches"],
    "number": SETS + ORDERING,
    "bool": ["is", "not", "exists"],
    "date": [*SETS, "before", "after", "between", "anniversary_in", "anniversary_in"],
    "time": [*SETS, "before", "after", "between", "anniversary_in"],
    "list": ["contains", "exists", "matches"],
}


ATOMS = [
    "a",
    "b",
    "D",
    "1",
    "ß",
    "é",
    "😀",
    ".",
    "\\d",
    "\\w",
    "\\s",
    "\\W",
    "\\.",
    "\\\\",
    "'",
    '"',
    "%",
    "-",
]
ATOMS += ["[a-z]", "[^a-z]", "[A-Zß]", "[%_]", "[^\\d]", "[\\w-]", "[😀-😎]", "\\t"]
REPEATS = ["", "", "?", "*", "+", "{2}", "{0,2}", "{1,}"]


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.builds("(?:{}){}".format, inner, st.sampled_from(REPEATS))
    either = st.builds("({}|{})".format, inner, inner)
    return repeated | either | st.builds("{}{}".format, inner, inner)


patterns = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "^"]),
    st.recursive(
        st.builds("{}{}".format, st.sampled_from(ATOMS), st.sampled_from(REPEATS)), joined, max_leaves=4
    ),
    st.sampled_from(["", "", "$"]),
)


@st.composite
def ops(draw: st.DrawFn, kind: str, names: list[str] | None = None) -> Op:
    name = draw(st.sampled_from(names or OPS[kind]))
    operands = OPERANDS[kind]
    if name == "exists":
        return Op("exists", (draw(st.booleans()),))
    if name in ("anniversary_in", "matches"):
        return Op(name, (draw(ahead if name == "anniversary_in" else patterns),))  # type: ignore[arg-type]
    low, high = {"between": (2, 2), "in": (0, 3), "not_in": (0, 3)}.get(name, (1, 1))
    return Op(name, tuple(draw(st.lists(operands, min_size=low, max_size=high))))  # type: ignore[arg-type]


def several(kind: str, names: list[str] | None = None) -> st.SearchStrategy[tuple[Op, ...]]:
    return st.lists(ops(kind, names), min_size=1, max_size=2).map(tuple)


counts = st.builds(
    lambda name, count: (Op(name, (count,)),),
    st.sampled_from(["at_least", "at_most", "is"]),
    st.integers(0, 3),
)
maybe_within = st.none() | st.sampled_from(DURATIONS)


@st.composite
def attributes(draw: st.DrawFn) -> Attribute:
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["id", "email", "locale", "created_at"]))
        kind = "time" if name == "created_at" else "text"
    else:
        name, kind = draw(st.sampled_from(NAMES)), draw(st.sampled_from(sorted(OPS)))
    return Attribute(name, kind, draw(several(kind)))


@st.composite
def properties(draw: st.DrawFn) -> Property:
    kind = draw(st.sampled_from(sorted(OPS)))
    return Property(draw(st.sampled_from(NAMES[:4])), kind, draw(several(kind)))


wheres = st.just(()) | st.lists(properties(), max_size=2).map(tuple)
moments = st.just(()) | several("time", ["before", "after", "is", "between", "not"])


sames = st.builds(
    Same, st.sampled_from([*NAMES[:3], "total"]), st.sampled_from(["text", "number", "bool", "date", "time"])
)


def happened(stay: bool) -> st.SearchStrategy[Happened]:
    return st.builds(
        Happened,
        event=st.sampled_from(EVENTS),
        ops=st.just(()) | counts,
        within=maybe_within,
        where=wheres,
        last=moments,
        first=moments,
        since=st.sampled_from([None, "entry", "arrival"]) if stay else st.none(),
        same=st.none() | sames if stay else st.none(),
    )


@st.composite
def aggregates(draw: st.DrawFn) -> Aggregate:
    function = draw(st.sampled_from(["sum", "average", "min", "max", "count_distinct"]))
    kinds = {"sum": ["number"], "average": ["number"], "min": ["number", "text", "date", "time"]}
    kinds["max"] = kinds["min"]
    kind = draw(st.sampled_from(kinds.get(function, [*kinds["min"], "bool"])))
    compared = kind if function in ("min", "max") else "number"
    name = "total" if kind == "number" else draw(st.sampled_from(NAMES[:4]))
    return Aggregate(
        function, draw(st.sampled_from(EVENTS)), name, kind, draw(several(compared)), draw(maybe_within), draw(wheres)
    )  # fmt: skip


message_leaves = st.builds(
    MessageWas,
    template=st.none() | st.sampled_from(TEMPLATES),
    was=st.sampled_from(WAS),
    within=maybe_within,
    channel=st.none() | st.sampled_from(CHANNELS),
    journey=st.none() | st.sampled_from([*JOURNEYS, "no-such"]),
)


def conditions(stay: bool = True) -> st.SearchStrategy[Condition]:
    consents = st.builds(HasConsent, st.sampled_from(CHANNELS)) | st.builds(
        Reachable, st.sampled_from(CHANNELS)
    )
    journeys = st.builds(JourneyIs, st.sampled_from([*JOURNEYS, "no-such"]), st.sampled_from(STANDINGS))
    leaf = attributes() | happened(stay) | aggregates() | message_leaves | consents | journeys
    leaf = st.one_of(leaf, *(oracle.leaves(stay) for oracle in oracles.conditions()))
    return st.recursive(leaf, grown, max_leaves=5)


def grown(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    negated = inner.map(Not)
    return negated | parts.map(All) | parts.map(AnyOf) | st.builds(InSegment, st.just("some"), inner)


@st.composite
def times(draw: st.DrawFn, moment: Moment) -> datetime:
    """A time at a window's edge, a microsecond beside it, at now, beyond now, or anywhere."""
    spans = [Duration(), *DURATIONS]
    edge = draw(st.sampled_from(spans)).before(moment.now, moment.zone)
    beside = timedelta(microseconds=draw(st.sampled_from([-1, 0, 1])))
    return edge + beside - timedelta(seconds=draw(st.sampled_from([0, 0, 0, 3600, 86_400, 8_000_000, -60])))


@st.composite
def people(draw: st.DrawFn, moment: Moment, number: int) -> Person:
    at = times(moment)
    properties_ = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(NAMES[:4], values) | {"total": money | junk_total}
    )
    happening = st.builds(Happening, st.sampled_from(EVENTS), at, properties_)
    given = st.dictionaries(st.sampled_from(CHANNELS), st.tuples(st.booleans(), at), max_size=2)
    seen = st.dictionaries(st.sampled_from(WAS), at)
    mail = st.builds(
        Mail, st.sampled_from(TEMPLATES), st.sampled_from(CHANNELS), st.sampled_from(JOURNEYS), seen
    )
    left = st.sampled_from(["finished", "converted", "exited"])
    stay = st.builds(Stay, st.sampled_from(JOURNEYS), left, at, at)
    stay |= st.builds(Stay, st.sampled_from(JOURNEYS), st.just("inside"), at)
    events = draw(st.lists(happening, max_size=6))
    here = at | st.sampled_from([event.at for event in events]) if events else at
    return Person(
        key=f"{draw(texts)}{number}",
        created_at=draw(at),
        email=draw(st.none() | texts),
        phone=draw(st.none() | st.just(f"+44{number}")),
        locale=draw(st.none() | texts),
        attributes=draw(documents),
        events=events,
        consents=draw(given),
        messages=draw(st.lists(mail, max_size=2)),
        suppressed=draw(st.dictionaries(st.just("sms"), at)),
        stays=draw(st.lists(stay, max_size=2, unique_by=lambda one: (one.journey, one.outcome == "inside"))),
        entered_at=draw(here),
        arrived_at=draw(here),
        began=draw(st.none() | st.sampled_from(events)) if events else None,
    )


junk_total = st.sampled_from([None, True, "50", "", [50], {"a": 1}])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Moment, list[Person], list[Condition]]:
    moment = draw(st.sampled_from(MOMENTS))
    crowd = [draw(people(moment, number)) for number in range(draw(st.integers(1, 4)))]
    return moment, crowd, draw(st.lists(conditions(), min_size=1, max_size=3))
