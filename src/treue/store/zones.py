"""The UTC offsets of the zones customers live in, as rows, so that SQL can follow local clocks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, select

from treue.clock import known_zone, offsets
from treue.model.tables import timezone_offset
from treue.store import dialect


def ensure(connection: Connection, zones: Iterable[str]) -> None:
    """Make sure the offsets of these zones are there. Unknown zones are passed over."""
    wanted = {zone for zone in zones if known_zone(zone)}
    if not wanted:
        return
    there = select(timezone_offset.c.zone).where(timezone_offset.c.zone.in_(sorted(wanted))).distinct()
    missing = sorted(wanted - set(connection.scalars(there)))
    rows = [row for zone in missing for row in _rows(zone)]
    dialect.insert_new(connection, timezone_offset, rows, ("zone", "utc_from"), ("zone",))


@cache
def _rows(zone: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "zone": zone,
            "utc_from": stretch.utc_from,
            "utc_until": stretch.utc_until,
            "wall_from": stretch.wall_from,
            "wall_until": stretch.wall_until,
            "shift": stretch.offset,
        }
        for stretch in offsets(zone)
    )
