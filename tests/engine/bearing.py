"""How limits and quiet hours are meant, for one customer and one message at a time: written from the language's pages.

Nothing here knows of SQL, batches or turns. `Naive` plays passes over orders that were placed; each journey sends one
message (or one on each channel) for each order, at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from treue.clock import Duration
from treue.language.pressure import Limit, QuietHours

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Sender:
    """A journey: what it sends for every order."""

    name: str
    category: str
    priority: int
    channels: tuple[str, ...]
    valid_for: timedelta


@dataclass
class Letter:
    """One message and where it stands."""

    journey: Sender
    customer: str
    channel: str
    due: datetime
    ready: datetime
    state: str = "queued"
    reason: str | None = None
    reserved: datetime | None = None

    @property
    def send_by(self) -> datetime:
        return self.due + self.journey.valid_for

    @property
    def outcome(self) -> tuple[str, str, str, datetime, str, str | None, datetime | None, datetime | None]:
        """Return all that is compared; the time it waits for only while it waits."""
        waits = self.ready if self.state == "queued" else None
        return (
            self.journey.name,
            self.customer,
            self.channel,
            self.due,
            self.state,
            self.reason,
            self.reserved,
            waits,
        )


@dataclass
class Naive:
    """A shop's journeys, rules and customers' zones (None: not known), and every message so far.

    `shared` are the channels on which all customers have one address.
    """

    senders: Sequence[Sender]
    limits: Sequence[Limit]
    quiet: Mapping[str, QuietHours]
    zones: Mapping[str, str | None]
    spread: Mapping[str, timedelta]
    home: str
    shared: frozenset[str] = frozenset()
    letters: list[Letter] = field(default_factory=list)

    def run(self, now: datetime, orders: Sequence[tuple[datetime, str]]) -> None:
        """Run a pass: in each round of every customer's next order, each journey releases what it holds, then sends."""
        rounds = [_round(orders, n) for n in range(max(1, len(orders)))]
        turns = sorted(self.senders, key=lambda one: (-one.priority, one.name))
        for these, sender in itertools.product(rounds, turns):
            held = [one for one in self.letters if one.journey is sender and one.state == "queued"]
            self._judge(sorted((one for one in held if one.ready <= now), key=lambda one: one.due), now)
            new = [
                Letter(sender, customer, channel, at, at)
                for at, customer in these
                for channel in sender.channels
            ]
            self.letters += new
            late = [one for one in new if one.send_by < now]
            for one in late:
                one.state, one.reason = "refused", "stale"
            self._judge([one for one in new if one not in late], now)

    def _judge(self, letters: Sequence[Letter], now: datetime) -> None:
        for letter in letters:
            if letter.journey.category == "transactional":
                letter.state = "sent"
            elif letter.send_by < now:
                letter.state, letter.reason = "refused", "stale"
            elif (end := self._quiet_until(letter, now)) is not None:
                self._hold(letter, "stale" if end > letter.send_by else "quiet_hours", end)
            else:
                self._press(letter, now)

    def _hold(self, letter: Letter, reason: str, end: datetime) -> None:
        letter.reason = reason
        if reason == "stale":
            letter.state = "refused"
        else:
            letter.ready = min(end + self.spread[letter.customer], letter.send_by)

    def _quiet_until(self, letter: Letter, now: datetime) -> datetime | None:
        """Look at the customer's clock minute by minute until it shows a time that is not quiet."""
        hours, zone = self.quiet.get(letter.channel), self.zones[letter.customer]
        if hours is None:
            return None
        wider = 0 if zone else 60
        start, length = (hours.start - wider) % 1440, hours.length + 2 * wider
        moment = now
        while (self._clock(moment, zone or self.home) - start) % 1440 < length:
            moment = moment.replace(second=0, microsecond=0) + MINUTE
        return None if moment == now else moment

    def _clock(self, moment: datetime, zone: str) -> int:
        local = moment.astimezone(ZoneInfo(zone))
        return local.hour * 60 + local.minute

    def _press(self, letter: Letter, now: datetime) -> None:
        over = [(limit, found) for limit in self.limits if (found := self._too_many(limit, letter, now))]
        if not over:
            letter.state, letter.reason, letter.reserved = "sent", None, now
            return
        drops = [pair for pair in over if pair[0].when_over == "drop"]
        limit, counted = drops[0] if drops else max(over, key=lambda pair: self._room(*pair))
        higher = any(one.journey.priority > letter.journey.priority for one in counted)
        letter.reason = "lower_priority" if higher else "over_limit"
        if drops or self._room(limit, counted) > letter.send_by:
            letter.state = "refused"
        else:
            letter.ready = self._room(limit, counted)

    def _too_many(self, limit: Limit, letter: Letter, now: datetime) -> list[Letter]:
        """Return the messages in the limit's window where there are too many for one more."""
        if not about(limit, letter):
            return []
        counted = [
            one
            for one in self.letters
            if self._reaches(one, letter.customer)
            and about(limit, one)
            and one.reserved
            and one.reserved > now - span(limit.per)
        ]
        return counted if len(counted) >= limit.at_most else []

    def _reaches(self, one: Letter, customer: str) -> bool:
        """Whether a message went to a customer, or to an address that the customer has, too."""
        return one.customer == customer or one.channel in self.shared

    def _room(self, limit: Limit, counted: Sequence[Letter]) -> datetime:
        """Return when so many have left the window that one more fits."""
        places = sorted(one.reserved for one in counted if one.reserved)
        return places[len(places) - limit.at_most] + span(limit.per)


def _round(orders: Sequence[tuple[datetime, str]], n: int) -> list[tuple[datetime, str]]:
    """Return the n-th order of each customer who has as many."""
    by_customer = {who: sorted(at for at, one in orders if one == who) for _, who in orders}
    return sorted((times[n], who) for who, times in by_customer.items() if n < len(times))


def about(limit: Limit, letter: Letter) -> bool:
    """Whether a limit is about a message."""
    return limit.channel in (None, letter.channel) and limit.category in (None, letter.journey.category)


def span(per: Duration) -> timedelta:
    """Return how long a limit's window is."""
    return timedelta(days=per.days, seconds=per.seconds)
