"""A world lived through twice: by the engine on a store, all customers at once, and by the interpreter, one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, func, select
from sqlalchemy import case as case_

from tests.differential.asking import Reach, Record, Suppressed
from tests.differential.generator import EVENTS, Act, Case, Entry, Person, attributes
from tests.differential.interpreter import Life, World
from treue.channel import Accepted, Capabilities, DeliveryEvent, Outgoing, Progress, Receipt
from treue.clock import parse_duration
from treue.cohorts import draws
from treue.delivery import receipts
from treue.delivery.dispatcher import Delivery, Unwritable, Written
from treue.delivery.keys import message_key
from treue.delivery.outbox import Claimed
from treue.engine.door import arrivals
from treue.engine.door.merges import merge
from treue.engine.passes.chronology import run_pass
from treue.engine.passes.engine import Engine
from treue.engine.passes.next_instants import next_instant
from treue.engine.versions.versions import publish
from treue.engine.what_if.stand_ins import standing_still
from treue.language.conditions import CONDITION
from treue.language.grammar import Context, Schema
from treue.language.journey import JOURNEY
from treue.language.pressure import LIMITS, QUIET_HOURS, Pressure
from treue.language.problems import Problems, framed
from treue.language.source import read
from treue.model.states import ADDRESS, BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS, DeliveryEventKind
from treue.model.tables import customer, enrollment, event, journey, journey_version, message, metadata
from treue.plan.flatten import build
from treue.plan.plan import Plan
from treue.segments.tree import Condition
from treue.store import consents, customers, events, journeys, suppressions, zones
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store
from treue.vocabulary.registry import WORDS

SALT = "salt"
MAX_PASSES = 400
PROOF = {"sale": "s", "similar_goods": "s", "notice": "n"}

Entries = Sequence[tuple[Person, dict[str, Any]]]

Happened = dict[str, Any]
"""What became of one customer: `messages`, `stays`, `attributes`, `events`, each sorted."""


@dataclass
class Run:
    """What the engine made of a world: when passes ran, and what became of each customer."""

    passes: list[datetime] = field(default_factory=list)
    customers: dict[str, Happened] = field(default_factory=dict)


# --- the engine -------------------------------------------------------------------------------------------------


class Everybody:
    """A channel that takes everything."""

    def __init__(self, kind: Any) -> None:
        self.capabilities = Capabilities(kind)

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        receipts: list[Receipt] = []
        for one in batch:
            progress.started(one.key)
            receipts.append(Accepted(one.key))
            progress.settled(one.key, receipts[-1])
        return receipts

    def close(self) -> None:
        pass


class Plainly:
    """Writes a message as its template's name."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        return [Written(Outgoing(one.key, one.address, text=one.template)) for one in messages]


def run_engine(case: Case, store: Store) -> Run:
    """Let the engine live through a world on an empty store."""
    with engine_of(case, store) as engine:
        return Play(case, engine).play()


@contextmanager
def engine_of(case: Case, store: Store, channels: Mapping[str, Any] | None = None) -> Iterator[Engine]:
    """Return an engine for a world on a store; its channels take everything, where none are given."""
    channels = channels or {kind: Everybody(kind) for kind in ("email", "sms", "push")}
    with tempfile.TemporaryDirectory() as state:
        delivery = Delivery(store, channels, Plainly(), Path(state), clock=standing_still)
        with store.transaction() as connection:
            zones.ensure(connection, [case.zone])
        hold = parse_duration(case.hold)
        assert hold
        yield Engine(store, case.zone, SALT, delivery, Path(state), pressure=_pressure(case), hold=hold)
        delivery.close()


def _pressure(case: Case) -> Pressure | None:
    if not (case.limits or case.quiet_hours):
        return None
    text, problems = (
        as_yaml({"limits": case.limits or None, "quiet_hours": case.quiet_hours or None}),
        Problems(),
    )
    node, context = read("treue.yaml", text, problems), Context(problems, words=WORDS)
    assert node is not None
    limits = LIMITS.parse(node.get("limits"), context) if case.limits else ()
    quiet = QUIET_HOURS.parse(node.get("quiet_hours"), context) if case.quiet_hours else {}
    assert not problems.all(), problems.all()
    return Pressure(tuple(limits), quiet)


