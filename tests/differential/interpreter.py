"""Journeys for ONE customer, one step after the other: the oracle of the differential test.

Written from docs/language.md, to be checked against it line by line. It reads the YAML as plain dicts and shares
nothing with the engine: no parser, no plan, no SQL, no clock. Two things it is told, because the language leaves
them open: when passes run, and where the stable hash puts a customer (holdout, split).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from asking import ADDRESS, AGGREGATES, Asked, Consent, Happening, Reach
from local_clock import (
    MINUTE,
    absolute,
    anniversary,
    at_wall,
    clock_of,
    earlier,
    last_slot,
    later,
    length,
    local_day,
    midnight,
    minutes,
    months_later,
    next_wall,
)

ROUNDS = 10
DAY = 24 * 60
SECTIONS = ("then", "otherwise")

Deed = Callable[[], None]
"""What a step does to a stay, once all that it asks has been asked."""


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
    """The customer at a journey's door: with an event, or brought there, or with a reason to leave."""

    number: int
    at: datetime
    kind: str
    event: Happening | None = None
    stay: Stay | None = None
    per: str = ""
    reason: str = ""


@dataclass
class Stay:
    """One stay in a journey. `at` is the customer's logical time: when the step before was due.

    `looked_at` are the events, by number, with which a wait for something has been looked at; 0 is the arrival there.
    """

    number: int
    journey: str
    file: File
    event: Happening | None
    per: str
    held_out: bool
    entered_at: datetime
    step: str | None
    at: datetime
    due: datetime
    holding: bool = False
    convert_by: datetime | None = None
    outcome: str = "inside"
    reason: str | None = None
    left_at: datetime | None = None
    looked_at: set[int] = field(default_factory=set)

    def leave(self, outcome: str, reason: str | None, at: datetime) -> None:
        """End the stay."""
        self.outcome, self.reason, self.left_at, self.step = outcome, reason, at, None

    def go(self, to: str | None) -> None:
        """Go on to a step at the time this one was due, or come to the end."""
        if to is None:
            self.leave("finished", None, self.due)
        else:
            self.step, self.at, self.holding, self.looked_at = to, self.due, False, set()


@dataclass
class Message:
    """One message, from the outbox on. `times` say when it was sent, opened and so on."""

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
    was_in_segment: bool | None = None
    door: list[Arrival] = field(default_factory=list)


@dataclass
class World:
    """What all customers share: the workspace's zone, segments, schema of attributes, limits and quiet hours."""

    zone: str
    segments: dict[str, Any]
    types: dict[str, str]
    limits: list[dict[str, Any]] = field(default_factory=list)
    quiet_hours: dict[str, str] = field(default_factory=dict)


