"""The suppression list in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select

from treue.model.tables import suppression
from treue.segments.sources.lists import listed
from treue.segments.sources.source import Scope, Source
from treue.segments.sources.suppression.fact import SuppressedFact


class SuppressionSource(Source[SuppressedFact]):
    """The customers whose address on one channel is on the list."""

    def query(self, facts: Sequence[SuppressedFact], scope: Scope) -> Select[Any]:
        """Return the query."""
        return listed(suppression, facts[0].channel, scope)


SOURCE = SuppressionSource()
