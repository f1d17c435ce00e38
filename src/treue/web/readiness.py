"""Whether this process can do its work: take in what comes, which is to write it down.

Anybody may ask, so a real write is made now and then only, one at a time; whoever asks meanwhile hears of the last one.
What passes and providers do is no part of it: a web whose worker has died still has to take events.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from treue.errors import StoreError
from treue.store.store import Store

FRESH = 5.0
"""Seconds for which an answer holds."""

PATIENCE = 30.0
"""Seconds a write may wait for its turn: others write meanwhile, so the database takes something."""

_STUCK = "a write has been waiting for its turn for more than {:.0f} seconds"


class Readiness:
    """Finds out whether the store can be written to. May be asked from several threads."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._trying, self._began = threading.Lock(), 0.0
        self._asked: float | None = None
        self._problem = ""

    def problem(self) -> str:
        """Return why nothing can be written, or an empty text."""
        if self._asked is not None and self._clock() - self._asked < FRESH:
            return self._problem
        if not self._trying.acquire(blocking=self._asked is None):
            waited = self._clock() - self._began
            return self._problem or (_STUCK.format(PATIENCE) if waited > PATIENCE else "")
        try:
            self._began = self._clock()
            self._problem = self._try()
            self._asked = self._clock()
            return self._problem
        finally:
            self._trying.release()

    def _try(self) -> str:
        try:
            self._store.check()
            self._store.prove_writable()
        except StoreError as error:
            return str(error)
        return ""
