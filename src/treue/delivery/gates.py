"""Whether and how fast a channel may send: its rate, and the pause after its provider failed.

A gate is one row that all workers share, so a rate is the company's and not each worker's, and a pause that a
provider asks of one worker (Retry-After) is kept by all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from treue.model.tables import channel_gate
from treue.store import dialect

SLICES = 20
"""Into how many parts a second's messages are cut at most: within any second no more go than the rate allows."""

LARGEST_SLICE = 2
"""At least so many parts, where an adapter takes many at once: as a request of many takes longer than one of few."""

FAILURES = 5
"""How many failures in a row open the breaker: from then on pauses double, and one message goes first to try."""

MINUTE = timedelta(minutes=1)
PAUSE = timedelta(seconds=30)
LONGEST = timedelta(minutes=10)
"""The breaker's first pause and its longest; a provider that asks for a longer one gets it."""


@dataclass(frozen=True)
class Admission:
    """How many messages may be claimed now; none before `wait` is over, none at all where `closed`."""

    limit: int
    wait: timedelta = timedelta(0)
    closed: bool = False


def rate_per_second(text: str | None) -> float:
    """Return `500/s`, `30/min` or `1000/h` as messages a second, 0.0 for no rate."""
    if not text:
        return 0.0
    number, _, unit = text.partition("/")
    return int(number) / {"s": 1, "min": 60, "h": 3600}[unit]


def admit(
    connection: Connection,
    channel: str,
    moment: datetime,
    wall: datetime,
    most: int,
    rate: float,
    at_once: int = 1,
) -> Admission:
    """Return how many messages the channel takes now. With a rate, their places are taken: call `give_back` for others.

    `moment` is the pass's time, which pauses are measured in, `wall` the real one, which rates are; `at_once` is how
    many messages the adapter takes.
    """
    gate = _gate(connection, channel, lock=bool(rate))
    if gate is not None and is_closed(gate, moment):
        return Admission(0, closed=True)
    trying = gate is not None and gate.failures >= FAILURES
    limit = 1 if trying else most
    if not rate:
        return Admission(limit)
    largest = max(1, int(rate / LARGEST_SLICE))
    limit = min(limit, largest, max(at_once, int(rate / SLICES)))
    free = gate.next_at if gate is not None and gate.next_at is not None else wall
    # What is further away than any slice reaches was written by another rate, or by a clock that has been put back.
    if timedelta(0) < free - wall <= timedelta(seconds=largest / rate):
        return Admission(0, wait=free - wall)
    _write(connection, channel, next_at=wall + timedelta(seconds=limit / rate))
    return Admission(limit)


def give_back(connection: Connection, channel: str, unused: int, rate: float) -> None:
    """Free the places of messages that were not there."""
    if rate and unused > 0:
        gate = _gate(connection, channel, lock=True)
        if gate is not None and gate.next_at is not None:
            _write(connection, channel, next_at=gate.next_at - timedelta(seconds=unused / rate))


def failed(connection: Connection, channel: str, moment: datetime, after: float, reason: str) -> None:
    """Note that the provider failed, or asked for a pause of `after` seconds: nothing goes before that."""
    gate = _gate(connection, channel, lock=True)
    failures = (gate.failures if gate is not None else 0) + 1
    pause = timedelta(seconds=after)
    if failures >= FAILURES:
        pause = max(pause, min(PAUSE * 2 ** min(failures - FAILURES, 10), LONGEST))
    until = moment + pause
    if gate is not None and gate.paused_until is not None:
        until = max(until, gate.paused_until)
    since = gate.since if gate is not None and gate.failures else moment
    _write(connection, channel, paused_until=until, failures=failures, since=since, reason=reason[:300])


def failures(connection: Connection) -> Mapping[str, int]:
    """Return how often each provider failed in a row that has taken nothing since, by channel."""
    query = select(channel_gate.c.channel, channel_gate.c.failures).where(channel_gate.c.failures > 0)
    return {channel: number for channel, number in connection.execute(query)}  # noqa: C416


def worked(connection: Connection, channel: str, moment: datetime) -> None:
    """Note that the provider took a message: the gate is open again. When it did is kept to the minute."""
    gate = _gate(connection, channel, lock=False)
    if gate is None or gate.failures or gate.worked_at is None or moment - gate.worked_at >= MINUTE:
        open_again = {"paused_until": None, "failures": 0, "since": None, "reason": None}
        _write(connection, channel, worked_at=moment, **open_again)


def all_gates(connection: Connection) -> Mapping[str, Row[Any]]:
    """Return all gates by channel: of those that are not there, nothing is known."""
    return {row.channel: row for row in connection.execute(select(channel_gate))}


def closed(connection: Connection, moment: datetime) -> Mapping[str, Row[Any]]:
    """Return the gates that are closed at `moment`, by channel."""
    return {name: gate for name, gate in all_gates(connection).items() if is_closed(gate, moment)}


def is_closed(gate: Row[Any], moment: datetime) -> bool:
    """Say whether nothing may go through a gate at `moment`."""
    return gate.paused_until is not None and gate.paused_until > moment


def _gate(connection: Connection, channel: str, *, lock: bool) -> Row[Any] | None:
    query = select(channel_gate).where(channel_gate.c.channel == channel)
    return connection.execute(query.with_for_update() if lock else query).first()


def _write(connection: Connection, channel: str, **values: object) -> None:
    dialect.upsert(connection, channel_gate, {"channel": channel}, values)
