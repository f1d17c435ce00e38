"""A store with a handful of unlike customers, and an engine on it: where the contract of a word plays it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    create_engine,
    delete,
    func,
    insert,
    literal,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.event import listen

from treue.cohorts.host import Note
from treue.cohorts.scene import Scene
from treue.cohorts.turns import Turns
from treue.engine.door import arrivals
from treue.engine.passes.chronology import run_pass
from treue.engine.passes.engine import Engine
from treue.engine.passes.next_instants import next_instant
from treue.engine.steps.personal import Personal
from treue.engine.versions.versions import Version, publish
from treue.insight.why import CustomerInquiry
from treue.language.grammar import Schema
from treue.language.steps import Outbox, OutboxCall, OutboxMessage, Stage, Step
from treue.model.states import BUILT_IN_ATTRIBUTES, CHANNELS, WEBHOOK, MessageState, Outcome
from treue.model.tables import LAST, cohort, customer, enrollment, event, journey, message, metadata
from treue.model.types import Instant
from treue.plan.plan import Plan
from treue.segments.explain import Explanation, Stay
from treue.segments.tree import Condition
from treue.store import consents, customers, events, suppressions, zones
from treue.store.event_identity import JOURNEY
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store
from treue.testing.word_samples import AFTER

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ZONE = "Europe/Berlin"
HOUR = timedelta(hours=1)
_LONG_AGO = NOW - timedelta(days=9)

_ONE: Mapping[str, Any] = {
    "text": "DE", "number": 80, "bool": True, "date": "1990-03-09", "time": "2026-03-09T09:00:00+00:00",
    "list": ["a", "b"],
}  # fmt: skip
_OTHER: Mapping[str, Any] = {
    "text": "it's “odd”, 100 % of {{ it }}\\", "number": -0.5, "bool": False, "date": "2000-02-29",
    "time": "2026-02-01T23:30:00+00:00", "list": [],
}  # fmt: skip

_PEOPLE: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any], tuple[str, ...]]] = {
    "whole": ({"email": "a@example.com", "phone": "+447700900123", "push_token": "t1"}, _ONE, CHANNELS),
    "odd": (
        {"email": "B.Odd@example.com", "timezone": "Pacific/Kiritimati", "locale": "de"},
        _OTHER,
        ("email",),
    ),
    "bare": ({}, {}, ()),
    "bounced": ({"email": "c@example.com", "timezone": "America/New_York"}, _ONE, ("email", "sms")),
}
"""Who they are: addresses and the like, a value of each type, and the channels agreed to."""

_PASSING = ("trace", "enrollment", "heartbeat", "timezone_offset")
"""Tables that may change though nothing is done: what was decided and where people stand, not what came of it."""


class SmallStore:
    """The customers in an empty store, and an engine; attributes and events are those of a schema."""

    people = len(_PEOPLE)

    def __init__(self, store: Store, schema: Schema) -> None:
        self.store, self.schema = store, schema
        self._own = {n: type_ for n, type_ in schema.attributes.items() if n not in BUILT_IN_ATTRIBUTES}
        self.engine = Engine(store, ZONE, "salt", personal=Personal(schema.attributes, schema.events))
        with store.transaction() as connection:
            zones.ensure(connection, [ZONE])

    def fill(self) -> None:
        """Let the customers be there."""
        with self.store.transaction() as connection:
            given = [
                CustomerInput(
                    key,
                    attributes=_of_types(self._own, values),
                    created_at=_LONG_AGO,
                    **dict[str, Any](columns),
                )
                for key, (columns, values, _) in _PEOPLE.items()
            ]
            customers.upsert(connection, given, NOW)
            said = [ConsentInput(key, one, NOW) for key, (_, _, agreed) in _PEOPLE.items() for one in agreed]
            consents.give(connection, said, NOW)
            suppressions.add(connection, "email", ["c@example.com"], "bounced", NOW)

    def publish(self, plans: Iterable[Plan]) -> None:
        """Make these plans the live ones, some time ago."""
        publish(self.store, list(plans), {}, NOW - timedelta(days=1))

    def happen(self, name: str, at: datetime = NOW) -> None:
        """Let an event happen to each customer; who has no attributes has one without properties, too."""
        properties = self.schema.events.get(name, {})
        given = [
            EventInput(key, name, at, _of_types(properties, values), f"{name} {key} {at}")
            for key, (_, values, _) in _PEOPLE.items()
        ]
        with self.store.transaction() as connection:
            events.record(connection, given, at)

    def show_events(self) -> None:
        """Take it that the journeys have seen all events: what a stay does waits for events that they have not seen."""
        with self.store.transaction() as connection:
            unseen = event.c.routed_at.is_(None)
            connection.execute(update(event).where(unseen).values(routed_at=event.c.received_at))

    def enroll(self, version: Version) -> None:
        """Bring everybody to a journey's door by hand."""
        with self.store.transaction() as connection:
            arrivals.enroll(
                connection, version.journey_id, list(connection.scalars(select(customer.c.id))), NOW
            )

    def run(self, at: datetime = NOW) -> None:
        """Run a pass."""
        run_pass(self.engine, at)

    def scene(self, version: Version, connection: Connection) -> Scene:
        """Return where a stage of a version is played now."""
        return Scene(version, NOW, self.store.dialect, ZONE, "salt", connection, renders=self.engine.personal)

    def versions(self) -> list[Version]:
        """Return the versions in use."""
        return self.engine.versions()

    def messages_go_out(self) -> None:
        """Let every message have been sent, and clicked by all but one of the customers."""
        sent = {"state": MessageState.sent.value, "sent_at": NOW}
        first = select(customer.c.id).order_by(customer.c.id).limit(1).scalar_subquery()
        with self.store.transaction() as connection:
            connection.execute(update(message).values(sent))
            connection.execute(update(message).values(clicked_at=NOW).where(message.c.customer_id != first))

    def let_come(self) -> None:
        """Let happen what the triggers of all versions say that their customers come by: events, or a hand."""
        for version in self.versions():
            trigger = version.plan.entry.trigger
            for name in trigger.events():
                self.happen(name)
            if trigger.by_hand:
                self.enroll(version)

    def instants(self, count: int) -> Iterator[datetime]:
        """Yield now, and the next instants at which a pass finds something to do."""
        at: datetime | None = NOW
        for _ in range(count):
            if at is None:
                return
            yield at
            with self.store.reading() as connection:
                at = next_instant(connection, self.versions(), at, ZONE)

    def came(self) -> list[tuple[Any, ...]]:
        """Return who came into which journey, and when."""
        query = select(journey.c.name, enrollment.c.customer_id, enrollment.c.entered_at)
        query = query.join(journey, journey.c.id == enrollment.c.journey_id).order_by(enrollment.c.id)
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def changed(self) -> set[str]:
        """Return the names of the attributes of which somebody has another value than at first."""
        found = set()
        with self.store.reading() as connection:
            for row in connection.execute(select(customer)):
                columns, values, _ = _PEOPLE[row.key]
                first = {**_of_types(self._own, values), **columns}
                now = {**row.attributes, **{name: getattr(row, name) for name in customers.COLUMNS}}
                found |= {name for name in {*first, *now} if first.get(name) != now.get(name)}
        return found

    def recorded(self) -> set[str]:
        """Return the names of the events that journeys have recorded."""
        with self.store.reading() as connection:
            return set(
                connection.scalars(select(event.c.name).where(event.c.source.startswith(JOURNEY)).distinct())
            )

    def queued(self) -> set[type[Outbox]]:
        """Return what the outbox holds, as the classes by which steps say it."""
        with self.store.reading() as connection:
            channels = set(connection.scalars(select(message.c.channel).distinct()))
        return {OutboxCall if channel == WEBHOOK else OutboxMessage for channel in channels}

    def found(self, queries: Sequence[Any]) -> list[list[Any]]:
        """Return what queries find of those in the cohort: a stay of each customer."""
        with self.store.reading() as connection:
            _gather(connection)
            return [list(connection.scalars(query)) for query in queries]

    def told(self, condition: Condition) -> tuple[int, Explanation]:
        """Return a customer who has everything, and how a condition looks to them in their stay in the cohort."""
        with self.store.reading() as connection:
            _gather(connection)
            row = connection.execute(select(cohort).order_by(cohort.c.customer_id.desc())).first()
            assert row is not None
            asks = CustomerInquiry(connection, row.customer_id, ZONE, NOW)
            stay = Stay(
                row.entered_at,
                row.entered_effective_at,
                row.entered_seq,
                row.arrived_effective_at,
                row.event_id,
                row.enrollment_id,
            )
            return row.customer_id, asks.look(condition, row.at, stay)

    def outside(self, version: Version) -> Iterator[list[Note]]:
        """Yield why each customer has not come into a journey."""
        with self.store.reading() as connection:
            for id_ in connection.scalars(select(customer.c.id)).all():
                yield CustomerInquiry(connection, id_, ZONE, NOW).outside(version.plan, version)

    def done(self) -> dict[str, list[Any]]:
        """Return the rows of all that was done: messages, events, what customers are, and so on."""
        found = {}
        with self.store.reading() as connection:
            for table in metadata.sorted_tables:
                if table.name not in _PASSING:
                    columns = [column for column in table.c if column.name != "updated_at"]
                    found[table.name] = sorted(map(repr, connection.execute(select(*columns))))
        return found


