"""What happened in a test, in the order it happened: read out of the trace, the outbox and the events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json import loads
from typing import Any

from sqlalchemy import Connection, bindparam, select

from treue.delivery.keys import message_key
from treue.model.states import WEBHOOK, Decision, MessageState
from treue.model.tables import customer, enrollment, event, journey, message, step, trace
from treue.store.event_identity import JOURNEY
from treue.testing.world import SeenMessage, World

ENDINGS = {Decision.finished.value, Decision.converted.value, Decision.exited.value}


@dataclass(frozen=True)
class SentMessage:
    """A message that went out, with what the customer sees of it."""

    at: datetime
    journey: str
    step: str
    template: str
    channel: str
    category: str
    letter: SeenMessage


@dataclass(frozen=True)
class Refusal:
    """A message that did not go out (`reason`), or not yet (held until `at`)."""

    at: datetime
    journey: str
    step: str
    template: str
    channel: str
    reason: str | None
    detail: str | None
    held: bool = False


@dataclass(frozen=True)
class Decided:
    """A row of the trace: at which step of which journey what was decided. `values` is what was noted."""

    at: datetime
    journey: str
    step: str | None
    decision: str
    reason: str | None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stay:
    """A stay in a journey; `left_at` and `reason` are None for who is inside, standing at `step` until `due_at`."""

    journey: str
    entered_at: datetime
    outcome: str
    reason: str | None
    left_at: datetime | None
    step: str | None
    due_at: datetime


@dataclass(frozen=True)
class Noticed:
    """An event a step recorded."""

    at: datetime
    event: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class MadeCall:
    """A call that a step made; `document` is None where it carried none."""

    at: datetime
    url: str
    document: Any


@dataclass(frozen=True)
class Happened:
    """All that happened to the customer of a test."""

    mails: tuple[SentMessage, ...]
    refusals: tuple[Refusal, ...]
    decided: tuple[Decided, ...]
    stays: tuple[Stay, ...]
    events: tuple[Noticed, ...]
    calls: tuple[MadeCall, ...]


_NEW = (
    select(trace, journey.c.name.label("journey"), step.c.name.label("step"))
    .join(journey, journey.c.id == trace.c.journey_id)
    .outerjoin(step, step.c.id == trace.c.step_id)
    .where(trace.c.id > bindparam("seen"))
    .order_by(trace.c.id)
)


class Observer:
    """Reads the trace as it grows, so that what a step wrote is seen before anything writes over it."""

    def __init__(self, world: World) -> None:
        self._world, self._seen = world, 0
        self._decided: dict[int, list[Decided]] = {}

    def look(self) -> None:
        """Read what has been decided since the last look."""
        with self._world.store.reading() as connection:
            for row in connection.execute(_NEW, {"seen": self._seen}).all():
                values = dict(row.detail or {})
                if row.decision == Decision.set.value:
                    values = _written(connection, row.customer_id, values)
                decided = Decided(row.at, row.journey, row.step, row.decision, row.reason, values)
                self._decided.setdefault(row.customer_id, []).append(decided)
                self._seen = row.id

    def happened(self, customer_id: int) -> Happened:
        """Return everything that happened to a customer so far."""
        with self._world.store.reading() as connection:
            messages = list(connection.execute(_messages(customer_id)))
            return Happened(
                tuple(self._mails(messages)),
                tuple(_refusals(messages)),
                tuple(self._decided.get(customer_id, ())),
                tuple(_stays(connection, customer_id)),
                tuple(_events(connection, customer_id)),
                tuple(self._calls(connection, customer_id)),
            )

    def _mails(self, rows: Iterable[Any]) -> Iterator[SentMessage]:
        for row in rows:
            if row.state == MessageState.sent.value:
                letter = self._world.letter(row.channel, message_key(row.id, row.queued_at))
                yield SentMessage(
                    row.sent_at, row.journey, row.step, row.template, row.channel, row.category, letter
                )

    def _calls(self, connection: Connection, customer_id: int) -> Iterator[MadeCall]:
        sent = (message.c.channel == WEBHOOK, message.c.state == MessageState.sent.value)
        query = select(message).where(message.c.customer_id == customer_id, *sent)
        for row in connection.execute(query.order_by(message.c.sent_at, message.c.id)):
            made = self._world.outgoing(WEBHOOK, message_key(row.id, row.queued_at))
            document = loads(made.raw) if made.raw else None
            yield MadeCall(row.sent_at, made.to, document)


def _written(connection: Connection, customer_id: int, names: Iterable[str]) -> dict[str, Any]:
    """Return what stands in attributes that a step has just written, its templates filled in."""
    found = connection.scalar(select(customer.c.attributes).where(customer.c.id == customer_id))
    return {name: (found or {}).get(name) for name in names}


def _messages(customer_id: int) -> Any:
    return (
        select(message, journey.c.name.label("journey"), step.c.name.label("step"))
        .join(journey, journey.c.id == message.c.journey_id)
        .join(step, step.c.id == message.c.step_id)
        .where(message.c.customer_id == customer_id, message.c.channel != WEBHOOK)
        .order_by(message.c.sent_at, message.c.id)
    )


def _refusals(rows: Iterable[Any]) -> Iterator[Refusal]:
    for row in rows:
        if row.state != MessageState.sent.value:
            held = row.state == MessageState.queued.value
            at = row.ready_at if held else row.due_at
            yield Refusal(at, row.journey, row.step, row.template, row.channel, row.reason, row.detail, held)


def _stays(connection: Connection, customer_id: int) -> Iterator[Stay]:
    query = (
        select(enrollment, journey.c.name.label("journey"), step.c.name.label("step"))
        .join(journey, journey.c.id == enrollment.c.journey_id)
        .outerjoin(step, step.c.id == enrollment.c.step_id)
        .where(enrollment.c.customer_id == customer_id)
        .order_by(enrollment.c.id)
    )
    for row in connection.execute(query):
        yield Stay(row.journey, row.entered_at, row.outcome, row.reason, row.left_at, row.step, row.due_at)


def _events(connection: Connection, customer_id: int) -> Iterator[Noticed]:
    query = (
        select(event.c.at, event.c.name, event.c.properties)
        .where(event.c.customer_id == customer_id, event.c.source.startswith(JOURNEY))
        .order_by(event.c.at, event.c.id)
    )
    for row in connection.execute(query):
        yield Noticed(row.at, row.name, row.properties)
