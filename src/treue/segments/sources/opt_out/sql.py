"""The opt-outs of addresses in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select

from treue.model.tables import opt_out
from treue.segments.sources.lists import listed
from treue.segments.sources.opt_out.fact import OptOutFact
from treue.segments.sources.source import Scope, Source


class OptOutSource(Source[OptOutFact]):
    """The customers whose address on one channel is on the list."""

    def query(self, facts: Sequence[OptOutFact], scope: Scope) -> Select[Any]:
        """Return the query."""
        return listed(opt_out, facts[0].channel, scope)


SOURCE = OptOutSource()
