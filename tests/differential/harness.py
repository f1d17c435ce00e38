"""A world lived through twice: by the engine on a store, all customers at once, and by the interpreter, one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from asking import Reach
from generator import ATTRIBUTES, EVENTS, Act, Case, Entry, Person
from interpreter import Life, World
from sqlalchemy import Connection, func, select, update
from sqlalchemy import case as case_

from treue.channel import Accepted, Capabilities, Outgoing, Progress, Receipt
from treue.engine import draws, routing
from treue.engine.delivery.dispatcher import Delivery, Unwritable
from treue.engine.delivery.outbox import Claimed
from treue.engine.engine import Engine, run_pass
from treue.engine.pretending import standing_still
from treue.engine.timekeeping import next_instant
from treue.engine.versions import publish
from treue.language.conditions import CONDITION
from treue.language.grammar import Context, Schema
from treue.language.journey import JOURNEY
from treue.language.pressure import LIMITS, QUIET_HOURS, Pressure
from treue.language.problems import Problems, framed
from treue.language.source import read
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS
from treue.model.tables import customer, enrollment, event, journey, journey_version, message, metadata
from treue.plan.build import build
from treue.plan.stages import Plan
from treue.segments.tree import Condition
from treue.store import consents, customers, events, journeys, suppressions, zones
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

SALT = "salt"
SCHEMA = Schema(
    {**BUILT_IN_ATTRIBUTES, **ATTRIBUTES}, {**BUILT_IN_EVENTS, **EVENTS}, ("email", "sms", "push")
)
MAX_PASSES = 400
PROOF = {"sale": "s", "similar_goods": "s", "notice": "n"}

KINDS = ("attribute", "address", "consent", "withdraw", "suppress", "react", "event", "enroll")
"""In which order things of one instant happen."""

Entries = Sequence[tuple[str, dict[str, Any]]]

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

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Outgoing | Unwritable]:
        return [Outgoing(one.key, one.address, text=one.template) for one in messages]


def run_engine(case: Case, store: Store) -> Run:
    """Let the engine live through a world on an empty store."""
    with _engine(case, store) as engine:
        return _Play(case, engine).play()


@contextmanager
def _engine(case: Case, store: Store) -> Iterator[Engine]:
    channels = {kind: Everybody(kind) for kind in ("email", "sms", "push")}
    with tempfile.TemporaryDirectory() as state:
        delivery = Delivery(store, channels, Plainly(), Path(state), clock=standing_still)
        with store.transaction() as connection:
            zones.ensure(connection, [case.zone])
        yield Engine(store, case.zone, SALT, delivery, Path(state), pressure=_pressure(case))
        delivery.close()


def _pressure(case: Case) -> Pressure | None:
    if not (case.limits or case.quiet_hours):
        return None
    text, problems = (
        as_yaml({"limits": case.limits or None, "quiet_hours": case.quiet_hours or None}),
        Problems(),
    )
    node, context = read("treue.yaml", text, problems), Context(problems)
    assert node is not None
    limits = LIMITS.parse(node.get("limits"), context) if case.limits else ()
    quiet = QUIET_HOURS.parse(node.get("quiet_hours"), context) if case.quiet_hours else {}
    assert not problems.all(), problems.all()
    return Pressure(tuple(limits), quiet)


class _Play:
    def __init__(self, case: Case, engine: Engine) -> None:
        self.case, self.engine, self.store = case, engine, engine.store
        self.run, self.keys = Run(), 0

    def play(self) -> Run:
        happenings = by_instant(self.case)
        now: datetime | None = self.case.start
        while now is not None and len(self.run.passes) < MAX_PASSES:
            for instant in sorted(at for at in happenings if at <= now):
                self.happen(happenings.pop(instant), instant)
            run_pass(self.engine, now)
            self.run.passes.append(now)
            now = self.next_pass(now, happenings)
        with self.store.reading() as connection:
            check_invariants(connection)
            self.run.customers = found(connection, [p.key for p in self.case.people])
        return self.run

    def next_pass(self, now: datetime, happenings: Mapping[datetime, Any]) -> datetime | None:
        if self.case.every:
            following = now + self.case.every
        else:
            following = min([*happenings, *self.due_after(now), self.case.end])
        return following if now < following <= self.case.end else None

    def due_after(self, now: datetime) -> list[datetime]:
        versions = self.engine.versions()
        with self.store.reading() as connection:
            found = next_instant(connection, versions, now, self.case.zone)
        return [found] if found else []

    def happen(self, happenings: Sequence[Any], now: datetime) -> None:
        """Let happen what happens at one instant, everybody's at once."""
        for _, act in happenings:
            if isinstance(act, Act):
                self.act(act, now)
        born = [what for _, what in happenings if isinstance(what, Person)]
        with self.store.transaction() as connection:
            self.born(connection, born, now)
            for kind in KINDS:
                some = [
                    (k, what.data) for k, what in happenings if isinstance(what, Entry) and what.kind == kind
                ]
                if some:
                    getattr(self, f"_{kind}")(connection, some, now)

    def act(self, act: Act, now: datetime) -> None:
        if act.kind == "publish":
            publish(self.store, plans(act.journeys, self.case.segments), {}, now)
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
                key, data["name"], now - timedelta(minutes=data["late"]), data["properties"], self.key()
            )
            for key, data in some
        ]
        events.record(connection, given, now)

    def key(self) -> str:
        """Return keys in order: events of one instant are recorded in the order of theirs."""
        self.keys += 1
        return f"{self.keys:08}"

    def _attribute(self, connection: Connection, some: Entries, now: datetime) -> None:
        given = [CustomerInput(key, attributes={data["name"]: data["value"]}) for key, data in some]
        customers.upsert(connection, given, now)

    def _address(self, connection: Connection, some: Entries, now: datetime) -> None:
        customers.upsert(connection, [CustomerInput(key, **{data["column"]: ""}) for key, data in some], now)

    def _consent(self, connection: Connection, some: Entries, now: datetime) -> None:
        for key, data in some:
            consents.give(connection, [word(key, data["channel"], data["basis"], now)], now)

    def _withdraw(self, connection: Connection, some: Entries, now: datetime) -> None:
        for key, data in some:
            consents.withdraw(connection, [ConsentInput(key, data["channel"], now)], now)

    def _suppress(self, connection: Connection, some: Entries, now: datetime) -> None:
        for _, data in some:
            suppressions.add(connection, data["channel"], [data["address"]], "test", now)

    def _react(self, connection: Connection, some: Entries, now: datetime) -> None:
        ids = customers.ids_for_keys(connection, [key for key, _ in some])
        for key, data in some:
            column = message.c[f"{data['was']}_at"]
            fits = (message.c.template == data["template"], message.c.state == "sent", column.is_(None))
            mine = message.c.customer_id == ids[key]
            connection.execute(update(message).where(mine, *fits).values({column: now}))

    def _enroll(self, connection: Connection, some: Entries, now: datetime) -> None:
        ids = customers.ids_for_keys(connection, [key for key, _ in some])
        for key, data in some:
            which = journeys.find(connection, data["journey"])
            assert which is not None
            routing.enroll(connection, which, [ids[key]], now)


