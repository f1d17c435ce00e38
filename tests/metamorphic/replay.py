"""One world lived through by the engine in several ways, and what must be the same in all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, select

from tests.differential.generator import Case, Person
from tests.differential.harness import (
    Happened,
    Play,
    became,
    by_instant,
    empty,
    engine_of,
    found,
    lived,
    shown,
)
from tests.metamorphic.calm import crowded, shuffled
from treue.model.tables import customer, enrollment, journey, journey_version, message, trace
from treue.store.store import Store

MICROSECOND = timedelta(microseconds=1)
DATABASES = ("sqlite", "postgres")
DECIDED = ("no_address", "no_consent", "suppressed", "unsubscribed", "held_out")
"""Why a message may be refused when it should be queued; whatever comes later is real time."""

DECISIONS = (
    "entered", "turned_away", "branch", "skipped", "set", "emitted", "started", "not_started", "converted",
    "exited", "finished",
)  # fmt: skip
TOLD = ("way", "event", "channel", "reason")
"""What of a decision's detail is the same in all ways; numbers and times of passes are not."""

Following = Callable[[Case, datetime, datetime | None], datetime | None]
"""Says when the pass after one at a time runs; told the world, that time, and when something happens or is due next."""


@dataclass(frozen=True)
class Way:
    """One way to live through a world: when passes run after one, and what else is different."""

    name: str
    following: Following
    changed: Callable[[Case], Case] = lambda made: made
    reopens: bool = False
    out_of_order: bool = False


def at_each_instant(_: Case, __: datetime, coming: datetime | None) -> datetime | None:
    return coming


def around_each_instant(_: Case, now: datetime, coming: datetime | None) -> datetime | None:
    """A microsecond before, and a microsecond after: never in time."""
    if coming is None:
        return None
    before, after = coming - MICROSECOND, coming + MICROSECOND
    return before if before > now else after


def each(length: timedelta) -> Following:
    """Whatever is due, after the same time again."""
    return lambda made, now, _: min(now + length, made.end) if now < made.end else None


def after_a_standstill(made: Case, now: datetime, coming: datetime | None) -> datetime | None:
    """Nothing for three days; then in time."""
    return made.start + timedelta(days=3) if now == made.start else coming


WAYS = (
    Way("in time", at_each_instant),
    Way("just before and just after", around_each_instant),
    Way("hourly", each(timedelta(hours=1))),
    Way("daily", each(timedelta(days=1))),
    Way("after three days", after_a_standstill),
    Way("handed over out of order", each(timedelta(days=3)), out_of_order=True),
    Way(
        "in a batch turned round",
        each(timedelta(days=1)),
        lambda made: replace(made, people=shuffled(made.people, made.seed)),
    ),
    Way("among others", each(timedelta(days=1)), lambda made: crowded(made, 20)),
    Way("opened anew", each(timedelta(hours=31)), reopens=True),
)


# --- the engine -------------------------------------------------------------------------------------------------


def told_by_engine(made: Case, way: Way, open_store: Callable[[], Store]) -> dict[str, Happened]:
    """Return what becomes of each customer where the engine lives through a world in a way."""
    under_way = _UnderWay(way.changed(made), way)
    with _opened(open_store) as store:
        empty(store)
    now: datetime | None = made.start
    while now is not None:
        with _opened(open_store) as store:
            now = under_way.go_on(store, now)
    with _opened(open_store) as store, store.reading() as connection:
        return kept(connection, [person.key for person in made.people])


@contextmanager
def _opened(open_store: Callable[[], Store]) -> Iterator[Store]:
    store = open_store()
    yield store
    store.close()


class _UnderWay:
    """A world on its way: what is still to happen."""

    def __init__(self, made: Case, way: Way) -> None:
        self.made, self.way = made, way
        self.happenings = by_instant(made)
        self.rng = random.Random(made.seed)
        self.numbers = 0

    def go_on(self, store: Store, now: datetime | None) -> datetime | None:
        """Go on on an open store: to the end, or for one pass where it is opened anew each time."""
        with engine_of(self.made, store) as engine:
            play = Play(self.made, engine)
            while now is not None:
                now = self.one_pass(play, now)
                if self.way.reopens:
                    break
        return now

    def one_pass(self, play: Play, now: datetime) -> datetime | None:
        play.keys = self.numbers
        for instant in self.order(now):
            play.happen(self.happenings.pop(instant), instant)
        play.pass_at(now)
        self.numbers = play.keys
        coming = min(
            (at for at in (*self.happenings, *play.due_after(now), self.made.end) if at > now), default=None
        )
        following = self.way.following(self.made, now, coming)
        return following if following is not None and now < following <= self.made.end + MICROSECOND else None

    def order(self, now: datetime) -> list[datetime]:
        """Return the instants whose happenings are handed over now; those of events alone come in no order."""
        instants = sorted(at for at in self.happenings if at <= now)
        if not self.way.out_of_order:
            return instants
        only = [
            at
            for at in instants
            if all(getattr(what, "kind", "") == "event" for _, what in self.happenings[at])
        ]
        self.rng.shuffle(only)
        return [*(at for at in instants if at not in only), *only]


