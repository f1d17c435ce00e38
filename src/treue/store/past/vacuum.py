"""Deleting old rows: of each table those that are old and that nothing needs any more, with what stays of them kept first.

Numbers are chosen in one statement and everything else is done to these, so that all statements of a batch mean the same
rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    exists,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from treue.model.states import MessageState, Outcome
from treue.model.tables import (
    arrival,
    change,
    delivery_event,
    draw,
    enrollment,
    event,
    message,
    past_event,
    past_message,
    past_receipt,
    trace,
)
from treue.store import dialect, printed
from treue.store.events import CONSENT_EVENTS
from treue.store.past import sums
from treue.store.past.keys import identity_of
from treue.store.past.rules import SETTLED, Rules, none_of
from treue.store.past.sweep import Progress, Stretch, Walk, walk
from treue.store.store import Store

_TIMES = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "failed")


def vacuum(store: Store, rules: Rules, now: datetime, progress: Progress) -> Mapping[str, int]:
    """Delete what is old by some rules and needed by nothing; return how many rows of which table.

    May be killed and begun again at any time, beside passes and beside another one.
    """
    deleted: Counter[str] = Counter({one.table.name: 0 for one in WALKS})
    for one in WALKS:
        deleted.update(walk(store, one, rules, now, progress))
    return dict(deleted)


# --- the trace ----------------------------------------------------------------------------------------------


def _prune_trace(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete the whole trace of stays that are long over, and of those who were turned away."""
    cut = rules.cuts["trace"]
    nobodys = delete(trace).where(stretch.rows, trace.c.enrollment_id.is_(None), trace.c.at < cut)
    deleted = connection.execute(nobodys).rowcount
    query = (
        select(enrollment.c.id)
        .distinct()
        .join(trace, trace.c.enrollment_id == enrollment.c.id)
        .where(stretch.rows, rules.is_over(), enrollment.c.left_at < cut)
    )
    if stays := list(connection.scalars(query)):
        sums.count_trace(connection, stays)
        mine = dialect.among(connection, enrollment.c.id, stays)
        theirs = select(trace.c.id).join(enrollment, sums.is_of_stay()).where(mine)
        deleted += connection.execute(delete(trace).where(trace.c.id.in_(theirs))).rowcount
    return {trace.name: deleted}


# --- messages and what is heard of them ---------------------------------------------------------------------


