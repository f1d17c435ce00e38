"""The held messages of a journey, judged again when their time has come; the others, whether it is quiet by now.

Done before anything new of the journey is queued, so that who came first goes first, and before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, or_, select

from treue.cohorts.scene import NOW
from treue.cohorts.standing import Standing
from treue.engine.pressure.judge import LOCK, Judge, candidates, judge_held
from treue.model.states import ADDRESS, MessageState, Outcome, Reason
from treue.model.tables import customer, enrollment, judged, message
from treue.store import dialect
from treue.store.store import Store

CUSTOMERS_A_BATCH = 2_000


@dataclass
class Released:
    """How many messages are held again, and how many were refused by reason."""

    held: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def count(self, connection: Connection) -> None:
        """Add what was judged just now."""
        query = select(judged.c.reason, judged.c.refused, func.count()).where(judged.c.reason.is_not(None))
        for reason, refused, number in connection.execute(query.group_by(judged.c.reason, judged.c.refused)):
            if refused:
                self.refused[reason] = self.refused.get(reason, 0) + number
            else:
                self.held += number


def release(store: Store, by: Judge, journey_id: int, now: datetime) -> Released:
    """Judge the messages of a journey that are ready, customers by customers; return what became of them.

    The held ones get their places, are held again or refused. Of those that have a place already, only the ones
    that meet quiet hours are held, and give it back.
    """
    released, last = Released(), 0
    while customers := _next(store, by, journey_id, now, last):
        with store.transaction() as connection:
            store.lock(connection, LOCK)
            gathered = by.gather(_ready(connection, by, journey_id, customers))
            if judge_held(connection, by, gathered, now):
                released.count(connection)
        last = customers[-1]
    return released


def _next(store: Store, by: Judge, journey_id: int, now: datetime, after: int) -> list[int]:
    """Return the next customers who have messages to be judged."""
    values = {"now": now, "which": journey_id, "after": after}
    with store.reading() as connection:
        return list(connection.scalars(_customers(_quiet(by)), values))


@lru_cache(maxsize=64)
def _customers(quiet: tuple[str, ...]) -> Select[Any]:
    """Return the query for the next customers, of the journey `which` and numbered above `after`."""
    return (
        select(message.c.customer_id)
        .where(
            message.c.state == MessageState.queued.value,
            message.c.ready_at <= NOW,
            message.c.journey_id == bindparam("which"),
            message.c.customer_id > bindparam("after"),
            _concerned(quiet),
        )
        .distinct()
        .order_by(message.c.customer_id)
        .limit(CUSTOMERS_A_BATCH)
    )


def _quiet(by: Judge) -> tuple[str, ...]:
    return tuple(sorted(by.rules.quiet_hours))


def _concerned(quiet: Sequence[str]) -> Any:
    """Return whether a message has no place yet, or goes by a channel that has quiet hours."""
    silenced = message.c.channel.in_(quiet)
    return and_(message.c.category != "transactional", or_(message.c.reserved_at.is_(None), silenced))


def _ready(connection: Connection, by: Judge, journey_id: int, customers: Sequence[int]) -> Select[Any]:
    """Return the candidates, with what speaks against sending to them by now: who is not sent to takes no place."""
    address = case({kind: customer.c[column] for kind, column in ADDRESS.items()}, value=message.c.channel)
    standing = Standing()
    left = enrollment.c.outcome.in_((Outcome.exited.value, Outcome.converted.value))
    basis = func.coalesce(message.c.basis, "consent")
    against = case(
        (left, Reason.left_before_send.value),
        else_=standing.refusal(message.c.category, basis, address),
    )
    source = message.join(customer, customer.c.id == message.c.customer_id).join(
        enrollment, enrollment.c.id == message.c.enrollment_id
    )
    mine = dialect.among(connection, message.c.customer_id, customers)
    query = candidates(against).select_from(standing.joined(source, message.c.channel))
    return query.where(message.c.journey_id == journey_id, mine, _concerned(_quiet(by)))
