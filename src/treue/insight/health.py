"""Whether all is well: how passes go, what fails, who is late, and a sentence for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from treue.engine.passes.attempts import in_words
from treue.insight.channels import ChannelStatus
from treue.insight.due import DueStep
from treue.insight.outbox import SILENT, Outbox
from treue.model.states import MessageState
from treue.model.tables import arrival, event, journey, message
from treue.store import chores, failures, heartbeat
from treue.store.failures import Failure
from treue.store.heartbeat import Heartbeat

LATE = timedelta(minutes=10)
"""For how long, beside the time between two passes, somebody may be due or an event not looked at."""

TICKS = 3
"""After how many ticks without a pass that succeeded something is wrong, or without a sign of life of one under way."""

LONGEST_PASS = timedelta(minutes=10)
"""For how long a pass may be under way that gives signs of life."""

OFTEN = 3
"""How often in a row work has to fail until somebody has to look: once or twice may be a deadlock or a restart."""


@dataclass(frozen=True)
class Check:
    """One look at the health: what was looked at, whether it is well, and a sentence if not, or if it may become so."""

    name: str
    well: bool
    sentence: str = ""


@dataclass(frozen=True)
class Health:
    """How passes go, which work of which journey fails, at which steps customers are due too long, and what follows of it."""

    passes: Heartbeat | None
    failing: tuple[Failure, ...]
    late: tuple[DueStep, ...]
    checks: tuple[Check, ...]

    @property
    def well(self) -> bool:
        """Whether every check is well."""
        return all(check.well for check in self.checks)

    @property
    def sentences(self) -> list[str]:
        """What is wrong, a sentence each."""
        return [check.sentence for check in self.checks if not check.well]

    @property
    def notes(self) -> list[str]:
        """What may yet come right by itself, a sentence each: work that has failed once or twice."""
        return [check.sentence for check in self.checks if check.well and check.sentence]


def patience(passes: Heartbeat | None) -> timedelta:
    """Return for how long somebody may be due before that is too long."""
    return LATE + (passes.every if passes else timedelta(0))


def health(
    connection: Connection,
    now: datetime,
    passes: Heartbeat | None,
    due: Sequence[DueStep],
    box: Outbox,
    channels: Mapping[str, ChannelStatus],
) -> Health:
    """Return whether all is well at `now`, and what is not; the others say how things stand then."""
    failing, late = tuple(failures.find(connection)), tuple(one for one in due if one.late)
    checks = (
        _check_passes(passes, now),
        *(_check_work(one, now) for one in failing),
        *(_check_step(one, now) for one in late),
        _check_routing(connection, now - patience(passes)),
        _check_delivery(box, now, SILENT + (passes.every if passes else timedelta(0))),
        _check_leases(connection, now),
        *(_check_channel(name, one) for name, one in channels.items()),
        *(_check_members(name, number) for name, number in chores.repaired(connection).items()),
        *_check_vacuum(heartbeat.find(connection, heartbeat.VACUUM), now),
    )
    return Health(passes, failing, late, checks)


def _check_passes(passes: Heartbeat | None, now: datetime) -> Check:
    """Check that a pass has succeeded lately; one that gives signs of life gets longer."""
    name = "passes succeed"
    if passes is None:
        return Check(name, False, "No pass has ever succeeded; start `treue up` or `treue worker`.")
    ticks = TICKS * passes.every
    goes_on = passes.under_way and not passes.failures and now - passes.alive_at <= ticks
    longest = max(ticks, LONGEST_PASS) if goes_on else ticks
    since = passes.succeeded_at or (passes.began_at if goes_on else None)
    if since is not None and now - since <= longest:
        return Check(name, True)
    return Check(name, False, _why_not_passed(passes, now, goes_on=goes_on))


def _why_not_passed(passes: Heartbeat, now: datetime, *, goes_on: bool) -> str:
    ago = f"for {age(now, passes.succeeded_at)}" if passes.succeeded_at else "yet"
    began, heard = age(now, passes.began_at), age(now, passes.alive_at)
    if passes.failures:
        times = f"{passes.failures} have failed" if passes.failures > 1 else "one has failed"
        when = age(now, passes.failed_at)
        return f"No pass has succeeded {ago}; {times}, the last one {when} ago: {passes.reason}."
    if goes_on:
        return f"No pass has succeeded {ago}; one has been under way for {began} and goes on."
    if passes.under_way:
        return (
            f"No pass has succeeded {ago}; one began {began} ago and was last heard of {heard} ago: "
            "is its worker (`treue up` or `treue worker`) still running?"
        )
    return f"No pass has succeeded {ago}; is `treue up` or `treue worker` running?"


def failed_work(connection: Connection, now: datetime) -> list[str]:
    """Return a sentence for each piece of a journey's work that fails, be it for the first time."""
    return [_failing(one, now) for one in failures.find(connection)]


