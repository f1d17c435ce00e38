"""A test made from what really happened to a customer: who they were, what they did, and what must come of it.

Whoever reads the test learns nothing of the person: addresses and the id are made up, and only attributes the
journey reads are kept. What is expected is what the replay of their timeline gives, so that the test passes; where
that is not what happened at the time (the files have changed since, a pass was late), it is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, select

from treue.errors import UsageError
from treue.insight.why import stays
from treue.language.grammar import Context
from treue.language.problems import Problems, listing
from treue.language.scenario import RECEIPTS, TESTS, Scenario
from treue.language.source import read_any
from treue.language.steps import walk
from treue.model.states import ADDRESS, BUILT_IN_EVENTS, Basis, Decision, MessageState, Outcome
from treue.model.tables import customer, enrollment, event, journey, message, step, trace
from treue.store.customers import ids_for_keys
from treue.store.event_identity import JOURNEY
from treue.testing.happenings import Decided, Noticed, Refusal, SentMessage, Stay
from treue.testing.playback import CREATED, Played, play
from treue.testing.scenarios import world
from treue.vocabulary.registry import WORDS
from treue.workspace import scaffold
from treue.workspace.scenarios import under_test
from treue.workspace.workspace import Workspace

_MADE_UP = {"email": "someone@example.com", "phone": "+4915112345678", "push_token": "token"}
_PLAIN = re.compile(r"[A-Za-z_À-ÿ][\w.@/-]*( [\w.@/-]+)*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "any")
_CONSENTS = ("consent.given", "consent.withdrawn")


@dataclass(frozen=True)
class Created:
    """A new test as text, and sentences about where its replay is not what happened."""

    journey: str
    name: str
    text: str
    differences: tuple[str, ...]


def create(workspace: Workspace, connection: Connection, key: str, name: str, now: datetime) -> Created:
    """Return a test of what happened to a customer in a journey (in the only one, where `name` is empty).

    Raises UsageError where there is no such customer, or they have been in no journey, or in several.
    """
    ids = ids_for_keys(connection, [key])
    who = connection.execute(select(customer).where(customer.c.id.in_(ids.values()))).first()
    if who is None:
        raise UsageError(f"There is no customer {key}.")
    past = _Past(workspace, connection, who, _journey(connection, who.id, name, workspace), now)
    head = past.head()
    played = _replayed(workspace, past.name, head)
    text = "\n".join([*head, *_expected(played, past.name)])
    return Created(past.name, past.title, text + "\n", tuple(past.differences(played)))


def _journey(connection: Connection, customer_id: int, name: str, workspace: Workspace) -> str:
    been = [one for one in stays(connection, customer_id) if one in workspace.journeys]
    if name and name not in been:
        raise UsageError(f"The customer has never been in `{name}`; been in: {listing(been)}.")
    if not been:
        raise UsageError("The customer has never been in a journey; there is nothing to make a test of.")
    if not name and len(been) > 1:
        raise UsageError(f"The customer has been in {listing(been)}; name one with --journey.")
    return name or been[0]


def _replayed(workspace: Workspace, name: str, lines: list[str]) -> Played:
    problems = Problems()
    text = "\n".join([*lines, "  expect: []"])
    node = read_any(f"journeys/{name}.test.yaml", text, problems)
    schema = workspace.settings.schema
    found: tuple[Scenario, ...] = (
        TESTS.parse(node, Context(problems, schema, words=WORDS)) if node is not None else ()
    )
    assert found, [problem.message for problem in problems]
    with world(workspace) as place:
        return play(place, under_test(name, found[0], workspace.journeys), found[0])


class _Past:
    """What the store knows of one customer in one journey."""

    def __init__(
        self, workspace: Workspace, connection: Connection, who: Row[Any], name: str, now: datetime
    ) -> None:
        self.workspace, self.connection, self.who, self.name, self.now = workspace, connection, who, name, now
        self.needed = scaffold.needs(replace(workspace, tests={}), [name])
        self.zone = who.timezone or workspace.settings.timezone
        query = select(journey.c.id, journey.c.live_since).where(journey.c.name == name)
        self.number, self.live = connection.execute(query).one()
        mine = (enrollment.c.journey_id == self.number) & (enrollment.c.customer_id == who.id)
        self.stays = connection.execute(select(enrollment).where(mine).order_by(enrollment.c.id)).all()
        self.until = self._until()
        self.title = self._title()

    def _until(self) -> datetime:
        """Return when the test ends: soon after the last stay, or before what is still to come."""
        inside = [stay for stay in self.stays if stay.outcome == Outcome.inside.value]
        if inside:
            due: list[datetime] = [stay.due_at for stay in inside]
            return min(self.now, min(due) - timedelta(seconds=1))
        left: list[datetime] = [stay.left_at for stay in self.stays]
        return max(left) + timedelta(minutes=1)

    def _title(self) -> str:
        """Return a name that no other test of the journey has."""
        came = f"As it went for a customer who came on {self._clock(self.stays[0].entered_at)}"
        taken = {scenario.name for scenario in self.workspace.tests.get(self.name, ())}
        names = (came if n == 1 else f"{came} ({n})" for n in count(1))
        return next(name for name in names if name not in taken)

    def _clock(self, at: datetime) -> str:
        local = at.astimezone(ZoneInfo(self.zone))
        return f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"

    # --- the test's head ------------------------------------------------------------------------------------

    def head(self) -> list[str]:
        """Return the lines up to what is expected."""
        before = [
            row for row in self._events() if row.at < self.live and row.name not in (*_CONSENTS, CREATED)
        ]
        acts = sorted([*self._happened(), *self._receipts()], key=lambda pair: pair[0])
        return [
            f"- test: {flow(self.title)}",
            f"  customer: {flow(self._customer())}",
            *(["  history:"] if before else []),
            *(f"    - {flow(self._event(row))}" for row in before),
            f"  live: {self._clock(self.live)}",
            *(["  timeline:"] if acts else []),
            *(f"    - {flow(act)}" for _, act in acts),
            *self._draws(),
            f"  until: {self._clock(self.until)}",
        ]

    def _customer(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": "someone"}
        found |= {name: made_up for name, made_up in _MADE_UP.items() if getattr(self.who, name)}
        found |= {name: getattr(self.who, name) for name in ("locale", "timezone") if getattr(self.who, name)}
        written = self._written()
        kept = {
            n: v for n, v in self.who.attributes.items() if n in self.needed.attributes and n not in written
        }
        consents = self._standing()
        tells = CREATED in self.needed.events and self.who.created_at >= self.live
        born = {} if tells else {"created_at": self._clock(self.who.created_at)}
        return {**found, **born, **kept, **consents}

    def _written(self) -> set[str]:
        """Return the attributes the journey itself has written."""
        query = select(trace.c.detail).where(
            trace.c.customer_id == self.who.id,
            trace.c.journey_id == self.number,
            trace.c.decision == Decision.set.value,
        )
        return {name for detail in self.connection.scalars(query) for name in detail or {}}

    def _standing(self) -> dict[str, Any]:
        """Return the consents as they stood when the journey went live."""
        bases: dict[str, str] = {}
        for row in self._events():
            channel = row.properties.get("channel")
            if row.at < self.live and row.name == "consent.given":
                bases[channel] = row.properties.get("basis", Basis.consent.value)
            elif row.at < self.live and row.name == "consent.withdrawn":
                bases.pop(channel, None)
        plain = set(bases.values()) <= {Basis.consent.value}
        return {"consent": list(bases) if plain else bases} if bases else {}

    # --- the timeline ---------------------------------------------------------------------------------------

    def _events(self) -> list[Row[Any]]:
        """Return the events the journey reacts to or looks at; those its own steps recorded come of themselves."""
        names = {*self.needed.events, *_CONSENTS}
        query = (
            select(event)
            .where(event.c.customer_id == self.who.id, event.c.name.in_(names), event.c.at <= self.until)
            .where(event.c.source != f"{JOURNEY}{self.name}")
            .order_by(event.c.at, event.c.id)
        )
        return list(self.connection.execute(query).all())

    def _happened(self) -> Iterator[tuple[datetime, dict[str, Any]]]:
        for row in self._events():
            if row.at >= self.live:
                yield row.at, self._event(row)

    def _event(self, row: Row[Any]) -> dict[str, Any]:
        at = self._clock(row.at)
        if row.name == "consent.withdrawn":
            return {"at": at, "withdraw": row.properties["channel"]}
        if row.name == "consent.given":
            basis = row.properties.get("basis", Basis.consent.value)
            given = {"at": at, "consent": row.properties["channel"]}
            return given if basis == Basis.consent.value else given | {"basis": basis}
        declared = self.workspace.settings.schema.events.get(row.name, BUILT_IN_EVENTS.get(row.name, {}))
        data = {n: self._impersonal(v) for n, v in row.properties.items() if n in declared}
        return {"at": at, "event": row.name} | ({"data": data} if data else {})

    def _impersonal(self, value: Any) -> Any:
        """Return a property without the customer's addresses."""
        own = [getattr(self.who, column) for column in ADDRESS.values()]
        return (
            "someone@example.com" if isinstance(value, str) and any(o and o in value for o in own) else value
        )

    def _receipts(self) -> Iterator[tuple[datetime, dict[str, Any]]]:
        mine = (message.c.journey_id == self.number) & (message.c.customer_id == self.who.id)
        for row in self.connection.execute(select(message).where(mine, message.c.sent_at.is_not(None))):
            for was in RECEIPTS:
                at = getattr(row, f"{was}_at")
                if at is not None and at <= self.until:
                    yield at, {"at": self._clock(at), "message": row.template, "is": was, "on": row.channel}

    def _draws(self) -> list[str]:
        splits = {s.id for s in walk(self.workspace.journeys[self.name].steps) if s.draws and s.id}
        query = (
            select(step.c.name, trace.c.detail)
            .join(step, step.c.id == trace.c.step_id)
            .where(
                trace.c.customer_id == self.who.id,
                trace.c.journey_id == self.number,
                trace.c.decision == Decision.branch.value,
            )
        )
        taken = {row.name: row.detail["way"] for row in self.connection.execute(query) if row.name in splits}
        held = ["  held_out: true"] if self.stays[0].held_out else []
        return [*([f"  draw: {flow(taken)}"] if taken else []), *held]

    # --- then and now ---------------------------------------------------------------------------------------

    def differences(self, played: Played) -> Iterator[str]:
        """Yield sentences about where the replay is not what happened."""
        mine = (message.c.journey_id == self.number) & (message.c.customer_id == self.who.id)
        sent = message.c.state == MessageState.sent.value
        query = (
            select(message.c.template, message.c.channel)
            .where(mine, sent)
            .order_by(message.c.due_at, message.c.id)
        )
        then = [tuple(row) for row in self.connection.execute(query)]
        now = [(mail.template, mail.channel) for mail in played.happened.mails if mail.journey == self.name]
        for template, channel in [one for one in then if one not in now]:
            yield f"{template} on {channel} was sent then, and is not in the replay."
        for template, channel in [one for one in now if one not in then]:
            yield f"{template} on {channel} is sent in the replay, and was not then."
        ends = [stay.outcome for stay in played.happened.stays if stay.journey == self.name]
        if ends != [stay.outcome for stay in self.stays]:
            yield f"It ended {listing([stay.outcome for stay in self.stays])} then, {listing(ends)} in the replay."