class Play:
    """A world on its way through the engine: what happens is handed over, and passes run."""

    def __init__(self, case: Case, engine: Engine) -> None:
        self.case, self.engine, self.store = case, engine, engine.store
        self.run, self.keys = Run(), 0

    def play(self) -> Run:
        happenings = by_instant(self.case)
        now: datetime | None = self.case.start
        while now is not None and len(self.run.passes) < MAX_PASSES:
            for instant in sorted(at for at in happenings if at <= now):
                self.happen(happenings.pop(instant), instant)
            self.pass_at(now)
            now = self.next_pass(now, happenings)
        with self.store.reading() as connection:
            check_invariants(connection)
            self.run.customers = found(connection, [p.key for p in self.case.people])
        return self.run

    def pass_at(self, now: datetime) -> None:
        """Run a pass."""
        run_pass(self.engine, now)
        self.run.passes.append(now)

    def next_pass(self, now: datetime, happenings: Mapping[datetime, Any]) -> datetime | None:
        if self.case.every:
            following = now + self.case.every
        else:
            following = min([*happenings, *self.due_after(now), self.case.end])
        return following if now < following <= self.case.end else None

    def due_after(self, now: datetime) -> list[datetime]:
        """Return when the engine says that something is due next."""
        versions = self.engine.versions()
        with self.store.reading() as connection:
            found = next_instant(connection, versions, now, self.case.zone)
        return [found] if found else []

    def happen(self, happenings: Sequence[Any], now: datetime) -> None:
        """Let happen what happens at one instant: everybody's first, everybody's next, as many as one call takes."""
        for _, act in happenings:
            if isinstance(act, Act):
                self.act(act, now)
        born = [what for _, what in happenings if isinstance(what, Person)]
        with self.store.transaction() as connection:
            self.born(connection, born, now)
            for kind, some in in_calls([one for one in happenings if isinstance(one[1], Entry)]):
                getattr(self, f"_{kind}")(connection, some, now)

    def act(self, act: Act, now: datetime) -> None:
        if act.kind == "publish":
            publish(self.store, plans(act.journeys, self.case.segments), {}, now)
            return
        if act.kind == "merge":
            run_pass(self.engine, now - timedelta(microseconds=1))
            kept, merged = act.name.split()
            if {kept, merged} <= {person.key for person in self.case.people}:  # a smaller world may lack one
                merge(self.store, kept, merged, now)
            return
        with self.store.transaction() as connection:
            journeys.pause(connection, act.name, now if act.kind == "pause" else None)

    def born(self, connection: Connection, people: Sequence[Person], now: datetime) -> None:
        given = [
            CustomerInput(p.key, **p.addresses, timezone=p.zone, attributes=p.attributes, created_at=now)
            for p in people
        ]
        words = [word(p.key, channel, basis, now) for p in people for channel, basis in p.consents.items()]
        customers.upsert(connection, given, now)
        for one in words:
            consents.give(connection, [one], now)

    def _event(self, connection: Connection, some: Entries, now: datetime) -> None:
        given = [
            EventInput(
                who.key, data["name"], now - timedelta(minutes=data["late"]), data["properties"], self.key()
            )
            for who, data in some
        ]
        events.record(connection, given, now)

    def key(self) -> str:
        """Return keys in no order: that in which events are given counts."""
        self.keys += 1
        return sha256(f"{self.case.seed}/{self.keys}".encode()).hexdigest()

    def _attribute(self, connection: Connection, some: Entries, now: datetime) -> None:
        given = [CustomerInput(who.key, attributes={data["name"]: data["value"]}) for who, data in some]
        customers.upsert(connection, given, now)

    def _address(self, connection: Connection, some: Entries, now: datetime) -> None:
        given = [CustomerInput(who.key, **{data["column"]: ""}) for who, data in some]
        customers.upsert(connection, given, now)

    def _consent(self, connection: Connection, some: Entries, now: datetime) -> None:
        for who, data in some:
            consents.give(connection, [word(who.key, data["channel"], data["basis"], now)], now)

    def _withdraw(self, connection: Connection, some: Entries, now: datetime) -> None:
        for who, data in some:
            consents.withdraw(connection, [ConsentInput(who.key, data["channel"], now)], now)

    def _suppress(self, connection: Connection, some: Entries, now: datetime) -> None:
        for _, data in some:
            suppressions.add(connection, data["channel"], [data["address"]], "test", now)

    def _receipt(self, connection: Connection, some: Entries, now: datetime) -> None:
        """Let channels tell what became of messages: of each that was sent, in the order in which they were queued."""
        ids = customers.ids_for_keys(connection, [who.key for who, _ in some])
        for who, data in some:
            fits = (message.c.customer_id == ids[who.key], message.c.template == data["template"])
            query = select(message.c.id, message.c.channel, message.c.queued_at)
            sent = query.where(*fits, message.c.state == "sent").order_by(message.c.id)
            for id_, channel, queued_at in connection.execute(sent).all():
                key = message_key(id_, queued_at)
                receipts.take(connection, channel, [receipt(who, channel, key, data["was"], now)], now)

    def _enroll(self, connection: Connection, some: Entries, now: datetime) -> None:
        ids = customers.ids_for_keys(connection, [who.key for who, _ in some])
        for who, data in some:
            which = journeys.find(connection, data["journey"])
            assert which is not None
            arrivals.enroll(connection, which, [ids[who.key]], now)