def _prune_receipts(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete what providers told, but of messages whose fate is still open."""
    open_ = exists(
        select(message.c.id).where(
            message.c.id == delivery_event.c.message_id, message.c.state.not_in(SETTLED)
        )
    )
    which = and_(stretch.rows, delivery_event.c.received_at < rules.cuts["receipts"], ~open_)
    return {delivery_event.name: _delete_receipts(connection, which)}


def _delete_receipts(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete receipts and keep their keys."""
    ids = list(connection.scalars(select(delivery_event.c.id).where(which)))
    mine = dialect.among(connection, delivery_event.c.id, ids)
    key = identity_of(connection.dialect.name, delivery_event.c.channel, delivery_event.c.key)
    _keep(connection, past_receipt, ids, select(key).where(mine))
    return _delete(connection, delivery_event, ids)


def _prune_messages(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete messages that went or were refused, of stays that are over, and their receipts."""
    c = message.c
    query = (
        select(c.id)
        .join(enrollment, enrollment.c.id == c.enrollment_id)
        .where(
            stretch.rows,
            c.state.in_(SETTLED),
            or_(c.sent_at.is_(None), c.sent_at < rules.cuts["messages"]),
            c.journey_id.not_in(sorted(rules.kept_messages)),
            rules.is_over(),
            none_of([_is_found(name, since) for name, since in rules.messages.items()]),
        )
        .order_by(c.id)
        .with_for_update(of=message, skip_locked=True)
    )
    ids = list(connection.scalars(query))
    mine = dialect.among(connection, c.id, ids)
    sums.count_messages(connection, ids)
    kept = (c.id, c.customer_id, c.enrollment_id, c.step_id, c.visit, c.channel, c.template)
    _keep(connection, past_message, ids, select(*kept).where(mine))
    told = dialect.among(connection, delivery_event.c.message_id, ids)
    receipts = _delete_receipts(connection, told) if ids else 0
    printed.forget(connection, ids)
    return {delivery_event.name: receipts, message.name: _delete(connection, message, ids)}


def _is_found(template: str | None, since: datetime | None) -> ColumnElement[bool]:
    """Return whether a condition looks back to a message: of its template, by anything that became of it since then."""
    named = true() if template is None else message.c.template == template
    if since is None:
        return named
    times = (message.c[f"{name}_at"] for name in _TIMES)
    return and_(named, or_(*(and_(at.is_not(None), at > since) for at in times)))


# --- stays --------------------------------------------------------------------------------------------------


def _prune_stays(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete stays that are long over and of which no message and no trace is left."""
    c = enrollment.c
    again = [and_(c.journey_id == id_, c.left_at >= since) for id_, since in rules.again.items()]
    query = select(c.id).where(
        stretch.rows,
        rules.is_over(),
        c.left_at < rules.cuts["stays"],
        c.journey_id.not_in(sorted(rules.kept_stays)),
        none_of(again),
        ~exists(select(message.c.id).where(message.c.enrollment_id == c.id)),
        ~exists(select(trace.c.id).where(sums.is_of_stay())),
        ~exists(
            select(arrival.c.id).where(
                arrival.c.customer_id == c.customer_id, arrival.c.enrollment_id == c.id
            )
        ),
    )
    ids = list(connection.scalars(query))
    if not ids:
        return {}
    sums.count_stays(connection, ids)
    mine = dialect.among(connection, draw.c.enrollment_id, ids)
    draws = connection.execute(delete(draw).where(mine)).rowcount
    return {draw.name: draws, enrollment.name: _delete(connection, enrollment, ids)}


# --- events and changes -------------------------------------------------------------------------------------


def _prune_events(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete events that no condition, no stay and no message looks back to; what is said on consent stays as proof."""
    c, s = event.c, enrollment.c
    bounded = {name: since for name, since in rules.events.items() if since is not None}
    kept = sorted({*CONSENT_EVENTS, *(rules.events.keys() - bounded.keys())})
    theirs = s.customer_id == c.customer_id
    began = and_(theirs, s.event_id == c.id)
    may_see = or_(s.event_id == c.id, c.effective_at >= s.effective_at, c.at >= s.entered_at)
    gone = message.c.state != MessageState.refused.value
    query = (
        select(c.id)
        .where(
            stretch.rows,
            c.received_at < rules.cuts["events"],
            c.routed_at.is_not(None),
            c.name.not_in(kept),
            none_of([and_(c.name == name, c.at > since) for name, since in bounded.items()]),
            ~exists(
                select(arrival.c.id).where(arrival.c.customer_id == c.customer_id, arrival.c.event_id == c.id)
            ),
            ~exists(select(s.id).where(theirs, may_see, ~rules.is_over())),
            ~exists(
                select(message.c.id).join(enrollment, s.id == message.c.enrollment_id).where(began, gone)
            ),
        )
        .order_by(c.id)
        .with_for_update(of=event, skip_locked=True)
    )
    ids = list(connection.scalars(query))
    if not ids:
        return {}
    mine = dialect.among(connection, c.id, ids)
    key = identity_of(connection.dialect.name, c.scope, c.key)
    _keep(connection, past_event, ids, select(key, c.customer_id, c.content).where(mine))
    ended = select(s.id).join(event, began).where(mine)
    connection.execute(update(enrollment).where(s.id.in_(ended)).values(event_id=None))
    return {event.name: _delete(connection, event, ids)}


def _prune_changes(connection: Connection, stretch: Stretch, rules: Rules) -> Mapping[str, int]:
    """Delete changes of records that nothing pending of their customers can look back to."""
    c = change.c
    owes = (
        select(arrival.c.id).where(arrival.c.customer_id == c.customer_id, arrival.c.effective_at <= c.at),
        select(event.c.id).where(
            event.c.customer_id == c.customer_id, event.c.routed_at.is_(None), event.c.effective_at <= c.at
        ),
        select(enrollment.c.id).where(
            enrollment.c.customer_id == c.customer_id,
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.due_at <= c.at,
        ),
    )
    before = min(rules.cuts["changes"], rules.slots)
    old = and_(stretch.rows, c.at < before, *(~exists(one) for one in owes))
    return {change.name: connection.execute(delete(change).where(old)).rowcount}


# --- what all do --------------------------------------------------------------------------------------------


def _keep(connection: Connection, table: Table, ids: Sequence[int], query: Select[Any]) -> None:
    """Keep what a query says of rows in a narrow table, its columns in their order."""
    if not ids:
        return
    into = postgresql.insert(table) if dialect.is_postgresql(connection) else sqlite.insert(table)
    connection.execute(into.from_select(list(table.c), query).on_conflict_do_nothing())


def _delete(connection: Connection, table: Table, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    return connection.execute(delete(table).where(dialect.among(connection, table.c.id, ids))).rowcount


WALKS = (
    Walk(trace, "trace", trace.c.at, _prune_trace),
    Walk(delivery_event, "receipts", delivery_event.c.received_at, _prune_receipts),
    Walk(message, "messages", message.c.queued_at, _prune_messages),
    Walk(enrollment, "stays", enrollment.c.entered_at, _prune_stays),
    Walk(event, "events", event.c.received_at, _prune_events),
    Walk(change, "changes", change.c.at, _prune_changes),
)
"""The tables in the order in which rows let go of one another: a stay's trace and messages before it, and its event after."""