class Course:
    """The journey of `Files.course`: steps that follow one another, and a stay of each customer at each of them.

    Who stands at one goes on to the next one and no further, so that each is walked by itself.
    """

    def __init__(self, small: SmallStore, steps: Sequence[Step]) -> None:
        self.small, self.steps = small, [*steps]
        self._ids = [*(f"s{n}" for n, _ in enumerate(steps)), AFTER]
        self.version = next(one for one in small.versions() if self._ids[0] in one.steps)

    def stages(self, n: int) -> list[Stage]:
        """Return the stages of a step, those inside it included."""
        ids = [stage.id for stage in self.version.plan.stages]
        first, behind = (ids.index(one) for one in self._ids[n : n + 2])
        return [*self.version.plan.stages[first:behind]]

    def stand(self) -> None:
        """Put a stay of each customer at each step, as if all had just come there; the same stay every time."""
        self.small.show_events()
        with self.small.store.transaction() as connection:
            ids = connection.execute(select(customer.c.id, _BEGAN)).all()
            stays = [self._stay(n, *row) for n, _ in enumerate(self.steps) for row in ids]
            if connection.scalar(select(func.count()).select_from(enrollment)) == 0:
                connection.execute(insert(enrollment), stays)
            for n, id_ in enumerate(self._ids[:-1]):
                at = {"step_id": self.version.number(id_), "outcome": Outcome.inside.value, "left_at": None}
                back = {"arrived_at": NOW, "due_at": NOW, "deadline_at": None}
                mine = update(enrollment).where(enrollment.c.per == str(n))
                connection.execute(mine.values({**at, **back}))

    def _stay(self, n: int, customer_id: int, event_id: int | None) -> dict[str, Any]:
        return {
            "id": 1_000 * (n + 1) + customer_id, "customer_id": customer_id, "event_id": event_id, "per": str(n),
            "journey_id": self.version.journey_id, "version_id": self.version.version_id,
            "entered_at": NOW - HOUR, "effective_at": NOW - HOUR, "arrived_at": NOW, "due_at": NOW,
            "outcome": Outcome.inside.value,
        }  # fmt: skip

    def walk(self, at: datetime = NOW) -> None:
        """Play every step, the last one first, each as if nothing else were pending for its customers."""
        for n in reversed(range(len(self.steps))):
            for stage in self.stages(n):
                self.small.engine.advance(self.version, stage, Turns(()), at, at)
                self.small.show_events()

    def where(self, n: int) -> set[str | None]:
        """Return the ids of the stages at which those are who stood at a step; None is the end."""
        ids = {number: id_ for id_, number in self.version.steps.items()} | {None: None}
        mine = select(enrollment.c.step_id).where(enrollment.c.per == str(n))
        with self.small.store.reading() as connection:
            return {ids[number] for number in connection.scalars(mine)}