def receipt(who: Person, channel: str, key: str, was: str, now: datetime) -> DeliveryEvent:
    """Return what a channel tells of a message; `soft` is a bounce that says nothing of the address."""
    kind = DeliveryEventKind("bounced" if was == "soft" else was)
    address = who.addresses.get(ADDRESS[channel], "")
    return DeliveryEvent(f"{key}:{was}", kind, now, key, address=address, hard=was == "bounced")


def in_calls(happenings: Iterable[tuple[Person, Entry]]) -> Iterator[tuple[str, Entries]]:
    """Yield what happens at one instant call by call, each with its kind: of each customer, things keep their order.

    What one customer does again and again goes in one call, and with it what others do.
    """
    runs = [
        [list(run) for _, run in groupby(theirs, lambda one: one[1].kind)]
        for _, theirs in groupby(sorted(happenings, key=lambda one: one[0].key), lambda one: one[0].key)
    ]
    for together in zip_longest(*runs, fillvalue=()):
        for kind in sorted({entry.kind for run in together for _, entry in run}):
            yield kind, [(who, one.data) for run in together for who, one in run if one.kind == kind]


def word(key: str, channel: str, basis: str, now: datetime) -> ConsentInput:
    """Return a consent with what its basis needs to be on record."""
    return ConsentInput(key, channel, now, basis, proof=PROOF if basis == "existing_customer" else {})


def by_instant(case: Case) -> dict[datetime, list[tuple[Any, Any]]]:
    """Return what happens at each instant: what operators do, who becomes known, then what customers do in its order."""
    found: dict[datetime, list[tuple[Any, Any]]] = {}
    for act in case.acts:
        found.setdefault(act.at, []).append((None, act))
    for person in case.people:
        found.setdefault(person.born, []).append((person, person))
    for person in case.people:
        for entry in person.timeline:
            found.setdefault(entry.at, []).append((person, entry))
    return found


# --- the files --------------------------------------------------------------------------------------------------


def plans(files: Mapping[str, dict[str, Any]], segments: Mapping[str, Any]) -> list[Plan]:
    """Return the plans of journeys given as plain data, through their YAML."""
    known: dict[str, Condition] = {}
    for name, where in segments.items():
        known[name] = _parsed(f"segments/{name}.yaml", {"where": where}, known, CONDITION, "where")
    return [
        build(replace(_parsed(f"journeys/{name}.yaml", says, known, JOURNEY), name=name))
        for name, says in files.items()
    ]


def _parsed(path: str, document: Any, known: Mapping[str, Condition], kind: Any, key: str = "") -> Any:
    text, problems = as_yaml(document), Problems()
    node = read(path, text, problems)
    context = Context(problems, schema(), lambda name, place: known.get(name), words=WORDS)
    assert node is not None, text
    parsed = kind.parse(node.get(key) if key else node, context)
    assert not problems.all(), "\n".join(framed(problem, text) for problem in problems.all())
    return parsed


def schema() -> Schema:
    """Return what the worlds' workspace declares."""
    known = BUILT_IN_ATTRIBUTES | attributes()
    return Schema(known, {**BUILT_IN_EVENTS, **EVENTS}, ("email", "sms", "push"))


def as_yaml(document: Any) -> str:
    """Return plain data as YAML."""
    return yaml.safe_dump(document, sort_keys=False, width=100, default_flow_style=None)


# --- what became of them ----------------------------------------------------------------------------------------


def found(connection: Connection, keys: Sequence[str]) -> dict[str, Happened]:
    """Read what became of customers."""
    ids = _step_ids(connection)
    told = {key: Happened(messages=[], stays=[], attributes={}, events=[]) for key in keys}
    for key, values in connection.execute(select(customer.c.key, customer.c.attributes)):
        if key in told:
            told[key]["attributes"] = dict(values)
    for name, query in (("messages", _messages()), ("stays", _stays()), ("events", _events())):
        for key, *rest in connection.execute(query):
            if key in told:
                told[key][name].append(shown(rest if name == "events" else _named(rest, ids)))
        for one in told.values():
            one[name].sort(key=repr)
    return told