def word(key: str, channel: str, basis: str, now: datetime) -> ConsentInput:
    """Return a consent with what its basis needs to be on record."""
    return ConsentInput(key, channel, now, basis, proof=PROOF if basis == "existing_customer" else {})


def by_instant(case: Case) -> dict[datetime, list[tuple[str, Any]]]:
    """Return what happens at each instant: first what operators do, then customers one after the other."""
    found: dict[datetime, list[tuple[str, Any]]] = {}
    for act in case.acts:
        found.setdefault(act.at, []).append(("", act))
    for person in case.people:
        found.setdefault(person.born, []).append((person.key, person))
        for entry in person.timeline:
            found.setdefault(entry.at, []).append((person.key, entry))
    for happenings in found.values():
        happenings.sort(key=lambda one: KINDS.index(one[1].kind) if isinstance(one[1], Entry) else -1)
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
    context = Context(problems, SCHEMA, lambda name, place: known.get(name))
    assert node is not None, text
    parsed = kind.parse(node.get(key) if key else node, context)
    assert not problems.all(), "\n".join(framed(problem, text) for problem in problems.all())
    return parsed


def as_yaml(document: Any) -> str:
    """Return plain data as YAML."""
    return yaml.safe_dump(document, sort_keys=False, width=100, default_flow_style=None)


