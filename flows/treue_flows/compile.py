"""A journey's plan to a Prefect flow: one task a stage, named by the step's id. Pure, and kept by the plan's hash.

A flow is the same for everybody and every pass; what one pass works on stands beside it as its `Work`. Only
counts reach Prefect: no customer is in a parameter, a result, a state or a log line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, cast

from prefect import Flow, State, Task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from treue.engine.versions.versions import Version
from treue.language.steps import Effort, Stage
from treue.plan.plan import Plan

ENTER, DELIVER = "enter", "deliver"
"""The two tasks that no step stands for: telling who was let in and out, and sending what the outbox holds."""


DOOR, DELIVERY = Effort(), Effort(retries=1, delay=5.0, timeout=6 * 3_600.0)


class Work(Protocol):
    """What one flow run works on: a version, a moment, and the engine calls. Each returns how many it concerned."""

    version: Version

    async def at_the_door(self) -> bool:
        """Whether anybody has been let in or out."""

    async def take_in(self) -> int:
        """Return how many that were."""

    def older(self) -> AsyncIterator[Work]:
        """Yield the work on the journey's other versions that have somebody due."""

    def stages(self) -> AsyncIterator[Stage]:
        """Yield each stage somebody is due at, in order."""

    async def advance(self, stage: Stage) -> int:
        """Act on everyone due at a stage."""

    async def in_the_outbox(self) -> bool:
        """Whether there is anything to send."""

    async def deliver(self) -> str:
        """Send it; say what became of it, in numbers."""


_work: ContextVar[Work] = ContextVar("treue_work")


@contextmanager
def use_work(work: Work) -> Iterator[None]:
    """Set the work that flows called inside the block do."""
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)


async def run_flow(work: Work, now: datetime) -> None:
    """Run the flow of a version on its work, as one flow run."""
    with use_work(work):
        flow = cast("Callable[..., Awaitable[Any]]", build_flow(work.version.plan, work.version.hash))
        await flow(at=now)


@lru_cache(maxsize=512)
def build_flow(plan: Plan, content_hash: str) -> Flow[..., Any]:
    """Build the flow of a plan, named after the journey, with the plan's hash as its version."""
    tasks = stage_tasks(plan)
    enter, deliver = _task(ENTER, DOOR, _enter), _task(DELIVER, DELIVERY, _deliver)

    async def journey(at: datetime) -> State[None]:
        work, ran = _work.get(), 0
        failed: list[Exception] = []
        if await work.at_the_door():
            await enter()
        async for older in work.older():
            with _collect_failure(failed):
                await run_flow(older, at)
        async for stage in work.stages():
            with _collect_failure(failed):
                await tasks[stage.id]()
            ran += 1
        if await work.in_the_outbox():
            await deliver()
        if failed:
            raise failed[0]
        return Completed(message=f"{ran} of {len(tasks)} steps had somebody due.")

    journey.__name__ = journey.__qualname__ = plan.journey
    return Flow(
        journey,
        name=plan.journey,
        version=content_hash,
        description=_description(plan),
        flow_run_name=plan.journey + " {at:%Y-%m-%d %H:%M:%S}",
        persist_result=False,
        validate_parameters=False,
    )


@contextmanager
def _collect_failure(failed: list[Exception]) -> Iterator[None]:
    """Collect an exception for later, so that one failing step stops neither the others nor delivery."""
    try:
        yield
    except Exception as error:
        failed.append(error)


def stage_tasks(plan: Plan) -> dict[str, Task[..., Any]]:
    """Return the tasks of a plan's stages by step id, in the plan's order."""
    return {stage.id: _stage_task(stage) for stage in plan.stages}


def _description(plan: Plan) -> str:
    steps = "\n".join(f"{n}. `{stage.id}` ({stage.kind})" for n, stage in enumerate(plan.stages, 1))
    return f"The journey `{plan.journey}`, {plan.category}, priority {plan.priority}.\n\n{steps}\n"


def _stage_task(stage: Stage) -> Task[..., Any]:
    async def act() -> str:
        return _quantity(await _work.get().advance(stage), "customer")

    return _task(stage.id, stage.effort, act)


async def _enter() -> str:
    return _quantity(await _work.get().take_in(), "arrival") + " dealt with"


async def _deliver() -> str:
    return await _work.get().deliver()


def _quantity(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _task(name: str, effort: Effort, act: Callable[[], Coroutine[Any, Any, str]]) -> Task[..., Any]:
    async def step() -> State[None]:
        return Completed(message=f"{name}: {await act()}")

    step.__name__ = step.__qualname__ = name.replace(".", "-")  # Prefect cuts a name at its dots
    return Task(
        step,
        name=name,
        task_run_name=name,
        retries=effort.retries,
        retry_delay_seconds=effort.delay,
        timeout_seconds=effort.timeout,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
