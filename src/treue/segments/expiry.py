"""How long an answer stands: the times from which a condition counts, so long after which it may change by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.clock import Duration
from treue.segments.fact import Fact


@dataclass(frozen=True)
class Expiry:
    """A time so long after which time alone may change a leaf's answer.

    `fact` holds that time; without one it is what the leaf observes: an `instant` in microseconds, a `time` as text, or a
    local `date`. `turns` says at which side of that time plus the length the answer changes: `at` it (what is later than so
    long ago no longer is), just `after` it (what is earlier than so long ago is so from then on), or at `both`.
    """

    length: Duration
    fact: Fact | None = None
    type: Literal["instant", "time", "date"] = "instant"
    turns: Literal["at", "after", "both"] = "both"
