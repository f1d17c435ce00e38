"""Limits in SQL: which limits a message would break now, which of them decides, and when it leaves room again.

A limit counts what went to the customer or, under whichever record, to an address of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)

from treue.cohorts.local_time import absolute
from treue.cohorts.scene import MICROS
from treue.language.pressure import Limit
from treue.model.states import ADDRESS_KEY, MessageState, Reason
from treue.model.tables import customer, judged, message
from treue.model.types import Instant
from treue.store.dialect import worked_out

TAKEN = tuple(
    state.value
    for state in (MessageState.queued, MessageState.claimed, MessageState.sent, MessageState.in_doubt)
)
"""The states of messages whose place counts; what was refused or failed has given it back."""

_SHARED = {channel: ADDRESS_KEY[channel] for channel in ("email", "sms")}
"""The channels whose addresses several customers may have: a push token belongs to one."""

OTHER = message.alias("other")
"""Another message to the same customer, or mailbox, that has a place."""

_me, _mate = customer.alias("me"), customer.alias("mate")


def sharing() -> Select[Any]:
    """Return a query for anybody of `judged` whose address another customer has as well."""
    mine = select(literal(1)).select_from(judged).join(_me, _me.c.id == judged.c.customer_id)
    found = [mine.join(_mate, _same(key)) for key in _SHARED.values()]
    return select(exists(found[0]) | exists(found[1]))


def _same(key: str) -> ColumnElement[bool]:
    return and_(_mate.c[key] == _me.c[key], _mate.c.id != _me.c.id)


def weighed(
    limits: Sequence[Limit], which: ColumnElement[bool], counted: ColumnElement[bool], *, shared: bool = False
) -> Select[Any]:
    """Return for those of `judged` that break a limit: which one decides, how many it counts, until when, and why.

    `counted` says which places of others (`OTHER`) count, `shared` that some have an address that others have as well. A
    limit that drops decides before one that postpones; of these, the one that leaves room last.
    """
    rooms = select(
        message.c.id,
        message.c.customer_id,
        message.c.priority,
        message.c.send_by,
        *(_room(limit, counted, shared).label(f"room_{n}") for n, limit in enumerate(limits)),
    )
    asked = worked_out(rooms.join(judged, judged.c.message_id == message.c.id).where(which), "rooms")
    over = worked_out(select(asked, _deciding(asked, limits).label("rule")), "over")
    numbers = range(len(limits))
    until = case({n: over.c[f"room_{n}"] for n in numbers}, value=over.c.rule)
    had = {n: _count(over, limits[n], counted, shared) for n in numbers}
    before = {n: _before(over, limits[n], counted, shared) for n in numbers}
    drops = [n for n, limit in enumerate(limits) if limit.when_over == "drop"]
    return select(
        over.c.id,
        over.c.rule,
        case(had, value=over.c.rule).label("had"),
        type_coerce(until, Instant).label("until"),
        case(
            (case(before, value=over.c.rule), Reason.lower_priority.value), else_=Reason.over_limit.value
        ).label("reason"),
        (over.c.rule.in_(drops) | (until > type_coerce(over.c.send_by, BigInteger))).label("refused"),
    ).where(over.c.rule.is_not(None))


def _room(limit: Limit, counted: ColumnElement[bool], shared: bool) -> ColumnElement[Any]:
    """Return when a limit leaves room for a message again: when the oldest too many has left the window; NULL is now."""
    taken = _window(message, limit, counted, shared, type_coerce(OTHER.c.reserved_at, BigInteger))
    oldest = taken.order_by(OTHER.c.reserved_at.desc()).limit(1).offset(limit.at_most - 1).scalar_subquery()
    room = oldest + literal(absolute(limit.per), BigInteger)
    about = [
        message.c[name] == getattr(limit, name) for name in ("channel", "category") if getattr(limit, name)
    ]
    return case((and_(*about), room)) if about else room


def _deciding(asked: Any, limits: Sequence[Limit]) -> ColumnElement[Any]:
    rooms = [asked.c[f"room_{n}"] for n in range(len(limits))]
    drops = [(rooms[n].is_not(None), n) for n, limit in enumerate(limits) if limit.when_over == "drop"]
    last = [
        (
            and_(
                room.is_not(None), *(room >= func.coalesce(other, 0) for other in rooms if other is not room)
            ),
            n,
        )
        for n, room in enumerate(rooms)
    ]
    return case(*drops, *last)


def _window(
    asked: Any, limit: Limit, counted: ColumnElement[bool], shared: bool, *columns: Any
) -> Select[Any]:
    """Return the customer's messages that a limit counts now; later places (of a clock put back) count as well."""
    begin = MICROS - literal(absolute(limit.per), BigInteger)
    if shared:
        kin = _kin(asked).subquery("kin")
        went_there = or_(kin.c.by.is_(None), kin.c.by == OTHER.c.channel)
        query = select(*columns).select_from(
            kin.join(OTHER, and_(OTHER.c.customer_id == kin.c.customer_id, went_there))
        )
    else:
        query = select(*columns).where(OTHER.c.customer_id == asked.c.customer_id)
    query = query.where(
        type_coerce(OTHER.c.reserved_at, BigInteger) > begin,
        OTHER.c.state.in_(TAKEN),
        counted,
    )
    for name in ("channel", "category"):
        if wanted := getattr(limit, name):
            query = query.where(OTHER.c[name] == wanted)
    return query


def _kin(asked: Any) -> CompoundSelect[Any]:
    """Return the customer, and by which channel's address who else: the messages `by` that channel count."""
    own = select(asked.c.customer_id.label("customer_id"), cast(null(), Text).label("by"))
    others = [
        select(_mate.c.id, literal(channel, Text))
        .join(_me, _same(key))
        .where(_me.c.id == asked.c.customer_id)
        .correlate(asked)
        for channel, key in _SHARED.items()
    ]
    return union_all(own.correlate(asked), *others)


def _count(over: Any, limit: Limit, counted: ColumnElement[bool], shared: bool) -> ColumnElement[Any]:
    return _window(over, limit, counted, shared, func.count()).scalar_subquery()


def _before(over: Any, limit: Limit, counted: ColumnElement[bool], shared: bool) -> ColumnElement[Any]:
    return exists(_window(over, limit, counted, shared, true()).where(OTHER.c.priority > over.c.priority))
