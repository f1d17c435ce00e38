"""The sales pressure a customer bears, over all journeys: each marketing message is judged before it may go.

Quiet hours come first, then limits. What may go takes its place among what the limits allow (`reserved_at`), in
the transaction that queues it; anything else is held until it may be asked again, or refused. What a step queues has its
place from the start, so that most messages are written once; until it is judged, it does not count. The temporary table
`judged` has the messages that are judged together. Those of one mailbox are judged in turns, the highest priority
first, then the one due first, since each that gets a place leaves less room for the next; most have one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Insert,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from treue.cohorts.cohort import json_object
from treue.cohorts.scene import NOW, Statement
from treue.cohorts.trace import note
from treue.engine.pressure import limits, quiet_hours
from treue.language.pressure import Pressure
from treue.model.states import Decision, MessageState, Reason
from treue.model.tables import cohort, customer, judged, message
from treue.store.dialect import count_many, worked_out

LOCK = "limits"
"""Held while places are given away: on PostgreSQL two journeys would else take the last one at the same time."""

TURN = bindparam("this_turn", type_=Integer())
STEP = bindparam("this_step", type_=BigInteger())

HELD = (
    Reason.not_yet_reachable.value,
    Reason.quiet_hours.value,
    Reason.over_limit.value,
    Reason.lower_priority.value,
)
"""What a queued message may be held for."""


_STOPPED = select(judged.c.message_id).where(judged.c.reason.is_not(None))
"""Those that may not go, looked up by their numbers: SQLite else goes through all messages to find them."""

_mine = judged.alias("mine")
_CLEAR, _LAST_TURN, _SHARING = delete(judged), select(func.max(judged.c.turn)), limits.sharing()


def candidates(against: ColumnElement[Any]) -> Select[Any]:
    """Return what must be known of messages to judge them; `against` is a reason to refuse them anyway, or NULL."""
    return select(
        message.c.id,
        message.c.customer_id,
        message.c.channel,
        message.c.priority,
        message.c.due_at,
        message.c.send_by,
        message.c.reserved_at,
        customer.c.timezone,
        customer.c.draw,
        func.coalesce(customer.c.email_key, customer.c.phone, customer.c.key).label("mailbox"),
        against.label("against"),
    ).where(
        message.c.state == MessageState.queued.value,
        or_(message.c.reason.is_(None), message.c.reason != Reason.not_yet_reachable.value),
        message.c.category != "transactional",
        message.c.ready_at <= NOW,
    )


@dataclass(frozen=True)
class Judge:
    """A workspace's rules, and the statements they become on one database."""

    rules: Pressure
    dialect: str
    zone: str
    salt: str

    def queued(self, channels: Collection[str]) -> Statement:
        """Return what gathers what a send step (`:step`) has just queued for its cohort, on some of its channels."""
        silenced = tuple(sorted(self.rules.quiet_hours.keys() & set(channels)))
        if silenced not in self._gathering:
            self._gathering[silenced] = self._queued(silenced)
        return self._gathering[silenced]

    @cached_property
    def _gathering(self) -> dict[tuple[str, ...], Statement]:
        return {}

    def _queued(self, silenced: Collection[str]) -> Statement:
        mine = select(cohort.c.enrollment_id).where(cohort.c.note.is_(None))
        known = message.join(customer, customer.c.id == message.c.customer_id)
        new = (message.c.enrollment_id.in_(mine), message.c.step_id == STEP, message.c.queued_at == NOW)
        query = candidates(cast(null(), Text)).select_from(known).where(*new)
        return self._gather(query, silenced, all_of_them=True)

    def gather(self, query: Select[Any]) -> Statement:
        """Return the statement that puts `candidates` before the judge, each with its turn.

        Those with something against them or in quiet hours need no turn. A message that has its place already is
        passed over unless there is something against it.
        """
        return self._gather(query, self.rules.quiet_hours)

    def _gather(
        self, query: Select[Any], silenced: Collection[str], *, all_of_them: bool = False
    ) -> Statement:
        """Return `gather` for messages that meet quiet hours on no channels but these; `all_of_them` with or without a place."""
        hours = {channel: hours for channel, hours in self.rules.quiet_hours.items() if channel in silenced}
        asked = quiet_hours.asked(query.subquery("waiting"), hours, self.zone, self.salt)
        reason = case(
            (asked.c.against.is_not(None), asked.c.against),
            (or_(asked.c.send_by < NOW, asked.c.quiet_until > asked.c.send_by), Reason.stale.value),
            (asked.c.quiet_until.is_not(None), Reason.quiet_hours.value),
            else_=cast(null(), Text),
        )
        found = worked_out(select(asked, reason.label("reason")), "found")
        released = case((found.c.released > found.c.send_by, found.c.send_by), else_=found.c.released)
        refused = found.c.reason.is_not(None) & (found.c.reason != literal(Reason.quiet_hours.value, Text))
        turn = case((found.c.reason.is_(None), self._turn(found)), else_=0)
        rows = select(found.c.id, found.c.customer_id, turn, found.c.reason, refused, released)
        wanted = (
            rows
            if all_of_them
            else rows.where(or_(found.c.reason.is_not(None), found.c.reserved_at.is_(None)))
        )
        columns = ["message_id", "customer_id", "turn", "reason", "refused", "until"]
        into = insert(judged).from_select(columns, wanted).execution_options(preserve_rowcount=True)
        return Statement("whose messages are judged; quiet hours", into)

    def _turn(self, found: Any) -> ColumnElement[Any]:
        if not self.rules.limits:
            return literal(1)
        order = (found.c.priority.desc(), found.c.due_at, found.c.id)
        return func.row_number().over(partition_by=(found.c.mailbox, found.c.reason), order_by=order)

    def turns(self, *, queued: bool, shared: bool) -> tuple[Statement, ...]:
        """Return what is done for each turn: weigh against the limits, and give the others their places.

        What a step has just `queued` has its place. `shared` says that some have an address that others have as well: what
        went there counts, too.
        """
        if (queued, shared) not in self._turns:
            self._turns[queued, shared] = self._in_turn(queued, shared)
        return self._turns[queued, shared]

    @cached_property
    def _turns(self) -> dict[tuple[bool, bool], tuple[Statement, ...]]:
        return {}

    def _in_turn(self, queued: bool, shared: bool) -> tuple[Statement, ...]:
        if queued:
            waits = or_(_mine.c.turn >= TURN, _mine.c.reason.is_not(None))
            unjudged = exists().where(_mine.c.message_id == limits.OTHER.c.id, waits)
            return self._weighing(~unjudged, shared)
        free = select(judged.c.message_id).where(judged.c.turn == TURN, judged.c.reason.is_(None))
        place = (
            update(message)
            .values(reserved_at=NOW, reason=None)
            .where(message.c.id.in_(free), message.c.state == MessageState.queued.value)
        )
        return (*self._weighing(true(), shared), Statement("give the others their places", place))

    def _weighing(self, counted: ColumnElement[bool], shared: bool) -> tuple[Statement, ...]:
        if not self.rules.limits:
            return ()
        which = judged.c.turn == TURN
        found = limits.weighed(self.rules.limits, which, counted, shared=shared).subquery("found")
        names = ("rule", "had", "reason", "until", "refused")
        over = (
            update(judged)
            .values({name: found.c[name] for name in names})
            .where(judged.c.message_id == found.c.id)
        )
        return (Statement("weigh against the limits", over),)

    @cached_property
    def verdict(self) -> tuple[Statement, ...]:
        """What is done at the end: hold or refuse those that may not go, and note why."""
        keep = (
            update(message)
            .values(
                state=case((judged.c.refused, MessageState.refused.value), else_=MessageState.queued.value),
                reason=judged.c.reason,
                ready_at=case((judged.c.refused, message.c.ready_at), else_=judged.c.until),
                reserved_at=None,
            )
            .where(
                message.c.id == judged.c.message_id,
                message.c.id.in_(_STOPPED),
                message.c.state == MessageState.queued.value,
            )
        )
        return Statement("hold or refuse those that may not go", keep), Statement("note why", self._note())

    def _note(self) -> Insert:
        what = {"message": message.c.id, "channel": message.c.channel, "template": message.c.template}
        until = {"until": type_coerce(judged.c.until, BigInteger)}
        words = (
            case({n: str(limit) for n, limit in enumerate(self.rules.limits)}, value=judged.c.rule)
            if self.rules.limits
            else cast(null(), Text)
        )
        pressed = {"had": judged.c.had, "limit": words}
        detail = case(
            (judged.c.refused & judged.c.rule.is_(None), json_object(self.dialect, **what)),
            (judged.c.refused, json_object(self.dialect, **what, **pressed)),
            (judged.c.rule.is_(None), json_object(self.dialect, **what, **until)),
            else_=json_object(self.dialect, **what, **until, **pressed),
        )
        return note(
            customer=message.c.customer_id,
            journey=message.c.journey_id,
            enrollment=message.c.enrollment_id,
            step=message.c.step_id,
            at=NOW,
            decision=case((judged.c.refused, Decision.refused.value), else_=Decision.held.value),
            reason=judged.c.reason,
            detail=detail,
            of=message.join(judged, judged.c.message_id == message.c.id),
            where=(message.c.id.in_(_STOPPED), message.c.reason == judged.c.reason),
            order_by=(message.c.id,),
        )

    def shown(self, channels: Collection[str]) -> Iterator[Statement]:
        """Yield what judging a send step's messages takes, in order, for `treue compile`."""
        yield from (self.queued(channels), *self.turns(queued=True, shared=False), *self.verdict)


