"""The date trigger with hours: whose instant has come, so long before or after the one that an attribute names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Subquery,
    and_,
    cast,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from treue.clock import MICROSECONDS
from treue.cohorts.cohort import json_object
from treue.cohorts.local_time import micros_named, own_instant
from treue.cohorts.scene import Version
from treue.model.states import ArrivalKind
from treue.model.tables import arrival, change, customer
from treue.model.types import Instant
from treue.segments.typed import time_text
from treue.vocabulary.triggers.date.word import OnDate

ONE_MINUTE = timedelta(minutes=1)
LOOKED_AHEAD = timedelta(days=400)
"""When is looked again where nobody's instant is known."""


def bring(
    connection: Connection,
    version: Version,
    on: OnDate,
    after: datetime,
    until: datetime,
    whose: Subquery | None = None,
) -> None:
    """Create arrivals for the customers whose instant comes in a window, as known then; it names the occurrence.

    `whose` are those that it is about, each with the instant since when.
    """
    known = _known(connection, on, after)
    at = _moment(on, known.c.named)
    query = (
        select(
            literal(version.journey_id, BigInteger),
            known.c.customer_id,
            literal(ArrivalKind.date.value),
            at,
            time_text(known.c.named // literal(MICROSECONDS, BigInteger), connection.dialect.name),
            at,
        )
        .join(customer, customer.c.id == known.c.customer_id)
        .where(
            at > literal(after, Instant),
            at <= literal(until, Instant),
            customer.c.created_at <= at,
            or_(known.c.since.is_(None), known.c.since <= at),
            or_(known.c.until.is_(None), known.c.until > at),
        )
    )
    if whose is not None:
        query = query.join(whose, and_(whose.c.customer_id == customer.c.id, whose.c.since < at))
    columns = ["journey_id", "customer_id", "kind", "at", "detail", "effective_at"]
    connection.execute(insert(arrival).from_select(columns, query))


def next_beginning(looked: datetime) -> datetime:
    """Return when is looked again: each whole minute. What comes within it takes effect at its own instant all the same."""
    return looked.replace(second=0, microsecond=0) + ONE_MINUTE


def next_instant(connection: Connection, version: Version, on: OnDate, now: datetime) -> datetime:
    """Return the first instant after `now` at which anybody comes; where none is known, when to look again.

    What was found is kept with the version until it is past or customers have changed.
    """
    known = connection.execute(_CUSTOMERS).one()

    def look() -> tuple[Any, datetime, datetime]:
        at = _moment(on, own_instant(on.attribute, on.type, connection.dialect.name))
        query = select(func.min(at, type_=Instant())).select_from(customer)
        first = connection.scalar(query.where(at > literal(now, Instant), customer.c.created_at <= at))
        return known, now, first or now + LOOKED_AHEAD

    def is_good(found: tuple[Any, datetime, datetime]) -> bool:
        seen, since, first = found
        return seen == known and since <= now < first

    return version.kept.while_good("next instant", look, is_good)[-1]


_CUSTOMERS = select(func.count(), func.max(customer.c.updated_at)).select_from(customer)


def is_occurrence(on: OnDate, per: ColumnElement[str], dialect: str) -> ColumnElement[bool]:
    """Return whether a customer's attribute names the instant that a stay is for."""
    named = own_instant(on.attribute, on.type, dialect) // literal(MICROSECONDS, BigInteger)
    return time_text(named, dialect) == per


def _moment(on: OnDate, named: ColumnElement[Any]) -> ColumnElement[Any]:
    sign, length = (-1, on.before) if on.before else (1, on.after)
    assert length is not None
    return type_coerce(named + literal(sign * length.seconds * MICROSECONDS, BigInteger), Instant)


def _known(connection: Connection, on: OnDate, after: datetime) -> Subquery:
    """Return what instants customers' attribute has named after another one: each `since` when and `until` when.

    What it names today holds since its last change; what it named before each change held until that.
    """
    dialect = connection.dialect.name
    mine = and_(change.c.name == on.attribute, change.c.at > literal(after, Instant))
    last = (
        select(change.c.customer_id, func.max(change.c.at, type_=Instant()).label("since"))
        .where(mine)
        .group_by(change.c.customer_id)
        .subquery("last")
    )
    today = select(
        customer.c.id.label("customer_id"),
        own_instant(on.attribute, on.type, dialect).label("named"),
        last.c.since,
        type_coerce(cast(null(), BigInteger), Instant).label("until"),
    ).select_from(customer.outerjoin(last, last.c.customer_id == customer.c.id))
    order = (change.c.at, change.c.happened_at, change.c.seq, change.c.id)
    earlier = func.lag(change.c.at).over(partition_by=change.c.customer_id, order_by=order)
    before: ColumnElement[Any] = change.c.before
    document = json_object(
        dialect, **{on.attribute: cast(before, JSONB) if dialect == "postgresql" else func.json(before)}
    )
    past = select(
        change.c.customer_id,
        micros_named(document, on.attribute, on.type, dialect),
        type_coerce(earlier, Instant),
        change.c.at,
    ).where(mine)
    return union_all(today, past).subquery("known")
