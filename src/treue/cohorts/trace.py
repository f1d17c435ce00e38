"""Rows of the trace: what was decided about a customer, noted for many in one statement or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, FromClause, Insert, Text, insert, literal, select
from sqlalchemy.sql.elements import ColumnElement

from treue.model.states import Decision, Reason
from treue.model.tables import trace
from treue.model.types import Instant


def note(
    *,
    customer: ColumnElement[int],
    journey: ColumnElement[int] | int,
    at: ColumnElement[datetime] | datetime,
    decision: ColumnElement[str] | Decision,
    enrollment: ColumnElement[int] | None = None,
    step: ColumnElement[int] | int | None = None,
    reason: ColumnElement[str] | str | None = None,
    detail: ColumnElement[Any] | None = None,
    of: FromClause | None = None,
    where: Sequence[ColumnElement[bool]] = (),
    order_by: Sequence[ColumnElement[Any]] = (),
) -> Insert:
    """Return what notes a decision about each row of a query; what is None stays empty.

    `of` is what the query reads from, where the columns alone do not say so.
    """
    given = {
        "customer_id": customer,
        "journey_id": literal(journey, BigInteger) if isinstance(journey, int) else journey,
        "enrollment_id": enrollment,
        "step_id": literal(step, BigInteger) if isinstance(step, int) else step,
        "at": literal(at, Instant) if isinstance(at, datetime) else at,
        "decision": literal(decision.value) if isinstance(decision, Decision) else decision,
        "reason": literal(reason, Text) if isinstance(reason, str) else reason,
        "detail": detail,
    }
    columns = {name: column for name, column in given.items() if column is not None}
    query = select(*columns.values()).where(*where).order_by(*order_by)
    return insert(trace).from_select(list(columns), query if of is None else query.select_from(of))


def row_about(
    message: Any, at: datetime, decision: Decision, reason: Reason | None, **more: Any
) -> dict[str, Any]:
    """Return the row that notes a decision about a message, a claimed one or a row of the table.

    `more` goes into its detail.
    """
    return {
        "customer_id": message.customer_id,
        "journey_id": message.journey_id,
        "enrollment_id": message.enrollment_id,
        "step_id": message.step_id,
        "at": at,
        "decision": decision.value,
        "reason": reason.value if reason else None,
        "detail": {"message": message.id, "channel": message.channel, "template": message.template, **more},
    }
