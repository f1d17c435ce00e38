"""Facts as grouped subqueries, so that each table is read as few times as possible.

Facts over the same events come from one subquery, identical facts from one column of it. What that gains and
costs against asking about each customer by itself, benchmarks/segments.py measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Float,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    cast,
    func,
    not_,
    or_,
    select,
    true,
)

from treue.model.states import ADDRESS, WEBHOOK, Outcome
from treue.model.tables import consent, customer, enrollment, event, journey, message, suppression
from treue.segments.compare import all_fit, exactly
from treue.segments.facts import (
    ConsentFact,
    EventFact,
    Fact,
    JourneyFact,
    MessageFact,
    SuppressedFact,
    facts_of,
    source,
)
from treue.segments.moment import Moment
from treue.segments.needs import SINCE, leaves
from treue.segments.reach import suppresses
from treue.segments.tree import Condition, Property, Same
from treue.segments.typed import missing, typed

STAY = {
    "entered_at": "the time of entry",
    "arrived_at": "the time of arrival at the step",
    "event_id": "the event that started the stay",
    "until": "the time until which events count",
}
"""The columns of a stay that conditions may look at."""

DECIMALS = 6
"""Sums and averages are rounded to this many places, so that 0.1 + 0.2 is 0.3 on both databases."""

_THROUGH = (Outcome.finished.value, Outcome.converted.value)
_began = event.alias("began")

_ORDERED = ("number", "text", "date", "time")
_KINDS = {
    "sum": ("number",),
    "average": ("number",),
    "min": _ORDERED,
    "max": _ORDERED,
    "count_distinct": (*_ORDERED, "bool"),
}


class Column(NamedTuple):
    """One column of a grouped subquery: an aggregate over the rows that fit."""

    fact: Fact
    value: ColumnElement[Any]
    fits: tuple[ColumnElement[bool], ...]
    key: str


class Facts:
    """The facts of some conditions as columns, and the joins that bring them."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        moment: Moment,
        dialect: str,
        among: FromClause | None = None,
    ) -> None:
        """Gather the facts. `among` restricts them to its `customer_id`s."""
        self._moment, self._dialect, self._among = moment, dialect, among
        self._columns: dict[str, ColumnElement[Any]] = {}  # by text: equality takes `true` for `1`
        self._sources: list[Subquery] = []
        wanted = [fact for condition in conditions for leaf in leaves(condition) for fact in facts_of(leaf)]
        for facts in _by_source(wanted).values():
            self._add(facts)

    def __getitem__(self, fact: Fact) -> ColumnElement[Any]:
        """Return the column of a fact; NULL where there is nothing to count."""
        return self._columns[repr(fact)]

    def joined(self, base: FromClause, customer_id: ColumnElement[int]) -> FromClause:
        """Return `base` with every subquery joined to it."""
        for found in self._sources:
            on = found.c.customer_id == customer_id
            for column in (name for name in STAY if name in found.c):
                assert self._among is not None
                on = and_(on, found.c[column] == self._among.c[column])
            base = base.outerjoin(found, on)
        return base

    def _add(self, facts: Sequence[Fact]) -> None:
        built = self._build(facts).subquery(f"fact_{len(self._sources) + 1}")
        self._sources.append(built)
        self._columns |= {repr(fact): built.c[f"n{i}"] for i, fact in enumerate(facts)}

    def _build(self, facts: Sequence[Fact]) -> Select[Any]:
        match facts[0]:
            case ConsentFact(channel):
                return self._consent(channel)
            case SuppressedFact(channel):
                return self._suppressed(channel)
            case JourneyFact():
                return self._journey([fact for fact in facts if isinstance(fact, JourneyFact)])
            case MessageFact():
                return self._messages([fact for fact in facts if isinstance(fact, MessageFact)])
            case EventFact():
                return self._events([fact for fact in facts if isinstance(fact, EventFact)])

    def _consent(self, channel: str) -> Select[Any]:
        found = select(consent.c.customer_id, consent.c.since.label("n0"))
        given = consent.c.given.is_(True)
        return self._restricted(
            found.where(exactly(consent.c.channel, channel), given, consent.c.since <= self._moment.present),
            consent.c.customer_id,
        )

    def _suppressed(self, channel: str) -> Select[Any]:
        owner = customer.join(suppression, suppresses(suppression, channel, customer.c[ADDRESS[channel]]))
        found = select(customer.c.id.label("customer_id"), suppression.c.since.label("n0")).select_from(owner)
        return self._restricted(found.where(suppression.c.since <= self._moment.present), customer.c.id)

    def _journey(self, facts: Sequence[JourneyFact]) -> Select[Any]:
        named = _named(facts[0].leaf.journey)
        query = select(enrollment.c.customer_id).where(enrollment.c.journey_id == named)
        query = self._restricted(
            query.where(enrollment.c.entered_at <= self._moment.present), enrollment.c.customer_id
        )
        columns = [Column(fact, *self._stay(fact.leaf.state), repr(fact)) for fact in facts]
        return _grouped(query, columns, [enrollment.c.customer_id])

    def _stay(self, state: str) -> tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]]:
        """Return what is told of a customer's stays, and which of them count."""
        left = enrollment.c.left_at <= self._moment.present
        match state:
            case "inside":
                return func.max(enrollment.c.entered_at), (func.coalesce(not_(left), true()),)
            case "never":
                return func.min(enrollment.c.entered_at), ()
        outcomes = _THROUGH if state == "finished" else _THROUGH[1:]
        return func.max(enrollment.c.left_at), (enrollment.c.outcome.in_(outcomes), left)

    def _messages(self, facts: Sequence[MessageFact]) -> Select[Any]:
        columns = [self._message(fact) for fact in facts]
        query = self._restricted(select(message.c.customer_id), message.c.customer_id)
        used = {fact.leaf.was for fact in facts}
        query = query.where(or_(*(message.c[f"{was}_at"] <= self._moment.present for was in sorted(used))))
        templates = {fact.leaf.template for fact in facts}
        if len(facts) > 1 and None not in templates:
            query = query.where(or_(*(exactly(message.c.template, one) for one in templates if one)))
        return _grouped(query, columns, [message.c.customer_id])

    def _message(self, fact: MessageFact) -> Column:
        leaf = fact.leaf
        at = message.c[f"{leaf.was}_at"]
        fits = [at <= self._moment.present]
        if leaf.within:
            fits.append(at > self._moment.since(leaf.within))
        if leaf.template is not None:
            fits.append(exactly(message.c.template, leaf.template))
        if leaf.channel is not None:
            fits.append(exactly(message.c.channel, leaf.channel))
        elif leaf.template is None:
            fits.append(message.c.channel != WEBHOOK)  # a call reaches no customer
        if leaf.journey is not None:
            fits.append(message.c.journey_id == _named(leaf.journey))
        return Column(fact, func.max(at), tuple(fits), repr(leaf))

    def _events(self, facts: Sequence[EventFact]) -> Select[Any]:
        columns = [Column(fact, self._value(fact), self._fits(fact), _filter(fact)) for fact in facts]
        query = select(event.c.customer_id).where(exactly(event.c.name, facts[0].event))
        query = query.where(event.c.at <= self._moment.present)
        windows = [fact.within for fact in facts]
        if len(facts) > 1 and all(windows):
            query = query.where(event.c.at > self._moment.since(*(one for one in windows if one)))
        if facts[0].since or facts[0].same:
            return self._of_stays(query, columns, facts[0])
        return _grouped(self._restricted(query, event.c.customer_id), columns, [event.c.customer_id])

    def _of_stays(self, query: Select[Any], columns: Sequence[Column], fact: EventFact) -> Select[Any]:
        """Count the events of each stay by itself: one customer may be in a journey more than once."""
        after = SINCE[fact.since] if fact.since else None
        names = [*([after] if after else []), *(["event_id"] if fact.same else []), *self._bound()]
        stay = self._stays(names)
        mine = [event.c.customer_id == stay.c.customer_id]
        mine += [event.c.at > stay.c[after]] if after else []
        mine += [event.c.at <= stay.c[name] for name in self._bound()]
        both = stay.join(event, and_(*mine))
        if fact.same:
            began = _began.c.id == stay.c.event_id
            both = both.join(_began, and_(began, shared(fact.same, event, _began, self._dialect)))
        query = query.add_columns(*(stay.c[name] for name in names)).select_from(both)
        if self._dialect == "sqlite":  # or it scans every event of the name to build a Bloom filter
            query = self._restricted(query, event.c.customer_id)
        return _grouped(query, columns, [event.c.customer_id, *(stay.c[name] for name in names)])

    def _bound(self) -> list[str]:
        """Return the column of the time until which each one's events count, where the stays have one."""
        return ["until"] if self._among is not None and "until" in self._among.c else []

    def _stays(self, names: Sequence[str]) -> Subquery:
        for name in names:
            if self._among is None or name not in self._among.c:
                raise ValueError(f"This condition needs {STAY[name]} of those it is asked of.")
        assert self._among is not None
        return (
            select(self._among.c.customer_id, *(self._among.c[n] for n in names)).distinct().subquery("stay")
        )

    def _fits(self, fact: EventFact) -> tuple[ColumnElement[bool], ...]:
        window = (event.c.at > self._moment.since(fact.within),) if fact.within else ()
        return window + event_fits_all(fact.where, event.c.properties, self._moment, self._dialect)

    def _value(self, fact: EventFact) -> ColumnElement[Any]:
        if fact.function == "count":
            return func.count()
        if fact.function in ("last", "first"):
            return (func.max if fact.function == "last" else func.min)(event.c.at)
        return self._aggregate(fact)

    def _aggregate(self, fact: EventFact) -> ColumnElement[Any]:
        value = typed(event.c.properties, fact.property, fact.type, self._dialect)
        if fact.type not in _KINDS[fact.function]:
            value = missing("number", self._dialect)
        match fact.function:
            case "count_distinct":
                return func.count(value.distinct())
            case "min" | "max":
                text = self._dialect != "sqlite" and fact.type in ("text", "date", "time")
                lowest = fact.function == "min"
                return (func.min if lowest else func.max)(value.collate("C") if text else value)
        exact = cast(value, Float) if self._dialect == "sqlite" else value  # SQLite's integers overflow
        return func.sum(exact) if fact.function == "sum" else func.avg(exact)

    def _restricted(self, query: Select[Any], customer_id: ColumnElement[int]) -> Select[Any]:
        if self._among is None:
            return query
        return query.where(customer_id.in_(select(self._among.c.customer_id)))


