"""What reaching a customer is in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_

from treue.model.states import ADDRESS
from treue.model.tables import customer
from treue.segments.columns import Facts
from treue.segments.face import LeafSql, tell
from treue.segments.moment import Moment
from treue.vocabulary.conditions.reachable.word import Reachable


class ReachableSql(LeafSql[Reachable]):
    """Asks for the address, since when the customer has agreed, and since when it has opted out or is suppressed."""

    def observed(self, leaf: Reachable, facts: Facts) -> list[ColumnElement[Any]]:
        """Return the address, the consent, the opt-out and the suppression."""
        return [customer.c[ADDRESS[leaf.channel]], *super().observed(leaf, facts)]

    def holds(self, leaf: Reachable, facts: Facts) -> ColumnElement[bool]:
        """Return whether there is an address and an agreement, and neither opt-out nor suppression."""
        address, agreed, left, suppressed = self.observed(leaf, facts)
        reached = and_(address.is_not(None), agreed.is_not(None))
        return and_(reached, left.is_(None), suppressed.is_(None))

    def told(self, leaf: Reachable, seen: Sequence[Any], moment: Moment) -> str:
        """Return what speaks against it, or since when the customer has agreed."""
        address, agreed, left, suppressed = seen
        against = ["no address"] if address is None else []
        against += ["has not agreed"] if agreed is None else []
        against += [f"the address unsubscribed {tell(left, moment)}"] if left is not None else []
        against += [f"suppressed since {tell(suppressed, moment)}"] if suppressed is not None else []
        return f"no: {', '.join(against)}" if against else f"yes, agreed since {tell(agreed, moment)}"


SQL = ReachableSql()
