"""When and where a condition is looked at, and what a point in time in a condition means then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from treue.clock import Duration, parse_instant, resolve
from treue.segments.tree import Ago, Scalar

_DAWN = datetime.min.replace(tzinfo=UTC)
_DUSK = datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Span(NamedTuple):
    """A stretch of time from its first to its last microsecond; a moment is a stretch of one."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Moment:
    """The instant a condition is looked at (aware UTC) and the zone whose clock `90d` counts back on."""

    now: datetime
    zone: str

    def back(self, duration: Duration) -> datetime:
        """Return the instant this long before now; the beginning of time where that is out of range."""
        try:
            return duration.before(self.now, self.zone)
        except (ValueError, OverflowError):
            return _DAWN

    def span(self, wanted: Scalar | Ago) -> Span | None:
        """Return the stretch a date (the whole local day), an ISO instant or `30d ago` means, else None."""
        if isinstance(wanted, Ago):
            moment = self.back(wanted.duration)
            return Span(moment, moment)
        if not isinstance(wanted, str):
            return None
        day = _iso_day(wanted)
        if day:
            return Span(self._midnight(day), self._end(day))
        found = parse_instant(wanted, self.zone)
        return Span(found, found) if found else None

    def ahead(self, duration: Duration) -> tuple[date, date]:
        """Return today and the local day this long from now; the end of time where that is out of range."""
        today = self.local(self.now).date()
        try:
            return today, self.local(duration.after(self.now, self.zone)).date()
        except (ValueError, OverflowError):
            return today, date.max

    def local(self, instant: datetime) -> datetime:
        """Return an instant as the local clock shows it."""
        try:
            return instant.astimezone(ZoneInfo(self.zone))
        except OverflowError:
            return instant

    def _midnight(self, day: date) -> datetime:
        try:
            return resolve(datetime.combine(day, datetime.min.time()), self.zone)
        except (ValueError, OverflowError):
            return _DAWN

    def _end(self, day: date) -> datetime:
        return self._midnight(day + timedelta(days=1)) - _TICK if day < date.max else _DUSK


def _iso_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
