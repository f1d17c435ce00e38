"""One journey's part of a pass: what the compiled flow asks for, turned into engine calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from treue.delivery.dispatcher import Delivered
from treue.engine.passes.attempts import DELIVER, step
from treue.engine.passes.chronology import Chronology, Due, Progress
from treue.engine.versions.versions import Version
from treue.errors import TreueError
from treue.language.steps import Stage
from treue_flows.loop import Ask


class EngineFault(Exception):  # noqa: N818 - what failed is the call
    """An engine call failed. Says only how: the error's own text may name customers, and Prefect keeps texts."""


@dataclass
class Pass:
    """What all flow runs of a pass have in common. `faults` are errors of the flow run under way that are none of its steps'."""

    chronology: Chronology
    progress: Progress
    faults: list[Exception] = field(default_factory=list)


class JourneyWork:
    """The `Work` of one flow run: of the version that leads, which tells of the door and has the outbox, or of an older one."""

    def __init__(self, of: Pass, due: Due, ask: Ask, version: Version | None = None) -> None:
        self._of, self._due, self._ask = of, due, ask
        self._leads = version is None
        self.version = version or leading_version(due)

    async def at_the_door(self) -> bool:
        """Whether anybody has been let in or out."""
        return self._leads and self._of.chronology.dealt.get(self._due.journey_id, 0) > 0

    async def take_in(self) -> int:
        """Return how many that were since this was last asked."""
        return self._of.chronology.dealt.pop(self._due.journey_id, 0)

    async def older(self) -> AsyncIterator[JourneyWork]:
        """Yield the work on the other versions that have somebody due."""
        for version in self._due.versions if self._leads else ():
            if version.version_id == self.version.version_id:
                continue
            if await self._do(partial(self._of.chronology.is_due, version)):
                yield JourneyWork(self._of, self._due, self._ask, version)

    async def stages(self) -> AsyncIterator[Stage]:
        """Yield each stage somebody is due at, in order."""
        stages = iter(()) if self._due.delivers else self._of.chronology.stages(self.version)
        while (stage := await self._do(partial(next, stages, None))) is not None:
            yield stage

    async def advance(self, stage: Stage) -> int:
        """Act on everyone due at a stage; return how many."""
        tell = partial(self._of.progress, stage.id)
        act = partial(self._of.chronology.advance, self.version, stage, tell)
        number: int = await self._attempt(step(stage), act)
        return number

    async def in_the_outbox(self) -> bool:
        """Whether there is anything to send."""
        return self._leads and self._due.delivers

    async def deliver(self) -> str:
        """Send what is in the outbox; say what became of it."""
        tell = partial(self._of.progress, "deliver")
        delivered: Delivered = await self._attempt(
            DELIVER, partial(self._of.chronology.deliver, self._due.journey_id, tell)
        )
        return summary(delivered)

    async def _attempt(self, work: str, call: Callable[[], Any]) -> Any:
        """Do work of the journey that may fail by itself."""

        def recorded() -> Any:
            with self._of.chronology.attempts.recorded(self._due.journey_id, self._due.name, work):
                return call()

        return await self._do(recorded)

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


def leading_version(due: Due) -> Version:
    """Return the live version, or the newest one where none is live."""
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
