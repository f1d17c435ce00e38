"""Events: each recorded once for ever, by its key, and durable when the transaction ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from treue.errors import RejectedInput
from treue.model.states import CHANNELS, Basis
from treue.model.tables import event
from treue.store import consent_standing, customers, dialect, validation
from treue.store.addresses import shown
from treue.store.inputs import EventInput

CLOCK_SKEW = timedelta(minutes=5)
"""How far a sender's clock may be ahead; such an event happened now, one further ahead is rejected."""

CONSENT_EVENTS = {"consent.given": True, "consent.withdrawn": False}
HISTORY = "import"
"""The source of events that tell of the past: customers first heard of in them begin with them."""


@dataclass(frozen=True)
class Recorded:
    """The ids of events not seen before, in the order given, and how many had been."""

    new_ids: list[int]
    duplicates: int


def record(
    connection: Connection,
    events: Sequence[EventInput],
    now: datetime,
    routed: bool = False,
    *,
    checked: bool = False,
) -> Recorded:
    """Record events, creating customers not yet known; an event whose key was seen before changes nothing.

    With `routed`, no journey will look at them. A consent.given or consent.withdrawn also changes what stands.
    Raises RejectedInput, and keeps nothing, where one does not fit (see `problem`); `checked` says that the
    caller has asked about each of them already.
    """
    if not checked:
        _refuse_bad(events, now)
    unique = _unique(events, now)
    ids = _customer_ids(connection, unique.values(), now)
    rows = [_row(key, unique[key], ids, now, routed) for key in sorted(unique)]
    new = dialect.insert_new(connection, event, rows, ("key",), ("id", "key", "customer_id"))
    fresh = {row.key: row.id for row in new}
    customers.touch(connection, (row.customer_id for row in new), now)
    consent_standing.apply(connection, _words([unique[row.key] for row in new], ids))
    new_ids = [fresh[key] for key in unique if key in fresh]
    return Recorded(new_ids, len(events) - len(new_ids))


def problem(given: EventInput, now: datetime) -> str | None:
    """Return why this event cannot be kept, as a sentence, or None."""
    return (
        validation.key_problem(given.customer, "The event's customer_id")
        or validation.key_problem(given.name, "The event's name")
        or (validation.key_problem(given.key, "The event's id") if given.key is not None else None)
        or _time_problem(given, now)
        or validation.bounded(given.properties, f"The event {shown(given.name)}")
        or (_consent_problem(given) if given.name in CONSENT_EVENTS else None)
    )


def _time_problem(given: EventInput, now: datetime) -> str | None:
    if given.at is None:
        return None
    if given.at.tzinfo is None:
        return f"The event {shown(given.name)} has a time without a UTC offset."
    if given.at - now > CLOCK_SKEW:
        return f"The event {shown(given.name)} lies in the future ({given.at.isoformat()}); check the sender's clock."
    return None


def _consent_problem(given: EventInput) -> str | None:
    channel, basis = given.properties.get("channel"), given.properties.get("basis", Basis.consent.value)
    if channel not in CHANNELS:
        return f"The event {given.name} needs a channel, one of {', '.join(CHANNELS)}; it has {shown(str(channel))}."
    if basis not in tuple(Basis):
        return f"The event {given.name} has the basis {shown(str(basis))}; there are {', '.join(Basis)}."
    return None


def _refuse_bad(events: Sequence[EventInput], now: datetime) -> None:
    for number, given in enumerate(events, start=1):
        if refusal := problem(given, now):
            place = f"Event {number} of {len(events)}: " if len(events) > 1 else ""
            raise RejectedInput(place + refusal)


def _unique(events: Sequence[EventInput], now: datetime) -> dict[str, EventInput]:
    """Return the events by key, the first of each, with their time settled."""
    unique: dict[str, EventInput] = {}
    for given in events:
        at = now if given.at is None else min(given.at, now)
        settled = given if at is given.at else replace(given, at=at)
        unique.setdefault(uuid4().hex if given.key is None else given.key, settled)
    return unique


def _customer_ids(connection: Connection, events: Iterable[EventInput], now: datetime) -> dict[str, int]:
    source, since = "api", dict[str, datetime]()
    keys = set()
    for given in events:
        keys.add(given.customer)
        source = given.source
        if given.source == HISTORY and given.at:
            since[given.customer] = min(given.at, since.get(given.customer, given.at))
    return customers.ensure(connection, keys, now, source, since)


def _row(key: str, given: EventInput, ids: Mapping[str, int], now: datetime, routed: bool) -> dict[str, Any]:
    return {
        "key": key,
        "customer_id": ids[given.customer],
        "name": given.name,
        "at": given.at,
        "properties": given.properties,
        "source": given.source,
        "received_at": now,
        "routed_at": now if routed else None,
    }


def _words(new: Iterable[EventInput], ids: Mapping[str, int]) -> list[consent_standing.Word]:
    return [word(given, ids[given.customer]) for given in new if given.name in CONSENT_EVENTS]


def word(given: EventInput, customer_id: int) -> consent_standing.Word:
    """Return what an event of consent says: `consent.given` or `consent.withdrawn`."""
    told = dict(given.properties)
    channel, basis = told.pop("channel"), told.pop("basis", Basis.consent.value)
    source, proof = told.pop("source", given.source), told.pop("proof", None)
    assert given.at is not None
    return consent_standing.Word(
        customer_id=customer_id,
        channel=channel,
        given=CONSENT_EVENTS[given.name],
        basis=basis,
        since=given.at,
        source=str(source),
        proof=proof if isinstance(proof, dict) else told,
    )
