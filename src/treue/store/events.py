"""Events: each recorded once for ever, by its id, and durable when the transaction ends; none is lost to a used id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, case, delete, select

from treue.errors import RejectedInput
from treue.model.states import CHANNELS, Basis, EventStatus
from treue.model.tables import event
from treue.store import (
    consent_standing,
    customers,
    dialect,
    event_conflicts,
    event_identity,
    sequence,
    validation,
)
from treue.store.addresses import shown
from treue.store.inputs import EventInput
from treue.store.past import keys

CLOCK_SKEW = timedelta(minutes=5)
"""How far a sender's clock may be ahead; such an event happened now, one further ahead is rejected."""

CONSENT_EVENTS = {"consent.given": True, "consent.withdrawn": False}
HISTORY = "import"
"""The source of events that tell of the past: customers first heard of in them begin with them."""


@dataclass(frozen=True)
class Recorded:
    """What became of each event, in the order given, and the ids of the new ones in that order."""

    statuses: list[EventStatus]
    new_ids: list[int]

    @property
    def duplicates(self) -> int:
        """How many had been seen before."""
        return self.statuses.count(EventStatus.duplicate)


Identity = tuple[str, str]
"""An event's id and the scope within which it is unique."""


@dataclass(frozen=True)
class _Coming:
    """An event on its way in, its time settled; `told_at` is the sender's own word on that, `content` a digest."""

    given: EventInput
    identity: Identity
    told_at: datetime | None
    content: str


@dataclass(frozen=True)
class _Kept:
    """The event that has an identity. Without `content` it is from before that was kept, and known by its properties.

    It has neither where it was deleted as old as well: then whatever comes is taken for it.
    """

    content: str | None
    properties: Mapping[str, Any] | None = None

    def says(self, coming: _Coming) -> bool:
        """Whether an event that comes under the same identity says the same."""
        if self.content is not None:
            return self.content == coming.content
        if self.properties is None:
            return True
        old, new = self.properties, coming.given.properties
        return event_identity.content(old, None) == event_identity.content(new, None)


def record(
    connection: Connection,
    events: Sequence[EventInput],
    now: datetime,
    routed: bool = False,
    *,
    checked: bool = False,
    set_aside: bool = True,
) -> Recorded:
    """Record events, creating customers not yet known; one that was seen before changes nothing.

    One whose id was used for another content is a conflict and kept beside the events; without `set_aside` the
    caller keeps it. With `routed`, no journey will look at them. A consent.given or consent.withdrawn also changes
    what stands. Raises RejectedInput, and keeps nothing, where one does not fit (see `problem`); `checked` says that
    the caller has asked about each of them already.
    """
    if not checked:
        _refuse_bad(events, now)
    coming = [_settle(given, now) for given in events]
    first: dict[Identity, _Coming] = {}
    for one in coming:
        first.setdefault(one.identity, one)
    ids = _customer_ids(connection, (one.given for one in first.values()), now)
    seq = sequence.take(len(first))
    order = {identity: seq + n for n, identity in enumerate(first)}
    rows = [_row(first[identity], ids, now, order[identity], routed) for identity in sorted(first)]
    new = dialect.insert_new(connection, event, rows, ("key", "scope"), ("id", "key", "scope", "customer_id"))
    fresh = {(row.key, row.scope): row.id for row in new}
    past = _take_out_past(connection, fresh)
    customers.touch(connection, (row.customer_id for row in new if (row.key, row.scope) in fresh), now)
    kept = past | {identity: _Kept(first[identity].content) for identity in fresh}
    kept |= _known(connection, first.keys() - kept.keys())
    accepted = {id(first[identity]) for identity in fresh}
    statuses = [
        EventStatus.accepted if id(one) in accepted else _status(one, kept.get(one.identity))
        for one in coming
    ]
    consent_standing.apply(connection, _words(coming, statuses, ids, now, order))
    if set_aside:
        _set_aside(connection, coming, statuses, ids, now)
    return Recorded(statuses, [fresh[identity] for identity in first if identity in fresh])


def conflict(given: EventInput) -> str:
    """Return what to say of an event whose id was used for another content, with the remedy."""
    return (
        f"The id {shown(given.key or '')} was used before: another {given.name} of customer {shown(given.customer)} "
        "is kept under it. Give this one an id of its own."
    )


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


