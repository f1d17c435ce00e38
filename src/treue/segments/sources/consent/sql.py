"""Consents in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select

from treue.model.tables import consent
from treue.segments.compare import exactly
from treue.segments.sources.consent.fact import ConsentFact
from treue.segments.sources.source import Scope, Source


class ConsentSource(Source[ConsentFact]):
    """The consents that are given, of one channel."""

    def query(self, facts: Sequence[ConsentFact], scope: Scope) -> Select[Any]:
        """Return the query."""
        rows = scope.rows(consent, consent.c.customer_id)
        given = (consent.c.given.is_(True), consent.c.since <= rows.moment.present)
        query = rows.query.add_columns(consent.c.since.label("n0"))
        return query.where(exactly(consent.c.channel, facts[0].channel), *given)


SOURCE = ConsentSource()
