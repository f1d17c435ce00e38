"""What takes the place of the outside world where nothing may be sent: in backtests and in plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from treue.channel import Accepted, Capabilities, Kind, Outgoing, Progress, Receipt
from treue.clock import EPOCH
from treue.cohorts.local_time import absolute
from treue.delivery.dispatcher import Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.plan.plan import Plan

NEVER_UNDER = timedelta(minutes=5)
"""What the time between passes is never shortened below."""


def standing_still() -> datetime:
    """Return always the same time: the real clock of a world whose time is told."""
    return EPOCH


class Accepting:
    """A channel that says yes to everything and sends nothing."""

    def __init__(self, kind: Kind) -> None:
        self.capabilities = Capabilities(kind, batch=1_000)

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Accept each message."""
        return [Accepted() for _ in batch]

    def close(self) -> None:
        """There is nothing to let go of."""


class Blank:
    """Writes nothing: this is about who would get a message and when, not about what it says."""

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        """Return an empty message for each."""
        return [Written(Outgoing(claimed.key, claimed.address)) for claimed in messages]


def pace(plans: Sequence[Plan], most: timedelta) -> timedelta:
    """Return how far passes are apart: near enough that no message goes stale only for want of a pass."""
    valid = [found.valid_for for plan in plans for stage in plan.stages if (found := stage.outbox())]
    shortest = min((timedelta(microseconds=absolute(one)) for one in valid), default=most)
    return max(NEVER_UNDER, min(most, shortest))
