"""What became of messages, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, or_

from treue.model.states import WEBHOOK
from treue.model.tables import message
from treue.segments.columns import Facts
from treue.segments.compare import exactly
from treue.segments.face import LeafSql, tell
from treue.segments.moment import Moment
from treue.segments.sources.source import Column, Scope, Source, grouped, journey_id
from treue.vocabulary.conditions.message.word import MessageFact, MessageOfStay, MessageWas


class MessageSource(Source[MessageFact]):
    """The customers' messages, of whatever template."""

    def query(self, facts: Sequence[MessageFact], scope: Scope) -> Select[Any]:
        """Select for each of those asked when messages, or those of the stay, were sent, opened or clicked."""
        if isinstance(facts[0].leaf, MessageOfStay):
            return _of_stays(facts, scope)
        rows = scope.rows(message, message.c.customer_id)
        used = {fact.leaf.was for fact in facts}
        seen = or_(*(message.c[f"{was}_at"] <= rows.moment.present for was in sorted(used)))
        query = rows.query.where(seen)
        templates = {fact.leaf.template for fact in facts}
        if len(facts) > 1 and None not in templates:
            query = query.where(or_(*(exactly(message.c.template, one) for one in templates if one)))
        return grouped(query, [_column(fact, rows.moment) for fact in facts], rows.by)


def _of_stays(facts: Sequence[MessageFact], scope: Scope) -> Select[Any]:
    """Select for each stay that is asked when its messages were sent, opened or clicked; of whom no stay is told, none."""
    rows = scope.rows(message, message.c.customer_id, ["customer_id"])
    stay = rows.stay
    assert stay is not None
    mine = message.c.enrollment_id == stay.c.enrollment_id if "enrollment_id" in stay.c else false()
    return grouped(rows.query.where(mine), [_column(fact, rows.moment) for fact in facts], rows.by)


def _column(fact: MessageFact, moment: Moment) -> Column:
    leaf = fact.leaf
    within = leaf.within if isinstance(leaf, MessageWas) else None
    journey = leaf.journey if isinstance(leaf, MessageWas) else None
    at = message.c[f"{leaf.was}_at"]
    fits = [at <= moment.present]
    if within:
        fits.append(moment.is_within(at, within))
    if leaf.template is not None:
        fits.append(exactly(message.c.template, leaf.template))
    if leaf.channel is not None:
        fits.append(exactly(message.c.channel, leaf.channel))
    elif leaf.template is None:
        fits.append(message.c.channel != WEBHOOK)  # a call reaches no customer
    if journey is not None:
        fits.append(message.c.journey_id == journey_id(journey))
    return Column(func.max(at), tuple(fits), repr(leaf))


class MessageWasSql(LeafSql[MessageWas | MessageOfStay]):
    """Asks when a matching message was last sent, opened and so on."""

    def holds(self, leaf: MessageWas | MessageOfStay, facts: Facts) -> ColumnElement[bool]:
        """Return whether it has happened to such a message at all."""
        (at,) = self.observed(leaf, facts)
        return at.is_not(None)

    def told(self, leaf: MessageWas | MessageOfStay, seen: Sequence[Any], moment: Moment) -> str:
        """Return the date it last happened, or "never"."""
        return tell(seen[0], moment, "never")


SOURCE = MessageSource()
SQL = MessageWasSql()
