"""Prefect's event loop, in a thread of its own; what a flow asks of the engine is done in the caller's thread.

So the engine is only ever used by one thread, Ctrl-C reaches it as anywhere else, and a time-out of Prefect's
can never leave a piece of work running beside its own retry.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

Ask = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Has a blocking call done in the thread that waits for the flow, and gives its result."""


class Loop:
    """An event loop that lives as long as the process, or until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="prefect", daemon=True)
        self._thread.start()

    def run(self, main: Callable[[Ask], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop to its end, and here whatever it asks for. Returns or raises as it does."""
        desk: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        running = asyncio.run_coroutine_threadsafe(main(partial(self._ask, desk)), self._loop)
        running.add_done_callback(lambda _: desk.put(None))
        try:
            while (call := desk.get()) is not None:
                call()
        except BaseException:  # Ctrl-C, or the process is to end: Prefect is told, the caller hears of it
            running.cancel()
            raise
        return running.result()

    async def _ask(self, desk: queue.SimpleQueue[Callable[[], None] | None], call: Callable[[], Any]) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        desk.put(partial(self._do, call, answer))
        return await answer

    def _do(self, call: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        try:
            result = call()
        except Exception as error:
            self._loop.call_soon_threadsafe(_settle, answer, None, error)
        else:
            self._loop.call_soon_threadsafe(_settle, answer, result, None)

    def close(self, timeout: float = 10.0) -> None:
        """End what still runs, then the loop and its thread."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._loop.close()


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():  # given up after a time-out
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
