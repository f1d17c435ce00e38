"""Many timelines of one journey, for a test that says `timeline: any`: what its invariants are held against.

Made of what the journey itself reacts to (its trigger, goal, exits, the events, messages and attributes its
conditions look at), in an order that depends on the test's name alone, so that a failure can be seen again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from treue.language.grammar import Schema
from treue.language.journey import Journey
from treue.language.scenario import (
    Act,
    Agrees,
    Changes,
    Does,
    Enrolls,
    Person,
    Receives,
    Scenario,
    When,
    Withdraws,
)
from treue.language.steps import Step, message_of, walk
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.segments.needs import leaves
from treue.segments.tree import Condition, Field, Op, Property
from treue.testing.playback import CREATED, Played, play, play_together
from treue.testing.verdict import judge
from treue.testing.world import World

Maker = Callable[[Random, When], Act]
"""Makes one act for a time."""

TIMELINES = 24
"""How many timelines are tried."""

MOST_ACTS = 7
BEGIN = datetime(2026, 3, 2, 10, tzinfo=UTC)
_GAPS = tuple(timedelta(hours=hours) for hours in (1, 1, 24, 24, 48, 72, 120, 192, 312, 720))
"""What lies between two acts; a few lengths, so that the instants of many timelines fall together."""


def explore(world: World, journeys: Sequence[Journey], scenario: Scenario) -> tuple[Played, list[Played]]:
    """Play many timelines; return the shortest that breaks an invariant (or any), and all of them."""
    tried = list(_Timelines(world, journeys, scenario).made())
    all_ = [_forgiven(played) for played in play_together(world, journeys, tried)]
    broken = [played for played in all_ if not judge(played, journeys[0].name).passed]
    if not broken:
        return all_[0], all_
    first = min(broken, key=lambda played: len(played.scenario.timeline or ()))
    return _shortened(world, journeys, first), all_


def _forgiven(played: Played) -> Played:
    """Return what was played without the clicks on messages that were never sent, which nobody wrote down."""
    return replace(played, impossible=())


def _shortened(world: World, journeys: Sequence[Journey], played: Played) -> Played:
    """Leave out one act after the other, as long as an invariant is still broken."""
    n = 0
    while n < len(acts := played.scenario.timeline or ()):
        fewer = replace(played.scenario, timeline=acts[:n] + acts[n + 1 :], live=_live(played))
        again = _forgiven(play(world, journeys, fewer))
        if judge(again, journeys[0].name).passed:
            n += 1
        else:
            played = again
    return _forgiven(play(world, journeys, played.scenario))  # so that the world is as this one left it


def _another(person: Person, n: int) -> Person:
    """Return a customer like this one, with a key and addresses of its own: an opt-out is the address's."""
    built_in = tuple((name, _another_address(name, value, n)) for name, value in person.built_in)
    return replace(person, key=f"{person.key}-{n}", built_in=built_in)


def _another_address(name: str, value: str, n: int) -> str:
    match name:
        case "email":
            local, at, domain = value.partition("@")
            return f"{local}.{n}{at}{domain}"
        case "phone" if value[-4:].isdecimal():
            return f"{value[:-4]}{(int(value[-4:]) + n) % 10_000:04}"
        case "push_token":
            return f"{value}-{n}"
    return value


def _live(played: Played) -> When:
    return When(played.live.isoformat())


@dataclass(frozen=True)
class _Alphabet:
    """What may happen in a timeline: makers of what starts the journey, of receipts, and of all the rest."""

    trigger: tuple[Maker, ...]
    receipts: tuple[Maker, ...]
    others: tuple[Maker, ...]

    def one(self, random: Random, *, first: bool) -> Maker | None:
        """Return one of the makers: first a trigger, later often a receipt."""
        groups = [self.trigger] if first and self.trigger else [self.trigger, self.receipts, self.others]
        makers = random.choices(groups, (2, 4, 4)[: len(groups)])[0] or self.others or self.trigger
        return random.choice(makers) if makers else None


