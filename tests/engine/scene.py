"""A journey from YAML on a fresh store with a clock of its own: what engine tests are written with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import select

from treue.channel import Accepted, Capabilities, Outgoing, Progress, Receipt
from treue.clock import Duration, utc_now
from treue.delivery import outbox
from treue.delivery.dispatcher import Delivery, Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.engine.passes.chronology import Passed, run_pass
from treue.engine.passes.engine import Engine
from treue.engine.versions.application import Applied, Files, Look, apply, look
from treue.engine.versions.versions import publish
from treue.engine.what_if.stand_ins import standing_still
from treue.language.grammar import Context, Schema
from treue.language.journey import JOURNEY
from treue.language.pressure import Pressure
from treue.language.problems import Problems, framed
from treue.language.source import read
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS
from treue.model.tables import customer, enrollment, journey_version, message, trace
from treue.plan.flatten import build
from treue.plan.plan import Plan
from treue.segments.tree import Ahead, All, Not, Op
from treue.store import consents, customers, events, zones
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.journey_counts import JourneyCounts, journey_counts
from treue.store.store import Store
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.registry import WORDS

ZONE = "Europe/Berlin"
SCHEMA = Schema(
    {
        **BUILT_IN_ATTRIBUTES,
        "country": "text",
        "vip": "bool",
        "visits": "number",
        "birthday": "date",
        "trial_ends": "date",
        "seen_at": "time",
    },
    {
        **BUILT_IN_EVENTS,
        "order.placed": {"total": "number", "cart_id": "text"},
        "cart.left": {"cart_id": "text"},
        "cart.abandoned": {"cart_id": "text"},
        "signed.up": {"source": "text"},
        "told": {"why": "text", "since": "time"},
    },
    ("email", "sms", "push"),
)
SEGMENTS = {
    "germans": Attribute("country", "text", (Op("is", ("DE",)),)),
    "lapsed": All((Happened("order.placed"), Not(Happened("order.placed", within=Duration(days=180))))),
    "spenders": Aggregate("sum", "order.placed", "total", "number", (Op("above", (25,)),), Duration(days=90)),
    "celebrating": Attribute("birthday", "date", (Op("anniversary_in", (Ahead(Duration(days=3)),)),)),
}


def plan_of(name: str, text: str) -> Plan:
    """Return the plan of a journey's YAML; the head that every journey needs is added where it is missing."""
    head = "" if "category:" in text else "category: promotional\nbasis: consent\n"
    text = f"description: {name}\n{head}{text}"
    problems = Problems()
    node = read(f"journeys/{name}.yaml", text, problems)
    context = Context(problems, SCHEMA, lambda segment, place: SEGMENTS.get(segment), words=WORDS)
    found = JOURNEY.parse(node, context) if node else None
    assert not problems.all(), "\n".join(framed(problem, text) for problem in problems.all())
    from dataclasses import replace

    return build(replace(found, name=name))


class Sink:
    """A channel that accepts everything and remembers it, or answers what it is told to."""

    def __init__(self, kind: Any) -> None:
        self.capabilities = Capabilities(kind)
        self.sent: list[Outgoing] = []
        self.answers: list[Receipt] = []

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        receipts: list[Receipt] = []
        for message_ in batch:
            progress.started(message_.key)
            receipt = self.answers.pop(0) if self.answers else Accepted(f"id-{message_.key}")
            if isinstance(receipt, Accepted):
                self.sent.append(message_)
            progress.settled(message_.key, receipt)
            receipts.append(receipt)
        return receipts

    def close(self) -> None:
        pass


class Plainly:
    """Writes a message as its template's name: what it says is not the engine's matter."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        return [
            Written(
                Outgoing(message_.key, message_.address, text=message_.template),
                message_.template if message_.shared else None,
            )
            for message_ in messages
        ]


class Personally:
    """Writes to each customer something of their own."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        return [
            Written(Outgoing(message_.key, message_.address, text=message_.template), message_.customer["id"])
            for message_ in messages
        ]


