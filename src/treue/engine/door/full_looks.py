"""Full looks: a segment that a journey watches, asked of everybody, some thousand customers at a time.

The first one tells who was in it when the journey went live; these were there before, and joining lets in from then on.
Later ones compare: what they find to be otherwise than was kept was missed, or is what nothing could have told of.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from treue.clock import TICK
from treue.cohorts.hindsight import everybody, in_their_time
from treue.cohorts.scene import NOW
from treue.engine.door.looks import put_expiries
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import CREATED, watching
from treue.model.states import ArrivalKind
from treue.model.tables import arrival, change, cohort, customer, event, journey, membership
from treue.segments.sql import Moment, branches
from treue.segments.tree import Condition
from treue.store.dialect import count_many
from treue.store.store import Store

AT_A_TIME = 50_000
"""How many customers one transaction looks at."""

_WHICH, _LOW, _HIGH = (bindparam(name, type_=BigInteger()) for name in ("which", "low", "high"))


def portion(connection: Connection, after: int) -> tuple[int, bool]:
    """Return the number of the last customer of the portion that follows one, and whether it is the last of all."""
    ids = select(customer.c.id).where(customer.c.id > after).order_by(customer.c.id).offset(AT_A_TIME - 1)
    last: int | None = connection.scalar(ids.limit(1))
    if last is not None:
        return last, False
    return connection.scalar(select(func.max(customer.c.id))) or 0, True


def first_look(store: Store, version: Version, zone: str, seconds: float) -> None:
    """Find out who was in a version's segment when the journey went live, and until when that stands."""
    assert version.live_since is not None
    before = version.live_since - TICK  # as events do, what takes effect at that very instant counts
    after, over = 0, False
    while not over:
        with store.transaction() as connection:
            store.lock(connection, f"journey {version.journey_id}")
            until, over = portion(connection, after)
            with (
                store.limited(connection, seconds),
                in_their_time(connection, everybody(before, which=_of_portion(after, until))),
            ):
                _gather(connection, version, Moment(before, zone), after, until)
            for statement in (_REMEMBER, _expiring(connection.dialect.name)):
                connection.execute(statement, {"which": version.journey_id})
            if over:
                since = update(journey).where(journey.c.id == version.journey_id)
                connection.execute(since.values(sensed_at=version.live_since))
            after = until


def compare(connection: Connection, version: Version, now: datetime, zone: str, low: int, high: int) -> int:
    """Look at a portion of customers as of now, and let in and forget who has joined and left; return how many have.

    Of whom something is pending, it is not known yet.
    """
    _gather(connection, version, Moment(now, zone), low, high)
    connection.execute(_LEAVE_OUT, {"which": version.journey_id, "now": now})
    values = {"which": version.journey_id, "now": now, "low": low, "high": high}
    found = sum(connection.execute(statement, values).rowcount for statement in (_CALL, _FORGET))
    connection.execute(_REMEMBER, values)
    connection.execute(_expiring(connection.dialect.name), values)
    return found


def _of_portion(low: int, high: int) -> ColumnElement[bool]:
    return and_(change.c.customer_id > low, change.c.customer_id <= high)


def _gather(connection: Connection, version: Version, moment: Moment, low: int, high: int) -> None:
    """Fill the cohort with those of a portion who are in the segment (`branch` 0) or whose answer expires (`deadline_at`).

    They have no stay here, so `enrollment_id` holds the customer's number, too. They are asked once they have been counted:
    databases plan for a handful of customers else.
    """
    condition = watching(version).joined
    assert condition is not None
    connection.execute(delete(cohort))
    known = connection.execute(_TAKE, {"now": moment.now, "low": low, "high": high})
    count_many(connection, cohort, known.rowcount)
    make = partial(_asking, condition, connection.dialect.name)
    statement, values = version.kept.asking("full look", [condition], moment, make)
    connection.execute(statement, values)
    connection.execute(_DROP)


_later = exists().where(
    event.c.name == CREATED, event.c.customer_id == customer.c.id, event.c.effective_at > NOW
)
_TAKE = (
    insert(cohort)
    .from_select(
        ["enrollment_id", "customer_id"],
        select(customer.c.id, customer.c.id).where(customer.c.id > _LOW, customer.c.id <= _HIGH, ~_later),
    )
    .execution_options(preserve_rowcount=True)
)
_DROP = delete(cohort).where(cohort.c.branch.is_(None), cohort.c.deadline_at.is_(None))


def _asking(condition: Condition, name: str, moment: Moment) -> Executable:
    asked = select(cohort.c.customer_id).subquery("asked")
    found = branches([condition], moment, name, asked, standing=True).subquery("found")
    answer = {"branch": found.c.branch, "deadline_at": found.c.stands_until}
    return update(cohort).values(answer).where(cohort.c.customer_id == found.c.customer_id)


def _is_pending(customer_id: ColumnElement[int]) -> ColumnElement[bool]:
    comes = exists().where(
        arrival.c.journey_id == _WHICH, arrival.c.customer_id == customer_id, arrival.c.effective_at <= NOW
    )
    return or_(comes, exists().where(event.c.customer_id == customer_id, event.c.routed_at.is_(None)))


_IN = cohort.c.branch.is_not(None)
_KNOWN = exists().where(membership.c.journey_id == _WHICH, membership.c.customer_id == cohort.c.customer_id)
_REMEMBER = insert(membership).from_select(
    ["journey_id", "customer_id"], select(_WHICH, cohort.c.customer_id).where(_IN, ~_KNOWN)
)
_CALL = (
    insert(arrival)
    .from_select(
        ["journey_id", "customer_id", "kind", "at", "effective_at"],
        select(_WHICH, cohort.c.customer_id, literal(ArrivalKind.segment.value), NOW, NOW).where(
            _IN, ~_KNOWN
        ),
    )
    .execution_options(preserve_rowcount=True)
)
_FORGET = (
    delete(membership)
    .where(
        membership.c.journey_id == _WHICH,
        membership.c.customer_id > _LOW,
        membership.c.customer_id <= _HIGH,
        membership.c.customer_id.not_in(select(cohort.c.customer_id).where(_IN)),
        ~_is_pending(membership.c.customer_id),
    )
    .execution_options(preserve_rowcount=True)
)
_LEAVE_OUT = delete(cohort).where(_is_pending(cohort.c.customer_id))


def _expiring(dialect: str) -> Executable:
    at = cohort.c.deadline_at
    found = select(_WHICH, cohort.c.customer_id, literal(ArrivalKind.expiry.value), at, at).where(
        at.is_not(None)
    )
    return put_expiries(dialect, found)