class Life:
    """One customer among all journeys. Told what happens, and when a pass runs."""

    def __init__(self, world: World, draws: Draws, customer: Reach) -> None:
        self.world, self.draws, self.customer = world, draws, customer
        self.journeys: dict[str, Journey] = {}
        self.unrouted: list[Happening] = []
        self.known = False
        self.numbers = 0

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
            journey.was_in_segment = None

    def pause(self, name: str, paused: bool) -> None:
        """Hold everyone in a journey where they are, or let them go on."""
        self.journeys[name].paused = paused

    def created(self, now: datetime) -> None:
        """The customer becomes known."""
        self.known = True
        self.happens("customer.created", now, {"source": "api"})

    def happens(self, name: str, at: datetime, properties: dict[str, Any], source: str = "api") -> None:
        """The customer did something."""
        event = Happening(self.next_number(), name, at, properties, source)
        self.customer.events.append(event)
        self.unrouted.append(event)

    def says(self, channel: str, given: bool, basis: str, at: datetime) -> None:
        """The customer agrees to a channel or withdraws; the same word twice is no news."""
        before = self.customer.consents.get(channel)
        if before is None or before.given != given or (given and before.basis != basis):
            name = "consent.given" if given else "consent.withdrawn"
            self.happens(name, at, {"channel": channel, "source": "api"})
            if outranks(Consent(given, at, basis), before):
                self.customer.consents[channel] = Consent(given, at, basis)
        elif not given:
            before.since = max(before.since, at)

    def reacts(self, template: str, was: str, at: datetime) -> None:
        """The customer opens or clicks what was sent."""
        for message in self.customer.messages:
            if message.template == template and message.state == "sent":
                message.times.setdefault(was, at)

    def enroll(self, journey: str, at: datetime) -> None:
        """The customer is brought to a journey's door by hand."""
        self.to_door(self.journeys[journey], at, "manual")

    def next_number(self) -> int:
        """Number what happens in the order in which it is recorded."""
        self.numbers += 1
        return self.numbers

    def to_door(self, journey: Journey, at: datetime, kind: str, **rest: Any) -> None:
        """Put the customer at a journey's door."""
        journey.door.append(Arrival(self.next_number(), at, kind, **rest))

    # --- one pass -------------------------------------------------------------------------------------------

    def run(self, now: datetime) -> None:
        """Run a pass: events to doors, then journey by journey; again while steps have recorded events."""
        if not self.known:
            self.sense_unknown(now)
            return
        recorded = 0
        for round_ in range(ROUNDS):
            shown = self.route(now)
            if round_ == 0:
                self.sense(now)
            elif not (recorded or shown or any(j.door for j in self.journeys.values() if not j.paused)):
                break
            recorded = 0
            for journey in self.in_order():
                self.run_journey(journey, now)
                recorded += self.route(now)
                self.take_in(journey, now)

    def in_order(self) -> list[Journey]:
        """Return the journeys that are not paused, those of higher priority first."""
        open_ = [j for j in self.journeys.values() if not j.paused and self.in_use(j)]
        return sorted(open_, key=lambda j: (-max(file.priority for file in self.in_use(j)), j.name))

    def in_use(self, journey: Journey) -> list[File]:
        """Return the versions that matter to this customer: the live one, and those of earlier stays."""
        files = {id(stay.file) for stay in self.customer.stays if stay.journey == journey.name}
        return [file for file in journey.versions if file is journey.live or id(file) in files]

    def run_journey(self, journey: Journey, now: datetime) -> None:
        """Take in who is at the door, let everyone go on who is due, send what is ready."""
        self.take_in(journey, now)
        for file in self.in_use(journey):
            for step in list(file.steps.values()):
                if "send" in step.says:
                    self.release(journey, now)
                for together in by_hour(self.due_at(file, step, now), now):
                    for deed in [self.decide(stay, step, now) for stay in together]:
                        deed()
                self.judge_new(step, now)
        self.deliver(journey, now)

    def due_at(self, file: File, step: Step, now: datetime) -> list[Stay]:
        """Return the stays that stand at a step and are due, or watch for something there."""
        return [
            stay
            for stay in self.customer.stays
            if stay.file is file and stay.step == step.path and (stay.due <= now or "for" in waits(step))
        ]

    # --- to the doors ---------------------------------------------------------------------------------------

    def route(self, now: datetime) -> int:
        """Show new events to the journeys: as a way in from when they went live, else as an exit or goal."""
        events, self.unrouted = self.unrouted, []
        for event in events:
            for journey in self.journeys.values():
                enters = journey.live is not None and journey.live.says["enter"].get("event") == event.name
                assert journey.live_since is not None
                if (enters and event.at >= journey.live_since) or self.ends_something(journey, event):
                    self.to_door(journey, event.at, "event", event=event)
        return len(events)

    def ends_something(self, journey: Journey, event: Happening) -> bool:
        """Say whether an event is an exit or the goal of a version in use."""
        names = [name for file in self.in_use(journey) for name in ending_events(file)]
        return event.name in names

    def sense(self, now: datetime) -> None:
        """Look at segments, schedules and conditions to leave: they are noticed by a pass."""
        for journey in self.journeys.values():
            if journey.paused:
                continue
            if journey.live is not None and "segment" in journey.live.says["enter"]:
                self.look_at_segment(journey, journey.live.says["enter"], now)
            if journey.live is not None and "date" in journey.live.says["enter"]:
                self.look_at_date(journey, journey.live.says["enter"], now)
            for stay in self.inside(journey):
                self.look_at_exits(journey, stay, now)

    def sense_unknown(self, now: datetime) -> None:
        """Note that a pass has looked at segments and schedules before anybody knew of the customer."""
        for journey in self.journeys.values():
            enter = journey.live.says["enter"] if journey.live and not journey.paused else {}
            if "date" in enter:
                journey.scheduled_until = now
            elif "schedule" in enter:
                assert journey.scheduled_until is not None
                slot = last_slot(enter["schedule"], journey.scheduled_until, now, self.world.zone)
                journey.scheduled_until = slot or journey.scheduled_until
            elif "segment" in enter:
                journey.was_in_segment = False

    def look_at_segment(self, journey: Journey, enter: dict[str, Any], now: datetime) -> None:
        """Let in who has joined since the last look, or everybody at the time of a schedule."""
        if "schedule" not in enter:
            is_in = self.ask({"segment": enter["segment"]}, now)
            if is_in and journey.was_in_segment is False:
                self.to_door(journey, now, "segment")
            journey.was_in_segment = is_in
            return
        assert journey.scheduled_until is not None
        slot = last_slot(enter["schedule"], journey.scheduled_until, now, self.world.zone)
        if slot is not None:
            journey.scheduled_until = slot
            if self.ask({"segment": enter["segment"]}, slot):
                self.to_door(journey, slot, "schedule")

    def look_at_date(self, journey: Journey, enter: dict[str, Any], now: datetime) -> None:
        """Let in on the day, and each missed occurrence once, at the time it should have been."""
        assert journey.scheduled_until is not None
        for day in self.occurrences(enter, now):
            moment = self.moment_of(enter, day)
            if journey.scheduled_until < moment <= now and moment >= self.customer.created_at:
                self.to_door(journey, moment, "date", per=day.isoformat())
        journey.scheduled_until = now

    def occurrences(self, enter: dict[str, Any], now: datetime) -> list[date]:
        """Return the days an attribute names: itself, or its anniversaries."""
        value = self.asking(now).value(enter["date"])
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

    def look_at_exits(self, journey: Journey, stay: Stay, now: datetime) -> None:
        """Bring to the door, to leave, whoever fulfils a condition of `exit`."""
        for exit_ in stay.file.says.get("exit", ()):
            if is_event_exit(exit_) or any(one.stay is stay for one in journey.door):
                continue
            if self.ask(exit_, now, stay):
                name = f"segment {exit_['segment']}" if "segment" in exit_ else "condition"
                self.to_door(journey, now, "leave", stay=stay, reason=name)

    # --- at the door ----------------------------------------------------------------------------------------

    def take_in(self, journey: Journey, now: datetime) -> None:
        """Deal with what the customer came for, in the order in which it happened."""
        while waiting := [one for one in journey.door if one.at <= now]:
            arrival = min(waiting, key=in_turn)
            journey.door.remove(arrival)
            self.exits(journey, arrival)
            self.goals(journey, arrival)
            if journey.live is not None and self.asks_to_enter(journey.live, arrival):
                self.enter(journey, journey.live, arrival, now)

    def exits(self, journey: Journey, arrival: Arrival) -> None:
        """Let stays end that an event, or a condition noticed, ends; take back what is still in the outbox."""
        for stay in self.stays_before(journey, arrival):
            if arrival.stay is stay and stay.outcome == "inside":
                stay.leave("exited", arrival.reason, arrival.at)
            for exit_ in stay.file.says.get("exit", ()):
                if is_event_exit(exit_) and self.fits(exit_, arrival) and is_same(exit_, arrival, stay):
                    self.end_by(stay, exit_["event"], arrival.at)

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
                stay.leave("converted", goal["event"], arrival.at)

    def stays_before(self, journey: Journey, arrival: Arrival) -> list[Stay]:
        """Return the stays that began before an arrival. The event that starts a stay does not end it."""
        return [
            stay
            for stay in self.customer.stays
            if stay.journey == journey.name
            and stay.entered_at <= arrival.at
            and (stay.event is None or stay.event is not arrival.event)
        ]

    def fits(self, wanted: dict[str, Any], arrival: Arrival) -> bool:
        """Say whether an arrival is an event of this name whose own properties fit."""
        event = arrival.event
        if event is None or event.name != wanted.get("event"):
            return False
        return self.asking(arrival.at).where(wanted.get("where"), event)

    def asks_to_enter(self, file: File, arrival: Arrival) -> bool:
        """Say whether this arrival is a way in."""
        if arrival.kind == "event":
            since = self.journeys[file.name].live_since
            assert since is not None
            return arrival.at >= since and self.fits(file.says["enter"], arrival)
        return arrival.kind not in ("known", "leave")

    def enter(self, journey: Journey, file: File, arrival: Arrival, now: datetime) -> None:
        """Begin a stay, unless `if` or `again` are against it, or the customer is inside."""
        enter = file.says["enter"]
        per = self.per(enter, arrival)
        if "if" in enter and not self.ask(enter["if"], as_of(arrival.at, now)):
            return
        if not self.may_come(journey, again(enter), per, arrival.at):
            return
        held_out = self.draws.held_out(self.customer.key, file.name, file.says.get("holdout", "0%"))
        at = arrival.at
        stay = Stay(self.next_number(), file.name, file, arrival.event, per, held_out, at, file.first, at, at)
        within = file.says.get("goal", {}).get("within")
        stay.convert_by = later(at, within, self.home) if within else None
        self.customer.stays.append(stay)
        self.look_back(journey, stay)

    def look_back(self, journey: Journey, stay: Stay) -> None:
        """Let what had happened since entry end a stay that begins late, though the journey has seen it before."""
        shown = [*self.unrouted, *(arrival.event for arrival in journey.door)]
        for event in self.customer.events:
            ends = event.name in ending_events(stay.file) and event.at > stay.entered_at
            if ends and not any(event is one for one in shown):
                self.to_door(journey, event.at, "known", event=event)

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
        if again in ("never", "always"):
            return again == "always" or not stays
        return all(stay.left_at and later(stay.left_at, again, self.home) <= at for stay in stays)

    def inside(self, journey: Journey) -> list[Stay]:
        """Return the stays the customer is inside."""
        return [s for s in self.customer.stays if s.journey == journey.name and s.outcome == "inside"]

    # --- the steps ------------------------------------------------------------------------------------------

    def decide(self, stay: Stay, step: Step, now: datetime) -> Deed:
        """Ask what a step asks; return what is done then: go on, or be held."""
        says = step.says
        if not stay.holding and "if" in says and not self.ask(says["if"], as_of(stay.due, now), stay):
            return partial(stay.go, step.to)
        if "choose" in says:
            return partial(stay.go, self.branch(stay, step, now))
        if "for" in waits(step):
            return self.watch(stay, step, now)
        kind = next(k for k in ("send", "wait", "split", "set", "emit", "start", "stop") if k in says)
        return partial(getattr(self, f"do_{kind}"), stay, step, now)

    def do_wait(self, stay: Stay, step: Step, now: datetime) -> None:
        """wait: 2d, until a time of day, or until an attribute's date."""
        if not stay.holding:
            stay.holding = True
            stay.due = self.until(stay, step.says["wait"])
        if stay.due <= now:
            stay.go(step.to)

    def until(self, stay: Stay, says: Any) -> datetime:
        """Return when a wait is over that begins at the stay's time."""
        if isinstance(says, str):
            return later(stay.at, says, self.home)
        if isinstance(says["until"], str):
            days = says.get("on")
            return next_wall(stay.at, says["until"], self.home, [days] if isinstance(days, str) else days)
        return max(stay.at, self.until_attribute(says["until"], stay.at))

    def until_attribute(self, says: dict[str, Any], at: datetime) -> datetime:
        """until: {attribute: trial_ends, before: 2d}: at once where it is missing."""
        value = self.asking(at).value(says["attribute"])
        if value is None:
            return at
        moment = value if isinstance(value, datetime) else midnight(value, self.home)
        if "before" in says:
            return earlier(moment, says["before"], self.home)
        return later(moment, says["after"], self.home) if "after" in says else moment

    def watch(self, stay: Stay, step: Step, now: datetime) -> Deed:
        """wait: {for: …, at_most: 7d, then: […], otherwise: […]}: watches from arrival on, to the deadline."""
        says = step.says["wait"]
        if not stay.holding:
            stay.holding = True
            stay.due = later(stay.at, says["at_most"], self.home)
        came = self.came_true(stay, says["for"], now)
        if came is not None:
            stay.due = came
            return partial(stay.go, stay.file.start_of(f"{step.path}.wait.then", step))
        if stay.due <= now:
            return partial(stay.go, stay.file.start_of(f"{step.path}.wait.otherwise", step))
        return stays_put

    def came_true(self, stay: Stay, condition: Any, now: datetime) -> datetime | None:
        """Return when what was waited for happened: at arrival, by an event, or as this pass notices."""
        last = min(now, stay.due)
        names = named_events(condition, self.world.segments)
        events = [e for e in self.customer.events if e.name in names and stay.at < e.at <= last]
        times = {e.at for e in events if e.number not in stay.looked_at}
        for at in [*([] if stay.looked_at else [stay.at]), *sorted(times), last]:
            asked = replace(self.asking(as_of(at, now), stay), since_arrival=stay.at, until=at)
            if asked.holds(condition):
                return at
        stay.looked_at |= {0, *(e.number for e in events)}
        return None

    def branch(self, stay: Stay, step: Step, now: datetime) -> str | None:
        """choose: where the first branch leads whose condition holds, or the last if it is `else`, or none."""
        for n, branch in enumerate(step.says["choose"]):
            if "else" in branch or self.ask(branch["if"], as_of(stay.due, now), stay):
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
        self.customer.attributes |= step.says["set"]
        stay.go(step.to)

    def do_emit(self, stay: Stay, step: Step, now: datetime) -> None:
        """Record an event at the customer's logical time."""
        self.happens(step.says["emit"], stay.due, step.says.get("data", {}), f"journey:{stay.journey}")
        stay.go(step.to)

    def do_start(self, stay: Stay, step: Step, now: datetime) -> None:
        """Go to another journey's door, if it runs."""
        other = self.journeys.get(step.says["start"])
        if other is not None and other.live is not None:
            self.to_door(other, stay.due, "started")
        stay.go(step.to)

    def do_stop(self, stay: Stay, step: Step, now: datetime) -> None:
        """The end of the journey."""
        stay.go(None)

    # --- messages -------------------------------------------------------------------------------------------

    def do_send(self, stay: Stay, step: Step, now: datetime) -> None:
        """One message on the first channel that reaches the customer, or with `all: true` one on each."""
        on = channels(step)
        if step.says.get("all"):
            for channel in on:
                self.queue(stay, step, channel, now)
        else:
            open_ = [channel for channel in on if not self.against(stay.file, channel)]
            self.queue(stay, step, (open_ or on)[0], now)
        stay.go(step.to)

    def queue(self, stay: Stay, step: Step, channel: str, now: datetime) -> None:
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
        if against or stay.held_out:
            message.refuse(against or "held_out")
        elif send_by < now:
            message.refuse("stale")
        self.customer.messages.append(message)

    def against(self, file: File, channel: str) -> str | None:
        """Return why the customer cannot be written to on a channel, or None."""
        basis = file.says.get("basis", "consent")
        return self.refusal(file.says["category"], basis, channel)

    def refusal(self, category: str, basis: str, channel: str) -> str | None:
        """Address, suppression, consent: in this order. Transactional messages need no consent."""
        address, word = self.customer.addresses.get(ADDRESS[channel]), self.customer.consents.get(channel)
        if not address:
            return "no_address"
        if address in self.customer.suppressed:
            return "suppressed"
        if category == "transactional":
            return None
        if word is None:
            return "no_consent"
        if not word.given:
            return "unsubscribed"
        return "no_consent" if basis != "existing_customer" and word.basis != "consent" else None

    def deliver(self, journey: Journey, now: datetime) -> None:
        """Send what is in the outbox, after a last look at what has happened meanwhile."""
        self.release(journey, now)
        if not self.ready(journey, now):
            return
        self.route(now)
        self.take_in(journey, now)
        for message in self.ready(journey, now):
            if reason := self.last_look(message, now):
                message.refuse(reason)
            else:
                message.state = "sent"
                message.times["sent"] = now

    def ready(self, journey: Journey, now: datetime) -> list[Message]:
        """Return the messages of a journey that wait in the outbox and may go."""
        waiting = [m for m in self.customer.messages if m.journey == journey.name and m.state == "queued"]
        return [message for message in waiting if message.ready <= now]

    def last_look(self, message: Message, now: datetime) -> str | None:
        """Return why a message is not sent after all: has left, too late, no consent any more; or None."""
        if message.stay.outcome in ("exited", "converted"):
            return "left_before_send"
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
        for message in self.ready(journey, now):
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

    def asking(self, now: datetime, stay: Stay | None = None) -> Asked:
        """Return who is asked, and as of when."""
        world = self.world
        return Asked(self.customer, now, world.zone, world.segments, world.types, stay)

    def ask(self, condition: Any, now: datetime, stay: Stay | None = None) -> bool:
        """Say whether a condition holds of the customer."""
        return self.asking(now, stay).holds(condition)


