"""Touches: changes of what is known of customers, brought to the doors of the journeys that watch for them.

Events are routed to those doors. All else is brought there by the transaction that records it, as far as some journey
watches for it (table `watch`); mostly none does, and one look into a small table tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Text,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    true,
)

from treue.model.states import ADDRESS_KEY, ArrivalKind, Outcome
from treue.model.tables import LAST, arrival, customer, enrollment, event, watch
from treue.model.types import Instant
from treue.segments.reach import address_key
from treue.segments.touch import JOURNEY, MESSAGE
from treue.store import dialect, sequence

TOUCHED = ("customer_id", "name", "happened_at", "at", "seq", "caused")
"""The columns of a query of touches; see `Touched`."""

_TYPES: dict[str, Any] = {
    "customer_id": BigInteger(),
    "name": Text(),
    "happened_at": Instant(),
    "at": Instant(),
    "seq": BigInteger(),
    "caused": Boolean(),
}
_pending = arrival.alias("pending_arrival")
_stay = enrollment.alias("stay")
_unseen = event.alias("unseen_event")


@dataclass(frozen=True)
class Touched:
    """What has changed of a customer, by the name that journeys watch for, and its place among all that happens.

    It took effect at `at`; of one instant, what comes from outside is in the order of `happened_at`, the sender's own time,
    then of `seq`. `caused` says that a step of a journey did it.
    """

    customer_id: int
    name: str
    happened_at: datetime
    at: datetime
    seq: int
    caused: bool = False


def watched(connection: Connection, names: Collection[str]) -> set[str]:
    """Return which of these names some journey watches for."""
    return set(names) & set(connection.scalars(select(watch.c.name).distinct())) if names else set()


def record(connection: Connection, touched: Sequence[Touched]) -> None:
    """Bring what has changed to the doors of the journeys that watch for it."""
    wanted = watched(connection, {one.name for one in touched})
    rows = [vars(one) for one in touched if one.name in wanted]
    for start in range(0, len(rows), dialect.BATCH):
        given = dialect.rows_as_table(connection, _TYPES, rows[start : start + dialect.BATCH])
        connection.execute(bringing(select(*(given.c[name] for name in TOUCHED))))


def of_messages(connection: Connection, fates: Collection[tuple[int, str]], now: datetime) -> None:
    """Bring it to those doors what has become, by now, of messages to these customers."""
    seq = sequence.take()
    told = sorted({(id_, MESSAGE + fate) for id_, fate in fates})
    record(connection, [Touched(id_, name, now, now, seq) for id_, name in told])


def of_stays(journey: str, query: Select[Any]) -> Insert:
    """Return what brings it to those doors that stays in a journey have begun or ended: (customer, when it took effect)."""
    found = query.subquery("stays")
    customer_id, at = found.c
    place = (at.label("happened_at"), at.label("at"), literal(LAST, BigInteger).label("seq"))
    columns = (customer_id.label("customer_id"), literal(JOURNEY + journey, Text).label("name"))
    return bringing(select(*columns, *place, true().label("caused")))


def of_addresses(
    connection: Connection, name: str, channel: str, keys: Collection[str], at: datetime
) -> None:
    """Bring it to those doors that something has been said of addresses on a channel, from outside, at a time."""
    if channel not in ADDRESS_KEY or not watched(connection, [name]):
        return
    mine = dialect.among(connection, customer.c[ADDRESS_KEY[channel]], sorted(keys))
    connection.execute(_of(select(customer.c.id).where(mine), name, at, at, sequence.take()))


def of_shared_addresses(
    connection: Connection, name: str, channel: str, owners: Mapping[int, tuple[datetime, datetime, int]]
) -> None:
    """Bring it to those doors that these customers have said something of their address on a channel, each at a place.

    Whoever has the same address is touched. A place is when it happened, when it took effect, and its number.
    """
    if channel not in ADDRESS_KEY or not watched(connection, [name]):
        return
    other = customer.alias("other_customer")
    for id_, (happened_at, at, seq) in owners.items():
        mine = select(address_key(channel)).where(customer.c.id == id_).scalar_subquery()
        same = select(other.c.id).where(or_(other.c.id == id_, other.c[ADDRESS_KEY[channel]] == mine))
        connection.execute(_of(same, name, happened_at, at, seq))


def _of(ids: Select[Any], name: str, happened_at: datetime, at: datetime, seq: int) -> Insert:
    place = (literal(happened_at, Instant), literal(at, Instant), literal(seq, BigInteger))
    return bringing(_labelled(ids.add_columns(literal(name, Text), *place, literal(False, Boolean))))


def _labelled(query: Select[Any]) -> Select[Any]:
    named = query.subquery("found")
    return select(*(column.label(name) for column, name in zip(named.c, TOUCHED, strict=True)))


def bringing(query: Select[Any]) -> Insert:
    """Return what brings the touches of a query, with the columns `TOUCHED`, to the doors of the journeys that watch for them.

    Journeys that watch those inside hear of whoever is inside, and of whom something is pending by which they may be.
    """
    touched = query.subquery("touched")
    columns = (
        watch.c.journey_id,
        touched.c.customer_id,
        literal(ArrivalKind.touch.value),
        touched.c.happened_at,
        touched.c.at,
        touched.c.seq,
        touched.c.caused,
    )
    wants = or_(watch.c.inside.is_(False), _may_be_inside(touched.c.customer_id, touched.c.at))
    brought = (
        select(*columns).join_from(touched, watch, watch.c.name == touched.c.name).where(wants).distinct()
    )
    names = ["journey_id", "customer_id", "kind", "at", "effective_at", "seq", "caused"]
    return insert(arrival).from_select(names, brought, include_defaults=False)


def _may_be_inside(customer_id: ColumnElement[int], at: ColumnElement[Any]) -> ColumnElement[bool]:
    stays = exists().where(
        _stay.c.customer_id == customer_id,
        _stay.c.outcome == Outcome.inside.value,
        or_(_stay.c.journey_id == watch.c.journey_id, _stay.c.due_at <= at),
    )
    comes = exists().where(_pending.c.customer_id == customer_id, _pending.c.effective_at <= at)
    unseen = exists().where(_unseen.c.customer_id == customer_id, _unseen.c.routed_at.is_(None))
    return or_(stays, comes, unseen)


# --- what is watched ----------------------------------------------------------------------------------------

Watched = Mapping[tuple[int, str], bool]
"""By journey and name, whether it matters of those inside only."""


def watches(connection: Connection) -> dict[tuple[int, str], bool]:
    """Return what all journeys watch for."""
    return {(row.journey_id, row.name): row.inside for row in connection.execute(select(watch))}


def watch_for(connection: Connection, wanted: Watched, known: Watched) -> None:
    """Let journeys watch for what is `wanted` instead of what is `known`."""
    gone = [key for key, inside in known.items() if wanted.get(key) is not inside]
    for journey_id, name in gone:
        connection.execute(delete(watch).where(watch.c.journey_id == journey_id, watch.c.name == name))
    rows = [
        {"journey_id": journey_id, "name": name, "inside": inside}
        for (journey_id, name), inside in sorted(wanted.items())
        if known.get((journey_id, name)) is not inside
    ]
    dialect.insert_new(connection, watch, rows, ("journey_id", "name"), ("name",))
