"""When something may happen next: what is due, and when a condition that looks back from now changes by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from treue.clock import Duration, parse_instant, resolve
from treue.engine.versions.versions import Version
from treue.model.tables import customer, event, message
from treue.segments.needs import leaves
from treue.segments.tree import Condition

_RECEIPTS = [
    message.c[f"{was}_at"]
    for was in ("sent", "delivered", "opened", "clicked", "bounced", "complained", "failed")
]
_TICK = timedelta(seconds=1)
"""How long after a moment something counts as before it."""


@dataclass(frozen=True)
class Watch:
    """What the conditions that are asked at every pass look back over, on the workspace's clock."""

    lengths: frozenset[Duration]
    zone: str

    @classmethod
    def of(cls, versions: Iterable[Version], zone: str) -> Watch:
        """Return what these versions watch: joining their segment, reasons to leave, what customers wait for."""
        asked = [condition for version in versions for condition in _watched(version)]
        return cls(frozenset(length for condition in asked for length in _lengths(condition)), zone)

    def instants(self, connection: Connection) -> Iterator[datetime]:
        """Yield when conditions may change although nothing happens: at the age of what they look back at."""
        if not self.lengths:
            return
        anchors = {*_times(connection), *self._dates(connection)}
        for length in self.lengths:
            for anchor in anchors:
                yield from self._after(anchor, length)

    def _after(self, anchor: datetime, length: Duration) -> Iterator[datetime]:
        first = length.after(anchor, self.zone)
        yield first
        yield first + _TICK
        if (
            length.months
        ):  # a month back from the 28th to the 31st may be the same day: it changes at a midnight
            yield from (self._midnight(first, days) for days in range(1, 4))

    def _midnight(self, after: datetime, days: int) -> datetime:
        day = after.astimezone(ZoneInfo(self.zone)).date() + timedelta(days=days)
        return resolve(datetime.combine(day, datetime.min.time()), self.zone)

    def _dates(self, connection: Connection) -> Iterator[datetime]:
        for attributes in connection.scalars(select(customer.c.attributes)):
            for value in attributes.values():
                yield from self._moments(value)

    def _moments(self, value: Any) -> Iterator[datetime]:
        if not isinstance(value, str) or (found := parse_instant(value, self.zone)) is None:
            return
        yield found
        if len(value) == 10:
            yield self._midnight(found, 1)


def _watched(version: Version) -> Iterator[Condition]:
    entry = version.plan.entry
    if (joined := entry.trigger.joined()) is not None:
        yield joined
    for exit_ in version.plan.exits:
        if exit_.condition is not None:
            yield exit_.condition
    for stage in version.plan.stages:
        if (condition := stage.waits_for()) is not None:
            yield condition


def _lengths(condition: Condition) -> Iterator[Duration]:
    for leaf in leaves(condition):
        yield from leaf.lengths()


def _times(connection: Connection) -> Iterator[datetime]:
    yield from connection.scalars(select(event.c.at))
    for row in connection.execute(select(*_RECEIPTS)):
        yield from (at for at in row if at is not None)
