"""Which of a step's channels a message takes, as SQL: what speaks against each, and the first that reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, literal, select

from treue.cohorts.standing import Standing
from treue.model.states import ADDRESS, PREFERRED_CHANNEL
from treue.model.tables import customer


def offered(
    source: Any,
    columns: Sequence[Any],
    channels: Sequence[str],
    categories: Sequence[str],
    basis: ColumnElement[Any],
    *,
    by: ColumnElement[datetime] | None = None,
) -> Any:
    """Return a query for `columns` of `source`, which has the customer, with the reason against each channel.

    `reason_0` is that of the first channel, NULL where it reaches; `preferred` is the channel that the customer likes best,
    where there are several. Of the lists only what was on them `by` a time counts, where one is given.
    """
    more: list[ColumnElement[Any]] = []
    if len(channels) > 1:
        more.append(customer.c.attributes[PREFERRED_CHANNEL].as_string().label("preferred"))
    for n, channel in enumerate(channels):
        standing = Standing.numbered(n)
        source = standing.joined(source, channel, by)
        reason = standing.refusal(literal(categories[n], Text), basis, customer.c[ADDRESS[channel]])
        more.append(reason.label(f"reason_{n}"))
    return select(*columns, *more).select_from(source)


def first_open(
    offers: Any, channels: Sequence[str], is_open: Mapping[int, ColumnElement[bool]]
) -> ColumnElement[int]:
    """Return the number of the first channel that is open, the one the customer likes best before the rest.

    Where none is, it is the first of those that are asked.
    """
    liked = (
        [(and_(offers.c.preferred == channels[n], fits), n) for n, fits in is_open.items()]
        if len(is_open) > 1
        else []
    )
    return case(*liked, *((fits, n) for n, fits in is_open.items()), else_=next(iter(is_open)))
