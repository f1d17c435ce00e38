"""Journeys for ONE customer, one thing after the other: the oracle of the differential test.

Written from docs/language.md, to be checked against it line by line. It reads the YAML as plain dicts and shares
nothing with the engine: no parser, no plan, no SQL, no clock. Two things it is told, because the language leaves
them open: when passes run, and where the stable hash puts a customer (holdout, split).

A life takes its things in one order (`Turn`), each at its own instant, whenever passes run: first what comes from
outside, then the steps that are due, then what steps caused. When a pass runs decides only what is real time: what is
sent and when, limits and quiet hours, what becomes stale, and when it is noticed that somebody joined a segment, has a
reason to leave, or need not wait any longer for something that is no event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tests.differential.asking import (
    ADDRESS,
    AGGREGATES,
    LAST,
    Asked,
    Consent,
    Happening,
    Place,
    Reach,
    Suppressed,
    whole,
)
from tests.differential.local_clock import (
    MINUTE,
    absolute,
    anniversary,
    at_wall,
    clock_of,
    earlier,
    later,
    length,
    local_day,
    midnight,
    minutes,
    months_later,
    next_wall,
    slots_between,
)
from tests.vocabulary import oracles

DAY = 24 * 60
SECTIONS = ("then", "otherwise")

Deed = Callable[[], None]
"""What is done to a customer, once all that is asked has been asked."""

Asking = Callable[[], Deed]
"""What is asked of a customer; it says what is to be done."""


class Draws(Protocol):
    """Where the stable hash puts customers."""

    def held_out(self, customer: str, journey: str, share: str) -> bool:
        """Say whether a journey's holdout has a customer."""

    def way(self, customer: str, journey: str, step: str, weights: Mapping[str, int]) -> str:
        """Return the arm of a split that a customer takes."""

    def spread(self, customer: str) -> timedelta:
        """Return how long after the end of quiet hours a customer is let go."""


# --- the files --------------------------------------------------------------------------------------------------


@dataclass
class Step:
    """One step: its path in the file, what it says, the one that comes after it, its place in the file."""

    path: str
    says: dict[str, Any]
    to: str | None
    number: int

    @property
    def id(self) -> str:
        """The step's own id, or its path."""
        found: str = self.says.get("id", self.path)
        return found


@dataclass
class File:
    """One version of a journey's file."""

    name: str
    says: dict[str, Any]
    number: int
    steps: dict[str, Step] = field(default_factory=dict)
    first: str | None = None

    def __post_init__(self) -> None:
        self.first = self.lay_out(self.says["steps"], "steps", None)

    def lay_out(self, steps: Sequence[dict[str, Any]], path: str, after: str | None) -> str | None:
        """Number steps in the order of the file; return the path of the first, or what comes after if none."""
        paths = [f"{path}.{n}" for n in range(len(steps))]
        for here, says, to in zip(paths, steps, [*paths, after][1:], strict=True):
            self.steps[here] = Step(here, says, to, len(self.steps))
            for inner, inside in sections(says, here):
                self.lay_out(inside, inner, to)
        return paths[0] if paths else after

    def start_of(self, section: str, step: Step) -> str | None:
        """Return where a customer goes who takes a way through a step."""
        return f"{section}.0" if f"{section}.0" in self.steps else step.to

    @property
    def sends(self) -> set[str]:
        """The templates that its steps send."""
        return {step.says["send"] for step in self.steps.values() if "send" in step.says}

    @property
    def priority(self) -> int:
        """Which of two journeys goes first in a pass."""
        return int(self.says.get("priority", 50))


