"""Worlds whose journeys do nothing but watch conditions, and all that can touch the answers to these.

Besides what happens in other worlds: history is imported, words on consent come late, addresses move and come off the
suppression list, providers lose answers and tell of messages before they answer, and operators decide about these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, select

from tests.differential import generator
from tests.differential.generator import CHANNELS, TEMPLATES, Act, Case, Person
from tests.differential.harness import Entries, Everybody, Play, engine_of
from tests.metamorphic.calm import Calm
from treue.channel import Accepted, DeliveryEvent, Outgoing, Progress, Receipt, Refused, Unknown
from treue.delivery import doubts, receipts
from treue.engine.passes.engine import Engine
from treue.model.states import DeliveryEventKind
from treue.model.tables import customer, message
from treue.store import consents, customers, events, suppressions
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

KINDS = (
    *("event",) * 10,
    *("attribute",) * 3,
    *("receipt",) * 3,
    *("imported", "enroll", "consent", "withdraw", "late_word", "suppress", "suppress_for", "unlist"),
    *("address", "moved", "moved", "decided", "decided"),
)
FATES = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "failed")
HOMES = {"email": ("home@example.com", "office@example.com"), "phone": ("+447900000001",)}
"""Addresses that several customers have."""


class Watched(Calm):
    """Worlds with so many journeys that watch who joins a segment, and as many that watch who has a reason to leave."""

    watchers = 5

    def case(self, seed: int, customers: int) -> Case:
        made = super().case(seed, customers)
        segments = {f"s{n}": self.watched_for() for n in range(self.watchers)}
        files = {f"w{n}": self.joining(f"s{n}") for n in range(self.watchers)}
        files |= {f"l{n}": self.leaving() for n in range(self.watchers)}
        files |= {f"letters{n}": self.letters() for n in range(2)}
        (act,) = made.acts
        acts = [Act(act.at, "publish", act.journeys | files)]
        return replace(made, segments=made.segments | segments, acts=acts)

    def joining(self, segment: str) -> dict[str, Any]:
        return self.watcher({"segment": segment}, [{"stop": True}])

    def watched_for(self) -> list[dict[str, Any]]:
        if self.chance(0.3):
            return super().watched_for()
        return [self.foreseen(lambda: self.condition(1, inside=False)) for _ in range(self.rng.randint(1, 2))]

    def condition(self, depth: int, *, inside: bool = True) -> dict[str, Any]:
        """Return a condition, often of what is no event."""
        if not self.chance(0.6):
            made: dict[str, Any] = super().condition(depth, inside=inside)
            return made
        leaf = self.pick((self.message_leaf, self.message_leaf, self.journey_leaf, self.standing_leaf))()
        return {"not": leaf} if self.chance(0.3) else leaf

    def standing_leaf(self) -> dict[str, Any]:
        return {self.pick(("consent", "reachable")): self.pick(CHANNELS)}

    def letters(self) -> dict[str, Any]:
        enter = {"event": self.pick(("order.placed", "signed.up", "ping"))}
        steps = [{"send": self.pick(TEMPLATES), "on": self.pick(CHANNELS)} for _ in range(2)]
        file = self.watcher(enter, [steps[0], {"wait": self.pick(self.waits)}, steps[1]])
        if self.chance(0.5):
            del file["basis"]
            file["category"] = "transactional"
        return file

    def leaving(self) -> dict[str, Any]:
        enter: dict[str, Any] = {"event": self.pick(("signed.up", "order.placed"))}
        self.started = enter["event"]
        reasons = [self.foreseen(lambda: self.condition(1)) for _ in range(self.rng.randint(1, 2))]
        self.started = ""
        return {**self.watcher(enter, [{"wait": "60d"}]), "exit": reasons}

    def watcher(self, enter: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "description": "Watches.",
            "category": "relational",
            "basis": "consent",
            "enter": {**enter, "again": "always"},
            "steps": steps,
        }

    def person(self, key: str, start: datetime, instants: list[datetime]) -> Person:
        person = super().person(key, start, instants)
        if "email" in person.addresses and self.chance(0.5):
            person.addresses["email"] = self.pick(HOMES["email"])
        return person

    def entry(self, addresses: dict[str, str], at: datetime) -> generator.Entry:
        kind = self.pick(KINDS)
        return generator.Entry(at, kind, getattr(self, f"_{kind}")(addresses))

    def message_leaf(self) -> dict[str, Any]:
        leaf: dict[str, Any] = generator.Making.message_leaf(self)
        return leaf | {"was": self.pick(FATES)}

    def _receipt(self, _: Any) -> dict[str, Any]:
        return {"template": self.pick(TEMPLATES), "was": self.pick(("soft", "unsubscribed", *FATES[1:]))}

    def _imported(self, addresses: dict[str, str]) -> dict[str, Any]:
        hours = self.pick((1, 24, 700, 9000))
        return self._event(addresses) | {"late": 60 * hours, "attribute": self._attribute(addresses)}

    def _late_word(self, _: Any) -> dict[str, Any]:
        return {"channel": self.pick(CHANNELS), "given": self.chance(0.5), "late": self.pick((1, 600, 3000))}

    def _suppress_for(self, addresses: dict[str, str]) -> dict[str, Any]:
        return self._suppress(addresses) | {"hours": self.pick((1, 24, 60))}

    def _unlist(self, addresses: dict[str, str]) -> dict[str, Any]:
        return self._suppress(addresses)

    def _moved(self, _: Any) -> dict[str, Any]:
        column = self.pick(sorted(HOMES))
        return {"column": column, "value": self.pick(HOMES[column])}

    def _decided(self, _: Any) -> dict[str, Any]:
        return {"how": self.pick(("resend", "drop", "retry"))}


class Handed(Play):
    """Hands over what happens in these worlds."""

    def _imported(self, connection: Connection, some: Entries, now: datetime) -> None:
        attributes = [(who, data["attribute"]) for who, data in some]
        customers.merge(
            connection,
            [CustomerInput(who.key, attributes={one["name"]: one["value"]}) for who, one in attributes],
            now,
        )
        given = [
            EventInput(
                who.key, data["name"], now - timedelta(minutes=data["late"]), data["properties"], self.key(),
                events.HISTORY,
            )
            for who, data in some
        ]  # fmt: skip
        events.record(connection, given, now, set_aside=False)

    def _late_word(self, connection: Connection, some: Entries, now: datetime) -> None:
        for who, data in some:
            at = now - timedelta(minutes=data["late"])
            say = consents.give if data["given"] else consents.withdraw
            say(connection, [ConsentInput(who.key, data["channel"], at, "consent")], now)

    def _suppress_for(self, connection: Connection, some: Entries, now: datetime) -> None:
        for _, data in some:
            until = now + timedelta(hours=data["hours"])
            suppressions.add(connection, data["channel"], [data["address"]], "test", now, expires_at=until)

    def _unlist(self, connection: Connection, some: Entries, now: datetime) -> None:
        for _, data in some:
            suppressions.remove(connection, data["channel"], data["address"], now)

    def _moved(self, connection: Connection, some: Entries, now: datetime) -> None:
        self._address(connection, some, now)

    def _address(self, connection: Connection, some: Entries, now: datetime) -> None:
        given = [CustomerInput(who.key, **{data["column"]: data["value"]}) for who, data in some]
        customers.upsert(connection, given, now)

    def _decided(self, connection: Connection, some: Entries, now: datetime) -> None:
        for who, data in some:
            mine = select(message.c.id).join(customer, customer.c.id == message.c.customer_id)
            if which := list(connection.scalars(mine.where(customer.c.key == who.key))):
                getattr(doubts, data["how"])(connection, now, which)


class Careless(Everybody):
    """A channel that refuses some messages, loses some answers, and tells of some messages before it answers."""

    store: Store
    now: datetime

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        found: list[Receipt] = []
        for one in batch:
            progress.started(one.key)
            found.append(self.answer(one))
            progress.settled(one.key, found[-1])
        return found

    def answer(self, one: Outgoing) -> Receipt:
        chance = sha256(one.key.encode()).digest()[0]
        if chance < 40:
            return Refused("It does not want to.")
        if chance < 80:
            told = DeliveryEvent(f"{one.key}:early", DeliveryEventKind.delivered, self.now, one.key)
            with self.store.transaction() as connection:
                receipts.take(connection, self.capabilities.kind, [told], self.now)
        return Unknown("The line went dead.") if chance < 120 else Accepted(one.key)


@contextmanager
def played(made: Case, store: Store) -> Iterator[Handed]:
    """Return a world on its way on a store."""
    channels = {kind: Careless(kind) for kind in CHANNELS}
    with engine_of(made, store, channels) as engine:
        yield _Timed(made, engine, list(channels.values()))


class _Timed(Handed):
    def __init__(self, made: Case, engine: Engine, channels: Sequence[Careless]) -> None:
        super().__init__(made, engine)
        self.channels = channels

    def pass_at(self, now: datetime) -> None:
        for one in self.channels:
            one.store, one.now = self.store, now
        super().pass_at(now)