def kept(connection: Connection, keys: list[str]) -> dict[str, Happened]:
    """Return what became of customers, as far as it must be the same."""
    ids = {
        (version, number): id_
        for version, steps in connection.execute(select(journey_version.c.id, journey_version.c.steps))
        for id_, number in steps.items()
    }
    told = found(connection, keys)
    for one in told.values():
        one |= {"messages": [], "decisions": []}
    for key, version, number, *rest in connection.execute(_messages().where(customer.c.key.in_(keys))):
        told[key]["messages"].append(_message(ids.get((version, number)), rest))
    for key, version, number, detail, *rest in connection.execute(
        _decisions().where(customer.c.key.in_(keys))
    ):
        says = {name: (detail or {})[name] for name in TOLD if name in (detail or {})}
        told[key]["decisions"].append(shown((*rest, ids.get((version, number)), says)))
    for one in told.values():
        one["messages"].sort(key=repr)
        one["decisions"].sort(key=repr)
    return told


def _message(step: str | None, row: list[Any]) -> tuple[Any, ...]:
    *says, channel, due_at, was_held, was_queued, reason = row
    if was_held:  # on which channel it goes is found when it is asked again
        return shown((*says, None, due_at, step, "held"))
    return shown((*says, channel, due_at, step, reason if reason in DECIDED and not was_queued else "queued"))


def _messages() -> Any:
    number = trace.c.detail["message"].as_integer()
    queued = select(number).where(trace.c.decision == "queued")
    held = select(number).where(trace.c.decision == "held", trace.c.reason == "not_yet_reachable")
    columns = (
        message.c.version_id, message.c.step_id, journey.c.name, enrollment.c.entered_at, message.c.template,
        message.c.channel, message.c.due_at, case((message.c.id.in_(held), 1), else_=0),
        case((message.c.id.in_(queued), 1), else_=0), message.c.reason,
    )  # fmt: skip
    return (
        select(customer.c.key, *columns)
        .select_from(message)
        .join(customer, customer.c.id == message.c.customer_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .join(enrollment, enrollment.c.id == message.c.enrollment_id)
    )


def _decisions() -> Any:
    columns = (
        enrollment.c.version_id, trace.c.step_id, trace.c.detail, journey.c.name, enrollment.c.entered_at,
        enrollment.c.per, trace.c.decision, trace.c.reason,
    )  # fmt: skip
    return (
        select(customer.c.key, *columns)
        .select_from(trace)
        .join(customer, customer.c.id == trace.c.customer_id)
        .join(journey, journey.c.id == trace.c.journey_id)
        .outerjoin(enrollment, enrollment.c.id == trace.c.enrollment_id)
        .where(trace.c.decision.in_(DECISIONS))
    )


# --- the interpreter --------------------------------------------------------------------------------------------


def told_by_interpreter(made: Case, person: Person, passes: Sequence[datetime] | None = None) -> Happened:
    """Return what becomes of a customer in the interpreter's reading; without decisions, of which it keeps none."""
    life = lived(made, person, passes)
    messages = [
        shown(
            (
                m.journey,
                m.stay.entered_at,
                m.template,
                None if m.at_once == "held" else m.channel,
                m.due,
                m.step.id,
                m.at_once or "queued",
            )
        )
        for m in life.customer.messages
    ]
    return became(life) | {"messages": sorted(messages, key=repr)}


# --- differences ------------------------------------------------------------------------------------------------

OpenStore = Callable[[], Store]


def seeds_on(database: str, seeds: Sequence[int]) -> list[int]:
    """Return the worlds whose turn it is on a database: one after the other, or both for one that is named alone."""
    return [seed for seed in seeds if len(seeds) == 1 or DATABASES[seed % 2] == database]


def between_ways(
    one: Way, other: Way, made: Case, open_store: OpenStore
) -> list[tuple[Person, Happened, Happened]]:
    """Return the customers who come out otherwise in another way, with both stories."""
    first, second = told_by_engine(made, one, open_store), told_by_engine(made, other, open_store)
    return differing(made, first, second)


def from_interpreter(way: Way, made: Case, open_store: OpenStore) -> list[tuple[Person, Happened, Happened]]:
    """Return the customers of whom the interpreter tells something else, with both stories."""
    engine = without_decisions(told_by_engine(made, way, open_store))
    return differing(made, engine, {one.key: told_by_interpreter(made, one) for one in made.people})


def differing(
    made: Case, first: Mapping[str, Happened], second: Mapping[str, Happened]
) -> list[tuple[Person, Happened, Happened]]:
    """Return the customers of whom two stories differ."""
    told = [(person, first[person.key], second[person.key]) for person in made.people]
    return [one for one in told if one[1] != one[2]]


def without_decisions(told: Mapping[str, Happened]) -> dict[str, Happened]:
    """Return stories without what the interpreter does not keep."""
    return {
        key: {name: says for name, says in one.items() if name != "decisions"} for key, one in told.items()
    }
