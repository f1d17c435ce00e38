"""Random worlds from a seed: journeys that use every part of the language, and the lives of their customers.

Few names and few lengths of time, so that things meet. A world is plain data, so that it can be shrunk and printed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.differential.local_clock import later, local_day, midnight
from tests.vocabulary import oracles

ATTRIBUTES = {"country": "text", "vip": "bool", "visits": "number", "birthday": "date", "trial_ends": "time"}


def attributes() -> dict[str, str]:
    """Return the customers' attributes with their types, those included that steps with an oracle of their own need."""
    return ATTRIBUTES | {
        name: type_ for one in oracles.steps() for name, (type_, _) in one.attributes.items()
    }


EVENTS = {
    "signed.up": {"source": "text", "n": "number"},
    "order.placed": {"total": "number", "cart_id": "text"},
    "told": {"why": "text"},
    "ping": {"why": "text", "cart_id": "text"},
    "pong": {"why": "text"},
}
TEMPLATES = ("hello", "more", "bye")
CHANNELS = ("email", "sms", "push")
ZONE = "Europe/Berlin"
ZONES = (
    None,
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Auckland",
)
FEATURES = frozenset(
    {
        "start",
        "same",
        "until",
        "for",
        "date",
        "each",
        "late",
        "reachable",
        "journey",
        "anniversary_in",
        "matches",
        "limits",
    }
)
"""The newer parts of the language that worlds use."""

STARTS = (
    datetime(2027, 3, 25, 8, 0, tzinfo=UTC),  # the clocks go forward in Berlin on the 28th
    datetime(2027, 10, 28, 8, 0, tzinfo=UTC),  # and back on the 31st
    datetime(2027, 3, 12, 15, 0, tzinfo=UTC),  # New York on the 14th
    datetime(2027, 4, 1, 12, 0, tzinfo=UTC),  # Auckland and Lord Howe on the 4th
    datetime(2028, 2, 26, 9, 0, tzinfo=UTC),  # a leap year
    datetime(2026, 6, 29, 22, 30, tzinfo=UTC),
)
TIMES = ("2027-03-28T01:00:00Z", "2027-10-31T00:30:00Z", "2026-07-01T10:00:00Z")
HOLDS = ("5m", "3h", "3h", "1d")
MOMENTS = (timedelta(seconds=3), timedelta(minutes=4), timedelta(hours=2))
WAITS = ("30m", "1h", "6h", "1d", "24h", "2d", "1d 12h", "3d", "1w", "1mo")
WITHINS = ("1h", "1d", "2d", "1w", "1mo")
LONG = ("1d", "24h", "2d", "1d 12h", "3d")
"""Waits of worlds whose journeys start each other: few rounds fit into them."""


@dataclass
class Entry:
    """Something that happens to one customer: `kind` and its details."""

    at: datetime
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Person:
    """One customer from the start, and what happens to her."""

    key: str
    zone: str | None
    addresses: dict[str, str]
    attributes: dict[str, Any]
    consents: dict[str, str]
    timeline: list[Entry]
    born: datetime


@dataclass
class Act:
    """Something an operator does: publish files (with `journeys`), pause or resume a journey, merge two customers.

    A merge has the key of the record that stays and that of the other as its name; what is due before it has been done.
    """

    at: datetime
    kind: str
    journeys: dict[str, dict[str, Any]] = field(default_factory=dict)
    name: str = ""


@dataclass
class Case:
    """A world: its segments, what operators do, its customers, and how often passes run (None: always in time)."""

    seed: int
    start: datetime
    end: datetime
    segments: dict[str, Any]
    acts: list[Act]
    people: list[Person]
    every: timedelta | None = None
    limits: list[dict[str, Any]] = field(default_factory=list)
    quiet_hours: dict[str, str] = field(default_factory=dict)
    hold: str = "5m"

    @property
    def zone(self) -> str:
        """The workspace's zone."""
        return ZONE


