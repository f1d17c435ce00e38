"""What old rows are counted into, by day, in the transaction that deletes them: reports say the same before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    case,
    func,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from treue.clock import DAY
from treue.model.states import Decision
from treue.model.tables import (
    arm_day,
    draw,
    enrollment,
    message,
    message_day,
    stay_day,
    step_day,
    trace,
)
from treue.store import dialect

LEFT = (Decision.exited.value, Decision.converted.value)
CHOSEN = (Decision.branch.value, Decision.skipped.value)
AFTERWARDS = (Decision.sent.value, Decision.failed.value, Decision.in_doubt.value)
"""Decisions about messages of stays that may be elsewhere by then."""

WENT = "left"
ACTED = "acted"
WHAT: ColumnElement[str] = case(
    (trace.c.decision.in_(LEFT), literal(WENT, Text)),
    (trace.c.decision.in_(CHOSEN), trace.c.decision),
    else_=literal(ACTED, Text),
)
"""What a stay did at a step, of which it counts once: it left there, took a branch, skipped the step, or anything else."""

WAY: ColumnElement[str] = case(
    (trace.c.decision == Decision.branch.value, func.coalesce(trace.c.detail["way"].as_string(), "")),
    else_=literal("", Text),
)
_TIMES = ("delivered", "opened", "clicked", "bounced", "complained", "failed")


def count_trace(connection: Connection, stays: Sequence[int]) -> None:
    """Count what these stays did at each step, of which the trace is about to be deleted."""
    what, way, last = WHAT.label("what"), WAY.label("way"), _day(func.max(trace.c.at)).label("day")
    each = (
        select(trace.c.journey_id, trace.c.step_id, what, way, enrollment.c.held_out, last)
        .join(enrollment, is_of_stay())
        .where(
            dialect.among(connection, enrollment.c.id, stays),
            trace.c.step_id.is_not(None),
            trace.c.decision.not_in(AFTERWARDS),
        )
        .group_by(
            trace.c.journey_id, trace.c.step_id, what, way, enrollment.c.held_out, trace.c.enrollment_id
        )
        .subquery("each")
    )
    _add_up(connection, step_day, select(*each.c, func.count()).group_by(*each.c), ["stays"])


def is_of_stay() -> ColumnElement[bool]:
    """Return whether a row of the trace is about a stay, so that the index by customer finds it."""
    return (
        (trace.c.customer_id == enrollment.c.customer_id)
        & (trace.c.journey_id == enrollment.c.journey_id)
        & (trace.c.enrollment_id == enrollment.c.id)
    )


def count_messages(connection: Connection, ids: Sequence[int]) -> None:
    """Count these messages, which are about to be deleted."""
    c = message.c
    by = (
        c.journey_id,
        c.step_id,
        c.channel,
        c.template,
        c.state,
        func.coalesce(c.reason, ""),
        _day(func.coalesce(c.sent_at, c.queued_at)),
    )
    times = (func.count(c[f"{name}_at"]) for name in _TIMES)
    query = select(*by, func.count(), *times).where(dialect.among(connection, c.id, ids)).group_by(*by)
    _add_up(connection, message_day, query, ["messages", *_TIMES])


def count_stays(connection: Connection, ids: Sequence[int]) -> None:
    """Count these stays and the ways that were drawn in them; they are about to be deleted."""
    c, mine = enrollment.c, dialect.among(connection, enrollment.c.id, ids)
    by = (
        c.journey_id,
        _day(c.entered_at),
        _day(func.coalesce(c.left_at, c.entered_at)),
        c.held_out,
        c.outcome,
        func.coalesce(c.reason, ""),
    )
    _add_up(connection, stay_day, select(*by, func.count()).where(mine).group_by(*by), ["stays"])
    drawn = (draw.c.step_id, draw.c.arm, c.held_out, c.outcome, _day(draw.c.at))
    query = select(*drawn, func.count()).join(enrollment, c.id == draw.c.enrollment_id)
    _add_up(connection, arm_day, query.where(mine).group_by(*drawn), ["draws"])


def _day(at: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the first instant of the day, in UTC, in which an instant lies."""
    micros, day = type_coerce(at, BigInteger), literal(DAY, BigInteger)
    return micros - micros % day


def _add_up(connection: Connection, table: Table, query: Select[Any], counts: Sequence[str]) -> None:
    """Add the rows of a query, the columns of a table of sums in their order, to what it has."""
    insert = postgresql.insert(table) if dialect.is_postgresql(connection) else sqlite.insert(table)
    # Without a WHERE, SQLite takes the ON of ON CONFLICT for a join's.
    added = insert.from_select(list(table.c), select(*query.subquery("added").c).where(true()))
    sums = {name: table.c[name] + added.excluded[name] for name in counts}
    keys = [column.name for column in table.primary_key]
    connection.execute(added.on_conflict_do_update(index_elements=keys, set_=sums))