# --- what became of them ----------------------------------------------------------------------------------------


def found(connection: Connection, keys: Sequence[str]) -> dict[str, Happened]:
    """Read what became of customers."""
    ids = _step_ids(connection)
    told = {key: Happened(messages=[], stays=[], attributes={}, events=[]) for key in keys}
    for key, attributes in connection.execute(select(customer.c.key, customer.c.attributes)):
        told[key]["attributes"] = dict(attributes)
    for name, query in (("messages", _messages()), ("stays", _stays()), ("events", _events())):
        for key, *rest in connection.execute(query):
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
    """Return a row with its times as texts and its booleans as booleans."""
    return tuple(value.strftime("%F %T") if isinstance(value, datetime) else value for value in row)


def check_invariants(connection: Connection) -> None:
    """Hold the tables to what is always true."""
    from treue.engine.counts import journey_counts

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
    """Return the query for messages that need consent and went out after a withdrawal that still stands."""
    from treue.model.tables import consent

    withdrawn = (
        (consent.c.customer_id == message.c.customer_id)
        & (consent.c.channel == message.c.channel)
        & consent.c.given.is_(False)
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


def run_interpreter(case: Case, person: Person, passes: Sequence[datetime]) -> Happened:
    """Let the interpreter live through the world of one customer, told when passes ran."""
    world = World(case.zone, case.segments, ATTRIBUTES, case.limits, case.quiet_hours)
    columns = dict(person.addresses)
    life = Life(world, Hash(), Reach(person.key, person.zone, person.born, columns, dict(person.attributes)))
    alone = replace(case, people=[person])
    happenings = by_instant(alone)
    suppressed = suppressions_of_others(case, person)
    for now in passes:
        for at in sorted(one for one in happenings if one <= now):
            for _, what in happenings.pop(at):
                _live(life, what, at)
        life.customer.suppressed |= {address for address, at in suppressed if at <= now}
        life.run(now)
    return became(life)


def suppressions_of_others(case: Case, person: Person) -> list[tuple[str, datetime]]:
    """Return addresses that other customers' lives put on the suppression list."""
    return [
        (entry.data["address"], entry.at)
        for other in case.people
        for entry in other.timeline
        if entry.kind == "suppress" and other is not person
    ]


def _live(life: Life, what: Any, now: datetime) -> None:
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
        _live_entry(life, what.kind, what.data, now)


def _live_entry(life: Life, kind: str, data: dict[str, Any], now: datetime) -> None:
    person = life.customer
    if kind == "event":
        life.happens(data["name"], now - timedelta(minutes=data["late"]), data["properties"])
    elif kind == "attribute":
        person.attributes.pop(data["name"], None)
        if data["value"] is not None:
            person.attributes[data["name"]] = data["value"]
    elif kind == "address":
        person.addresses.pop(data["column"], None)
    elif kind in ("consent", "withdraw"):
        life.says(data["channel"], kind == "consent", data.get("basis", "consent"), now)
    elif kind == "suppress":
        person.suppressed.add(data["address"])
    elif kind == "react":
        life.reacts(data["template"], data["was"], now)
    else:
        life.enroll(data["journey"], now)


def became(life: Life) -> Happened:
    """Return what became of the interpreter's customer, in the form of `found`."""
    person = life.customer
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
        "attributes": person.attributes if known else {},
        "events": sorted(emitted, key=repr),
    }
