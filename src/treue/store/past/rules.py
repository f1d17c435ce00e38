"""What makes a row old, and what it is kept for all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, false, not_, or_, select

from treue.model.states import MessageState, Outcome
from treue.model.tables import enrollment, message

SETTLED = (MessageState.sent.value, MessageState.refused.value)
"""The states of messages with which nobody has anything to do any more."""

UNSETTLED = tuple(state.value for state in MessageState if state.value not in SETTLED)


@dataclass(frozen=True)
class Rules:
    """What is old, and what of it is needed.

    `cuts` are by kind the instants before which rows are old; a kind without one is kept for ever. Nothing is asked as of
    an instant before `floor` any more, and no record's past before `slots`. Events and messages that are found since an
    instant, or with None ever, are kept by name; the template None is any. `kept_stays` and `kept_messages` are journeys
    that need all of theirs, `again` when stays must have ended to play no part in who may come again. `text` tells these
    rules from others, whatever the time.
    """

    cuts: Mapping[str, datetime]
    floor: datetime
    slots: datetime
    events: Mapping[str, datetime | None] = field(default_factory=dict)
    messages: Mapping[str | None, datetime | None] = field(default_factory=dict)
    kept_stays: frozenset[int] = frozenset()
    kept_messages: frozenset[int] = frozenset()
    again: Mapping[int, datetime] = field(default_factory=dict)
    journeys: tuple[int, ...] = ()
    text: str = ""

    def is_over(self) -> ColumnElement[bool]:
        """Return whether a stay has come to its end, and nothing is to become of it any more."""
        converting = and_(
            enrollment.c.outcome == Outcome.finished.value, enrollment.c.convert_by >= self.floor
        )
        over = and_(
            enrollment.c.outcome != Outcome.inside.value, or_(enrollment.c.convert_by.is_(None), ~converting)
        )
        return and_(over, ~is_unsettled())


_unsettled = message.alias("unsettled")


def is_unsettled() -> ColumnElement[bool]:
    """Return whether a stay has a message that waits, or of which nobody knows what became of it, or that failed."""
    mine = _unsettled.c.enrollment_id == enrollment.c.id
    return exists(select(_unsettled.c.id).where(mine, _unsettled.c.state.in_(UNSETTLED)))


def none_of(found: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return whether none of some conditions holds; none of them may be NULL."""
    return not_(or_(false(), *found))