class _Timelines:
    def __init__(self, world: World, journeys: Sequence[Journey], scenario: Scenario) -> None:
        self.journeys, self.scenario = journeys, scenario
        self.schema: Schema = world.settings.schema
        self.zone = dict(scenario.customer.built_in).get("timezone") or world.settings.timezone
        self.steps: list[Step] = [step for journey in journeys for step in walk(journey.steps)]
        self.leaves = [leaf for one in self._conditions() for leaf in leaves(one)]
        self.fields = [field for leaf in self.leaves for field in leaf.fields()]
        self.alphabet = self._alphabet()

    def made(self) -> Iterator[Scenario]:
        """Yield the scenarios, each of a customer of its own."""
        random = Random(self.scenario.name)  # noqa: S311 - to be repeatable, not to be secret
        for n in range(TIMELINES):
            person = _another(self.scenario.customer, n)
            acts, draw = self._acts(random), self._arms(random)
            live = self.scenario.live or When((self._begin() - timedelta(minutes=1)).isoformat())
            yield replace(self.scenario, customer=person, timeline=acts, draw=draw, live=live)

    def _begin(self) -> datetime:
        if self.scenario.live:
            return self.scenario.live.start(self.zone) + timedelta(minutes=1)
        return BEGIN

    def _acts(self, random: Random) -> tuple[Act, ...]:
        at, acts = self._begin(), list[Act]()
        for n in range(random.randint(1, MOST_ACTS)):
            at += random.choice(_GAPS) if n else timedelta()
            if (make := self.alphabet.one(random, first=n == 0)) is not None:
                acts.append(make(random, When(at.isoformat())))
        return tuple(acts)

    def _arms(self, random: Random) -> tuple[Any, ...]:
        splits = [step for step in walk(self.journeys[0].steps) if step.draws and step.id]
        return tuple(
            (step.id, random.choice([one.name for one in step.branches() if one.taken]), self.scenario.place)
            for step in splits
        )

    # --- the alphabet ---------------------------------------------------------------------------------------

    def _alphabet(self) -> _Alphabet:
        enter = self.journeys[0].enter
        trigger = [self._does(name) for name in enter.trigger.events()]
        if enter.trigger.by_hand:
            trigger.append(lambda _random, at: Enrolls(self.scenario.place, at))
        templates, states = sorted(self._templates()), ("opened", "clicked")
        receipts = [self._receives(name, was) for name in templates for was in states]
        others = [self._does(name) for name in sorted(self._events())]
        others += [self._changes(name) for name in sorted(self._attributes())]
        channels = sorted(
            {c for step in self.steps if (message := message_of(step)) for c in message.channels}
        )
        others += [maker for channel in channels for maker in self._words(channel)]
        return _Alphabet(tuple(trigger), tuple(receipts), tuple(others))

    def _conditions(self) -> Iterator[Condition]:
        for journey in self.journeys:
            yield from (condition for _, condition in journey.enter.trigger.segments())
            yield from (journey.enter.when,) if journey.enter.when is not None else ()
            yield from (one.condition for one in journey.exits if one.condition is not None)
        for step in self.steps:
            yield from step.conditions()

    def _events(self) -> set[str]:
        named = {name for leaf in self.leaves for name in leaf.changes_by().events}
        for journey in self.journeys:
            named |= set(journey.enter.trigger.events())
            named |= {one.event for one in (*journey.exits, journey.goal) if one and one.event}
        consents = {CREATED, "consent.given", "consent.withdrawn"}  # said by the customer, not as bare events
        return named - consents

    def _templates(self) -> set[str]:
        looked_at = {name for leaf in self.leaves for name in leaf.mentions().templates}
        sent = {message.template for step in self.steps if (message := message_of(step))}
        return sent & (looked_at or sent)

    def _attributes(self) -> set[str]:
        named = {field.name for field in self.fields if field.event is None}
        return named - set(BUILT_IN_ATTRIBUTES)

    def _does(self, name: str) -> Maker:
        declared = self.schema.events.get(name, {})
        compared: list[Field | Property] = [field for field in self.fields if field.event == name]
        for journey in self.journeys:
            trigger = journey.enter.trigger
            compared += trigger.properties() if name in trigger.events() else ()
            reacting = (one for one in (*journey.exits, journey.goal) if one and one.event == name)
            compared += (prop for one in reacting for prop in one.where)
        seen = _constants(compared)

        def make(random: Random, at: When) -> Act:
            data = tuple((prop, _value(random, kind, seen.get(prop, ()))) for prop, kind in declared.items())
            return Does(self.scenario.place, at, name, data)

        return make

    def _receives(self, template: str, was: str) -> Maker:
        return lambda _random, at: Receives(self.scenario.place, at, template, was)

    def _changes(self, name: str) -> Maker:
        kind = self.schema.attributes[name]
        known = _constants(field for field in self.fields if field.event is None).get(name, [])
        return lambda random, at: Changes(self.scenario.place, at, ((name, _value(random, kind, known)),))

    def _words(self, channel: str) -> list[Maker]:
        return [
            lambda _random, at: Withdraws(self.scenario.place, at, (channel,)),
            lambda _random, at: Agrees(self.scenario.place, at, (channel,)),
        ]


def _constants(compared: Iterable[Field | Property]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in compared:
        found.setdefault(one.name, []).extend(_values(one.ops))
    return found


def _values(ops: Iterable[Op]) -> list[Any]:
    return [value for op in ops for value in op.values if isinstance(value, (str, int, float))]


def _value(random: Random, kind: str, known: Sequence[Any]) -> Any:
    """Return a value of a type, often one that a condition names, or one beside it."""
    if kind == "number":
        numbers = [n for n in known if isinstance(n, (int, float))]
        near = [n + by for n in numbers for by in (-1, 0, 1)]
        return random.choice([*near, random.randint(1, 200)])
    if kind == "bool":
        return random.random() < 0.5
    if kind == "date":
        return random.choice([*known, "1990-03-05", "1996-02-29"])
    if kind == "time":
        return random.choice([*known, "2026-03-05T09:00:00Z"])
    texts = [value for value in known if isinstance(value, str)]
    return [random.choice([*texts, "other"])] if kind == "list" else random.choice([*texts, "other", "a-1"])
