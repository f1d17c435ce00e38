"""Worlds in which nothing depends on when passes run: what the theorem of the chronology is about.

Everything that is noticed by a pass or decided in real time is left out: what time changes at no instant that could be told
before, waiting for what is no event, and what became of messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.differential import generator
from tests.differential.generator import ATTRIBUTES, CHANNELS, STARTS, Act, Case, Entry, Person
from tests.differential.interpreter import is_foreseen

KINDS = ("event",) * 14 + ("attribute",) * 4 + ("consent", "withdraw", "suppress", "address", "enroll")


def case(seed: int, customers: int) -> Case:
    """Return the world of a seed."""
    return Calm(random.Random(f"calm {seed}")).case(seed, customers)


def crowded(made: Case, others: int) -> Case:
    """Return the same world with other customers in it."""
    making = Calm(random.Random(f"others {made.seed}"))
    making.names = list(made.acts[0].journeys)
    instants = sorted({entry.at for person in made.people for entry in person.timeline})
    people = [making.person(f"o{made.seed}-{n}", made.start, instants) for n in range(others)]
    return replace(made, people=[*people, *made.people])


def merging(made: Case) -> Case:
    """Return the same world, in which customers are merged two by two at some instant of their lives."""
    rng, acts = random.Random(f"merging {made.seed}"), list(made.acts)
    for kept, other in zip(made.people[::2], made.people[1::2], strict=False):
        known = max(kept.born, other.born)
        instants = sorted({one.at for who in (kept, other) for one in who.timeline if one.at > known})
        if instants:
            acts.append(Act(rng.choice(instants), "merge", name=f"{kept.key} {other.key}"))
    return replace(made, acts=acts)


class Calm(generator.Making):
    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.pairs: list[tuple[datetime, datetime]] = []
        """Instants whose distance is one of the world's lengths."""

    def case(self, seed: int, customers: int) -> Case:
        start = self.start = self.pick(STARTS)
        self.looping = self.chance(0.35)
        self.waits = self.rng.sample(generator.LONG if self.looping else generator.WAITS, 2)
        instants = self.instants(start, self.rng.choice((2, 3, 4, 25)))
        self.happens = instants
        self.waits += [self.gap(instants) for _ in range(2)]
        self.zones = [None, *self.rng.sample(generator.ZONES[1:], self.rng.randint(0, 2))]
        segments = {"first": self.watched_for(), "second": [*self.watched_for(), {"segment": "first"}]}
        self.names = [f"j{n}" for n in range(self.rng.choice((1, 2, 2, 3, 3)))]
        files = {name: self.journey(n) for n, name in enumerate(self.names)}
        people = [self.person(f"c{seed}-{n}", start, instants) for n in range(customers)]
        end = instants[-1] + timedelta(days=4)
        hold = self.pick(generator.HOLDS)
        return Case(seed, start, end, segments, [Act(start, "publish", files)], people, hold=hold)

    def gap(self, instants: Sequence[datetime]) -> str:
        """Return exactly how long it is from something that happens to something else."""
        first, last = sorted(self.rng.sample(instants, 2))
        self.pairs.append((first, last))
        if self.looping and last - first < timedelta(days=1):
            return "1d"
        seconds = int((last - first).total_seconds())
        parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
        return " ".join(f"{count}{unit}" for count, unit in parts if count)

    # --- customers ----------------------------------------------------------------------------------------

    def person(self, key: str, start: datetime, instants: list[datetime]) -> Person:
        person = super().person(key, start, instants)
        timeline = person.timeline
        if len(instants) > 20:
            timeline = [
                one for at in instants if self.chance(0.5) for one in self.entries(person.addresses, at)
            ]
        for pair in self.pairs:
            timeline = [*timeline, *(Entry(at, "event", self.order()) for at in pair if self.chance(0.5))]
        timeline = [one for one in timeline if one.at >= person.born]
        return replace(person, timeline=sorted(timeline, key=lambda one: one.at))

    def order(self) -> dict[str, Any]:
        return {"name": "order.placed", "properties": self.properties("order.placed"), "late": 0}

    def entry(self, addresses: dict[str, str], at: datetime) -> Entry:
        kind = self.pick(KINDS)
        return Entry(at, kind, getattr(self, f"_{kind}")(addresses))

    def _event(self, addresses: Any) -> dict[str, Any]:
        found: dict[str, Any] = super()._event(addresses)
        if self.chance(0.4):
            found = self.order()
        return found | {"late": self.pick((1, 1, 30, 600))} if self.chance(0.15) else found

    def _attribute(self, _: Any) -> dict[str, Any]:
        name = self.pick([*ATTRIBUTES, "trial_ends", "trial_ends"])
        return {"name": name, "value": self.attribute_value(name) if self.chance(0.85) else None}

    # --- journeys -----------------------------------------------------------------------------------------

    def journey(self, n: int, enter: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a journey. Who is in it may leave for any reason."""
        file = super().journey(n, enter)
        if not self.chance(0.35):
            return file
        reason = {"segment": "first"} if self.chance(0.2) else self.foreseen(lambda: self.condition(1))
        return {**file, "exit": [*file.get("exit", []), reason]}

    def watched_for(self) -> list[dict[str, Any]]:
        """Return the conditions of a segment; often what makes somebody a member lies just so long ago."""
        if self.chance(0.5):
            return (
                [self.lately()] if self.chance(0.5) else [{"event": "order.placed"}, {"not": self.lately()}]
            )
        return [self.foreseen(lambda: self.condition(1, inside=False)) for _ in range(self.rng.randint(1, 2))]

    def lately(self) -> dict[str, Any]:
        """Return a condition that time alone changes."""
        length = self.pick(self.waits)
        return self.pick(
            (
                {"event": "order.placed", "within": length},
                {"event": "order.placed", "at_least": 2, "within": length},
                {"event": self.pick(("order.placed", "told")), "last": {"before": f"{length} ago"}},
                {"sum": "order.placed.total", "above": self.pick((0, 10.5)), "within": length},
            )
        )

    def foreseen(self, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a condition of which it can be told when time changes it."""
        while not is_foreseen(made := make(), {"first": []}):
            pass
        return made

    def enter(self, n: int) -> dict[str, Any]:
        others = [self.by_segment] * 5 + [self.by_schedule, *[self.by_date] * 4, self.by_hand]
        enter = self.pick([self.by_event] * 10 + others)(n)
        if self.chance(0.45):
            own = "event" in enter and self.chance(0.75)
            enter["if"] = self.counted(enter["event"]) if own else self.condition(1, inside=False)
        if self.chance(0.8):
            enter["again"] = self.pick(("always", "always", *self.waits))
        return enter

    def by_event(self, n: int) -> dict[str, Any]:
        enter: dict[str, Any] = {"event": "order.placed"} if self.chance(0.5) else super().by_event(n)
        if self.looping and self.chance(0.5):
            enter = {"event": self.pick(("ping", "pong"))}
        return enter

    def counted(self, event: str) -> dict[str, Any]:
        """Return a condition on how often, or since when, the event that lets in has happened."""
        if self.chance(0.3):
            return {
                "event": event,
                "first": {self.pick(("before", "after")): f"{self.pick(self.waits[-2:])} ago"},
            }
        leaf = {"event": event, self.pick(("exactly", "at_most")): self.rng.randint(1, 2)}
        return leaf | {"within": self.pick(self.waits[-2:])} if self.chance(0.7) else leaf

    def exit(self) -> dict[str, Any]:
        events = ("told", "consent.withdrawn", "ping", "order.placed", self.started or "told")
        found: dict[str, Any] = {"event": self.pick(events)}
        if found["event"] in generator.EVENTS and self.chance(0.3):
            found["where"] = self.tests(found["event"])
        return found

    def steps(self, n: int, depth: int, count: int) -> list[dict[str, Any]]:
        made = super().steps(n, depth, count)
        kept = [one for one in made if "withdraw" not in one]
        if self.looping and self.chance(0.3):
            kept.append(self.step_emit(n, depth))
        return [self.step_set(n, depth), *kept] if not kept or self.chance(0.3) else kept

    def step_set(self, n: int, depth: int) -> dict[str, Any]:
        name = self.pick(("vip", "visits", "visits", "trial_ends"))
        return {"set": {name: self.attribute_value(name)}}

    def watched(self) -> dict[str, Any]:
        leaf: dict[str, Any] = {"event": self.pick(("order.placed", "told", "ping"))}
        if self.chance(0.3):
            leaf["at_least"] = self.rng.randint(1, 3)
        if self.chance(0.3):
            leaf["where"] = self.tests(leaf["event"])
        if self.chance(0.3):
            leaf["since"] = "entry"
        return {"any": [leaf, self.watched()]} if self.chance(0.2) else leaf

    def event_leaf(self, inside: bool) -> dict[str, Any]:
        """Return a leaf that often looks back exactly as far as something else lies."""
        leaf = super().event_leaf(inside)
        for word in ("last", "first"):
            if word in leaf:
                leaf[word] = {self.pick(("before", "after")): f"{self.pick(self.waits[-2:])} ago"}
        return leaf | {"within": self.pick(self.waits[-2:])} if self.chance(0.4) else leaf

    def message_leaf(self) -> dict[str, Any]:
        return {"consent": self.pick(CHANNELS)}


def shuffled(people: Sequence[Person], seed: int) -> list[Person]:
    """Return people with the events of one call in another order, where their own times differ."""
    rng = random.Random(seed)
    return [replace(one, timeline=_shuffled(one.timeline, rng)) for one in people]


def _shuffled(timeline: Sequence[Entry], rng: random.Random) -> list[Entry]:
    """Return a timeline in which events of one call are turned round: of two with one time, the first stays it."""
    found: list[Entry] = []
    run: list[Entry] = []
    for entry in timeline:
        if run and (entry.kind != "event" or run[0].at != entry.at):
            found, run = [*found, *_turned(run, rng)], []
        if entry.kind == "event":
            run.append(entry)
        else:
            found.append(entry)
    return [*found, *_turned(run, rng)]


def _turned(run: Sequence[Entry], rng: random.Random) -> list[Entry]:
    times = list({entry.data["late"] for entry in run})
    rng.shuffle(times)
    return sorted(run, key=lambda entry: times.index(entry.data["late"]))