class Scene:
    """A store, an engine with sinks for channels, and a clock that tests move."""

    def __init__(
        self, store: Store, state: Path, start: str = "2026-03-02 10:00", pressure: Pressure | None = None
    ) -> None:
        self.store = store
        self.now = at(start)
        self.channels = {kind: Sink(kind) for kind in ("email", "sms", "push")}
        self.delivery = Delivery(store, self.channels, Plainly(), state, clock=standing_still)
        self.engine = Engine(store, ZONE, "salt", self.delivery, state, pressure=pressure)
        with store.transaction() as connection:
            zones.ensure(connection, [ZONE])

    def journeys(self, **texts: str) -> None:
        """Make these the live journeys."""
        publish(
            self.store, [plan_of(name.replace("_", "-"), text) for name, text in texts.items()], {}, self.now
        )

    def claim(self, channel: str, worker: str) -> list[Claimed]:
        """Take what is ready into a worker's hands, as a worker would that dies right after."""
        lane = outbox.Lane(channel, self.engine.versions()[0].journey_id)
        with self.store.transaction() as connection:
            return outbox.claim(connection, lane, self.now, utc_now(), worker, 10)

    def files(self, *, migrate: bool = False, **texts: str) -> Files:
        """Return these journeys as what the files say."""
        plans = tuple(plan_of(name.replace("_", "-"), text) for name, text in texts.items())
        return Files(plans, {}, ZONE, migrate)

    def look(self, files: Files) -> Look:
        """Return what these files would change."""
        with self.store.reading() as connection:
            return look(connection, files, self.now)

    def apply(self, files: Files, shown: Look | None = None) -> Applied:
        """Make these files what runs."""
        return apply(self.store, files, self.now, shown.fingerprint if shown else None)

    def customer(self, key: str, consent: str = "email", **values: Any) -> None:
        """Record a customer who has an address everywhere and agreed to the channels named."""
        built_in = {
            name: values.pop(name) for name in ("email", "phone", "timezone", "push_token") if name in values
        }
        given = {
            "email": f"{key}@example.com",
            "phone": phone_of(key),
            "push_token": f"token-{key}",
            **built_in,
        }
        with self.store.transaction() as connection:
            customers.upsert(
                connection, [CustomerInput(key, attributes=values, created_at=self.now, **given)], self.now
            )
            words = [ConsentInput(key, channel, self.now) for channel in consent.split()]
            consents.give(connection, words, self.now)

    def event(
        self, key: str, name: str, id_: str | None = None, when: datetime | None = None, **properties: Any
    ) -> None:
        """Record that a customer did something, now."""
        with self.store.transaction() as connection:
            events.record(connection, [EventInput(key, name, when or self.now, properties, id_)], self.now)

    def run(self, **kwargs: Any) -> Passed:
        """Run one pass now."""
        return run_pass(self.engine, self.now, **kwargs)

    def later(self, **length: float) -> Passed:
        """Move the clock and run a pass."""
        self.now += timedelta(**length)
        return self.run()

    def until(self, when: str, every: timedelta = timedelta(hours=1)) -> None:
        """Run passes regularly until a time."""
        end = at(when)
        while self.now < end:
            self.now = min(self.now + every, end)
            self.run()

    def sent(self, channel: str = "email") -> list[tuple[str, str]]:
        """Return (address, template) of everything sent on a channel, in order."""
        return [(message_.to, message_.text) for message_ in self.channels[channel].sent]

    def templates(self, channel: str = "email") -> list[str]:
        """Return the templates sent on a channel, in order."""
        return [template for _, template in self.sent(channel)]

    def counts(self, name: str) -> JourneyCounts:
        """Return a journey's numbers, which always add up."""
        with self.store.reading() as connection:
            found = journey_counts(connection)[name]
        assert found.adds_up, found
        return found

    def messages(self) -> list[Any]:
        """Return (customer, template, channel, state, reason, due) of all messages."""
        query = (
            select(
                customer.c.key,
                message.c.template,
                message.c.channel,
                message.c.state,
                message.c.reason,
                message.c.due_at,
            )
            .join(customer, customer.c.id == message.c.customer_id)
            .order_by(message.c.id)
        )
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def stays(self) -> list[Any]:
        """Return (customer, outcome, reason, step) of all enrollments."""
        query = (
            select(
                customer.c.key,
                enrollment.c.outcome,
                enrollment.c.reason,
                enrollment.c.step_id,
                journey_version.c.steps,
            )
            .join(customer, customer.c.id == enrollment.c.customer_id)
            .join(journey_version, journey_version.c.id == enrollment.c.version_id)
            .order_by(enrollment.c.id)
        )
        with self.store.reading() as connection:
            return [
                (*row[:3], {number: id_ for id_, number in row.steps.items()}.get(row.step_id))
                for row in connection.execute(query)
            ]

    def decisions(self, key: str) -> list[str]:
        """Return what was decided about a customer, in order."""
        query = (
            select(trace.c.decision)
            .join(customer, customer.c.id == trace.c.customer_id)
            .where(customer.c.key == key)
            .order_by(trace.c.id)
        )
        with self.store.reading() as connection:
            return list(connection.scalars(query))

    def attribute(self, key: str, name: str) -> Any:
        """Return a customer's attribute."""
        with self.store.reading() as connection:
            found = customers.find(connection, key)
        assert found is not None
        return found["attributes"].get(name)


def phone_of(key: str) -> str:
    """Return the telephone number that a customer has by default."""
    return f"+4477009{crc32(key.encode()) % 100_000:05}"


def at(text: str) -> datetime:
    """Return the instant of a local time in the workspace's zone."""
    from treue.clock import parse_instant

    found = parse_instant(text, ZONE)
    assert found is not None
    return found.astimezone(UTC)