def _step_ids(connection: Connection) -> dict[tuple[int, int], str]:
    """Return the id that each version has for each of its steps' numbers."""
    rows = connection.execute(select(journey_version.c.id, journey_version.c.steps))
    return {(version, number): id_ for version, steps in rows for id_, number in steps.items()}


def _named(row: Sequence[Any], ids: Mapping[tuple[int, int], str]) -> list[Any]:
    """Return a row that begins with a version and the number of a step with the step's id in their place."""
    version, number, *rest = row
    return [rest[0], ids.get((version, number)), *rest[1:]]


def _messages() -> Any:
    held = case_((message.c.state == "queued", message.c.ready_at))
    columns = (
        message.c.version_id, message.c.step_id, journey.c.name, enrollment.c.entered_at, message.c.template,
        message.c.channel, message.c.state, message.c.reason, message.c.due_at, message.c.sent_at, held,
    )  # fmt: skip
    return (
        select(customer.c.key, *columns)
        .select_from(message)
        .join(customer, customer.c.id == message.c.customer_id)
        .join(journey, journey.c.id == message.c.journey_id)
        .join(enrollment, enrollment.c.id == message.c.enrollment_id)
    )


def _stays() -> Any:
    due = case_((enrollment.c.outcome == "inside", enrollment.c.due_at))
    columns = (
        enrollment.c.version_id, enrollment.c.step_id, journey.c.name, enrollment.c.per, enrollment.c.held_out,
        enrollment.c.entered_at, enrollment.c.convert_by, enrollment.c.outcome, enrollment.c.reason,
        enrollment.c.left_at, due,
    )  # fmt: skip
    return (
        select(customer.c.key, *columns)
        .select_from(enrollment)
        .join(customer, customer.c.id == enrollment.c.customer_id)
        .join(journey, journey.c.id == enrollment.c.journey_id)
    )


def _events() -> Any:
    columns = (event.c.name, event.c.at, event.c.source, event.c.properties)
    mine = event.c.source.like("journey:%")
    return select(customer.c.key, *columns).join(customer, customer.c.id == event.c.customer_id).where(mine)


def shown(row: Any) -> tuple[Any, ...]:
    """Return a row with its times as texts, and its documents in the order of their keys: a database may have its own."""
    return tuple(_shown(value) for value in row)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shown(value[name]) for name in sorted(value)}
    return value.strftime("%F %T") if isinstance(value, datetime) else value


def check_invariants(connection: Connection) -> None:
    """Hold the tables to what is always true."""
    from treue.store.journey_counts import journey_counts

    for name, counts in journey_counts(connection).items():
        assert counts.adds_up, (name, counts)
    once = (
        select(func.count())
        .select_from(message)
        .group_by(message.c.enrollment_id, message.c.step_id, message.c.channel)
    )
    assert not [n for n in connection.scalars(once) if n > 1]
    alone = (
        select(func.count())
        .select_from(enrollment)
        .where(enrollment.c.outcome == "inside")
        .group_by(enrollment.c.journey_id, enrollment.c.customer_id, enrollment.c.per)
    )
    assert not [n for n in connection.scalars(alone) if n > 1]
    assert not list(connection.execute(_sent_against_the_word()))


def _sent_against_the_word() -> Any:
    """Return the query for messages that need consent and went out after a withdrawal that still stands.

    A journey's own withdrawal counts from its logical time, but takes effect when a pass comes by: in a late one,
    another journey may have sent before.
    """
    from treue.model.tables import consent

    withdrawn = (
        (consent.c.customer_id == message.c.customer_id)
        & (consent.c.channel == message.c.channel)
        & consent.c.given.is_(False)
        & consent.c.source.not_like("journey:%")
        & (consent.c.since < message.c.sent_at)
    )
    return (
        select(customer.c.key, message.c.id)
        .join(customer, customer.c.id == message.c.customer_id)
        .join(consent, withdrawn)
        .where(message.c.state == "sent", message.c.category != "transactional")
    )


def empty(store: Store) -> None:
    """Take every row out of a store."""
    with store.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "timezone_offset":
                connection.execute(table.delete())


# --- the interpreter --------------------------------------------------------------------------------------------


class Hash:
    """Where the engine's stable hash puts customers: the one thing of the engine the interpreter is told."""

    def held_out(self, key: str, journey_: str, share: str) -> bool:
        per_myriad = round(float(share.rstrip("%")) * 100)
        return draws.place(customers.draw(key), draws.holdout_purpose(SALT, journey_), 10_000) < per_myriad

    def way(self, key: str, journey_: str, step_: str, weights: Mapping[str, int]) -> str:
        purpose = draws.split_purpose(SALT, journey_, step_)
        return list(weights)[draws.way(customers.draw(key), purpose, list(weights.values()))]

    def spread(self, key: str) -> timedelta:
        return timedelta(seconds=draws.place(customers.draw(key), f"quiet\x1f{SALT}", 30 * 60))


