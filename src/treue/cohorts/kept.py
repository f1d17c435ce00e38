"""What is made once for a version of a journey and kept with it: above all statements.

A statement that no version has a say in is a constant of its module, or kept by `lru_cache` under what it is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from treue.segments.needs import looks_ahead
from treue.segments.sql import AnyMoment, Moment
from treue.segments.tree import Condition, Property

T = TypeVar("T")


class Kept:
    """Keeps what has been made for one version, by key."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def of(self, key: Hashable, make: Callable[[], T], *, constant: bool = True) -> T:
        """Return `make()`, kept after the first call; where it is not `constant`, call it every time and keep nothing."""
        return self.while_good(key, make, lambda _: True) if constant else make()

    def while_good(self, key: Hashable, make: Callable[[], T], is_good: Callable[[T], bool]) -> T:
        """Return what is kept as long as it is good, else what `make` makes."""
        if key not in self._made or not is_good(self._made[key]):
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def asking(
        self,
        key: Hashable,
        asked: Iterable[Condition | Property],
        moment: Moment,
        make: Callable[[Moment], T],
    ) -> tuple[T, dict[str, Any]]:
        """Return what `make` makes to ask conditions, or properties of an event, at a moment; and the values to run it with.

        It is made once, for any moment, unless one looks ahead. Asked of rows that have times of their own, `moment` is
        the first of a stretch of such times (`stretch_end`), and the values hold until its end.
        """
        if any(map(looks_ahead, asked)):
            return make(moment), {}

        def for_any() -> tuple[T, AnyMoment]:
            then = AnyMoment(zone=moment.zone)
            return make(then), then

        made, then = self.of(key, for_any)
        return made, then.values(moment)