def event_fits_all(
    where: tuple[Property, ...], properties: ColumnElement[Any], moment: Moment, dialect: str
) -> tuple[ColumnElement[bool], ...]:
    """Return one condition for each property of an event that is asked for; NULL means no."""
    return tuple(
        all_fit(typed(properties, one.name, one.type, dialect), one.type, one.ops, moment, dialect)
        for one in where
    )


def _named(name: str) -> ScalarSelect[int]:
    return select(journey.c.id).where(exactly(journey.c.name, name)).scalar_subquery()


def shared(same: Same, one: FromClause, other: FromClause, dialect: str) -> ColumnElement[bool]:
    """Return whether two events have the same value of a property; NULL where either has none."""
    first, second = (typed(row.c.properties, same.name, same.type, dialect) for row in (one, other))
    found: ColumnElement[bool] = first == second
    return found


def _by_source(facts: Iterable[Fact]) -> dict[object, list[Fact]]:
    sources: dict[object, list[Fact]] = {}
    for fact in {repr(fact): fact for fact in facts}.values():
        sources.setdefault(source(fact), []).append(fact)
    return sources


def _rounded(fact: Fact, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Round in the subquery: to SQLite, what a function says of a missing row is no reason to leave the row out."""
    if isinstance(fact, EventFact) and fact.function in ("sum", "average"):
        return func.round(value, DECIMALS, type_=value.type)
    return value


def _filter(fact: EventFact) -> str:
    return repr((fact.within, fact.where))


def _grouped(query: Select[Any], columns: Sequence[Column], by: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Add the columns; what all of them ask of a row is asked once, before grouping."""
    shared = len({column.key for column in columns}) == 1
    if shared:
        query = query.where(*columns[0].fits)
    for i, column in enumerate(columns):
        value = column.value
        if not shared and column.fits:
            value = value.filter(and_(*column.fits))
        query = query.add_columns(_rounded(column.fact, value).label(f"n{i}"))
    return query.group_by(*by)
