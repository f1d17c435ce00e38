"""Chores: looks over everybody, done when nothing else is to be done, by one worker, and for a few seconds at a time.

A segment is compared with what is known of its members once a night; where conditions cannot say when time changes their
answers, everybody is asked as often as that costs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from treue import meters
from treue.clock import resolve
from treue.cohorts.player import watcher
from treue.engine.door import full_looks, regular_looks
from treue.engine.passes.attempts import EXITS, LONGEST_LOOK, SEGMENT, WAITS, Attempts
from treue.engine.versions.versions import Version
from treue.engine.versions.watching import watching
from treue.segments.needs import unforeseen
from treue.store import chores
from treue.store.chores import Chore
from treue.store.failures import Key
from treue.store.store import Store

SECONDS_A_PASS = 5.0
"""For how long a pass does chores; what is left, the next one does."""

SHARE = 100
"""How many times as long as such a look takes it is left alone: it costs a hundredth of a worker's time."""

AT_NIGHT = time_of_day(3)

Look = Callable[[Connection, Version, datetime, str], None]
_LOOKS: dict[str, Look] = {EXITS: regular_looks.detect_leavers, WAITS: regular_looks.notice}


class Chores:
    """The chores of one pass."""

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        versions: Sequence[Version],
        now: datetime,
        zone: str,
        *,
        compares: bool = True,
    ) -> None:
        self.store, self.attempts, self.now, self.zone = store, attempts, now, zone
        self.versions, self.compares = versions, compares
        self.began = time.monotonic()

    def do(self) -> bool:
        """Do the chores that are due, as far as time allows; say whether any was done."""
        done = False
        for one in self._due():
            journey = [version for version in self.versions if version.journey_id == one.journey_id]
            act = partial(self._do, one, journey)
            done = bool(self.attempts.make(one.journey_id, journey[0].name, one.work, act)) or done
        return done

    def _due(self) -> list[Chore]:
        wanted = {
            key: version
            for version in self.versions
            for key in _chores_of(version)
            if self.compares or not _only_compares(key, version)
        }
        with self.store.reading() as connection:
            known = chores.find(connection)
        if wanted.keys() != {one.key for one in known}:
            with self.store.transaction() as connection:
                new = {key: self._first_time(key, version) for key, version in wanted.items()}
                known = chores.plan(connection, new)
        runs = {version.journey_id for version in self.versions if not version.paused}
        return [
            one
            for one in known
            if one.next_at <= self.now and one.journey_id in runs and self.attempts.may(*one.key)
        ]

    def _first_time(self, key: Key, version: Version) -> datetime:
        """Return when a new chore is done first: what was looked at when the journey went live is known until the night."""
        return self._tonight() if _only_compares(key, version) else self.now

    def _tonight(self) -> datetime:
        local = self.now.astimezone(ZoneInfo(self.zone))
        days = 0 if local.time() < AT_NIGHT else 1
        return resolve(datetime.combine(local.date() + timedelta(days=days), AT_NIGHT), self.zone)

    def _do(self, one: Chore, versions: Sequence[Version]) -> bool:
        """Do a chore, unless another worker has it or the time is up; say whether it was."""
        if self._is_up():
            return False
        with self.store.transaction() as connection:
            if not chores.claim(connection, one.key, self.now):
                return False
        over, began = False, time.monotonic()
        try:
            over = self._compare(one, versions) if one.work == SEGMENT else self._look(one, versions)
        finally:
            with self.store.transaction() as connection:
                if over:
                    chores.finish(connection, one.key, self.now, self._next_time(one, versions, began))
                else:
                    chores.leave(connection, one.key)
        return True

    def _next_time(self, one: Chore, versions: Sequence[Version], began: float) -> datetime:
        if one.work == SEGMENT and all(watching(version).is_foreseen for version in versions):
            return self._tonight()
        return self.now + SHARE * timedelta(seconds=time.monotonic() - began)

    def _is_up(self) -> bool:
        return time.monotonic() - self.began > SECONDS_A_PASS

    def _look(self, one: Chore, versions: Sequence[Version]) -> bool:
        for version in versions:
            if one.key in _chores_of(version):
                with self._at_door(version, one.work) as connection:
                    _LOOKS[one.work](connection, version, self.now, self.zone)
        return True

    def _compare(self, one: Chore, versions: Sequence[Version]) -> bool:
        """Compare who is in a segment with who is known to be, portion by portion; say whether it has come to the end."""
        live = next(version for version in versions if version.live)
        after, over = one.done_until, False
        while not over and not self._is_up():
            with self._at_door(live, one.work) as connection:
                until, over = full_looks.portion(connection, after)
                found = full_looks.compare(connection, live, self.now, self.zone, after, until)
                repaired = found if watching(live).is_foreseen else 0
                chores.go_on(connection, one.key, until, repaired, self.now, anew=after == 0)
            after = until
        return over

    @contextmanager
    def _at_door(self, version: Version, work: str) -> Iterator[Connection]:
        with self.store.transaction() as connection:
            self.store.lock(connection, f"journey {version.journey_id}")  # for as long as another pass has it
            with (
                meters.LOOK_SECONDS.labels(version.name, work).time(),
                self.store.limited(connection, LONGEST_LOOK),
            ):
                yield connection


def _chores_of(version: Version) -> Iterator[Key]:
    """Yield the chores that a version brings with it."""
    one = watching(version)
    if version.live and one.joined is not None:
        yield version.journey_id, SEGMENT
    if any(unforeseen(condition) for condition in one.reasons):
        yield version.journey_id, EXITS
    if any(watcher(stage).must_be_looked_at(stage) for stage, _ in one.waits):
        yield version.journey_id, WAITS


def _only_compares(key: Key, version: Version) -> bool:
    """Say whether a chore finds nothing but what was missed."""
    return key[1] == SEGMENT and watching(version).is_foreseen


def looks_regularly(versions: Sequence[Version]) -> bool:
    """Say whether any of these versions watches a condition that time changes at no instant known before."""
    return any(
        not _only_compares(key, version)
        for version in versions
        if not version.paused
        for key in _chores_of(version)
    )