def case(seed: int, customers: int = 40) -> Case:
    """Return the world of a seed."""
    return Making(random.Random(seed)).case(seed, customers)


class Making:
    """Makes a world out of a source of chance; each part of it is a method."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names: list[str] = []
        self.zones: list[str | None] = [None]
        self.waits: list[str] = []
        self.started = ""
        self.ids = 0
        self.looping = False
        self.start = STARTS[0]
        self.happens: list[datetime] = []

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, things: Sequence[Any]) -> Any:
        return self.rng.choice(things)

    # --- the world ----------------------------------------------------------------------------------------

    def case(self, seed: int, customers: int) -> Case:
        start = self.start = self.pick(STARTS)
        self.looping = self.chance(0.25)
        self.waits = self.rng.sample(LONG if self.looping else WAITS, 3)
        instants = self.instants(start, self.rng.randint(4, 6))
        self.happens = instants
        self.zones = [None, *self.rng.sample(ZONES[1:], self.rng.randint(0, 2))]
        segments = {"first": self.where(2), "second": [*self.where(1), {"segment": "first"}]}
        if self.chance(0.5):
            segments["second"] = self.where(1)
        self.names = [f"j{n}" for n in range(self.rng.randint(1, 3))]
        files = {name: self.journey(n) for n, name in enumerate(self.names)}
        acts = [Act(start, "publish", files), *self.acts(files, instants)]
        people = [self.person(f"c{seed}-{n}", start, instants) for n in range(customers)]
        every = (
            timedelta(hours=self.pick((1, 5, 24, 72))) if "late" in FEATURES and self.chance(0.25) else None
        )
        end = instants[-1] + timedelta(days=9)
        return Case(seed, start, end, segments, acts, people, every, *self.pressure(), hold=self.pick(HOLDS))

    def pressure(self) -> tuple[list[dict[str, Any]], dict[str, str]]:
        if "limits" not in FEATURES or self.chance(0.5):
            return [], {}
        limits = [self.limit() for _ in range(self.rng.randint(0, 2))]
        hours = {"sms": "20:00-08:00", "push": "22:30-07:00", "email": "12:00-14:30"}
        return limits, {channel: hours[channel] for channel in CHANNELS if self.chance(0.4)}

    def limit(self) -> dict[str, Any]:
        limit: dict[str, Any] = {
            "at_most": self.rng.randint(1, 2),
            "per": self.pick(("6h", "1d", "3d", "1w")),
        }
        if self.chance(0.3):
            limit["channel"] = self.pick(CHANNELS)
        if self.chance(0.3):
            limit["category"] = self.pick(("promotional", "relational"))
        if self.chance(0.3):
            limit["when_over"] = "drop"
        return limit

    def instants(self, start: datetime, n: int) -> list[datetime]:
        """Return when things happen: here and there, and where something ends that began there."""
        minutes = self.rng.sample(range(10, 7 * 24 * 60, 10), n)
        found = {start + timedelta(minutes=m) for m in minutes}
        found |= {self.bordering(self.pick(sorted(found))) for _ in range(self.rng.randint(2, 5))}
        return sorted(found)

    def bordering(self, instant: datetime) -> datetime:
        """Return an instant at the border of something: a second on, a length of time on, an hour's or a day's end."""
        return self.pick(
            (
                lambda: instant + timedelta(seconds=1),
                lambda: later(instant, self.pick(self.waits), ZONE),
                lambda: later(instant, self.pick(("1h", "1d", "2d")), ZONE) - timedelta(seconds=1),
                lambda: instant.replace(minute=0, second=0) + timedelta(hours=1),
                lambda: midnight(local_day(instant, ZONE) + timedelta(days=1), ZONE),
            )
        )()

    def acts(self, files: dict[str, Any], instants: list[datetime]) -> list[Act]:
        acts: list[Act] = []
        if self.chance(0.3):
            acts.append(Act(self.pick(instants), "publish", self.edited(files)))
        if "late" in FEATURES and self.chance(0.2):
            first, last = sorted(self.rng.sample(instants, 2))
            name = self.pick(self.names)
            acts += [Act(first, "pause", name=name), Act(last, "resume", name=name)]
        return sorted(acts, key=lambda act: act.at)

    def edited(self, files: dict[str, Any]) -> dict[str, Any]:
        """Return the files after an edit: one journey gone, or another one in its place."""
        found = dict(files)
        n = self.rng.randrange(len(self.names))
        name = self.names[n]
        if self.chance(0.2):
            del found[name]
            return found
        return found | {name: self.rewritten(n, files[name])}

    def rewritten(self, n: int, before: dict[str, Any]) -> dict[str, Any]:
        """Return another version of a file that keeps some of its parts; `same` needs its trigger."""
        parts = [part for part in ("exit", "goal", "holdout", "steps") if part in before]
        kept = self.rng.sample(parts, self.rng.randint(0, len(parts)))
        enter = before["enter"] if self.chance(0.6) else None
        new = self.journey(n, enter)
        if enter is None:
            bound = ("same", *(one.key for one in oracles.conditions() if one.needs_trigger))
            kept = [part for part in kept if not any(key in str(before[part]) for key in bound)]
        return new | {part: before[part] for part in kept} | {"priority": before["priority"]}

    # --- customers ----------------------------------------------------------------------------------------

    def person(self, key: str, start: datetime, instants: list[datetime]) -> Person:
        addresses = {
            "email": f"{key}@example.com",
            "phone": f"+4479{self.rng.randrange(10**8):08}",
            "push_token": f"token-{key}",
        }
        had = {name: value for name, value in addresses.items() if self.chance(0.9)}
        words = {channel: self.basis() for channel in CHANNELS if self.chance(0.75)}
        timeline = [
            entry for _ in range(self.rng.randint(3, 9)) for entry in self.entries(had, self.pick(instants))
        ]
        if self.chance(0.35):  # agrees to some channel moments after what she did
            words = {}
            told = [one.at + self.pick(MOMENTS) for one in timeline if one.kind == "event"]
            timeline += [
                Entry(at + timedelta(seconds=n), "consent", {"channel": channel, "basis": "consent"})
                for at in told
                for n, channel in enumerate(CHANNELS)
            ]
        timeline.sort(key=lambda entry: entry.at)
        born = start if self.chance(0.8) else self.pick(instants)
        timeline = _once_an_instant([entry for entry in timeline if entry.at >= born])
        return Person(key, self.pick(self.zones), had, self.attributes(), words, timeline, born)

    def basis(self) -> str:
        return "existing_customer" if self.chance(0.15) else "consent"

    def attributes(self) -> dict[str, Any]:
        made = {name: self.attribute_value(name) for name in attributes()}
        return {name: value for name, value in made.items() if self.chance(0.7)}

    def attribute_value(self, name: str) -> Any:
        for oracle in oracles.steps():
            if name in oracle.attributes:
                return oracle.attributes[name][1](self)
        return {
            "country": lambda: self.pick(("DE", "AT", "FR")),
            "vip": lambda: self.chance(0.5),
            "visits": lambda: self.rng.randint(0, 5),
            "birthday": lambda: self.pick(("1990-03-28", "2000-02-29", "1985-10-31", "1999-07-02")),
            "trial_ends": lambda: self.pick((*TIMES, *(self.near() for _ in range(4)))),
        }[name]()

    def near(self) -> str:
        """Return a time in the days in which a world lives, often just when something happens, or a day later."""
        at = self.start + timedelta(hours=self.rng.randint(-30, 11 * 24))
        if self.happens and self.chance(0.4):
            at = self.pick(self.happens) + timedelta(days=self.rng.randint(0, 2))
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"

    def entries(self, addresses: dict[str, str], at: datetime) -> list[Entry]:
        """Return something that happens; what happens in one call may be several events, or the same one twice."""
        first = self.entry(addresses, at)
        if first.kind != "event" or self.chance(0.8):
            return [first]
        others = [Entry(at, "event", self._event(addresses)) for _ in range(self.rng.randint(1, 2))]
        return [first, *others] if self.chance(0.6) else [first, Entry(at, "event", dict(first.data))]

    def entry(self, addresses: dict[str, str], at: datetime) -> Entry:
        kinds = (
            ("event",) * 16
            + ("attribute",) * 4
            + ("consent", "withdraw", "withdraw", "receipt", "receipt", "receipt")
        )
        kind = self.pick((*kinds, "suppress", "address", "enroll"))
        return Entry(at, kind, getattr(self, f"_{kind}")(addresses))

    def _event(self, _: Any) -> dict[str, Any]:
        name = self.pick(("signed.up", "order.placed", "order.placed", "told", "ping"))
        late = self.pick((1, 30, 60, 600, 3000)) if "late" in FEATURES and self.chance(0.1) else 0
        return {"name": name, "properties": self.properties(name), "late": late}

    def properties(self, name: str) -> dict[str, Any]:
        made = {prop: self.property_value(prop) for prop in EVENTS[name]}
        return {prop: value for prop, value in made.items() if self.chance(0.85)}

    def property_value(self, prop: str) -> Any:
        return {
            "source": lambda: self.pick(("web", "shop")),
            "n": lambda: self.rng.randint(0, 3),
            "total": lambda: self.pick((5, 10.5, 50, 99.99)),
            "cart_id": lambda: self.pick(("a", "b")),
            "why": lambda: self.pick(("x", "y")),
        }[prop]()

    def _attribute(self, _: Any) -> dict[str, Any]:
        name = self.pick(sorted(attributes()))
        return {"name": name, "value": self.attribute_value(name) if self.chance(0.85) else None}

    def _consent(self, _: Any) -> dict[str, Any]:
        return {"channel": self.pick(CHANNELS), "basis": self.basis()}

    def _withdraw(self, _: Any) -> dict[str, Any]:
        return {"channel": self.pick(CHANNELS)}

    def _receipt(self, _: Any) -> dict[str, Any]:
        often = ("opened", "opened", "clicked", "clicked", "delivered")
        seldom = ("bounced", "soft", "complained", "unsubscribed")
        return {"template": self.pick(TEMPLATES), "was": self.pick((*often, *seldom))}

    def _suppress(self, addresses: dict[str, str]) -> dict[str, Any]:
        column = self.pick(("email", "phone"))
        channel = {"email": "email", "phone": "sms"}[column]
        return {
            "channel": channel,
            "address": addresses.get(column, "nobody@example.com" if channel == "email" else "+447900000000"),
        }

    def _address(self, addresses: dict[str, str]) -> dict[str, Any]:
        return {"column": self.pick(sorted(addresses) or ("email",)), "value": ""}

    def _enroll(self, _: Any) -> dict[str, Any]:
        return {"journey": self.pick(self.names)}

    # --- journeys -----------------------------------------------------------------------------------------

    def journey(self, n: int, enter: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a journey. It may start those of a higher number only, but in a world where things go in circles."""
        category = self.pick(("promotional", "relational", "transactional"))
        file: dict[str, Any] = {
            "description": "Made up.",
            "category": category,
            "priority": 50 + self.rng.randint(-5, 5),
        }
        if category != "transactional":
            file["basis"] = self.pick(("consent", "consent", "existing_customer"))
        self.started = ""
        file["enter"] = enter or self.enter(n)
        self.started = file["enter"].get("event", "")
        if self.chance(0.5):
            file["exit"] = [self.exit() for _ in range(self.rng.randint(1, 2))]
        if self.chance(0.5):
            file["goal"] = self.goal()
        if self.chance(0.3):
            file["holdout"] = f"{self.pick((10, 30, 50))}%"
        file["steps"] = self.steps(n, 2, self.rng.randint(1, 5))
        _ask_of_earlier_stays(file["steps"])
        return file

    def enter(self, n: int) -> dict[str, Any]:
        kinds = [self.by_event] * 6 + [self.by_segment, self.by_schedule, self.by_hand]
        if "date" in FEATURES:
            kinds += [self.by_date]
        enter = self.pick(kinds)(n)
        if self.chance(0.2):
            enter["if"] = self.condition(1, inside=False)
        if self.chance(0.6):
            enter["again"] = self.pick(("always", "1d", "3d", "6h", "1mo", "never"))
        return enter

    def by_event(self, n: int) -> dict[str, Any]:
        # The first journey emits ping, the second pong; only later ones start on them, unless things go in circles.
        names = ["signed.up", "order.placed", "order.placed"]
        if n or self.looping:
            names += [("pong", "ping", "pong")[n]] * (3 if self.looping else 1)
        enter: dict[str, Any] = {"event": self.pick(names)}
        if self.chance(0.1):
            enter["event"] = self.pick(("customer.created", "consent.given"))
            return enter
        if self.chance(0.3):
            enter["where"] = self.tests(enter["event"])
        if "cart_id" in EVENTS[enter["event"]] and self.chance(0.5):
            enter["per"] = "cart_id"
        return enter

    def by_segment(self, _: int) -> dict[str, Any]:
        return {"segment": self.pick(("first", "second"))}

    def by_schedule(self, _: int) -> dict[str, Any]:
        cron = f"{self.pick((0, 30))} {self.pick((2, 9, 14))} {self.pick(('* * *', '* * SUN', '* * MON', '1 * *'))}"
        enter = {"schedule": cron, "segment": self.pick(("first", "second"))}
        if "each" in FEATURES and self.chance(0.3):
            enter["each"] = "run"
        return enter

    def by_date(self, _: int) -> dict[str, Any]:
        enter: dict[str, Any] = {"date": self.pick(("birthday", "trial_ends"))}
        if self.chance(0.6):
            enter[self.pick(("before", "after"))] = self.pick(("1d", "3d", "1y"))
        if self.chance(0.5):
            enter["at"] = self.pick(("02:30", "00:00", "18:00"))
        if self.chance(0.3):
            enter["every"] = self.pick(("year", "once"))
        if self.chance(0.25):
            enter = {"date": "trial_ends", self.pick(("before", "after")): self.pick(("6h", "30m", "24h"))}
        return enter

    def by_hand(self, _: int) -> dict[str, Any]:
        return {"manual": True}

    def exit(self) -> dict[str, Any]:
        if self.chance(0.55):
            found: dict[str, Any] = {
                "event": self.pick(("told", "consent.withdrawn", "ping", "order.placed"))
            }
            if found["event"] in EVENTS and self.chance(0.3):
                found["where"] = self.tests(found["event"])
            return found
        return self.pick(
            (
                lambda: {"segment": self.pick(("first", "second"))},
                lambda: self.condition(1),
                lambda: self.attribute_leaf(True),
            )
        )()

    def goal(self) -> dict[str, Any]:
        goal: dict[str, Any] = {"event": self.pick(("order.placed", "signed.up", "pong", "told"))}
        if self.chance(0.3):
            goal["where"] = self.tests(goal["event"])
        if self.chance(0.6):
            goal["within"] = self.pick(WITHINS)
        return goal

    # --- steps --------------------------------------------------------------------------------------------

    def steps(self, n: int, depth: int, count: int) -> list[dict[str, Any]]:
        return [self.step(n, depth) for _ in range(count)]

    def some(self, n: int, depth: int) -> list[dict[str, Any]]:
        return self.steps(n, depth, self.rng.randint(1, 2))

    def step(self, n: int, depth: int) -> dict[str, Any]:
        made = {oracle.key: oracle.made for oracle in oracles.steps()}
        kinds = (
            ["send"] * 4
            + ["wait"] * 4
            + ["set"] * 2
            + ["emit"] * (3 if self.looping else 1)
            + ["stop"] * (self.chance(0.3))
            + [*made] * 2
        )
        if "start" in FEATURES and (n + 1 < len(self.names) or self.looping):
            kinds.append("start")
        if depth:
            kinds += ["choose"] * 2 + ["split"]
        kind = self.pick(kinds)
        step: dict[str, Any] = made[kind](self) if kind in made else getattr(self, f"step_{kind}")(n, depth)
        if self.chance(0.12):
            step["if"] = self.condition(1)
        if self.chance(0.2) or kind == "split":
            self.ids += 1
            step["id"] = f"s{self.ids}"
        return step

    def step_send(self, _n: int, _depth: int) -> dict[str, Any]:
        channels = self.rng.sample(CHANNELS, self.rng.randint(1, 3))
        step = {"send": self.pick(TEMPLATES), "on": channels[0] if len(channels) == 1 else channels}
        if len(channels) > 1 and self.chance(0.4):
            step["all"] = True
        if self.chance(0.3):
            step["valid_for"] = self.pick(("1h", "6h", "2d", "1w"))
        return step

    def step_wait(self, n: int, depth: int) -> dict[str, Any]:
        kinds = [lambda: self.pick(self.waits)] * 3
        if "until" in FEATURES:
            kinds += [self.until_clock, self.until_attribute]
        if "for" in FEATURES and depth:
            kinds += [lambda: self.wait_for(n, depth)] * 2
        return {"wait": self.pick(kinds)()}

    def until_clock(self) -> dict[str, Any]:
        wait: dict[str, Any] = {"until": self.pick(("09:00", "02:30", "22:10"))}
        if self.chance(0.4):
            wait["on"] = self.rng.sample(["mon", "wed", "sun"], self.rng.randint(1, 2))
        return wait

    def until_attribute(self) -> dict[str, Any]:
        until = {"attribute": self.pick(("birthday", "trial_ends"))}
        if self.chance(0.6):
            until[self.pick(("before", "after"))] = self.pick(("1d", "2d", "6h", "1mo"))
        if self.chance(0.4):
            until["passed"] = self.pick(("skip", "go_on", "stop"))
        if self.chance(0.3):
            until["at"] = self.pick(("09:00", "02:30"))
        if self.chance(0.25):
            return {"until": until, "every": "year"}
        return {"until": until}

    def wait_for(self, n: int, depth: int) -> dict[str, Any]:
        wait: dict[str, Any] = {"for": self.watched(), "at_most": self.pick(self.waits)}
        for word in ("then", "otherwise"):
            if self.chance(0.6):
                wait[word] = self.some(n, depth - 1)
        return wait

    def watched(self) -> dict[str, Any]:
        if self.chance(0.6):
            leaf: dict[str, Any] = {"event": self.pick(("order.placed", "told", "ping"))}
            if self.chance(0.3):
                leaf["where"] = self.tests(leaf["event"])
            return leaf
        return self.condition(1)

    def step_set(self, _n: int, _depth: int) -> dict[str, Any]:
        name = self.pick(("country", "vip", "visits", "trial_ends", "birthday"))
        return {"set": {name: self.attribute_value(name)}}

    def step_emit(self, n: int, _depth: int) -> dict[str, Any]:
        name = ("ping", "pong", "told")[n]
        return {"emit": name, "data": self.properties(name)}

    def step_start(self, n: int, _depth: int) -> dict[str, Any]:
        return {"start": self.pick(self.names if self.looping else self.names[n + 1 :])}

    def step_stop(self, _n: int, _depth: int) -> dict[str, Any]:
        return {"stop": True}

    def step_choose(self, n: int, depth: int) -> dict[str, Any]:
        branches: list[dict[str, Any]] = [
            {"if": self.condition(2), "steps": self.some(n, depth - 1)} for _ in range(self.rng.randint(1, 2))
        ]
        if self.chance(0.5):
            branches.append({"else": self.some(n, depth - 1)})
        return {"choose": branches}

    def step_split(self, n: int, depth: int) -> dict[str, Any]:
        names = ("one", "two", "three")[: self.rng.randint(2, 3)]
        return {
            "split": {
                name: {"weight": self.rng.randint(1, 3), "steps": self.some(n, depth - 1)} for name in names
            }
        }

    # --- conditions ---------------------------------------------------------------------------------------

    def where(self, depth: int) -> list[dict[str, Any]]:
        return [self.condition(depth, inside=False) for _ in range(self.rng.randint(1, 2))]

    def condition(self, depth: int, *, inside: bool = True) -> dict[str, Any]:
        """Return a condition; `inside` says that it is asked of somebody in a journey."""
        if depth and self.chance(0.35):
            kind = self.pick(("all", "any", "not"))
            if kind == "not":
                return {"not": self.condition(depth - 1, inside=inside)}
            return {kind: [self.condition(depth - 1, inside=inside) for _ in range(2)]}
        leaf = self.pick(
            (self.attribute_leaf, self.attribute_leaf, self.event_leaf, self.event_leaf, self.other_leaf)
        )
        found: dict[str, Any] = leaf(inside)
        return found

    def attribute_leaf(self, _inside: bool) -> dict[str, Any]:
        name, known = self.pick(sorted(attributes())), attributes()
        return {"attribute": name} | self.comparison(known[name], lambda: self.attribute_value(name))

    def comparison(self, kind: str, value: Any) -> dict[str, Any]:
        ops: dict[str, Any] = {"exists": lambda: self.chance(0.6)}
        if kind == "list":
            ops["contains"] = lambda: self.pick([*value(), "none"])
        else:
            ops |= {"is": value, "not": value}
        if kind == "number":
            ops |= dict.fromkeys(("above", "at_least", "below", "at_most"), value)
            ops["between"] = lambda: sorted((value(), value()))
        if kind == "text":
            ops |= {
                "in": lambda: [value(), value()],
                "not_in": lambda: [value()],
                "contains": lambda: value()[:1],
            }
            ops |= {"starts_with": lambda: value()[:1], "ends_with": lambda: value()[-1:]}
        if kind in ("date", "time"):
            ops |= {name: lambda: self.moment(kind) for name in ("before", "after")}
        if kind in ("date", "time") and "anniversary_in" in FEATURES:
            ops["anniversary_in"] = lambda: self.pick(("1d", "3d", "1w"))
        if kind == "text" and "matches" in FEATURES:
            ops["matches"] = lambda: self.pick(("^D", "[AF]", "T$", "a|x", ".*"))
        name = self.pick(sorted(ops))
        return {name: ops[name]()}

    def moment(self, kind: str) -> str:
        if self.chance(0.6):
            return self.pick((f"{self.pick(WAITS)} ago", f"in {self.pick(WAITS)}"))
        if kind == "time":
            return self.pick(("2027-03-28T01:00:00Z", "2026-07-01T10:00:00Z"))
        return self.pick(("2027-03-28", "2000-02-29", "1990-01-01"))

    def event_leaf(self, inside: bool) -> dict[str, Any]:
        leaf: dict[str, Any] = {"event": self.pick(sorted(EVENTS))}
        how = self.pick(("ever", "ever", "count", "last"))
        if how == "count":
            name, number = self.pick(("at_least", "at_most", "exactly")), self.rng.randint(0, 3)
            leaf[name] = number
        if how == "last":
            leaf[self.pick(("last", "first"))] = {
                self.pick(("before", "after")): f"{self.pick((*WAITS, *self.waits * 3))} ago"
            }
        if self.chance(0.3):
            leaf["where"] = self.tests(leaf["event"])
        if self.chance(0.3):
            leaf["within"] = self.pick((*WITHINS, *self.waits))
        if inside and self.chance(0.25):
            leaf["since"] = "entry"
        if inside and "same" in FEATURES and self.started in ("order.placed", "ping") and self.chance(0.5):
            leaf |= {"event": self.pick(("order.placed", "ping")), "same": "cart_id"}
            leaf.pop("where", None)
        return leaf

    def other_leaf(self, inside: bool) -> dict[str, Any]:
        return self.pick(
            (
                lambda: {"segment": "first"} if inside else {"consent": "email"},
                lambda: {"consent": self.pick(CHANNELS)},
                self.message_leaf,
                self.message_leaf,
                self.sum_leaf,
                *((lambda: {"reachable": self.pick(CHANNELS)},) if "reachable" in FEATURES else ()),
                *((self.journey_leaf,) if "journey" in FEATURES else ()),
                *(partial(oracle.made, self, inside) for oracle in oracles.conditions()),
            )
        )()

    def message_leaf(self) -> dict[str, Any]:
        leaf: dict[str, Any] = {"message": self.pick((*TEMPLATES, "any"))}
        leaf["was"] = self.pick(("sent", "opened", "clicked"))
        if self.chance(0.3):
            leaf["within"] = self.pick(WITHINS)
        if self.chance(0.2):
            leaf["channel"] = self.pick(CHANNELS)
        if self.chance(0.2):
            leaf["journey"] = self.pick(self.names or ["j0"])
        if self.chance(0.3):
            leaf["since"] = "ever"
        return leaf

    def journey_leaf(self) -> dict[str, Any]:
        words = ("inside", "finished", "converted", "never")
        return {"journey": self.pick(self.names or ["j0"]), "is": self.pick(words)}

    def sum_leaf(self) -> dict[str, Any]:
        function = self.pick(("sum", "average", "min", "max", "count_distinct"))
        leaf: dict[str, Any] = {function: "order.placed.total"}
        leaf[self.pick(("above", "at_least", "below", "at_most"))] = self.pick((0, 1, 2, 10.5, 60))
        if self.chance(0.3):
            leaf["within"] = self.pick(WITHINS)
        return leaf

    def tests(self, event: str) -> dict[str, Any]:
        if event not in EVENTS:
            return {}
        prop = self.pick(sorted(EVENTS[event]))
        value = lambda: self.property_value(prop)  # noqa: E731
        if self.chance(0.3):
            return {prop: value()}
        return {prop: self.comparison(EVENTS[event][prop], value)}


def _ask_of_earlier_stays(steps: list[dict[str, Any]]) -> None:
    """Let conditions that ask for a message before the one step that sends it ask of earlier stays, too (T343)."""
    asked: list[dict[str, Any]] = []
    sent: dict[str, list[int]] = {}

    def walk(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(child)
        if isinstance(node, dict) and node.get("was") == "sent" and "message" in node:
            asked.append(node)
        if isinstance(node, dict) and "send" in node:
            sent.setdefault(node["send"], []).append(len(asked))

    walk(steps)
    for n, leaf in enumerate(asked):
        ends = sent.get(leaf["message"], [])
        if len(ends) == 1 and n < ends[0] and not leaf.keys() & {"within", "journey", "since"}:
            leaf["since"] = "ever"


def _once_an_instant(timeline: list[Entry]) -> list[Entry]:
    """Return a timeline in which only events happen more than once at an instant."""
    seen = set()
    kept = []
    for entry in timeline:
        if entry.kind == "event" or (entry.at, entry.kind) not in seen:
            kept.append(entry)
        seen.add((entry.at, entry.kind))
    return kept
