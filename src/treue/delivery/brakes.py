"""Brakes: marketing slows down and stops before mailbox providers stop us.

The rates are those at which they act: Gmail and Yahoo ask to stay under 0.10 % of complaints and never to reach 0.30 %
(Google's e-mail sender guidelines); many dead addresses say that a list was bought or is old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, bindparam, func, select

from treue.model.tables import channel_hour
from treue.model.types import Instant

BRAKED = ("email",)
WINDOW = timedelta(hours=24)
FEWEST = 200
"""Messages in the window below which a rate says nothing."""

SLOW_RATE = 1.0
"""Marketing messages a second while the brake slows."""


class Pedal(StrEnum):
    """How hard the brake is on."""

    off = "off"
    warn = "warn"
    slow = "slow"
    stop = "stop"


COMPLAINTS = ((0.003, Pedal.stop), (0.002, Pedal.slow), (0.001, Pedal.warn))
BOUNCES = ((0.05, Pedal.stop), (0.02, Pedal.warn))
_ORDER = list(Pedal)


@dataclass(frozen=True)
class Brake:
    """A channel's last 24 hours, and what they mean for its marketing messages."""

    sent: int = 0
    bounced: int = 0
    complained: int = 0

    @property
    def pedal(self) -> Pedal:
        """How hard the brake is on."""
        if self.sent < FEWEST:
            return Pedal.off
        found = [_pedal(self.complained / self.sent, COMPLAINTS), _pedal(self.bounced / self.sent, BOUNCES)]
        return max(found, key=_ORDER.index)

    @property
    def sentence(self) -> str:
        """What is wrong, for people; nothing where all is well."""
        if self.pedal is Pedal.off:
            return ""
        what = {"warn": "goes on", "slow": f"goes at {SLOW_RATE:g} a second", "stop": "is stopped"}[
            self.pedal
        ]
        return (
            f"{self.complained / self.sent:.2%} complaints and {self.bounced / self.sent:.1%} dead addresses in "
            f"24 hours ({self.sent:,} messages): marketing {what}."
        )


def brakes(connection: Connection, moment: datetime) -> Mapping[str, Brake]:
    """Return the brake of each channel that has one and has sent anything in the last 24 hours."""
    found = connection.execute(_LATELY, {"since": moment - WINDOW})
    return {channel: Brake(int(s), int(b), int(c)) for channel, s, b, c in found}


_hours = channel_hour.c
_LATELY = (
    select(_hours.channel, func.sum(_hours.sent), func.sum(_hours.bounced), func.sum(_hours.complained))
    .where(_hours.hour > bindparam("since", type_=Instant()), _hours.channel.in_(BRAKED))
    .group_by(_hours.channel)
)


def _pedal(rate: float, steps: tuple[tuple[float, Pedal], ...]) -> Pedal:
    # Exactly 0.10 % is not yet above it; 0.20 %, 0.30 % and 5 % are reached when they are reached.
    for limit, pedal in steps:
        if rate > limit or (rate == limit and pedal is not Pedal.warn):
            return pedal
    return Pedal.off
