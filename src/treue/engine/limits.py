"""Limits in SQL: which limits a message would break now, which of them decides, and when it leaves room again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    select,
    true,
    type_coerce,
)

from treue.engine.local_time import absolute
from treue.engine.statements import MICROS
from treue.language.pressure import Limit
from treue.model.states import MessageState, Reason
from treue.model.tables import judged, message
from treue.model.types import Instant
from treue.store.dialect import worked_out

TAKEN = tuple(
    state.value
    for state in (MessageState.queued, MessageState.claimed, MessageState.sent, MessageState.in_doubt)
)
"""The states of messages whose place counts; what was refused or failed has given it back."""

_other = message.alias("other")


def weighed(limits: Sequence[Limit], which: ColumnElement[bool]) -> Select[Any]:
    """Return for those of `judged` that break a limit: which one decides, how many it counts, until when, and why.

    A limit that drops decides before one that postpones; of these, the one that leaves room last.
    """
    rooms = select(
        message.c.id,
        message.c.customer_id,
        message.c.priority,
        message.c.send_by,
        *(_room(limit).label(f"room_{n}") for n, limit in enumerate(limits)),
    )
    asked = worked_out(rooms.join(judged, judged.c.message_id == message.c.id).where(which), "rooms")
    over = worked_out(select(asked, _deciding(asked, limits).label("rule")), "over")
    numbers = range(len(limits))
    until = case({n: over.c[f"room_{n}"] for n in numbers}, value=over.c.rule)
    counted = {n: _count(over, limits[n]) for n in numbers}
    before = {n: _before(over, limits[n]) for n in numbers}
    drops = [n for n, limit in enumerate(limits) if limit.when_over == "drop"]
    return select(
        over.c.id,
        over.c.rule,
        case(counted, value=over.c.rule).label("had"),
        type_coerce(until, Instant).label("until"),
        case(
            (case(before, value=over.c.rule), Reason.lower_priority.value), else_=Reason.over_limit.value
        ).label("reason"),
        (over.c.rule.in_(drops) | (until > type_coerce(over.c.send_by, BigInteger))).label("refused"),
    ).where(over.c.rule.is_not(None))


def _room(limit: Limit) -> ColumnElement[Any]:
    """Return when a limit leaves room for a message again: when the oldest too many has left the window; NULL is now."""
    taken = _window(message, limit, type_coerce(_other.c.reserved_at, BigInteger))
    oldest = taken.order_by(_other.c.reserved_at.desc()).limit(1).offset(limit.at_most - 1).scalar_subquery()
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


def _window(asked: Any, limit: Limit, *columns: Any) -> Select[Any]:
    """Return the customer's messages that a limit counts now; later places (of a clock put back) count as well."""
    begin = MICROS - literal(absolute(limit.per), BigInteger)
    query = select(*columns).where(
        _other.c.customer_id == asked.c.customer_id,
        type_coerce(_other.c.reserved_at, BigInteger) > begin,
        _other.c.state.in_(TAKEN),
    )
    for name in ("channel", "category"):
        if wanted := getattr(limit, name):
            query = query.where(_other.c[name] == wanted)
    return query


def _count(over: Any, limit: Limit) -> ColumnElement[Any]:
    return _window(over, limit, func.count()).scalar_subquery()


def _before(over: Any, limit: Limit) -> ColumnElement[Any]:
    return exists(_window(over, limit, true()).where(_other.c.priority > over.c.priority))