def _failing(one: Failure, now: datetime) -> str:
    often = f"{one.times} times in a row, for {age(now, one.since)}" if one.times > 1 else "once"
    return f"{one.journey}: {in_words(one.work)} has failed {often}: {one.reason}."


def _check_work(one: Failure, now: datetime) -> Check:
    return Check(f"{one.journey} {one.work}", one.times < OFTEN, _failing(one, now))


def _check_step(one: DueStep, now: datetime) -> Check:
    people = "1 customer is" if one.late == 1 else f"{one.late:,} customers are"
    sentence = f"{one.journey}: {people} due at the step {one.step} for up to {age(now, one.since)}."
    return Check(f"{one.journey} {one.step} in time", False, sentence)


def _check_routing(connection: Connection, before: datetime) -> Check:
    running = select(journey.c.id).where(journey.c.paused_at.is_(None), journey.c.version_id.is_not(None))
    late = _count(connection, event.c.id, event.c.routed_at.is_(None), event.c.received_at < before)
    late += _count(
        connection, arrival.c.id, arrival.c.effective_at < before, arrival.c.journey_id.in_(running)
    )
    sentence = f"{late} events have waited for too long to be looked at; is `treue up` running?"
    return Check("events are looked at", not late, sentence if late else "")


def _check_delivery(box: Outbox, now: datetime, longest: timedelta) -> Check:
    """Check that no channel has taken nothing for too long although messages are ready."""
    stuck = {channel: since for channel, since in box.silent.items() if now - since > longest}
    if not stuck:
        return Check("messages go out", True)
    sentence = (
        f"Messages by {', '.join(stuck)} have been ready for up to {age(now, min(stuck.values()))} and do not go "
        "out; is `treue up` running, is the provider there?"
    )
    return Check("messages go out", False, sentence)


def age(now: datetime, then: datetime | None) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    seconds = int((now - then).total_seconds()) if then else 0
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def _check_channel(name: str, one: ChannelStatus) -> Check:
    return Check(
        f"{name} can send", not one.grave, f"{name}: {one.sentence.rstrip('.')}." if one.grave else ""
    )


def _check_members(name: str, number: int) -> Check:
    """Note that something was missed that changed who is in a segment: it has been put right, and is a fault of ours."""
    customers = "1 customer" if number == 1 else f"{number:,} customers"
    sentence = (
        f"{name}: the last look over everybody found that {customers} had joined or left its segment unnoticed, and put that "
        "right; this is a fault of Treue, please report it."
    )
    return Check(f"{name} knows its segment", True, sentence)


def _check_vacuum(nights: Heartbeat | None, now: datetime) -> list[Check]:
    """Check that old rows are deleted, where the settings have workers do it."""
    if nights is None or not nights.failures:
        return []
    times = f"{nights.failures} times in a row" if nights.failures > 1 else "once"
    when = age(now, nights.failed_at)
    sentence = f"Old rows could not be deleted {times}, the last time {when} ago: {nights.reason}."
    return [Check("old rows are deleted", nights.failures < OFTEN, sentence)]


def _check_leases(connection: Connection, now: datetime) -> Check:
    stuck = _count(
        connection, message.c.id, message.c.state == MessageState.claimed.value, message.c.lease_until < now
    )
    sentence = (
        f"{stuck} messages are in the hands of a worker that has gone; the next `treue run` settles them."
    )
    return Check("no worker died with messages", not stuck, sentence if stuck else "")


def _count(connection: Connection, column: Any, *where: Any) -> int:
    return connection.scalar(select(func.count(column)).where(*where)) or 0