def sections(says: dict[str, Any], path: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the path and the steps of each way through a step."""
    for n, branch in enumerate(says.get("choose", ())):
        word = "else" if "else" in branch else "steps"
        yield f"{path}.choose.{n}.{word}", branch[word]
    for name, arm in says.get("split", {}).items():
        yield f"{path}.split.{name}.steps", arm["steps"]
    if isinstance(says.get("wait"), dict):
        for word in SECTIONS:
            yield f"{path}.wait.{word}", says["wait"].get(word, [])


# --- what happens to a customer ---------------------------------------------------------------------------------


@dataclass
class Arrival:
    """The customer at a journey's door: with an event, or brought there, or with a reason to leave.

    `at` is what durations count from, `effective` when it takes effect; `caused` says that a step brought it about.
    `led_by` is the place of what led to it, where that is not its own.
    """

    number: int
    at: datetime
    effective: datetime
    kind: str
    event: Happening | None = None
    stay: Stay | None = None
    per: str = ""
    reason: str = ""
    seq: int = LAST
    caused: bool = False
    led_by: Place | None = None

    @property
    def place(self) -> Place:
        """Where it stands in the order."""
        return self.led_by or (self.effective, self.at, self.seq)

    @property
    def known(self) -> Place:
        """How far what is asked at the door may see: not beyond what came from outside and leads there."""
        return whole(self.effective) if self.seq == LAST or self.caused else self.place


@dataclass
class Stay:
    """One stay in a journey. `at` is the customer's logical time: when the step before was due.

    `place` is the place in the order of what began it. `looks` are the instants before its time at which somebody who
    waits for something looks whether it has come. `skipping` says that nothing is sent since a moment to wait for had passed,
    `straight` that nothing but waits came since.
    """

    number: int
    journey: str
    file: File
    event: Happening | None
    per: str
    held_out: bool
    entered_at: datetime
    place: Place
    step: str | None
    at: datetime
    due: datetime
    holding: bool = False
    convert_by: datetime | None = None
    outcome: str = "inside"
    reason: str | None = None
    left_at: datetime | None = None
    looks: set[datetime] = field(default_factory=set)
    skipping: bool = False
    straight: bool = False

    @property
    def effective(self) -> datetime:
        """When the stay took effect: nothing that it does takes effect before."""
        return self.place[0]

    @property
    def arrived_effective(self) -> datetime:
        """When coming to this step took effect."""
        return max(self.at, self.effective)

    @property
    def next_at(self) -> datetime:
        """When the stay's next doing takes effect."""
        return min([*self.looks, max(self.due, self.effective)])

    def leave(self, outcome: str, reason: str | None, at: datetime) -> None:
        """End the stay."""
        self.outcome, self.reason, self.left_at, self.step = outcome, reason, at, None

    def go(self, to: str | None) -> None:
        """Go on to a step at the time this one was due, or come to the end."""
        if to is None:
            self.leave("finished", None, self.due)
        else:
            self.step, self.at, self.holding, self.looks = to, self.due, False, set()


@dataclass
class Message:
    """One message, from the outbox on. `times` say when it was sent, opened and so on; `at_once` why it was not queued at once."""

    stay: Stay
    step: Step
    template: str
    channel: str
    category: str
    basis: str
    due: datetime
    send_by: datetime
    ready: datetime
    number: int
    state: str = "queued"
    reason: str | None = None
    reserved: datetime | None = None
    times: dict[str, datetime] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    at_once: str | None = None

    @property
    def journey(self) -> str:
        """The journey it belongs to."""
        return self.stay.journey

    @property
    def priority(self) -> int:
        """Its journey's priority."""
        return self.stay.file.priority

    def refuse(self, reason: str) -> None:
        """Decide against sending it."""
        self.state, self.reason, self.reserved = "refused", reason, None

    def hold(self, reason: str, until: datetime) -> None:
        """Keep it in the outbox until a time; what it had reserved is free again."""
        self.reason, self.ready, self.reserved = reason, until, None


@dataclass
class Journey:
    """A journey as it runs: its versions, since when it is live, whether it is paused, who is at its door."""

    name: str
    versions: list[File] = field(default_factory=list)
    live: File | None = None
    live_since: datetime | None = None
    scheduled_until: datetime | None = None
    paused: bool = False
    was_in_segment: bool = False
    looked_at: datetime | None = None
    door: list[Arrival] = field(default_factory=list)

    @property
    def live_enter(self) -> dict[str, Any]:
        """How the live version lets in."""
        return self.live.says["enter"] if self.live else {}


class Turn(NamedTuple):
    """Where a thing stands in a customer's order; the smallest is taken first.

    By the instant at which it takes effect; then things from outside by their own time and in the order given, steps,
    and what steps caused; then journeys by priority and name, versions, steps in the order of the file, stays.
    """

    effective: datetime
    kind: int
    at: datetime
    seq: int
    priority: int
    journey: str
    version: int
    step: int
    number: int


TICK = timedelta(microseconds=1)
OUTSIDE, STEP, CAUSED = range(3)
MAY_COME = "not_yet_reachable"
ANY_TIME, FOR_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass
class World:
    """What all customers share: the workspace's zone, segments, schema of attributes, limits, quiet hours, the hold."""

    zone: str
    segments: dict[str, Any]
    types: dict[str, str]
    limits: list[dict[str, Any]] = field(default_factory=list)
    quiet_hours: dict[str, str] = field(default_factory=dict)
    hold: str = "5m"


class Life:
    """One customer among all journeys. Told what happens, and when a pass runs."""

    def __init__(self, world: World, draws: Draws, customer: Reach) -> None:
        self.world, self.draws, self.customer = world, draws, customer
        self.journeys: dict[str, Journey] = {}
        self.known = False
        self.numbers = 0
        self.now = self.instant = ANY_TIME
        """When the pass runs, and the instant of the thing that is being taken."""

    # --- what happens outside -------------------------------------------------------------------------------

    def publish(self, files: Mapping[str, dict[str, Any]], now: datetime) -> None:
        """Make these files the journeys; others let nobody in any more."""
        for name, says in files.items():
            self.publish_one(self.journeys.setdefault(name, Journey(name)), says, now)
        for name, journey in self.journeys.items():
            if name not in files:
                journey.live = None

    def publish_one(self, journey: Journey, says: dict[str, Any], now: datetime) -> None:
        """Make a file the live version. With another `enter`, what was before now starts nobody."""
        before = journey.live
        if before is not None and before.says == says:
            return
        known = next((file for file in journey.versions if file.says == says), None)
        if known is None:
            known = File(journey.name, says, len(journey.versions))
            journey.versions.append(known)
        journey.live = known
        if before is None or before.says["enter"] != says["enter"]:
            journey.live_since = journey.scheduled_until = now
            before_now = now - TICK
            journey.was_in_segment = (
                self.known
                and is_by_segment(says["enter"])
                and self.asking(before_now, whole(before_now)).holds({"segment": says["enter"]["segment"]})
            )

    def pause(self, name: str, paused: bool) -> None:
        """Hold everyone in a journey where they are, or let them go on."""
        self.journeys[name].paused = paused

    def created(self, now: datetime) -> None:
        """The customer becomes known."""
        self.known = True
        self.happens("customer.created", now, {"source": "api"})

    def happens(
        self,
        name: str,
        at: datetime,
        properties: dict[str, Any],
        source: str = "api",
        received: datetime | None = None,
    ) -> Happening:
        """The customer did something, and it was received then or later; or a step says that she did."""
        caused = source.startswith("journey:")
        effective = self.instant if caused else max(at, received or at)
        event = Happening(self.next_number(), name, at, properties, effective, source)
        self.customer.events.append(event)
        for journey in self.journeys.values():
            rest = {"event": event, "seq": event.number, "caused": caused}
            journey.door.append(Arrival(self.next_number(), at, effective, "event", **rest))
        return event

    def changes(self, name: str, value: Any, now: datetime) -> None:
        """An attribute gets another value from outside; None takes it away."""
        place = (now, now, self.next_number())
        self.customer.attributes.write(name, value, place)
        self.touches(name, place)

    def gives_up(self, column: str, now: datetime) -> None:
        """The customer has an address no longer."""
        place = (now, now, self.next_number())
        self.customer.addresses.write(column, None, place)
        self.touches(column, place)

    def is_suppressed(self, one: Suppressed) -> None:
        """Somebody puts an address on the list of those that are not written to."""
        self.customer.suppressed.append(one)
        if one.address in {self.customer.addresses.get(column) for column in ADDRESS.values()}:
            self.touches("suppressed", (one.since, one.since, self.next_number()))

    def touches(self, name: str, place: Place, *, caused: bool = False) -> None:
        """Something has changed besides events: whoever watches for it looks at the customer."""
        effective, at, seq = place
        for journey in self.journeys.values():
            rest = {"reason": name, "seq": seq, "caused": caused}
            journey.door.append(Arrival(self.next_number(), at, effective, "touch", **rest))

    def says(
        self,
        channel: str,
        given: bool,
        basis: str,
        at: datetime,
        source: str = "api",
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """The customer agrees to a channel or withdraws, or a journey does it; the same word twice is no news."""
        consents, caused = self.customer.consents, source.startswith("journey:")
        before = consents.get(channel) if caused else consents.as_of(channel, whole(FOR_EVER))
        effective = self.instant if caused else at
        word = Consent(given, at, basis)
        if before is None or before.given != given or (given and before.basis != basis):
            name = "consent.given" if given else "consent.withdrawn"
            event = self.happens(name, at, {"channel": channel, "source": source, **told}, source)
            if before is None and effective == self.customer.created_at:
                consents.first[channel] = word  # she has become known with it, as with her addresses
            elif outranks(word, before):
                consents.write(channel, word, (effective, effective, event.number))
        elif not given:
            again = Consent(False, max(before.since, at), before.basis)
            place = (effective, effective, self.next_number())
            consents.write(channel, again, place)
            self.touches(f"consent {channel}", place, caused=caused)

    def told(self, message: Message, what: str, at: datetime) -> None:
        """A channel tells what became of a message: `what` is also `soft` of a bounce, and `unsubscribed`."""
        if what != "unsubscribed":
            message.times.setdefault("bounced" if what == "soft" else what, at)
            self.touches("message", (at, at, self.next_number()))
        address = self.customer.addresses.as_of(ADDRESS[message.channel], whole(at))
        if what == "bounced" and message.channel == "push":
            self.gives_up("push_token", at)
        elif what == "bounced" and address:
            self.is_suppressed(Suppressed(address, at))
        elif what == "complained" and message.channel != "push" and address:
            self.is_suppressed(Suppressed(address, at, "marketing"))
        if what in ("complained", "unsubscribed"):
            self.says(message.channel, False, "consent", at, what)

    def hears(self, template: str, what: str, at: datetime) -> None:
        """The channels tell what became of what was sent, of each message once."""
        for message in list(self.customer.messages):
            sent = message.template == template and message.state == "sent"
            if sent and what not in message.heard:
                message.heard.add(what)
                self.told(message, what, at)

    def enroll(self, journey: str, at: datetime) -> None:
        """The customer is brought to a journey's door by hand."""
        self.to_door(self.journeys[journey], at, "manual")

    def next_number(self) -> int:
        """Number what happens in the order in which it is recorded."""
        self.numbers += 1
        return self.numbers

    def to_door(self, journey: Journey, at: datetime, kind: str, **rest: Any) -> None:
        """Put the customer at a journey's door."""
        journey.door.append(Arrival(self.next_number(), at, at, kind, **rest))

    # --- one pass -------------------------------------------------------------------------------------------

    def run(self, now: datetime) -> None:
        """Run a pass: notice what only a pass notices, take everything that is pending, send what is ready."""
        self.now = now
        if not self.known:
            return
        self.take_pending(now)
        self.come_to(now)
        for journey in self.in_order():
            journey.scheduled_until = now
        for journey in self.in_order():
            self.deliver(journey, now)
        self.sense(now)
        if self.take_pending(now):
            for journey in self.in_order():
                self.deliver(journey, now)

    def take_pending(self, now: datetime) -> bool:
        """Take what is pending in its order; say whether there was anything."""
        taken = False
        while pending := self.pending(now):
            first = min(pending)
            self.come_to(first.effective)
            before = self.standings()
            # Her stays that are due at one step at one instant are all asked before any of them goes on.
            together = [turn for turn in pending if turn.kind == STEP and turn[:-1] == first[:-1]]
            for do in [pending[turn]() for turn in sorted(together or [first])]:
                do()
            for name in sorted({one[0] for one in self.standings() ^ before}):
                self.touches(f"journey {name}", (self.instant, self.instant, LAST), caused=True)
            taken = True
        return taken

    def standings(self) -> set[tuple[str, int, str]]:
        """Return where the customer's stays stand: by journey, number and outcome."""
        return {(stay.journey, stay.number, stay.outcome) for stay in self.customer.stays}

    def come_to(self, instant: datetime) -> None:
        """Let the life come to an instant: its record says what it said then."""
        self.instant = instant
        for record in (self.customer.attributes, self.customer.addresses, self.customer.consents):
            record.now = instant

    def pending(self, now: datetime) -> dict[Turn, Asking]:
        """Return what is to be taken of all journeys that are not paused, each with its turn."""
        found: dict[Turn, Asking] = {}
        for journey in self.in_order():
            for arrival in journey.door:
                kind = CAUSED if arrival.caused else OUTSIDE
                turn = self.turn(journey, arrival.place, kind, arrival.number)
                found[turn] = partial(partial, self.take_in, journey, arrival)
            for place, deed in self.occasions(journey, now):
                found[self.turn(journey, place, OUTSIDE, 0)] = partial(partial, deed)
            if (over := self.expiry(journey, now)) is not None:
                expiry = Arrival(0, over, over, "expiry")
                look = partial(partial, self.look, journey, expiry)
                found[self.turn(journey, expiry.place, OUTSIDE, 0)] = look
            for stay in self.inside(journey):
                assert stay.step is not None
                step = stay.file.steps[stay.step]
                place = (stay.next_at, ANY_TIME, 0)
                turn = self.turn(journey, place, STEP, stay.number, stay.file.number, step.number)
                found[turn] = partial(self.asked_at_step, stay, step)
        return {turn: deed for turn, deed in found.items() if turn.effective <= now}

    def next_instant(self, horizon: datetime) -> datetime | None:
        """Return when something is pending next, as things stand, looking no further than a horizon."""
        coming = [turn.effective for turn in self.pending(horizon) if turn.effective > self.now]
        return min(coming, default=None)

    def turn(
        self, journey: Journey, place: Place, kind: int, number: int, version: int = 0, step: int = 0
    ) -> Turn:
        """Return where a thing of a journey stands in the order."""
        effective, at, seq = place
        return Turn(effective, kind, at, seq, -self.priority(journey), journey.name, version, step, number)

    def in_order(self) -> list[Journey]:
        """Return the journeys that are not paused, those of higher priority first."""
        open_ = [j for j in self.journeys.values() if not j.paused and self.in_use(j)]
        return sorted(open_, key=lambda j: (-self.priority(j), j.name))

    def priority(self, journey: Journey) -> int:
        """Which of two journeys goes first."""
        return max(file.priority for file in self.in_use(journey))

    def in_use(self, journey: Journey) -> list[File]:
        """Return the versions that matter to this customer: the live one, and those of earlier stays."""
        files = {id(stay.file) for stay in self.customer.stays if stay.journey == journey.name}
        return [file for file in journey.versions if file is journey.live or id(file) in files]

    # --- what is watched ------------------------------------------------------------------------------------

    def look(self, journey: Journey, arrival: Arrival) -> None:
        """Look at who leaves by a condition, and who has joined the segment, after what may have changed that."""
        if not self.may_change(self.watched(journey), arrival):
            return
        journey.looked_at = arrival.effective
        for stay in self.inside(journey):
            reason = self.reason_to_leave(stay, arrival.effective, arrival.known)
            if reason and stay.effective <= arrival.effective:
                stay.leave("exited", reason, arrival.effective)
        live, since = journey.live, journey.live_since
        if (
            live is None
            or since is None
            or not is_by_segment(live.says["enter"])
            or arrival.effective < since
        ):
            return
        is_in = self.asking(arrival.effective, arrival.known).holds(
            {"segment": live.says["enter"]["segment"]}
        )
        if is_in and not journey.was_in_segment:
            joins = replace(arrival, at=arrival.effective, kind="segment", event=None, led_by=arrival.place)
            self.enter(journey, live, joins)
        journey.was_in_segment = is_in

    def watched(self, journey: Journey) -> list[dict[str, Any]]:
        """Return the conditions that a journey watches of the customer: to leave, and to join."""
        found = [one for file in self.in_use(journey) for one in reasons_of(file)]
        if journey.live is not None and is_by_segment(journey.live.says["enter"]):
            found.append({"segment": journey.live.says["enter"]["segment"]})
        return found

    def may_change(self, conditions: Any, arrival: Arrival) -> bool:
        """Say whether an arrival may change the answer to conditions: an event or attribute that they name, or time."""
        by_segment = any("segment" in one for one in conditions)
        if arrival.kind == "expiry" or (is_created(arrival) and by_segment):
            return True
        names = named_things(conditions, self.world.segments)
        if arrival.kind == "touch":
            return arrival.reason in names
        named = self.events_that_may_change(conditions)
        return (
            arrival.kind in ("event", "known") and arrival.event is not None and arrival.event.name in named
        )

    def events_that_may_change(self, conditions: Any) -> set[str]:
        """Return the events that may change the answer to conditions: those they name, and words about consent."""
        named = named_events(conditions, self.world.segments)
        if any(name.startswith("consent ") for name in named_things(conditions, self.world.segments)):
            named |= {"consent.given", "consent.withdrawn"}
        return named

    def expiry(self, journey: Journey, now: datetime) -> datetime | None:
        """Return the next instant, until now, at which time alone may change what is watched of the customer."""
        watched = self.watched(journey)
        begun = [stay.effective for stay in self.inside(journey)]
        if journey.live is not None and is_by_segment(journey.live.says["enter"]):
            begun.append(journey.live_since or ANY_TIME)
        if not watched or not begun:
            return None
        after = max(journey.looked_at or ANY_TIME, min(begun), self.customer.created_at)
        lengths = {one for condition in watched for one in lengths_of(condition, self.world.segments)}
        found = {at for text in lengths for at in self.turning_points(text)}
        return min((at for at in found if after < at <= now), default=None)

    def turning_points(self, text: str) -> Iterator[datetime]:
        """Yield when so long ago comes to each time that there is in the customer's life, and just after."""
        times = [event.at for event in self.customer.events]
        times += [at for message in self.customer.messages for at in message.times.values()]
        values = [value for many in self.customer.attributes.changes.values() for _, _, value in many]
        for value in (*self.customer.attributes.first.values(), *values, self.customer.created_at):
            times += list(instants_in(value, self.world.zone))
        for at in times:
            reached = first_reaching(at, text, self.world.zone)
            yield from (reached, reached + TICK)

    # --- what passes notice ---------------------------------------------------------------------------------

    def sense(self, now: datetime) -> None:
        """Look at conditions that time changes at no instant known before, and at those who wait for what is no event."""
        for journey in self.in_order():
            if journey.live is not None and is_by_segment(journey.live.says["enter"]):
                self.look_at_segment(journey, journey.live.says["enter"], now)
            for stay in self.inside(journey):
                self.look_at_exits(journey, stay, now)
                says = self.waits_for(stay) if stay.holding else None
                unforeseen = says and not is_foreseen(says, self.world.segments)
                if unforeseen and self.asking_of(stay, now, now).holds(says):
                    stay.looks.add(now)

    def look_at_segment(self, journey: Journey, enter: dict[str, Any], now: datetime) -> None:
        """Let in who has joined since the last look, where nothing tells when time changes that."""
        segment = {"segment": enter["segment"]}
        if not is_foreseen(segment, self.world.segments):
            is_in = self.asking(now).holds(segment)
            if is_in and not journey.was_in_segment:
                self.to_door(journey, now, "segment")
            journey.was_in_segment = is_in

    def look_at_exits(self, journey: Journey, stay: Stay, now: datetime) -> None:
        """Bring to the door, to leave, whoever fulfils a condition of `exit`."""
        if any(one.stay is stay for one in journey.door):
            return
        unforeseen = [one for one in reasons_of(stay.file) if not is_foreseen(one, self.world.segments)]
        if unforeseen and (reason := self.reason_to_leave(stay, now, whole(now), unforeseen)):
            self.to_door(journey, now, "leave", stay=stay, reason=reason)

    def reason_to_leave(
        self, stay: Stay, at: datetime, known: Place, some: Sequence[dict[str, Any]] | None = None
    ) -> str | None:
        """Return the first condition of `exit` that holds, or None; a mere event is none: it must come after the entry."""
        for exit_ in reasons_of(stay.file) if some is None else some:
            if self.asking(at, known, stay).holds(exit_):
                return f"segment {exit_['segment']}" if "segment" in exit_ else "condition"
        return None

    # --- schedules and days ---------------------------------------------------------------------------------

    def occasions(self, journey: Journey, now: datetime) -> Iterator[tuple[Place, Deed]]:
        """Yield the slots and days since the last pass that may let the customer in; before her time, none does.

        A day comes with all else that comes from outside at its instant; a schedule's segment is asked after that.
        """
        enter = journey.live.says["enter"] if journey.live else {}
        for moment, per in self.moments(enter, journey.scheduled_until, now):
            assert journey.scheduled_until is not None
            if journey.scheduled_until < moment <= now and moment >= self.customer.created_at:
                place = (moment, moment, LAST + ("schedule" in enter))
                yield place, partial(self.on_occasion, journey, enter, moment, per)

    def moments(
        self, enter: dict[str, Any], since: datetime | None, now: datetime
    ) -> Iterator[tuple[datetime, str]]:
        """Yield when a schedule or a date may let in, with the occurrence of the date."""
        if "schedule" in enter:
            assert since is not None
            yield from ((slot, "") for slot in slots_between(enter["schedule"], since, now, self.world.zone))
        elif "date" in enter:
            values = [value for _, _, value in self.customer.attributes.changes.get(enter["date"], [])]
            for value in (self.customer.attributes.first.get(enter["date"]), *values):
                yield from self.days(enter, self.asking(now).typed(enter["date"], value), now)

    def days(self, enter: dict[str, Any], value: Any, now: datetime) -> Iterator[tuple[datetime, str]]:
        """Yield when the days let in that a value names, with the days; hours count from the instant that it names."""
        if by_instant(enter):
            if value is not None:
                sign = -1 if "before" in enter else 1
                length_ = absolute(enter.get("before") or enter["after"])
                yield value + sign * length_, f"{value:%Y-%m-%dT%H:%M:%SZ}"
            return
        for day in self.occurrences(enter, value, now):
            yield self.moment_of(enter, day), day.isoformat()

    def on_occasion(self, journey: Journey, enter: dict[str, Any], moment: datetime, per: str) -> None:
        """Let in at a slot or on a day whoever is in the segment, or has that day, then."""
        journey.scheduled_until = moment
        asked = self.asking(moment, (moment, moment, LAST))
        if "schedule" in enter:
            comes = asked.holds({"segment": enter["segment"]})
        else:
            comes = (moment, per) in self.days(enter, asked.value(enter["date"]), self.now)
        if comes:
            kind = "schedule" if "schedule" in enter else "date"
            self.to_door(journey, moment, kind, per=per)
            self.take_in(journey, journey.door[-1])

    def occurrences(self, enter: dict[str, Any], value: Any, now: datetime) -> list[date]:
        """Return the days an attribute names: itself, or its anniversaries."""
        if value is None:
            return []
        day = local_day(value, self.home) if isinstance(value, datetime) else value
        if every(enter) == "once":
            return [day]
        return [anniversary(day, year) for year in range(now.year - 2, now.year + 3) if year >= day.year]

    def moment_of(self, enter: dict[str, Any], day: date) -> datetime:
        """Return when an occurrence lets in: days before or after it, at a time of the customer's day."""
        moved, sign = (
            length(enter.get("before") or enter.get("after") or "0d"),
            -1 if "before" in enter else 1,
        )
        day = months_later(day, sign * moved.months) + timedelta(days=sign * moved.days)
        at = at_wall(datetime.combine(day, time.fromisoformat(enter.get("at", "09:00"))), self.home)
        return at + timedelta(seconds=sign * moved.seconds)

    # --- at the door ----------------------------------------------------------------------------------------

    def take_in(self, journey: Journey, arrival: Arrival) -> None:
        """Deal with what the customer came for: who leaves, who has reached the goal, who comes in."""
        journey.door.remove(arrival)
        self.exits(journey, arrival)
        self.goals(journey, arrival)
        self.dates_move(journey, arrival)
        self.wake(journey, arrival)
        self.look(journey, arrival)
        if journey.live is not None and self.asks_to_enter(journey.live, arrival):
            self.enter(journey, journey.live, arrival)

    def wake(self, journey: Journey, arrival: Arrival) -> None:
        """Let those look who wait for something that an event, or what has changed, is about."""
        for stay in self.inside(journey):
            if stay.holding and arrival.kind == "touch" and arrival.effective <= stay.due:
                self.follow(stay, arrival)
            says = self.waits_for(stay)
            if not says or not stay.holding or arrival.effective < stay.arrived_effective:
                continue
            happened = arrival.event and arrival.event.name in self.events_that_may_change(says)
            changed = arrival.kind == "touch" and arrival.reason in named_things(says, self.world.segments)
            if happened or changed:
                stay.looks.add(arrival.effective)

    def dates_move(self, journey: Journey, arrival: Arrival) -> None:
        """End the stays that are for a day, or an instant, which the changed attribute names no longer."""
        for stay in self.inside(journey):
            enter = stay.file.says["enter"]
            if arrival.kind != "touch" or enter.get("date") != arrival.reason or not stay.per:
                continue
            value = self.asking(arrival.effective, arrival.known).value(enter["date"])
            if stay.per not in {per for _, per in self.days(enter, value, arrival.effective)}:
                stay.leave("exited", "date_moved", arrival.effective)

    def follow(self, stay: Stay, arrival: Arrival) -> None:
        """Let who waits until a date of hers wait until where it lies now; one that is gone or past has passed."""
        assert stay.step is not None
        wait = waits(stay.file.steps[stay.step])
        says = wait.get("until")
        if isinstance(says, dict) and says["attribute"] == arrival.reason:
            asked = self.asking(arrival.effective, arrival.known, stay)
            self.wait_until(stay, says, self.moment_to_wait_for(wait, asked), arrival.effective)

    def exits(self, journey: Journey, arrival: Arrival) -> None:
        """Let stays end that an event, or a condition noticed, ends; take back what is still in the outbox."""
        for stay in self.stays_before(journey, arrival):
            if arrival.stay is stay and stay.outcome == "inside":
                stay.leave("exited", arrival.reason, arrival.effective)
            for exit_ in stay.file.says.get("exit", ()):
                if is_event_exit(exit_) and self.fits(exit_, arrival) and is_same(exit_, arrival, stay):
                    self.end_by(stay, exit_["event"], arrival.effective)

    def end_by(self, stay: Stay, event: str, at: datetime) -> None:
        """Let a stay end by an event; one that has come to its end loses only what is not sent yet."""
        if stay.outcome == "finished":
            for message in self.customer.messages:
                if message.stay is stay and message.state == "queued":
                    message.refuse("left_before_send")
        elif stay.outcome == "inside":
            stay.leave("exited", event, at)

    def goals(self, journey: Journey, arrival: Arrival) -> None:
        """Let stays end as converted whose goal this is, with `within` also after the last step."""
        for stay in self.stays_before(journey, arrival):
            goal = stay.file.says.get("goal")
            if goal is None or not self.fits(goal, arrival):
                continue
            counts = stay.outcome == "inside"
            if "within" in goal:
                assert stay.convert_by is not None
                counts = stay.outcome in ("inside", "finished") and arrival.at <= stay.convert_by
            if counts:
                stay.leave("converted", goal["event"], arrival.effective)

    def stays_before(self, journey: Journey, arrival: Arrival) -> list[Stay]:
        """Return the stays that began before an arrival in the order: the event that starts a stay does not end it."""
        mine = [stay for stay in self.customer.stays if stay.journey == journey.name]
        if arrival.event is None or arrival.caused or arrival.kind == "known":
            return [stay for stay in mine if stay.event is None or stay.event is not arrival.event]
        return [stay for stay in mine if arrival.place > stay.place]

    def fits(self, wanted: dict[str, Any], arrival: Arrival) -> bool:
        """Say whether an arrival is an event of this name whose own properties fit."""
        event = arrival.event
        if event is None or event.name != wanted.get("event"):
            return False
        return self.asking(arrival.at, arrival.known).where(wanted.get("where"), event)

    def asks_to_enter(self, file: File, arrival: Arrival) -> bool:
        """Say whether this arrival is a way in."""
        if arrival.kind == "event":
            since = self.journeys[file.name].live_since
            assert since is not None
            return arrival.at >= since and self.fits(file.says["enter"], arrival)
        return arrival.kind not in ("leave", "known", "touch", "expiry")

    def enter(self, journey: Journey, file: File, arrival: Arrival) -> None:
        """Begin a stay, unless `if`, `again` or an exit are against it, or the customer is inside, or goes in a circle."""
        enter, at = file.says["enter"], arrival.at
        per = self.per(enter, arrival)
        held_out = self.draws.held_out(self.customer.key, file.name, file.says.get("holdout", "0%"))
        number, place = self.next_number(), arrival.place
        stay = Stay(number, file.name, file, arrival.event, per, held_out, at, place, file.first, at, at)
        asked = replace(self.asking(at, arrival.known, stay), ever=True)
        if "if" in enter and not asked.holds(enter["if"]):
            return
        if not self.may_come(journey, again(enter), per, at) or self.goes_in_circles(journey, arrival):
            return
        if self.reason_to_leave(stay, at, arrival.known):
            return
        within = file.says.get("goal", {}).get("within")
        stay.convert_by = later(at, within, self.home) if within else None
        self.customer.stays.append(stay)
        self.look_back(journey, stay)

    def look_back(self, journey: Journey, stay: Stay) -> None:
        """Let what happened after the event that began a stay, but was heard of before it, end the stay at once."""
        for event in self.customer.events:
            ending = {*ending_events(stay.file), *named_events(reasons_of(stay.file), self.world.segments)}
            heard = event.name in ending and event.effective <= stay.effective
            waits = any(arrival.event is event for arrival in journey.door)
            if heard and event.at > stay.entered_at and not waits:
                number, caused = self.next_number(), event.source.startswith("journey:")
                journey.door.append(
                    Arrival(number, event.at, stay.effective, "known", event, seq=event.number, caused=caused)
                )

    def goes_in_circles(self, journey: Journey, arrival: Arrival) -> bool:
        """Say whether a step brings the customer into a journey that she has entered at this very instant."""
        stays = [stay for stay in self.customer.stays if stay.journey == journey.name]
        return arrival.caused and any(stay.effective == arrival.effective for stay in stays)

    def per(self, enter: dict[str, Any], arrival: Arrival) -> str:
        """Return what has a stay of its own: a value of the event's, or one occurrence of a date."""
        if "per" not in enter or arrival.event is None:
            return arrival.per
        value = arrival.event.properties.get(enter["per"])
        return "" if value is None else str(value)

    def may_come(self, journey: Journey, again: str, per: str, at: datetime) -> bool:
        """Say whether nobody is inside and `again` lets them come (back)."""
        stays = [s for s in self.customer.stays if s.journey == journey.name and s.per == per]
        if any(stay.outcome == "inside" for stay in stays):
            return False
        if "date" in journey.live_enter and per and stays:
            return False
        if again in ("never", "always"):
            return again == "always" or not stays
        return all(stay.left_at and later(stay.left_at, again, self.home) <= at for stay in stays)

    def inside(self, journey: Journey) -> list[Stay]:
        """Return the stays the customer is inside."""
        return [s for s in self.customer.stays if s.journey == journey.name and s.outcome == "inside"]

    # --- the steps ------------------------------------------------------------------------------------------

    def asked_at_step(self, stay: Stay, step: Step) -> Deed:
        """Return what a stay does at its step: leaves where a condition of `exit` holds by now, else what the step says."""
        effective = stay.next_at
        looks_early = effective in stay.looks
        stay.looks.discard(effective)
        at = effective if looks_early else stay.due
        if reason := self.reason_to_leave(stay, at, whole(effective)):
            return partial(stay.leave, "exited", reason, effective)
        asked = self.asking_of(stay, at, effective)
        if "wait" not in step.says:
            stay.straight = False
        if "if" in step.says and not stay.holding and not asked.holds(step.says["if"]):
            return partial(stay.go, step.to)
        if "for" in waits(step):
            return self.watch(stay, step, at, effective)
        if "choose" in step.says:
            return partial(stay.go, self.way_chosen(stay, step, asked))
        return partial(self.do, stay, step, effective)

    def do(self, stay: Stay, step: Step, effective: datetime) -> None:
        """Let a stay do what a step says that asks nothing more."""
        for oracle in oracles.steps():
            if oracle.key in step.says:
                oracle.done(self, stay, step, effective)
                return
        kinds = ("send", "wait", "split", "set", "emit", "start", "stop")
        kind = next(k for k in kinds if k in step.says)
        getattr(self, f"do_{kind}")(stay, step, effective)

    def do_wait(self, stay: Stay, step: Step, now: datetime) -> None:
        """wait: 2d, until a time of day, or until an attribute's date."""
        says = step.says["wait"]
        if stay.holding:
            until = says.get("until") if isinstance(says, dict) else None
            passed = stay.skipping and isinstance(until, dict) and until.get("passed") == "stop"
            stay.go(None if passed else step.to)
            return
        stay.holding = True
        if isinstance(says, dict) and isinstance(says["until"], dict):
            asked = self.asking_of(stay, stay.at, stay.arrived_effective)
            self.wait_until(stay, says["until"], self.moment_to_wait_for(says, asked), stay.at)
        else:
            stay.skipping = stay.skipping and stay.straight
            stay.due = self.until(stay, says)

    def until(self, stay: Stay, says: Any) -> datetime:
        """Return when a wait for a length, or until a time of day, is over that begins at the stay's time."""
        if isinstance(says, str):
            return later(stay.at, says, self.home)
        days = says.get("on")
        return next_wall(stay.at, says["until"], self.home, [days] if isinstance(days, str) else days)

    def wait_until(self, stay: Stay, says: dict[str, Any], moment: datetime | None, at: datetime) -> None:
        """Wait until a moment, looked at as of a time: one that is missing or lies before has passed."""
        passed = moment is None or moment < at
        stay.due = at if moment is None or passed else moment
        stay.skipping, stay.straight = passed and says.get("passed", "skip") != "go_on", True

    def moment_to_wait_for(self, wait: dict[str, Any], asked: Asked) -> datetime | None:
        """until: {attribute: trial_ends, before: 2d, at: "09:00"}, every: year"""
        says = wait["until"]
        value = asked.value(says["attribute"])
        if value is None:
            return None
        if "at" not in says and "every" not in wait:
            return self.moved(says, value if isinstance(value, datetime) else midnight(value, self.home))
        day = local_day(value, self.home) if isinstance(value, datetime) else value
        days = [day]
        if "every" in wait:
            days += [anniversary(day, year) for year in range(asked.now.year - 4, asked.now.year + 5)]
            days = [one for one in days if one >= day]
        moments = [self.moved_day(says, one) for one in days]
        return min((one for one in moments if "every" not in wait or one >= asked.now), default=None)

    def moved_day(self, says: dict[str, Any], day: date) -> datetime:
        """Return a time of a day so long before or after another, on the customer's clock."""
        sign, far = -1 if "before" in says else 1, length(says.get("before") or says.get("after") or "0d")
        there = months_later(day, sign * far.months) + timedelta(days=sign * far.days)
        at = at_wall(datetime.combine(there, time.fromisoformat(says.get("at", "00:00"))), self.home)
        return at + timedelta(seconds=sign * far.seconds)

    def moved(self, says: dict[str, Any], moment: datetime) -> datetime:
        """Return an instant so long before or after another."""
        if "before" in says:
            return earlier(moment, says["before"], self.home)
        return later(moment, says["after"], self.home) if "after" in says else moment

    def watch(self, stay: Stay, step: Step, at: datetime, effective: datetime) -> Deed:
        """wait: {for: …, at_most: 7d, then: […], otherwise: […]}: watches from arrival on, to the deadline."""
        says, begins = step.says["wait"], not stay.holding
        if begins:
            stay.holding, stay.skipping = True, False
            stay.due = later(stay.at, says["at_most"], self.home)
        holds = self.asking_of(stay, at, effective).holds(says["for"])

        def do() -> None:
            if holds:
                stay.due = at
                stay.go(stay.file.start_of(f"{step.path}.wait.then", step))
            elif not begins and at == stay.due and not self.waits_for_its_message(stay, says):
                stay.go(stay.file.start_of(f"{step.path}.wait.otherwise", step))
            else:
                lengths = lengths_of(says["for"], self.world.segments)
                moments = (moment for text in lengths for moment in self.turning_points(text))
                coming = min((moment for moment in moments if moment > effective), default=stay.due)
                stay.looks |= {coming} if coming < stay.due else set()

        return do

    def waits_for_its_message(self, stay: Stay, says: dict[str, Any]) -> bool:
        """Put a deadline off where it began before this stay's message went out: nobody is judged on what is not there."""
        names = named_messages(says["for"])
        mine = [m for m in self.customer.messages if m.stay is stay and names & {m.template, "any"}]
        since = [self.now for m in mine if m.state == "queued"] + [
            m.times["sent"] for m in mine if m.state == "sent"
        ]
        deadline = later(max([stay.at, *since]), says["at_most"], self.home)
        if deadline <= stay.due:
            return False
        stay.due = deadline
        return True

    def waits_for(self, stay: Stay) -> Any:
        """Return what a stay waits for at the step where it stands, None where it does not."""
        return waits(stay.file.steps[stay.step]).get("for") if stay.step else None

    def way_chosen(self, stay: Stay, step: Step, asked: Asked) -> str | None:
        """choose: the first branch whose condition holds, or the last if it is `else`, or none."""
        for n, branch in enumerate(step.says["choose"]):
            if "else" in branch or asked.holds(branch["if"]):
                word = "else" if "else" in branch else "steps"
                return stay.file.start_of(f"{step.path}.choose.{n}.{word}", step)
        return step.to

    def do_split(self, stay: Stay, step: Step, now: datetime) -> None:
        """The arm that the stable hash says."""
        weights = {name: arm["weight"] for name, arm in step.says["split"].items()}
        arm = self.draws.way(self.customer.key, stay.journey, step.id, weights)
        stay.go(stay.file.start_of(f"{step.path}.split.{arm}.steps", step))

    def do_set(self, stay: Stay, step: Step, now: datetime) -> None:
        """Write attributes."""
        self.customer.attributes.update(step.says["set"])
        for name in step.says["set"]:
            self.touches(name, (now, now, self.next_number()), caused=True)
        stay.go(step.to)

    def do_emit(self, stay: Stay, step: Step, now: datetime) -> None:
        """Record an event at the customer's logical time."""
        self.happens(step.says["emit"], stay.due, step.says.get("data", {}), f"journey:{stay.journey}")
        stay.go(step.to)

    def do_start(self, stay: Stay, step: Step, now: datetime) -> None:
        """Go to another journey's door, if it runs."""
        other = self.journeys.get(step.says["start"])
        if other is not None and other.live is not None:
            number = self.next_number()
            other.door.append(Arrival(number, stay.due, now, "started", seq=number, caused=True))
        stay.go(step.to)

    def do_stop(self, stay: Stay, step: Step, now: datetime) -> None:
        """The end of the journey."""
        stay.go(None)

    # --- messages -------------------------------------------------------------------------------------------

    def do_send(self, stay: Stay, step: Step, now: datetime) -> None:
        """One message on the first channel that reaches the customer, or with `all: true` one on each; none while skipping."""
        if stay.skipping:
            stay.go(step.to)
            return
        self.release(self.journeys[stay.journey], self.now)
        on = channels(step)
        if not step.says.get("all"):
            on = ([channel for channel in on if not self.against(stay.file, channel)] or on)[:1]
        for channel in on:
            self.queue(stay, step, channel)
        self.judge_new(step, self.now)
        stay.go(step.to)

    def queue(self, stay: Stay, step: Step, channel: str) -> None:
        """Put a message in the outbox, or note why not."""
        says, file = step.says, stay.file.says
        send_by = stay.due + absolute(says.get("valid_for", "1d"))
        message = Message(
            stay,
            step,
            says["send"],
            channel,
            file["category"],
            file.get("basis", "consent"),
            stay.due,
            send_by,
            stay.due,
            self.next_number(),
        )
        against = self.against(stay.file, channel)
        if against and (until := self.may_come_until(stay, step, send_by)):
            message.at_once = "held"
            message.hold(MAY_COME, until)
        elif against or stay.held_out:
            message.at_once = against or "held_out"
            message.refuse(message.at_once)
        elif send_by < self.now:
            message.refuse("stale")
        self.customer.messages.append(message)

    def may_come_until(self, stay: Stay, step: Step, send_by: datetime) -> datetime | None:
        """Return until when a message waits for an address or a consent, or None where none is waited for.

        None of the step's channels reaches, nobody has objected, and what began the stay, or the customer, is that new.
        """
        at, hold = max(stay.due, stay.effective), absolute(self.world.hold)
        recorded = [self.customer.created_at, *([stay.event.place[0]] if stay.event else [])]
        reasons = {self.against(stay.file, channel) for channel in channels(step)}
        if (
            reasons <= {"no_address", "no_consent"}
            and any(at - one < hold for one in recorded)
            and at < send_by
        ):
            return min(at + hold, send_by)
        return None

    def ask_again(self, journey: Journey, now: datetime) -> None:
        """Ask once more about what was held at the first look: on the first channel that reaches by now."""
        for message in self.ready(journey, now):
            if message.reason == MAY_COME:
                stay, message.reason = message.stay, None
                if reason := self.left(stay, now):
                    message.refuse(reason)
                    continue
                if not message.step.says.get("all"):
                    open_ = [one for one in channels(message.step) if not self.against(stay.file, one)]
                    message.channel = (open_ or channels(message.step))[0]
                if reason := self.against(stay.file, message.channel):
                    message.refuse(reason)
                elif stay.held_out:
                    message.refuse("held_out")
                elif message.send_by < now:
                    message.refuse("stale")

    def left(self, stay: Stay, now: datetime) -> str | None:
        """Let a stay end that has a reason to, and say so where it has ended."""
        reason = (
            self.reason_to_leave(stay, now, whole(now)) if stay.outcome in ("inside", "finished") else None
        )
        if reason and stay.outcome == "inside":
            stay.leave("exited", reason, now)
        return "left_before_send" if reason or stay.outcome in ("exited", "converted") else None

    def against(self, file: File, channel: str) -> str | None:
        """Return why the customer cannot be written to on a channel, or None."""
        basis = file.says.get("basis", "consent")
        return self.refusal(file.says["category"], basis, channel)

    def refusal(self, category: str, basis: str, channel: str) -> str | None:
        """Address, suppression, consent: in this order, as they are now. Transactional messages need no consent."""
        address, word = self.customer.addresses.get(ADDRESS[channel]), self.customer.consents.get(channel)
        if not address:
            return "no_address"
        if any(self.is_listed(one, address, category) for one in self.customer.suppressed):
            return "suppressed"
        if category == "transactional":
            return None
        if word is None:
            return "no_consent"
        if not word.given:
            return "unsubscribed"
        return "no_consent" if basis != "existing_customer" and word.basis != "consent" else None

    def is_listed(self, one: Suppressed, address: str, category: str) -> bool:
        """Say whether a line of the suppression list is about an address now."""
        about = one.address == address and one.since <= self.instant
        return about and (one.purpose == "all" or category != "transactional")

    def deliver(self, journey: Journey, now: datetime) -> None:
        """Send what is in the outbox, after a last look."""
        self.ask_again(journey, now)
        self.release(journey, now)
        ready = self.ready(journey, now)
        against = [self.last_look(message, now) for message in ready]
        for message, reason in zip(ready, against, strict=True):
            if reason:
                message.refuse(reason)
            else:
                message.state = "sent"
                message.times["sent"] = now
                self.touches("message", (now, now, self.next_number()))

    def ready(self, journey: Journey, now: datetime) -> list[Message]:
        """Return the messages of a journey that wait in the outbox and may go."""
        waiting = [m for m in self.customer.messages if m.journey == journey.name and m.state == "queued"]
        return [message for message in waiting if message.ready <= now]

    def last_look(self, message: Message, now: datetime) -> str | None:
        """Return why a message is not sent after all: has left or leaves, too late, no consent any more; or None."""
        if left := self.left(message.stay, now):
            return left
        if message.send_by < now:
            return "stale"
        return self.refusal(message.category, message.basis, message.channel)

    # --- limits and quiet hours ----------------------------------------------------------------------------

    def judge_new(self, step: Step, now: datetime) -> None:
        """Ask quiet hours and limits about what a send step has just put in the outbox, channel by channel."""
        new = [m for m in self.customer.messages if m.step is step and m.state == "queued"]
        fresh = [m for m in new if not m.reserved and not m.reason]
        for message in sorted(fresh, key=lambda m: (channels(step).index(m.channel), m.number)):
            self.judge(message, now, None)

    def release(self, journey: Journey, now: datetime) -> None:
        """Ask again about what was held until now, and whether it is quiet by now for the others."""
        for message in sorted(self.ready(journey, now), key=lambda m: (-m.priority, m.due, m.number)):
            if message.reason == MAY_COME:
                continue
            if message.reserved is None or message.channel in self.world.quiet_hours:
                left = message.stay.outcome in ("exited", "converted")
                against = "left_before_send" if left else None
                refusal = self.refusal(message.category, message.basis, message.channel)
                self.judge(message, now, against or refusal)

    def judge(self, message: Message, now: datetime, against: str | None) -> None:
        """Let a marketing message have its place, or hold it, or refuse it. Quiet hours come before limits."""
        if message.category == "transactional":
            return
        quiet = self.quiet_until(message.channel, now)
        if against:
            message.refuse(against)
        elif message.send_by < now or (quiet and quiet > message.send_by):
            message.refuse("stale")
        elif quiet:
            message.hold("quiet_hours", min(quiet + self.draws.spread(self.customer.key), message.send_by))
        elif message.reserved is None:
            self.press(message, now)

    def quiet_until(self, channel: str, now: datetime) -> datetime | None:
        """Look at the customer's clock, minute by minute, for the end of the quiet hours that reign now."""
        if channel not in self.world.quiet_hours:
            return None
        start, end = (minutes(clock) for clock in self.world.quiet_hours[channel].split("-"))
        if self.customer.zone is None:  # not known: an hour longer at each end
            start, end = (start - 60) % DAY, (end + 60) % DAY
        moment = now
        while (clock_of(moment, self.home) - start) % DAY < (end - start) % DAY:
            moment = moment.replace(second=0, microsecond=0) + MINUTE
        return None if moment == now else moment

    def press(self, message: Message, now: datetime) -> None:
        """Hold or refuse a message that breaks a limit: one that drops decides, else the one with room last."""
        over = [(limit, self.counted(limit, message, now)) for limit in self.world.limits]
        broken = [
            (limit, places)
            for limit, places in over
            if about(limit, message) and len(places) >= limit["at_most"]
        ]
        if not broken:
            message.reserved, message.reason = now, None
            return
        drops = [pair for pair in broken if pair[0].get("when_over") == "drop"]
        limit, places = drops[0] if drops else max(broken, key=lambda pair: room(*pair))
        higher = any(one.priority > message.priority for one in places)
        reason = "lower_priority" if higher else "over_limit"
        if drops or room(limit, places) > message.send_by:
            message.refuse(reason)
        else:
            message.hold(reason, room(limit, places))

    def counted(self, limit: dict[str, Any], message: Message, now: datetime) -> list[Message]:
        """Return the messages that a limit counts now: sent, or with a place, in the window that ends now."""
        begin = now - absolute(limit["per"])
        return [m for m in self.customer.messages if m.reserved and m.reserved > begin and about(limit, m)]

    # --- asking ---------------------------------------------------------------------------------------------

    @property
    def home(self) -> str:
        """The customer's zone, else the workspace's."""
        return self.customer.zone or self.world.zone

    def asking(self, now: datetime, known: Place | None = None, stay: Stay | None = None) -> Asked:
        """Return who is asked: durations count from `now`, and what is known is all up to a place in the order."""
        world = self.world
        return Asked(self.customer, now, known or whole(now), world.zone, world.segments, world.types, stay)

    def asking_of(self, stay: Stay, at: datetime, effective: datetime) -> Asked:
        """Return who is asked at a step: all that takes effect by then is known, and events of a wait are those since."""
        return replace(
            self.asking(at, whole(effective), stay), waiting=bool(stay.holding and self.waits_for(stay))
        )


def again(enter: dict[str, Any]) -> str:
    """Return what `again` says: never unless the file says otherwise, or lets in each run."""
    return str(enter.get("again", "always" if "each" in enter else "never"))


def is_by_segment(enter: dict[str, Any]) -> bool:
    """Say whether a journey lets in those who join a segment."""
    return "segment" in enter and "schedule" not in enter


def named_messages(condition: Any) -> set[str]:
    """Return the templates whose messages a condition asks about."""
    if isinstance(condition, list):
        return {name for part in condition for name in named_messages(part)}
    inner = (
        condition[word] for word in ("all", "any", "not") if isinstance(condition.get(word), (dict, list))
    )
    found = {condition["message"]} if "message" in condition else set()
    return found | {name for part in inner for name in named_messages(part)}


def named_events(condition: Any, segments: Mapping[str, Any]) -> set[str]:
    """Return the events that a condition names, itself or in its segments."""
    if isinstance(condition, list):
        return {name for part in condition for name in named_events(part, segments)}
    if "segment" in condition:
        return named_events(segments[condition["segment"]], segments)
    found = {condition["event"]} if "event" in condition else set()
    found |= {condition[name].rpartition(".")[0] for name in AGGREGATES if name in condition}
    inner = (
        condition[word] for word in ("all", "any", "not") if isinstance(condition.get(word), (dict, list))
    )
    return found | {name for part in inner for name in named_events(part, segments)}


def inner_of(condition: dict[str, Any]) -> list[Any]:
    """Return the conditions that a condition is made of."""
    found = (condition.get(word) for word in ("all", "any", "not"))
    return [part for part in found if isinstance(part, (dict, list))]


def leaves_of(condition: Any, segments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the leaves of a condition, those of its segments as well."""
    if isinstance(condition, list):
        for part in condition:
            yield from leaves_of(part, segments)
    elif "segment" in condition:
        yield from leaves_of(segments[condition["segment"]], segments)
    elif inner := inner_of(condition):
        yield from leaves_of(inner, segments)
    else:
        yield condition


def named_things(condition: Any, segments: Mapping[str, Any]) -> set[str]:
    """Return what a condition looks at besides events, by the names of touches."""
    found = set[str]()
    for leaf in leaves_of(condition, segments):
        if "attribute" in leaf:
            found.add(leaf["attribute"])
        for channel in (leaf.get("consent"), leaf.get("reachable")):
            found |= {f"consent {channel}", ADDRESS[channel], "suppressed"} if channel else set()
        found |= {"message"} if "message" in leaf else set()
        found |= {f"journey {leaf['journey']}"} if "journey" in leaf and "is" in leaf else set()
    return found


def lengths_of(condition: Any, segments: Mapping[str, Any]) -> set[str]:
    """Return the lengths that a condition counts back from now."""
    found = set[str]()
    for leaf in leaves_of(condition, segments):
        found |= {leaf["within"]} if "within" in leaf else set()
        found |= set(agos(leaf))
    return found


def agos(value: Any) -> Iterator[str]:
    """Yield the lengths of all `30d ago` in what a leaf says, and all `in 3d` as they stand."""
    if isinstance(value, dict):
        for one in value.values():
            yield from agos(one)
    elif isinstance(value, list):
        for one in value:
            yield from agos(one)
    elif isinstance(value, str) and value.endswith(" ago"):
        yield value.removesuffix(" ago")
    elif isinstance(value, str) and value.startswith("in "):
        yield value


def is_foreseen(condition: Any, segments: Mapping[str, Any]) -> bool:
    """Say whether it can be told when time changes a condition: not of the days ahead, nor of events' own dates."""
    return not any(
        "anniversary_in" in str(leaf) or list(agos(leaf.get("where")))
        for leaf in leaves_of(condition, segments)
    )


def instants_in(value: Any, zone: str) -> Iterator[datetime]:
    """Yield the instants that a value names: itself, or where its day begins and ends."""
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        day = date.fromisoformat(value)
        yield from (midnight(day, zone), midnight(day + timedelta(days=1), zone))
    elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*", value):
        yield datetime.fromisoformat(value).astimezone(UTC)


@cache
def first_reaching(at: datetime, text: str, zone: str) -> datetime:
    """Return the first instant from which so long ago, or so long ahead (`in 3d`), is not before another one."""
    there, back = (earlier, later) if text.startswith("in ") else (later, earlier)
    near = there(at, text, zone)
    low, high = near - timedelta(days=5), near + timedelta(days=5)
    while high - low > TICK:
        middle = low + (high - low) / 2
        if back(middle, text, zone) >= at:
            high = middle
        else:
            low = middle
    return high


def is_created(arrival: Arrival) -> bool:
    """Say whether an arrival is that the customer became known."""
    return arrival.event is not None and arrival.event.name == "customer.created"


def channels(step: Step) -> list[str]:
    """Return the channels of a send step: a list, or one by itself."""
    on: str | list[str] = step.says["on"]
    return [on] if isinstance(on, str) else on


def about(limit: dict[str, Any], message: Message) -> bool:
    """Say whether a limit is about a message."""
    channel, category = limit.get("channel"), limit.get("category")
    return channel in (None, message.channel) and category in (None, message.category)


def room(limit: dict[str, Any], places: Sequence[Message]) -> datetime:
    """Return when so many have left the window that one more fits."""
    taken = sorted(message.reserved for message in places if message.reserved)
    return taken[len(taken) - limit["at_most"]] + absolute(limit["per"])


def every(enter: dict[str, Any]) -> str:
    """Return whether a date comes round every year: birthdays and anniversaries do, others are once."""
    yearly = enter["date"].rpartition("_")[2] in ("birthday", "anniversary")
    return str(enter.get("every", "year" if yearly else "once"))


def by_instant(enter: dict[str, Any]) -> bool:
    """Whether a date lets in hours before or after the instant that a time names."""
    return bool(length(enter.get("before") or enter.get("after") or "0d").seconds)


def waits(step: Step) -> dict[str, Any]:
    """Return what a wait says beyond a mere duration."""
    says = step.says.get("wait")
    return says if isinstance(says, dict) else {}


def ending_events(file: File) -> list[str]:
    """Return the events that a file's exits and goal name."""
    exits = [exit_["event"] for exit_ in file.says.get("exit", ()) if is_event_exit(exit_)]
    goal = file.says.get("goal")
    return exits + ([goal["event"]] if goal else [])


def reasons_of(file: File) -> list[dict[str, Any]]:
    """Return the conditions by which a stay ends."""
    return [exit_ for exit_ in file.says.get("exit", ()) if not is_event_exit(exit_)]


def is_event_exit(exit_: dict[str, Any]) -> bool:
    """Say whether an exit is an event since entry, not a condition asked at a pass."""
    return "event" in exit_ and not exit_.keys() - {"event", "where", "since", "same"}


def is_same(exit_: dict[str, Any], arrival: Arrival, stay: Stay) -> bool:
    """Say whether an event has the same property as the one that started the stay, where that is asked."""
    if "same" not in exit_:
        return True
    assert arrival.event is not None
    started = stay.event.properties.get(exit_["same"]) if stay.event else None
    return started is not None and started == arrival.event.properties.get(exit_["same"])


def outranks(word: Consent, before: Consent | None) -> bool:
    """Say whether a word on consent stands: the later one, of two at one instant the withdrawal.

    An existing customer's standing is weaker than any word the customer has said.
    """
    if before is None:
        return True
    return rank(word) > rank(before)


def rank(word: Consent) -> tuple[bool, datetime, bool]:
    """Return what is compared: an express word, its time, whether it withdraws."""
    return not (word.given and word.basis == "existing_customer"), word.since, not word.given
