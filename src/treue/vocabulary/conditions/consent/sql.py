"""What a consent is in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_

from treue.segments.columns import Facts
from treue.segments.face import LeafSql, tell
from treue.segments.moment import Moment
from treue.vocabulary.conditions.consent.word import HasConsent


class HasConsentSql(LeafSql[HasConsent]):
    """Asks since when the customer has agreed, and whether the address has opted out since."""

    def holds(self, leaf: HasConsent, facts: Facts) -> ColumnElement[bool]:
        """Return whether there is the first time, and not the second."""
        agreed, left = self.observed(leaf, facts)
        return and_(agreed.is_not(None), left.is_(None))

    def seen(self, leaf: HasConsent, row: Sequence[Any]) -> list[Any]:
        """Return when the customer agreed, and when the address opted out."""
        return list(row)

    def told(self, leaf: HasConsent, seen: Sequence[Any], moment: Moment) -> str:
        """Return "yes, since" with a date, or "no", with the date of an opt-out."""
        agreed, left = seen
        if left is not None:
            return f"no, the address unsubscribed {tell(left, moment)}"
        return f"yes, since {tell(agreed, moment)}" if agreed is not None else "no"


SQL = HasConsentSql()
