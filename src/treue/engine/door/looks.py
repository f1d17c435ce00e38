"""Looks: the conditions that a journey watches, asked of callers whom something has touched, or whose answer expires.

Each is asked as of the instant and the place of what touched it, in turn with all else of that customer. Who has come into
the segment goes on as an arrival of kind `segment`; who has a reason to leave leaves; and until when the answers stand is
kept as an arrival of kind `expiry`, the one that a customer has at a journey's door.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from treue.clock import TICK
from treue.cohorts.scene import BEFORE
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.model.states import ArrivalKind, Outcome
from treue.model.tables import LAST, arrival, caller, enrollment, event, looked, membership
from treue.model.types import Instant
from treue.segments.sql import Moment, branches
from treue.segments.standing import end_of_stretch
from treue.segments.tree import Condition

_TOUCHING = (ArrivalKind.touch.value, ArrivalKind.expiry.value)
_BY_EVENT = (ArrivalKind.event.value, ArrivalKind.known.value)

_FROM_OUTSIDE = and_(caller.c.seq < LAST, caller.c.caused.is_(False))
"""Whether what brought a caller came from outside: of its instant, it sees what came before it."""

_WHICH = bindparam("which", type_=BigInteger())
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_LOOKS = caller.c.looks.is_(True)
_ENTERS = caller.c.verdict == "enter"
_IS_IN = exists().where(membership.c.journey_id == _WHICH, membership.c.customer_id == caller.c.customer_id)


def mark(connection: Connection, versions: Sequence[Version], errands: Collection[str | None]) -> bool:
    """Mark the callers who are looked at: by what they came for. Say whether there may be any."""
    names = frozenset[str]().union(*(_names(version) for version in versions))
    if not watched(versions) or not {*errands} & {*_TOUCHING, *names}:
        return False
    said = exists().where(event.c.id == caller.c.event_id, event.c.name.in_(sorted(names)))
    by_event = and_(caller.c.kind.in_(_BY_EVENT), said)
    connection.execute(update(caller).values(looks=or_(caller.c.kind.in_(_TOUCHING), by_event)))
    return True


def watched(versions: Sequence[Version]) -> bool:
    """Whether any of the versions watches a condition."""
    return any(watching(one).exits or (one.live and watching(one).joined is not None) for one in versions)


def _names(version: Version) -> frozenset[str]:
    one = watching(version)
    return one.exit_events | one.entry_events if version.live else one.exit_events


# --- who has a reason to leave ------------------------------------------------------------------------------


def look_at_stays(
    connection: Connection, version: Version, moment: Moment, *, entering: bool = False
) -> bool:
    """Ask the stays of those who are looked at, or of those `entering`, for reasons to leave, into `looked`.

    Say whether there was anything to ask.
    """
    one = watching(version)
    if not one.exits or (entering and not one.exits_expire):
        return False
    connection.execute(delete(looked))
    who = _ENTERS if entering else _LOOKS
    make = partial(_asking_stays, version, one.reasons, connection.dialect.name, who)
    _in_stretches(connection, version, ("look at stays", entering), one.reasons, moment, who, make)
    return True


def _asking_stays(
    version: Version,
    reasons: Sequence[Condition],
    dialect: str,
    who: ColumnElement[bool],
    then: Moment,
) -> Executable:
    asked = (
        select(
            enrollment.c.id.label("enrollment_id"),
            enrollment.c.customer_id,
            enrollment.c.event_id,
            enrollment.c.entered_at,
            caller.c.effective_at.label("at"),
            caller.c.effective_at,
            enrollment.c.effective_at.label("entered_effective_at"),
            enrollment.c.seq.label("entered_seq"),
            *sight(),
        )
        .join(caller, caller.c.customer_id == enrollment.c.customer_id)
        .where(
            enrollment.c.journey_id == version.journey_id,
            enrollment.c.version_id == version.version_id,
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.effective_at <= caller.c.effective_at,
            *_these(who),
        )
        .subquery("asked")
    )
    found = branches(reasons, then, dialect, asked, standing=True).subquery("found")
    columns = [column.name for column in looked.c]
    return insert(looked).from_select(columns, select(*(found.c[name] for name in columns)))


def keep_earliest(connection: Connection) -> None:
    """Keep with each caller when the first of the answers that were asked about her stays expires."""
    connection.execute(_EARLIEST)


_FIRST = (
    select(func.min(looked.c.stands_until, type_=Instant()))
    .where(looked.c.customer_id == caller.c.customer_id, looked.c.branch.is_(None))
    .scalar_subquery()
)
_EARLIEST = update(caller).values(
    stands_until=case(
        (caller.c.stands_until < _FIRST, caller.c.stands_until),
        else_=func.coalesce(_FIRST, caller.c.stands_until),
    )
)


# --- who has joined -----------------------------------------------------------------------------------------


def look_at_segment(connection: Connection, version: Version, moment: Moment) -> bool:
    """Ask who of those looked at is in the segment that lets in; say whether anybody has joined it.

    Those ask to enter; what lies before the journey went live starts nobody.
    """
    condition = watching(version).joined
    if condition is None or not version.live:
        return False
    make = partial(_asking_callers, version, condition, connection.dialect.name)
    _in_stretches(connection, version, "look", [condition], moment, _LOOKS, make)
    values = {"which": version.journey_id}
    joined = connection.execute(_JOIN, values).rowcount
    for statement in version.kept.of("remember", lambda: [_remembering(connection.dialect.name), _FORGET]):
        connection.execute(statement, values)
    return joined > 0


def _asking_callers(version: Version, condition: Condition, dialect: str, then: Moment) -> Executable:
    since = literal(version.live_since, Instant)
    asked = (
        select(
            caller.c.arrival_id,
            caller.c.customer_id,
            caller.c.effective_at.label("at"),
            caller.c.effective_at,
            *sight(),
        )
        .where(caller.c.effective_at >= since, *_these(_LOOKS))
        .subquery("asked")
    )
    found = branches([condition], then, dialect, asked, standing=True).subquery("found")
    answer = {"holds": found.c.branch.is_not(None), "stands_until": found.c.stands_until}
    return update(caller).values(answer).where(caller.c.arrival_id == found.c.arrival_id)


_JOIN = (
    update(caller)
    .values(kind=ArrivalKind.segment.value, at=caller.c.effective_at, event_id=null())
    .where(caller.c.holds.is_(True), ~_IS_IN)
    .execution_options(preserve_rowcount=True)
)
_FORGET = delete(membership).where(
    membership.c.journey_id == _WHICH,
    membership.c.customer_id.in_(select(caller.c.customer_id).where(caller.c.holds.is_(False))),
)


def _remembering(dialect: str) -> Executable:
    into = postgresql.insert(membership) if dialect == "postgresql" else sqlite.insert(membership)
    members = select(_WHICH, caller.c.customer_id).where(caller.c.holds.is_(True))
    return into.from_select(["journey_id", "customer_id"], members).on_conflict_do_nothing()


# --- how long the answers stand -----------------------------------------------------------------------------


def keep_expiries(connection: Connection, journey_id: int) -> None:
    """Keep at the door when the answers expire: of who was looked at the new instant only, of others the earlier one."""
    values = {"which": journey_id}
    connection.execute(_DROP, values)
    connection.execute(_expiring(connection.dialect.name), values)


_DROP = delete(arrival).where(
    arrival.c.journey_id == _WHICH,
    arrival.c.kind == ArrivalKind.expiry.value,
    arrival.c.customer_id.in_(select(caller.c.customer_id).where(_LOOKS)),
)


def _expiring(dialect: str) -> Executable:
    at = caller.c.stands_until
    found = select(_WHICH, caller.c.customer_id, literal(ArrivalKind.expiry.value), at, at).where(
        at.is_not(None)
    )
    return put_expiries(dialect, found)


def put_expiries(dialect: str, found: Any) -> Executable:
    """Return what keeps expiries (journey, customer, kind, at, effective_at), each unless there is an earlier one."""
    into = postgresql.insert(arrival) if dialect == "postgresql" else sqlite.insert(arrival)
    statement = into.from_select(["journey_id", "customer_id", "kind", "at", "effective_at"], found)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["journey_id", "customer_id"],
        index_where=text("kind = 'expiry'"),
        set_={"at": new.at, "effective_at": new.effective_at},
        where=new.effective_at < arrival.c.effective_at,
    )


# --- one stretch of time after the other --------------------------------------------------------------------


def sight() -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the place up to which a caller sees what came from outside at its instant."""
    at = case((_FROM_OUTSIDE, caller.c.last_at), else_=caller.c.effective_at)
    seq = case((_FROM_OUTSIDE, caller.c.seq), else_=literal(LAST, BigInteger))
    return type_coerce(at, Instant).label("last_at"), seq.label("last_seq")


def _these(who: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    since = bindparam("since", type_=Instant())
    return who, caller.c.effective_at >= since, caller.c.effective_at < BEFORE


def _in_stretches(
    connection: Connection,
    version: Version,
    key: object,
    asked: Sequence[Condition],
    moment: Moment,
    who: ColumnElement[bool],
    make: Callable[[Moment], Executable],
) -> None:
    """Ask conditions of some callers, one statement for each stretch of times at which durations lead evenly far back."""
    for since, until in _stretches(connection, asked, moment, who):
        statement, values = version.kept.asking(key, asked, Moment(since, moment.zone), make)
        connection.execute(statement, {**values, "since": since, "until": until})


def _stretches(
    connection: Connection, asked: Sequence[Condition], moment: Moment, who: ColumnElement[bool]
) -> Iterator[tuple[datetime, datetime]]:
    since, end = _EVER, moment.now + TICK
    while since < end:
        first = select(func.min(caller.c.effective_at, type_=Instant())).where(
            who, caller.c.effective_at >= since
        )
        if (since := connection.scalar(first)) is None:
            return
        until = min(end_of_stretch(asked, moment.zone, since), end)
        yield since, until
        since = until
