"""The child process: does what a template asks for where nobody has proven that it ends soon, within limits.

It reads requests from its standard input and answers on its standard output, one after the other. What it may take of
the processor and of memory the operating system watches over, so that no code in here has to be trusted to stop:
where a limit is hit it dies, or says that it should. Where the system counts no time (Windows), only the parent's clock ends it.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from treue.render.sandbox import compilers
from treue.render.sandbox.frames import MEMORY, read_frame, write_frame


def serve() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what a library prints is no answer
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # meant for the parent, which finishes what it has in hand
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _limit_memory()
    write_frame(answers, b"ready")
    _answer_all(os.fdopen(0, "rb", 0), answers)


def _answer_all(requests: IO[bytes], answers: IO[bytes]) -> None:
    while (request := read_frame(requests)) is not None:
        seconds, name, arguments = pickle.loads(request)  # noqa: S301 - from the parent, which is trusted
        work = _work(name)
        _limit_time(seconds)
        answer = json.dumps(_answer(work, arguments), ensure_ascii=False).encode("utf-8", "surrogatepass")
        _limit_time(0)
        write_frame(answers, answer)


def _answer(work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    began = time.process_time()
    try:
        return work(*arguments) | {"seconds": time.process_time() - began}
    except MemoryError:
        return {"stopped": "memory"}
    except Exception as error:
        return {"error": str(error) or type(error).__name__}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    for which, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS knows the first and does not keep to it
            resource.setrlimit(which, (most, most))


def _limit_time(seconds: float) -> None:
    """End this process after so many more seconds on the processor; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _work(name: str) -> Callable[..., dict[str, Any]]:
    """Return the function of this name. What rendering needs is imported only here, and charged to no template."""
    if name == "render":
        from treue.render.sandbox.child_rendering import render

        return render
    return _compile if name == "compile" else _plain_text


def _compile(masked: str, form: str) -> dict[str, Any]:
    return {"text": compilers.compile_mjml(masked) if form == "mjml" else compilers.compile_html(masked)}


def _plain_text(html: str) -> dict[str, Any]:
    return {"text": compilers.plain_text(html)}