def again(enter: dict[str, Any]) -> str:
    """Return what `again` says: never unless the file says otherwise, or lets in each run."""
    return str(enter.get("again", "always" if "each" in enter else "never"))


def in_turn(arrival: Arrival) -> tuple[datetime, bool, int]:
    """Order arrivals: of one instant, events come first, in the order in which they were recorded."""
    return arrival.at, arrival.event is None, arrival.event.number if arrival.event else arrival.number


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


def waits(step: Step) -> dict[str, Any]:
    """Return what a wait says beyond a mere duration."""
    says = step.says.get("wait")
    return says if isinstance(says, dict) else {}


def stays_put() -> None:
    """Do nothing: the customer waits on."""


def by_hour(stays: Sequence[Stay], now: datetime) -> Iterator[list[Stay]]:
    """Yield the stays at a step hour by hour: those of one hour are asked before any of them goes on."""

    def end_of_hour(stay: Stay) -> datetime:
        return as_of(stay.due, now)

    for _, together in groupby(sorted(stays, key=end_of_hour), end_of_hour):
        yield list(together)


def as_of(at: datetime, now: datetime) -> datetime:
    """Return when a condition in a step is asked: at the end of the customer's hour, never beyond the pass."""
    hour = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return min(now, hour)


def ending_events(file: File) -> list[str]:
    """Return the events that a file's exits and goal name."""
    exits = [exit_["event"] for exit_ in file.says.get("exit", ()) if is_event_exit(exit_)]
    goal = file.says.get("goal")
    return exits + ([goal["event"]] if goal else [])


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
