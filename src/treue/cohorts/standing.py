"""How a customer stands on a channel: what speaks against writing to them, as SQL, wherever that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, null, or_, true

from treue.model.states import Reason
from treue.model.tables import consent, customer, opt_out, suppression
from treue.segments.reach import is_on


@dataclass(frozen=True)
class Standing:
    """The rows that say so, to be joined to the customer: their consent, and their address on the two lists."""

    agreed: Any = consent
    left: Any = opt_out
    listed: Any = suppression

    @classmethod
    def numbered(cls, n: int) -> Standing:
        """Return the rows under names of their own, for a statement that asks about several channels."""
        return cls(consent.alias(f"agreed_{n}"), opt_out.alias(f"left_{n}"), suppression.alias(f"listed_{n}"))

    def joined(
        self, source: Any, channel: str | ColumnElement[str], by: ColumnElement[datetime] | None = None
    ) -> Any:
        """Return `source`, which has the customer, with the rows for a channel outer-joined to it.

        Of the lists only what was on them `by` a time counts, where one is given.
        """
        theirs = and_(self.agreed.c.customer_id == customer.c.id, self.agreed.c.channel == channel)
        found = source.outerjoin(self.agreed, theirs)
        for listed in (self.left, self.listed):
            then = true() if by is None else listed.c.since <= by
            found = found.outerjoin(listed, and_(is_on(listed, channel), then))
        return found

    def refusal(
        self, category: ColumnElement[Any], basis: ColumnElement[Any], address: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """Return the reason against sending to a customer on a channel, NULL where there is none.

        Consent is not asked of transactional messages, nor are addresses that have opted out or are suppressed for
        marketing alone. `consent` as basis wants an agreement; an existing customer (UWG section 7(3)) is one whose
        consent row says so. Neither counts against an opt-out of the address, whichever record of it said stop.
        """
        asked = category != "transactional"
        agreed, listed = self.agreed.c, self.listed.c
        suppressed = and_(listed.id.is_not(None), or_(asked, listed.purpose == "all"))
        unsubscribed = or_(agreed.given.is_(False), self.left.c.address.is_not(None))
        return case(
            (address.is_(None), Reason.no_address.value),
            (suppressed, Reason.suppressed.value),
            (and_(asked, unsubscribed), Reason.unsubscribed.value),
            (and_(asked, agreed.given.is_(None)), Reason.no_consent.value),
            (and_(asked, basis != "existing_customer", agreed.basis != "consent"), Reason.no_consent.value),
            else_=cast(null(), Text),
        )