def judge_queued(
    connection: Connection, by: Judge, channels: Collection[str], step_id: int | None, now: datetime
) -> int:
    """Judge what a send step has just queued for its cohort on some of its channels; return how many messages that were."""
    values = {"now": now, "this_step": step_id}
    return _judge(connection, by, by.queued(channels), values, queued=True)


def judge_held(connection: Connection, by: Judge, gathered: Statement, now: datetime) -> int:
    """Judge what a statement gathers, inside the caller's transaction; return how many messages that were."""
    return _judge(connection, by, gathered, {"now": now}, queued=False)


def _judge(
    connection: Connection, by: Judge, gathered: Statement, values: dict[str, Any], *, queued: bool
) -> int:
    connection.execute(_CLEAR)
    number: int = connection.execute(gathered.sql, values).rowcount
    if not number:
        return 0
    count_many(connection, judged, number)
    shared = bool(by.rules.limits) and bool(connection.scalar(_SHARING))
    turns = by.turns(queued=queued, shared=shared)
    for turn in range(1, (connection.scalar(_LAST_TURN) or 0) + 1) if turns else ():
        for statement in turns:
            connection.execute(statement.sql, {**values, "this_turn": turn})
    if connection.scalar(_STOPPED.limit(1)) is not None:
        for statement in by.verdict:
            connection.execute(statement.sql, values)
    return number
