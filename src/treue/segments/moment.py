"""When and where a condition is looked at, and what a point in time in a condition means then."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, bindparam, case, literal
from sqlalchemy.types import TypeEngine

from treue.clock import TICK, Duration, parse_instant, resolve
from treue.model.types import Instant
from treue.segments.stretch import count_back
from treue.segments.tree import Ago, Scalar

_DAWN = datetime.min.replace(tzinfo=UTC)
_DUSK = datetime.max.replace(tzinfo=UTC)


class Span(NamedTuple):
    """A stretch of time from its first to its last microsecond; a moment is a stretch of one."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Moment:
    """The instant a condition is looked at (aware UTC) and the zone whose clock `90d` counts back on.

    Asked of rows that have times of their own (`of`), it is the first of a stretch of such times; see `stretch_end`.
    """

    now: datetime
    zone: str
    by_own_time: bool = field(default=False, kw_only=True)
    """Whether an event counts from its own time on, whenever it was heard of: for looking back on what was."""

    @property
    def present(self) -> ColumnElement[datetime]:
        """The instant until which all that took effect is seen, as SQL."""
        return self.value("now", lambda moment: moment.now, Instant())

    @property
    def counted_from(self) -> ColumnElement[datetime]:
        """The instant that durations count back from, as SQL."""
        return self.value("now", lambda moment: moment.now, Instant())

    def shift(self, *durations: Duration) -> ColumnElement[int]:
        """Return how far back the longest of some durations leads from all times of the stretch, as SQL."""
        return self.value(
            ("shift", durations),
            lambda moment: max(count_back(one, moment.zone, moment.now).shift for one in durations),
            BigInteger(),
        )

    def since(self, duration: Duration) -> ColumnElement[datetime]:
        """Return the instant this long before now, as SQL."""
        return self.value(("since", duration), lambda moment: moment.back(duration), Instant())

    def is_within(self, instant: ColumnElement[datetime], duration: Duration) -> ColumnElement[bool]:
        """Return whether an instant is later than the one this long before now."""
        return instant > self.since(duration)

    def since_all(self, durations: Sequence[Duration]) -> ColumnElement[datetime]:
        """Return an instant that is not after any of those these long before now, as SQL."""
        ordered = tuple(durations)
        return self.value(("since", ordered), lambda moment: min(map(moment.back, ordered)), Instant())

    def of(self, row: FromClause) -> Moment:
        """Return the moment as each row of a table has it: `at` is its now, and what took effect until `effective_at` is seen."""
        return RowMoment(self.now, self.zone, self, row)

    def value(
        self, name: Hashable, work_out: Callable[[Moment], Any], type_: TypeEngine[Any]
    ) -> ColumnElement[Any]:
        """Return as SQL what is worked out from a moment; `name` tells it from all else that is."""
        return literal(work_out(self), type_)

    def values(self, moment: Moment) -> dict[str, Any]:
        """Return the parameters of a statement that was made for this one and is run at another moment."""
        return {}

    def back(self, duration: Duration) -> datetime:
        """Return the instant this long before now; the beginning or the end of time where that is out of range."""
        try:
            return duration.before(self.now, self.zone)
        except (ValueError, OverflowError):
            return _DUSK if duration.is_negative else _DAWN

    def span(self, wanted: Scalar | Ago) -> Span | None:
        """Return the stretch a date (the whole local day), an ISO instant, `30d ago` or `in 3d` means, else None."""
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
        return self._midnight(day + timedelta(days=1)) - TICK if day < date.max else _DUSK


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


@dataclass(frozen=True)
class RowMoment(Moment):
    """Each row's own moment: durations are constant shifts of its time, the same for a whole stretch of times."""

    base: Moment
    row: FromClause = field(compare=False)

    @property
    def present(self) -> ColumnElement[datetime]:
        """The instant until which all that took effect is seen, as SQL."""
        return self.row.c.effective_at

    @property
    def counted_from(self) -> ColumnElement[datetime]:
        """The instant that durations count back from, as SQL."""
        return self.row.c.at

    def since(self, duration: Duration) -> ColumnElement[datetime]:
        """Return the instant this long before the row's time, as SQL."""
        shifted, floor = self._shifted((duration,)), self._floor(duration)
        return case((shifted > floor, shifted), else_=floor)

    def is_within(self, instant: ColumnElement[datetime], duration: Duration) -> ColumnElement[bool]:
        """Return whether an instant is later than the one this long before the row's time."""
        return and_(instant > self._shifted((duration,)), instant > self._floor(duration))

    def since_all(self, durations: Sequence[Duration]) -> ColumnElement[datetime]:
        """Return an instant that is not after any of those these long before the row's time, as SQL."""
        return self._shifted(tuple(durations))

    def value(
        self, name: Hashable, work_out: Callable[[Moment], Any], type_: TypeEngine[Any]
    ) -> ColumnElement[Any]:
        """Return as SQL what is the same for all rows of a stretch."""
        return self.base.value(name, work_out, type_)

    def values(self, moment: Moment) -> dict[str, Any]:
        """Return the parameters at another moment."""
        return self.base.values(moment)

    def ahead(self, duration: Duration) -> tuple[date, date]:
        """Return the days of the stretch: they are those of its beginning."""
        return self.base.ahead(duration)

    def of(self, row: FromClause) -> Moment:
        """Return the moment as each row of another table has it."""
        return self.base.of(row)

    def _floor(self, duration: Duration) -> ColumnElement[datetime]:
        return self.base.value(
            ("floor", duration), lambda moment: count_back(duration, moment.zone, moment.now).floor, Instant()
        )

    def _shifted(self, durations: tuple[Duration, ...]) -> ColumnElement[datetime]:
        return self.row.c.at - self.base.shift(*durations)


def _iso_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
