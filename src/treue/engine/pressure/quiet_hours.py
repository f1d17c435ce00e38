"""Quiet hours in SQL: whether they reign for a customer now, and when they end, by the customer's own clock.

A customer whose zone is not known is spared longer: the workspace's clock counts, an hour more at each end. At the
end, customers are let go one after the other within half an hour, each always at the same place in it, so that
nobody's provider or shop meets a herd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy import type_coerce as as_type

from treue.clock import DAY
from treue.cohorts.draws import place_sql
from treue.cohorts.local_time import at_wall, shift_at
from treue.cohorts.scene import MICROS
from treue.language.pressure import QuietHours
from treue.model.types import Instant
from treue.store.dialect import worked_out

MINUTE = 60 * 1_000_000
DAY_MINUTES = 24 * 60
SPREAD_SECONDS = 30 * 60
"""Within how long after the end of quiet hours those who were held are let go."""

WIDENED = 60
"""By how many minutes quiet hours are longer at each end where the customer's zone is not known."""

_NEVER = cast(null(), BigInteger)


def widened(hours: QuietHours) -> QuietHours:
    """Return the hours for a customer whose zone is not known; hours of nearly a day stay as they are."""
    if hours.length + 2 * WIDENED >= DAY_MINUTES:
        return hours
    return QuietHours((hours.start - WIDENED) % DAY_MINUTES, (hours.end + WIDENED) % DAY_MINUTES)


def asked(rows: FromClause, hours: Mapping[str, QuietHours], zone: str, salt: str) -> FromClause:
    """Return `rows` with `quiet_until`, when the quiet hours end that reign there now, and `released`, the end spread.

    Both are NULL where none reign. `rows` has `channel`, `timezone` and `draw`; `zone` is the workspace's.
    """
    if not hours:
        no = as_type(_NEVER, Instant)
        return select(rows, no.label("quiet_until"), no.label("released")).subquery("asked")
    home = func.coalesce(rows.c.timezone, literal(zone))
    homes = select(rows, home.label("home")).subquery("homes")
    clocks = worked_out(select(homes, (MICROS + shift_at(homes.c.home, MICROS)).label("clock")), "clocks")
    silent = worked_out(select(clocks, _end_on_the_wall(clocks, hours).label("wall")), "silent")
    first = at_wall(silent)
    # The end may have been already, where a clock change has brought the quiet hours back: then its second time counts.
    end = case((first > MICROS, first), else_=MICROS + silent.c.wall - silent.c.clock)
    ends = worked_out(select(silent, case((silent.c.wall.is_not(None), end)).label("ends")), "ends")
    later = place_sql(ends.c.draw, f"quiet\x1f{salt}", SPREAD_SECONDS) * literal(1_000_000, BigInteger)
    return select(
        *(ends.c[column.name] for column in rows.c),
        as_type(ends.c.ends, Instant).label("quiet_until"),
        as_type(ends.c.ends + later, Instant).label("released"),
    ).subquery("asked")


def _end_on_the_wall(clocks: FromClause, hours: Mapping[str, QuietHours]) -> ColumnElement[Any]:
    """Return the local time at which the quiet hours end that the clock is in, NULL where it is in none."""
    midnight = clocks.c.clock // literal(DAY, BigInteger)
    minute = (clocks.c.clock // literal(MINUTE, BigInteger)) % literal(DAY_MINUTES, BigInteger)
    whens = []
    for channel, named in hours.items():
        for which, (start, end) in (
            (clocks.c.timezone.is_not(None), named),
            (clocks.c.timezone.is_(None), widened(named)),
        ):
            over_midnight = start > end
            within = (
                or_(minute >= start, minute < end) if over_midnight else and_(minute >= start, minute < end)
            )
            day = midnight + case((minute >= start, 1), else_=0) if over_midnight else midnight
            wall = day * literal(DAY, BigInteger) + literal(end * MINUTE, BigInteger)
            whens.append((and_(clocks.c.channel == channel, which, within), wall))
    return case(*whens, else_=_NEVER)
