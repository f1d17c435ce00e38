"""The customers, as rules ask about them: how many there are, how many fit, how many lack something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, null, select

from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import customer
from treue.segments.sql import Moment, members
from treue.segments.tree import All, Condition
from treue.segments.typed import typed
from treue.segments.unfit import Unfit, unfit
from treue.store import shared_addresses


@dataclass(frozen=True)
class Data:
    """One reading transaction of the workspace's database, as of `now`; `zone` is the workspace's."""

    connection: Connection
    now: datetime
    zone: str
    _known: dict[str, int] = field(default_factory=dict)

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self._once("", lambda: self.connection.scalar(select(func.count()).select_from(customer)) or 0)

    def fitting(self, *conditions: Condition) -> int:
        """Return how many customers fit all of these conditions."""
        return self._once(repr(conditions), lambda: self._fitting(conditions))

    def lacking(self, attribute: str, kind: str) -> int:
        """Return how many customers have no value for an attribute."""
        dialect = self.connection.dialect.name
        built_in = attribute in BUILT_IN_ATTRIBUTES
        column = (
            customer.c["key" if attribute == "id" else attribute]
            if built_in
            else typed(customer.c.attributes, attribute, kind, dialect)
        )
        query = select(func.count()).select_from(customer).where(column.is_(null()))
        return self._once(f"lacking {attribute}", lambda: self.connection.scalar(query) or 0)

    @property
    def sharing(self) -> int:
        """How many customers have an e-mail address that another one has as well."""
        return self._once("sharing", lambda: shared_addresses.on(self.connection, "email").customers)

    def unfit(self, types: Mapping[str, str]) -> list[Unfit]:
        """Return which of these attributes customers have as something else than their declared type."""
        return list(unfit(self.connection, types))

    def _fitting(self, conditions: Sequence[Condition]) -> int:
        asked = conditions[0] if len(conditions) == 1 else All(tuple(conditions))
        found = members(asked, Moment(self.now, self.zone), self.connection.dialect.name).subquery()
        return self.connection.scalar(select(func.count()).select_from(found)) or 0

    def _once(self, key: str, count: Callable[[], int]) -> int:
        if key not in self._known:
            self._known[key] = count()
        return self._known[key]