# --- what is expected ---------------------------------------------------------------------------------------


def _expected(played: Played, name: str) -> list[str]:
    happened, zone = played.happened, ZoneInfo(played.zone)
    stays_ = [stay for stay in happened.stays if stay.journey == name]
    written = [one for one in happened.decided if one.decision == Decision.set.value]
    refused = [one for one in happened.refusals if not one.held]
    lines = [line for thing in (*happened.mails, *refused, *happened.events, *written, *stays_)
             for line in _line(thing, zone)]  # fmt: skip
    if not lines:
        return ["  expect: []"]
    return ["  expect:", *(f"    - {flow(line)}" for _, line in sorted(lines, key=lambda pair: pair[0]))]


def _line(thing: Any, zone: ZoneInfo) -> Iterator[tuple[datetime, dict[str, Any]]]:
    match thing:
        case SentMessage():
            subject = {"subject": thing.letter.subject} if thing.letter.subject else {}
            on = {"send": thing.template, "on": thing.channel}
            yield thing.at, {"at": _minute(thing.at, zone), **on, **subject}
        case Refusal():
            why = {"on": thing.channel, "reason": thing.reason}
            yield thing.at, {"at": _minute(thing.at, zone), "not_sent": thing.template, **why}
        case Noticed():
            yield thing.at, {"at": _minute(thing.at, zone), "emit": thing.event, "data": dict(thing.data)}
        case Decided():
            yield thing.at, {"at": _minute(thing.at, zone), "set": dict(thing.values)}
        case Stay():
            left = thing.left_at
            at = {"at": _minute(left, zone)} if left else {}
            reason = {"reason": thing.reason} if thing.outcome == Outcome.exited.value else {}
            yield left or datetime.max.replace(tzinfo=UTC), {**at, "outcome": thing.outcome, **reason}


def _minute(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def flow(value: Any) -> str:
    """Return plain data as YAML on one line, quoted only where it must be."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{name}: {flow(inner)}" for name, inner in value.items()) + "}"
        case str():
            bare = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
            timed = re.fullmatch(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?", value)
            return value if bare or timed else json.dumps(value, ensure_ascii=False)
        case Iterable():
            return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value)