def run_interpreter(case: Case, person: Person, passes: Iterable[datetime] | None = None) -> Happened:
    """Return what becomes of one customer in the interpreter's reading, told when passes ran, or each in time."""
    return became(lived(case, person, passes))


def lived(case: Case, person: Person, passes: Iterable[datetime] | None = None) -> Life:
    """Let the interpreter live through the world of one customer."""
    life = a_life(case, person)
    alone = replace(case, people=[person])
    happenings, suppressed = by_instant(alone), suppressions_of_others(case, person)
    for now in punctual(life, case, happenings) if passes is None else passes:
        for at in sorted(one for one in happenings if one <= now):
            for _, what in happenings.pop(at):
                live(life, what, at)
        for one in suppressed:
            if life.now < one.since <= now:
                life.is_suppressed(one)
        life.run(now)
    return life


def a_life(case: Case, person: Person) -> Life:
    """Return the life of a customer before anything has happened."""
    world = World(case.zone, case.segments, attributes(), case.limits, case.quiet_hours, case.hold)
    columns = (Record(dict(person.addresses)), Record(dict(person.attributes)))
    return Life(world, Hash(), Reach(person.key, person.zone, person.born, *columns))


def punctual(life: Life, case: Case, happenings: Mapping[datetime, Any]) -> Iterator[datetime]:
    """Yield when passes run that run at every instant at which something is pending."""
    now: datetime | None = case.start
    while now is not None:
        yield now
        coming = [*happenings, life.next_instant(case.end), case.end]
        now = min((at for at in coming if at is not None and at > now), default=None)


def suppressions_of_others(case: Case, person: Person) -> list[Suppressed]:
    """Return the lines that other customers' lives put on the suppression list."""
    return [
        Suppressed(entry.data["address"], entry.at)
        for other in case.people
        for entry in other.timeline
        if entry.kind == "suppress" and other is not person
    ]


def live(life: Life, what: Any, now: datetime) -> None:
    """Let an operator do something, the customer become known, or something happen to her."""
    if isinstance(what, Act):
        if what.kind == "publish":
            life.publish(what.journeys, now)
        else:
            life.pause(what.name, what.kind == "pause")
    elif isinstance(what, Person):
        life.created(now)
        for channel, basis in what.consents.items():
            life.says(channel, True, basis, now)
    else:
        LIVED[what.kind](life, what.data, now)


LIVED: dict[str, Callable[[Life, dict[str, Any], datetime], object]] = {
    "event": lambda life, data, now: life.happens(
        data["name"], now - timedelta(minutes=data["late"]), data["properties"], received=now
    ),
    "attribute": lambda life, data, now: life.changes(data["name"], data["value"], now),
    "address": lambda life, data, now: life.gives_up(data["column"], now),
    "consent": lambda life, data, now: life.says(data["channel"], True, data["basis"], now),
    "withdraw": lambda life, data, now: life.says(data["channel"], False, "consent", now),
    "suppress": lambda life, data, now: life.is_suppressed(Suppressed(data["address"], now)),
    "receipt": lambda life, data, now: life.hears(data["template"], data["was"], now),
    "enroll": lambda life, data, now: life.enroll(data["journey"], now),
}
"""What each kind of entry does to a life."""


def became(life: Life) -> Happened:
    """Return what became of the interpreter's customer, in the form of `found`."""
    person = life.customer
    person.attributes.now = None
    messages = [
        shown((
            m.journey, m.step.id, m.stay.entered_at, m.template, m.channel, m.state, m.reason, m.due,
            m.times.get("sent"), m.ready if m.state == "queued" else None,
        ))
        for m in person.messages
    ]  # fmt: skip
    stays = [
        shown((
            s.journey, s.file.steps[s.step].id if s.step else None, s.per, s.held_out, s.entered_at, s.convert_by,
            s.outcome, s.reason, s.left_at, s.due if s.outcome == "inside" else None,
        ))
        for s in person.stays
    ]  # fmt: skip
    emitted = [
        shown((e.name, e.at, e.source, e.properties))
        for e in person.events
        if e.source.startswith("journey:")
    ]
    known = life.known
    return {
        "messages": sorted(messages, key=repr),
        "stays": sorted(stays, key=repr),
        "attributes": dict(person.attributes) if known else {},
        "events": sorted(emitted, key=repr),
    }
