"""When and where a condition is looked at, and what a point in time in a condition means then."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, bindparam, literal
from sqlalchemy.types import TypeEngine

from treue.clock import Duration, parse_instant, resolve
from treue.model.types import Instant
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

    @property
    def present(self) -> ColumnElement[datetime]:
        """The instant itself, as SQL."""
        return self.value("now", lambda moment: moment.now, Instant())

    def since(self, *durations: Duration) -> ColumnElement[datetime]:
        """Return the earliest of the instants these long before now, as SQL."""
        return self.value(("since", durations), lambda moment: min(map(moment.back, durations)), Instant())

    def value(
        self, name: Hashable, work_out: Callable[[Moment], Any], type_: TypeEngine[Any]
    ) -> ColumnElement[Any]:
        """Return as SQL what is worked out from a moment; `name` tells it from all else that is."""
        return literal(work_out(self), type_)

    def values(self, moment: Moment) -> dict[str, Any]:
        """Return the parameters of a statement that was made for this one and is run at another moment."""
        return {}

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


@dataclass(frozen=True)
class AnyMoment(Moment):
    """A moment that is told when a statement is run, so that the statement need not be made again for each.

    Not for conditions that look `ahead`: what they come to in SQL depends on the day.
    """

    now: datetime = _DAWN
    zone: str = "UTC"
    _asked: dict[Hashable, tuple[str, Callable[[Moment], Any]]] = field(default_factory=dict, compare=False)

    def value(
        self, name: Hashable, work_out: Callable[[Moment], Any], type_: TypeEngine[Any]
    ) -> ColumnElement[Any]:
        """Return a parameter, the same for the same name."""
        parameter, _ = self._asked.setdefault(name, (f"moment_{len(self._asked)}", work_out))
        return bindparam(parameter, type_=type_)

    def values(self, moment: Moment) -> dict[str, Any]:
        """Return the values of the parameters at a moment."""
        return {parameter: work_out(moment) for parameter, work_out in self._asked.values()}

    def ahead(self, duration: Duration) -> tuple[date, date]:
        """Fail: see the class."""
        raise TypeError("A condition that looks ahead is asked of one moment.")


def _iso_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