_BEGAN = select(func.max(event.c.id)).where(event.c.customer_id == customer.c.id).scalar_subquery()
_ENTERED, _ARRIVED, _ASKED = (
    literal(at, Instant) for at in (NOW - timedelta(days=2), NOW - timedelta(days=1), NOW + HOUR)
)
_STAYS = insert(cohort).from_select(
    [
        "enrollment_id", "customer_id", "event_id", "entered_at", "entered_effective_at", "entered_seq",
        "arrived_at", "arrived_effective_at", "at", "effective_at", "visit",
    ],
    select(
        customer.c.id, customer.c.id, _BEGAN, _ENTERED, _ENTERED, literal(LAST), _ARRIVED, _ARRIVED, _ASKED, _ASKED, literal(0)
    ),
)  # fmt: skip


def _gather(connection: Connection) -> None:
    """Put a stay of each customer into the cohort, begun by the latest event, and nobody else."""
    connection.execute(delete(cohort))
    connection.execute(_STAYS)


def _of_types(types: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[type_] for name, type_ in types.items() if type_ in values}


# --- the databases ------------------------------------------------------------------------------------------

POSTGRES = "TREUE_TEST_POSTGRES"
"""The variable that names a PostgreSQL database for tests; a schema of their own is made there, and dropped."""

_KEPT = pytest.StashKey[Store]()


def sqlite_store(factory: pytest.TempPathFactory, folder: Path) -> Store:
    """Return an empty SQLite store in a folder, which skips the wait for the disk at each commit."""
    template = factory.getbasetemp() / "empty.db"
    if not template.exists():
        Store.open(f"sqlite:///{template}", create=True).close()
    shutil.copyfile(template, folder / "treue.db")
    store = Store(f"sqlite:///{folder / 'treue.db'}")
    listen(store.engine, "connect", _hurry)
    return store


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def postgres_store(config: pytest.Config) -> Store:
    """Return a PostgreSQL store, emptied: the same one for all tests of a run. Skips where no address is given."""
    if _KEPT not in config.stash:
        config.stash[_KEPT] = _made(config)
    store = config.stash[_KEPT]
    with store.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return store


def _made(config: pytest.Config) -> Store:
    address = os.environ.get(POSTGRES)
    if not address:
        pytest.skip(f"{POSTGRES} names no PostgreSQL database for tests")
    name, url = f"treue_words_{os.getpid()}", make_url(address)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    there = url.update_query_dict({"options": f"-csearch_path={name}"})
    store = Store.open(there.render_as_string(hide_password=False), create=True)

    def drop() -> None:
        store.close()
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()

    config.add_cleanup(drop)
    return store
