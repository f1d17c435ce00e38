"""What a request may be: at most 1 MiB, uncompressed, and here within seconds. Checked before anything else.

Only who leaves is not refused for what they send: there, a body that does not fit is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treue.web.problems import HttpProblem, response

MAX_BODY = 1024 * 1024
BODY_SECONDS = 10.0
"""How long a client may take to send a body."""

WAY_OUT = "/u/"
"""Where the address alone says it all (RFC 8058)."""

_TOO_LARGE = HttpProblem(
    413,
    f"The body is larger than {MAX_BODY} bytes; send several smaller ones.",
    headers={"Connection": "close"},
)
_ENCODED = HttpProblem(
    415,
    "The body has a Content-Encoding; send it uncompressed.",
    headers={"Connection": "close", "Accept-Encoding": "identity"},
)
_TOO_SLOW = HttpProblem(408, "The body did not arrive in time.", headers={"Connection": "close"})
_BAD_LENGTH = HttpProblem(400, "The Content-Length is not a number.", headers={"Connection": "close"})


class BodyLimits:
    """ASGI middleware that refuses bodies too large, compressed or slow, and hands the app the whole body.

    A body is refused by its declared length before a byte of it is read; one without a length is counted while
    it arrives, and never more than the limit is kept. Nothing is ever decompressed.
    """

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY, seconds: float = BODY_SECONDS) -> None:
        self.app, self.max_body, self.seconds = app, max_body, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = self._refusal(dict(scope["headers"]))
        body: bytes | None = b""
        if problem is None and scope["method"] not in ("GET", "HEAD"):
            try:
                async with asyncio.timeout(self.seconds):
                    body = await self._read(receive)
            except TimeoutError:
                problem = _TOO_SLOW
            except HttpProblem as found:
                problem = found
        if problem is not None and scope["path"].startswith(WAY_OUT):
            await self.app(scope, _replayed(b"", receive), _closing(send))
        elif problem is not None:
            await response(problem)(scope, receive, send)
        elif body is not None:
            await self.app(scope, _replayed(body, receive), send)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> HttpProblem | None:
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            return _ENCODED
        length = headers.get(b"content-length", b"0").strip()
        if not length.isdigit():
            return _BAD_LENGTH
        return _TOO_LARGE if len(length) > 18 or int(length) > self.max_body else None

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the whole body, or None where the client went away."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self.max_body:
                raise _TOO_LARGE
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def _closing(send: Send) -> Send:
    """Return a `send` that ends the connection after the answer: what is left of the body is not read."""

    async def last(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return last


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
