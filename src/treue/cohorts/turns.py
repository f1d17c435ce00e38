"""Whose turn it is: nothing is done for a customer before what is pending earlier, in whichever journey.

Every statement that takes somebody asks for it itself, so that it holds for two passes at once, after a restart, and for
a pass over one journey alone. Things take effect in the order of their instants; of one instant, what comes from outside
goes first, in the order given, then steps, then what steps have caused; of one thing, journeys in the order of a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    exists,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from treue.cohorts.scene import Version
from treue.language.steps import Stage
from treue.model.states import Outcome
from treue.model.tables import arrival, enrollment, event
from treue.model.types import Instant

_RUNNING = bindparam("running", type_=BigInteger(), expanding=True)
_STUCK = bindparam("stuck", type_=BigInteger(), expanding=True)
_AHEAD = bindparam("ahead", type_=BigInteger(), expanding=True)

_earlier = arrival.alias("earlier")
_other = enrollment.alias("other")
_unseen = event.alias("unseen")
_any = event.alias("any_event")


@dataclass(frozen=True)
class Turns:
    """The journeys that run, in the order of a pass, and the numbers of steps that have failed and are passed over."""

    running: tuple[int, ...]
    stuck: tuple[int, ...] = ()

    def values(self, journey_id: int) -> dict[str, Any]:
        """Return the parameters of the statements that take somebody in a journey."""
        ahead = self.running[: self.running.index(journey_id)] if journey_id in self.running else self.running
        return {"running": list(self.running), "stuck": list(self.stuck), "ahead": list(ahead)}


def effective(stay: Any) -> ColumnElement[Any]:
    """Return when what a stay does next takes effect: when it is due, but never before the stay itself did."""
    return later_of(stay.c.due_at, stay.c.effective_at)


def later_of(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the later of two instants."""
    return case((one > other, one), else_=other)


def is_turn_of_stay(version: Version, stage: Stage) -> ColumnElement[bool]:
    """Return whether nothing of its customer is pending before a stay that stands at a stage."""
    at, mine = effective(enrollment), enrollment.c
    comes = (
        _earlier.c.customer_id == mine.customer_id,
        _runs(_earlier),
        or_(_earlier.c.effective_at < at, and_(_earlier.c.effective_at == at, ~_earlier.c.caused)),
    )
    acts = (
        *_pending(mine.customer_id),
        _other.c.id != mine.id,
        or_(
            effective(_other) < at,
            and_(effective(_other) == at, _stands_before(version, stage)),
        ),
    )
    return and_(_none_unseen(mine.customer_id, at), _none(comes), _none(acts))


def is_turn_of_arrival() -> ColumnElement[bool]:
    """Return whether nothing of its customer is pending before an arrival at a journey's door."""
    mine = arrival.c
    comes = (
        _earlier.c.customer_id == mine.customer_id,
        _runs(_earlier),
        _earlier.c.effective_at <= mine.effective_at,
        or_(
            tuple_(*_place(_earlier.c)) < tuple_(*_place(mine)),
            and_(
                tuple_(*_place(_earlier.c)) == tuple_(*_place(mine)),
                or_(
                    _earlier.c.journey_id.in_(_AHEAD),
                    and_(_earlier.c.journey_id == mine.journey_id, _earlier.c.id < mine.id),
                ),
            ),
        ),
    )
    acts = (
        *_pending(mine.customer_id),
        or_(
            effective(_other) < mine.effective_at,
            and_(effective(_other) == mine.effective_at, mine.caused),
        ),
    )
    return and_(_none_unseen(mine.customer_id, mine.effective_at), _none(comes), _none(acts))


def pending_before() -> Select[Any]:
    """Return a query for anything of anybody that is pending and takes effect before an `hour` begins."""
    hour = bindparam("hour", type_=Instant())
    comes = (
        select(literal(1)).where(arrival.c.journey_id.in_(_RUNNING), arrival.c.effective_at < hour).limit(1)
    )
    acts = (
        select(literal(1))
        .where(
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.due_at < hour,
            enrollment.c.effective_at < hour,
            enrollment.c.journey_id.in_(_RUNNING),
            enrollment.c.step_id.not_in(_STUCK),
        )
        .limit(1)
    )
    return select(union_all(select(comes.subquery()), select(acts.subquery())).subquery())


def _place(one: Any) -> tuple[ColumnElement[Any], ...]:
    return one.effective_at, one.caused, one.at, one.seq


def _pending(customer_id: ColumnElement[int]) -> Sequence[ColumnElement[bool]]:
    return (
        _other.c.customer_id == customer_id,
        _other.c.outcome == Outcome.inside.value,
        _runs(_other),
        _other.c.step_id.not_in(_STUCK),
    )


def _none(which: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return whether there is no such row, looked up for each by itself: the customer has few.

    PostgreSQL would make a join of NOT EXISTS, and plan it by what it believes of tables that fill and empty all day.
    """
    return select(literal(1)).where(*which).limit(1).scalar_subquery().is_(None)


def _runs(one: Any) -> ColumnElement[bool]:
    """Return whether a row's journey runs. `+ 0` has SQLite look up the few rows of the customer, not those of journeys."""
    unindexed: ColumnElement[int] = one.c.journey_id + 0
    return unindexed.in_(_RUNNING)


def _none_unseen(customer_id: ColumnElement[int], at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether no event of the customer waits to be shown to the journeys that takes effect by then.

    Whether any event waits is asked once a statement: mostly none does.
    """
    mine = (_unseen.c.customer_id == customer_id, _unseen.c.routed_at.is_(None), _unseen.c.effective_at <= at)
    return or_(~exists(select(_any.c.id).where(_any.c.routed_at.is_(None))), _none(mine))


def _stands_before(version: Version, stage: Stage) -> ColumnElement[bool]:
    """Return whether another stay, due at the same instant, goes first: by its journey, its version, its step's place."""
    stages = list(version.plan.stages)
    before = [version.number(one) for one in stages[: stages.index(stage)]]
    own = and_(_other.c.version_id == version.version_id, _other.c.step_id.in_(before))
    same = and_(_other.c.journey_id == version.journey_id, or_(_other.c.version_id < version.version_id, own))
    return or_(_other.c.journey_id.in_(_AHEAD), same)
