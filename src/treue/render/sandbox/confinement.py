"""Work of a template that may take too long, too much memory, or the process with it, done in a child process.

One child serves this process, one request at a time. It is started when it is first needed and replaced once it hit a
limit, so that a bomb costs its own message and nothing else. Requests are pickled; answers are JSON, as the child is
trusted less.
"""

from __future__ import annotations

import atexit
import json
import marshal
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from types import CodeType
from typing import Any

from treue.errors import RenderError
from treue.render.sandbox.frames import KEPT, MEMORY, read_frame, write_frame

SECONDS = 2.0
"""What one message, or the compilation of one file, may take of the processor."""
_PATIENCE = 10.0 if hasattr(signal, "setitimer") else SECONDS
"""Seconds after which the child is ended whatever it is at: longer than it may work, as a busy machine is no bomb."""
_STARTING = 60.0
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TZDIR")
_WORDS = {
    "time": f"it was stopped after {SECONDS:.0f} seconds",
    "memory": f"it was stopped at {MEMORY // 1024 // 1024} MB of memory",
    "crash": "it is nested too deeply, or too large",
}


class RenderStopped(RenderError):  # noqa: N818
    """The child hit a limit. `why` says which, as the end of a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(_WORDS[why])
        self.why = _WORDS[why]


class Uncompiled(ValueError):  # noqa: N818
    """The child's answer is an error of the library that did the work."""


def start() -> None:
    """Start the child if there is none, without waiting for it."""
    with _guard:
        _child()


def compile_markup(masked: str, form: str) -> str:
    """Compile masked MJML or HTML to HTML. Raises Uncompiled with the compiler's words, and RenderStopped."""
    return _text("compile", masked, form)


def plain_text(html: str) -> str:
    """Return the text of a page. Raises Uncompiled and RenderStopped."""
    return _text("plain_text", html)


@dataclass(frozen=True)
class Packed:
    """A compiled part as the child gets it, and the key by which the child knows it again."""

    key: bytes
    content: bytes

    @classmethod
    def of(cls, code: CodeType) -> Packed:
        """Marshal compiled code and digest it."""
        content = marshal.dumps(code)
        return cls(blake2b(content, digest_size=16).digest(), content)


def render_part(code: Packed, html: bool, variables: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Render a compiled part to its `text`, or a `fault` with its `line`, and the `seconds` it took. Raises RenderStopped."""
    with _guard:
        child = _child()
        sent = None if child.knows(code.key) else code.content
        answer = _answer(child, "render", (code.key, sent, html, variables), seconds)
    if "error" in answer:
        raise RenderStopped("crash")
    return answer


def _text(work: str, *arguments: str) -> str:
    with _guard:
        answer = _answer(_child(), work, arguments, SECONDS)
    if "error" in answer:
        raise Uncompiled(answer["error"])
    return str(answer["text"])


def _answer(child: _Child, work: str, arguments: tuple[Any, ...], seconds: float) -> dict[str, Any]:
    """Return the child's answer; without one that is whole, this child is the last that was asked of it."""
    global _running
    whole = False
    try:
        answer = child.answer(pickle.dumps((max(seconds, 0.001), work, arguments), pickle.HIGHEST_PROTOCOL))
        if "stopped" in answer:
            raise RenderStopped(answer["stopped"])
        whole = True
        return answer
    finally:
        if not whole:
            child.end()
            _running = None


class _Child:
    """A running child process."""

    def __init__(self) -> None:
        begin = (
            f"import sys; sys.path[:] = {sys.path!r}; from treue.render.sandbox.child import serve; serve()"
        )
        given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=given, bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise RenderError(f"The process that renders templates cannot be started: {error}.") from error
        self._ready, self._known = False, set[bytes]()

    @property
    def alive(self) -> bool:
        """Whether it still runs: somebody else may have ended it meanwhile."""
        return self._process.poll() is None

    def knows(self, key: bytes) -> bool:
        """Say whether it has a part's code; if not, it is about to. The child counts along."""
        if key in self._known:
            return True
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known.add(key)
        return False

    def answer(self, request: bytes) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises RenderStopped where it dies of it."""
        if not self._ready and self._exchange(b"", _STARTING) is None:
            raise RenderError(
                f"The process that renders templates cannot be started: {sys.executable} ended at once."
            )
        self._ready = True
        answer = self._exchange(request, _PATIENCE)
        if answer is None:
            timed_out = self._overdue or self._process.wait() == -getattr(signal, "SIGPROF", 0)
            raise RenderStopped("time" if timed_out else "crash")
        found: dict[str, Any] = json.loads(answer.decode("utf-8", "surrogatepass"))
        return found

    def _exchange(self, request: bytes, seconds: float) -> bytes | None:
        """Send a request and read the answer; return None where the child ended, by itself or because its time was over."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._overdue = False
        try:
            if request:
                write_frame(self._process.stdin, request)
            with self._kill_after(seconds):
                return read_frame(self._process.stdout)
        except OSError:
            return None

    @contextmanager
    def _kill_after(self, seconds: float) -> Iterator[None]:
        """Kill the process if it has not begun to answer after so many seconds."""
        if hasattr(select, "poll"):
            answer = select.poll()
            answer.register(self._process.stdout, select.POLLIN)  # type: ignore[arg-type]
            if not answer.poll(seconds * 1000):
                self._kill()
            yield
            return
        clock = threading.Timer(seconds, self._kill)
        clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def _kill(self) -> None:
        self._overdue = True
        self._process.kill()

    def end(self) -> None:
        """End the process and let go of it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


_guard = threading.Lock()
_running: _Child | None = None


def _child() -> _Child:
    global _running
    if _running is not None and not _running.alive:
        _running.end()
        _running = None
    if _running is None:
        _running = _Child()
    return _running


def _forget() -> None:
    """In a process that was forked: the child is not ours."""
    global _guard, _running
    _guard, _running = threading.Lock(), None


def _end() -> None:
    if _running is not None:
        _running.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_end)