def _settle(given: EventInput, now: datetime) -> _Coming:
    """Return an event with its identity; where it has no id, it gets one that nothing else has."""
    at = now if given.at is None else min(given.at, now)
    settled = given if at is given.at else replace(given, at=at)
    identity = (uuid4().hex if given.key is None else given.key, event_identity.scope(given))
    told_at = given.at if given.dated else None
    return _Coming(settled, identity, told_at, event_identity.content(given.properties, told_at))


def _take_out_past(connection: Connection, fresh: dict[Identity, int]) -> dict[Identity, _Kept]:
    """Take those events out again, also out of `fresh`, that had come before and were deleted as old; return what is left."""
    past = _past(connection, fresh)
    if past:
        numbers = [fresh.pop(identity) for identity in past]
        connection.execute(delete(event).where(dialect.among(connection, event.c.id, numbers)))
    return past


def _past(connection: Connection, identities: Iterable[Identity]) -> dict[Identity, _Kept]:
    """Return those of these identities whose events were deleted as old."""
    digests = {keys.identity(scope, key): (key, scope) for key, scope in identities}
    return {
        digests[digest]: _Kept(content) for digest, content in keys.past_events(connection, digests).items()
    }


def _known(connection: Connection, identities: Set[Identity]) -> dict[Identity, _Kept]:
    """Return the events that have these identities."""
    if not identities:
        return {}
    c = event.c
    old = case((c.content.is_(None), c.properties))
    query = select(c.key, c.scope, c.content, old).where(
        dialect.among(connection, c.key, {key for key, _ in identities})
    )
    found = {(key, scope): _Kept(*kept) for key, scope, *kept in connection.execute(query)}
    known = {identity: found[identity] for identity in identities if identity in found}
    return known | _past(connection, identities - known.keys())


def _status(coming: _Coming, kept: _Kept | None) -> EventStatus:
    """Return what an event is whose identity is taken; `kept` is None where its customer was erased just now."""
    return EventStatus.duplicate if kept is None or kept.says(coming) else EventStatus.conflict


def _set_aside(
    connection: Connection,
    coming: Sequence[_Coming],
    statuses: Sequence[EventStatus],
    ids: Mapping[str, int],
    now: datetime,
) -> None:
    event_conflicts.set_aside(
        connection,
        [
            {
                "key": one.identity[0],
                "scope": one.identity[1],
                "customer_id": ids[one.given.customer],
                "name": one.given.name,
                "source": one.given.source,
                "content": one.content,
                "at": one.told_at,
                "properties": one.given.properties,
                "received_at": now,
            }
            for one, status in zip(coming, statuses, strict=True)
            if status is EventStatus.conflict
        ],
    )


def _customer_ids(connection: Connection, events: Iterable[EventInput], now: datetime) -> dict[str, int]:
    source, since = "api", dict[str, datetime]()
    keys = set()
    for given in events:
        keys.add(given.customer)
        source = given.source
        if given.source == HISTORY and given.at:
            since[given.customer] = min(given.at, since.get(given.customer, given.at))
    return customers.ensure(connection, keys, now, source, since)


def _row(one: _Coming, ids: Mapping[str, int], now: datetime, seq: int, routed: bool) -> dict[str, Any]:
    key, scope = one.identity
    return {
        "key": key,
        "customer_id": ids[one.given.customer],
        "name": one.given.name,
        "at": one.given.at,
        "properties": one.given.properties,
        "source": one.given.source,
        "received_at": now,
        "effective_at": _effective(one.given, now),
        "seq": seq,
        "routed_at": now if routed else None,
        "scope": scope,
        "content": one.content,
    }


def _effective(given: EventInput, now: datetime) -> datetime:
    return given.effective_at or max(given.at or now, now)


def _words(
    coming: Sequence[_Coming],
    statuses: Sequence[EventStatus],
    ids: Mapping[str, int],
    now: datetime,
    order: Mapping[Identity, int],
) -> list[consent_standing.Word]:
    """Return what was newly said of consents; a withdrawal counts even where its id was used before."""
    return [
        word(one.given, ids[one.given.customer], _effective(one.given, now), order[one.identity])
        for one, status in zip(coming, statuses, strict=True)
        if one.given.name in CONSENT_EVENTS
        and (
            status is EventStatus.accepted
            or (status is EventStatus.conflict and not CONSENT_EVENTS[one.given.name])
        )
    ]


def word(given: EventInput, customer_id: int, effective_at: datetime, seq: int) -> consent_standing.Word:
    """Return what an event of consent says, `consent.given` or `consent.withdrawn`, at its place among all events."""
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
        effective_at=effective_at,
        seq=seq,
    )
