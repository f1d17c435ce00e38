"""One journey's part of a pass: what the compiled flow asks for, turned into engine calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select

from treue.engine.delivery import outbox
from treue.engine.delivery.dispatcher import Delivered
from treue.engine.engine import Due, Engine, Passed, Progress, stages_in_order
from treue.engine.versions import Version
from treue.errors import TreueError
from treue.model.tables import arrival
from treue.plan.stages import Stage
from treue_flows.loop import Ask


class EngineFault(Exception):  # noqa: N818 - what failed is the call
    """An engine call failed. Says only how: the error's own text may name customers, and Prefect keeps texts."""


@dataclass
class Pass:
    """What all flow runs of a pass have in common, and what they add up to."""

    engine: Engine
    now: datetime
    progress: Progress
    passed: Passed = field(default_factory=Passed)
    faults: list[Exception] = field(default_factory=list)


class JourneyWork:
    """The `Work` of one flow run: of the version that leads, which has the door and the outbox, or of an older one."""

    def __init__(self, of: Pass, due: Due, ask: Ask, version: Version | None = None) -> None:
        self._of, self._due, self._ask = of, due, ask
        self._leads = version is None
        self.version = version or leading(due)

    async def at_the_door(self) -> bool:
        """Whether anybody waits to be let in or out."""
        return self._leads and bool(await self._do(self._anybody_at_the_door))

    async def take_in(self) -> int:
        """Let them in or out; return how many."""
        number: int = await self._do(partial(self._of.engine.take_in, self._due, self._of.now))
        self._of.passed.arrivals += number
        return number

    async def older(self) -> AsyncIterator[JourneyWork]:
        """Yield the work on the other versions that have somebody due."""
        for version in self._due.versions if self._leads else ():
            if version.version_id == self.version.version_id:
                continue
            if await self._do(partial(self._of.engine.due_stages, version, self._of.now)):
                yield JourneyWork(self._of, self._due, self._ask, version)

    async def stages(self) -> AsyncIterator[Stage]:
        """Yield each stage somebody is due at, in order."""
        stages = stages_in_order(self._of.engine, self.version, self._of.now)
        while (stage := await self._do(partial(next, stages, None))) is not None:
            yield stage

    async def advance(self, stage: Stage) -> int:
        """Act on everyone due at a stage; return how many."""
        tell = partial(self._of.progress, stage.id)
        number: int = await self._do(
            partial(self._of.engine.advance, self.version, stage, self._of.now, tell)
        )
        self._of.passed.moved += number
        return number

    async def in_the_outbox(self) -> bool:
        """Whether there is anything to send."""
        return self._leads and bool(await self._do(self._anything_to_send))

    async def deliver(self) -> str:
        """Send what is in the outbox; say what became of it."""
        tell = partial(self._of.progress, "deliver")
        send = partial(self._of.engine.deliver, self._due.journey_id, self._of.now, tell)
        delivered: Delivered = await self._do(send)
        self._of.passed.delivered.add(delivered)
        return summary(delivered)

    async def _do(self, call: Callable[[], Any]) -> Any:
        try:
            return await self._ask(call)
        except TreueError as error:
            fault = EngineFault(type(error).__name__ + ": " + str(error))
            self._of.faults.append(error)
        except Exception as error:
            fault = EngineFault(f"{type(error).__name__}; Treue's own output says more.")
            self._of.faults.append(error)
        raise fault

    def _anybody_at_the_door(self) -> bool:
        query = select(arrival.c.id).where(
            arrival.c.journey_id == self._due.journey_id, arrival.c.at <= self._of.now
        )
        with self._of.engine.store.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _anything_to_send(self) -> bool:
        if self._of.engine.delivery is None:
            return False
        with self._of.engine.store.reading() as connection:
            waiting = outbox.waiting(connection, self._of.now)
        return any(journey_id == self._due.journey_id for journey_id, _ in waiting)


def leading(due: Due) -> Version:
    """Return the version that lets customers in, or the newest one where none does any more."""
    live = [version for version in due.versions if version.live]
    return (live or sorted(due.versions, key=lambda version: version.version_id))[-1]


def summary(delivered: Delivered) -> str:
    """Return what became of messages, in numbers."""
    counts = {
        "sent": delivered.sent,
        "held": delivered.held + delivered.postponed,
        "refused": sum(delivered.refused.values()),
        "failed": delivered.failed,
        "in_doubt": delivered.in_doubt,
    }
    if not counts["in_doubt"]:
        del counts["in_doubt"]
    return " ".join(f"{name}={number}" for name, number in counts.items())
