"""Work that is done for one journey, so that its failure costs this journey alone and is not forgotten.

What fails is recorded in the database, left alone for a while, longer each time, and tried again. A database that
cannot be used is nobody's failure: it ends the pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from treue import meters
from treue.errors import StoreError, TreueError
from treue.language.steps import Stage
from treue.store import failures, heartbeat
from treue.store.failures import PLAN, Key
from treue.store.store import Store

T = TypeVar("T")

SIGNS_OF_LIFE = 10.0
"""Seconds after which a pass that goes on says so."""

LONGEST_LOOK = 60.0
"""Seconds that one statement of a look may take before it counts as failed, so that one keeps no other waiting."""

SEGMENT, WAITS, EXITS = "segment", "waits", "exits"
REROUTE, ENTER, DELIVER, RUN = "reroute", "enter", "deliver", "run"
_STEP = "step "

_IN_WORDS = {
    WAITS: "looking who need wait no longer",
    EXITS: "looking who has to leave",
    REROUTE: "finding another way while a channel is down",
    ENTER: "letting customers in and out",
    DELIVER: "sending its messages",
    RUN: "running its flow",
    PLAN: "reading its plan",
}


def step(stage: Stage) -> str:
    """Return the name of the work that is done at a stage."""
    return _STEP + stage.id


def in_words(work: str) -> str:
    """Return what work is, for people."""
    if work.startswith(_STEP):
        return f"the step {work.removeprefix(_STEP)}"
    return _IN_WORDS.get(work, f"looking whom its {work} brings")


@dataclass(frozen=True)
class Failed:
    """Work of a journey that has failed in a pass, and what was raised."""

    journey: str
    work: str
    error: Exception

    @property
    def is_fault(self) -> bool:
        """Whether neither the database nor we have refused: how it came about is worth knowing then."""
        return not isinstance(self.error, (TreueError, DBAPIError))

    def __str__(self) -> str:
        return f"{self.journey}: {in_words(self.work)} failed: {failures.reason(self.error)}."


class Attempts:
    """What the journeys' work of one pass comes to. `failed` has what has failed, by journey number and work.

    One failure of a journey's work is enough: in the same pass it is not tried for the journey's other versions.
    `recorded_pass` says that the pass is on record, and so has to give signs of life.
    """

    def __init__(self, store: Store, now: datetime, *, recorded_pass: bool = False) -> None:
        self.failed: dict[Key, Failed] = {}
        self._store, self._now = store, now
        self._began = self._heard_of = time.monotonic()
        self._recorded_pass = recorded_pass
        self._succeeded, self._recorded = set[Key](), set[Key]()
        with store.reading() as connection:
            self._known = {(one.journey_id, one.work): one for one in failures.find(connection)}

    @property
    def moment(self) -> datetime:
        """The pass's time, gone on by as much as has really gone by."""
        return self._now + timedelta(seconds=time.monotonic() - self._began)

    def beat(self) -> None:
        """Record now and then that the pass goes on. Not to be called within a transaction."""
        if self._recorded_pass and time.monotonic() - self._heard_of >= SIGNS_OF_LIFE:
            self._heard_of = time.monotonic()
            with self._store.transaction() as connection:
                heartbeat.beat(connection, self.moment)

    def may(self, journey_id: int, work: str) -> bool:
        """Say whether work may be tried: it has not failed in this pass, and is not to be left alone."""
        key = (journey_id, work)
        return key not in self.failed and not self._is_put_off(key)

    def may_run(self, journey_id: int) -> bool:
        """Say whether a journey may do anything at all: not where who should have left would be written to."""
        exits = (journey_id, EXITS)
        knows_who_leaves = exits not in self._known or exits in self._succeeded
        return knows_who_leaves and all(self.may(journey_id, work) for work in (EXITS, ENTER, RUN, PLAN))

    def make(self, journey_id: int, name: str, work: str, act: Callable[[], T]) -> T | None:
        """Do what may be done, and return what comes of it; None where it is left alone or fails."""
        if not self.may(journey_id, work):
            return None
        try:
            with self.recorded(journey_id, name, work):
                return act()
        except StoreError:
            raise
        except Exception:
            return None

    @contextmanager
    def recorded(self, journey_id: int, name: str, work: str) -> Iterator[None]:
        """Record what fails in the block, and raise it on."""
        self.beat()
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            self.record(journey_id, name, work, error)
            raise
        self.succeed(journey_id, work)

    def succeed(self, journey_id: int, work: str) -> None:
        """Take it that work has succeeded, after all where it had failed in this pass."""
        self._succeeded.add((journey_id, work))
        self.failed.pop((journey_id, work), None)

    def record(self, journey_id: int, name: str, work: str, error: Exception) -> None:
        """Record that work has failed. Several tries in one pass count once."""
        key = (journey_id, work)
        self.failed[key] = Failed(name, work, error)
        if key not in self._recorded:
            self._recorded.add(key)
            meters.FAILURES.labels(name, work).inc()
            with self._store.transaction() as connection:
                failures.record(connection, key, self.moment, failures.reason(error))

    def settle(self, *, whole: bool) -> None:
        """Forget earlier failures of what has succeeded; in a `whole` pass also of what there was not to be done."""
        over = self._succeeded & (self._known.keys() | self._recorded)
        if whole:
            over |= {key for key in self._known if not self._is_put_off(key)}
        if over := over - self.failed.keys():
            with self._store.transaction() as connection:
                failures.forget(connection, over)

    def _is_put_off(self, key: Key) -> bool:
        known = self._known.get(key)
        return known is not None and key not in self._succeeded and known.is_put_off(self._now)


class JourneysFailed(TreueError):  # noqa: N818 - what has happened
    """Work of some journeys has failed; all other work of the pass was done, and `passed` says what came of it."""

    def __init__(self, failed: list[Failed], passed: Any) -> None:
        super().__init__("\n".join(map(str, failed)))
        self.failed, self.passed = failed, passed
