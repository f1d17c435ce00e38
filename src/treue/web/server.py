"""The server: uvicorn on one socket, with limits for clients that are slow, many, or large."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from treue.errors import UsageError

HEADER_SECONDS = 10.0
"""How long a client may take from connecting, or from its last answer's end, to the end of a request's head."""

MAX_HEAD = 16 * 1024
MAX_CONNECTIONS = 1_000
MOST_OPEN = 500
"""From so many connections on, each new one takes the place of one that waits for its client."""
KEEP_ALIVE = 5
GRACE = 10
"""How many seconds requests under way have when the server is told to end."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for ever for a head that never ends (Slowloris).

    Whoever holds many connections open and says nothing loses them to those who come, one by one.
    """

    _deadline: asyncio.TimerHandle | None = None
    _heard = 0.0
    header_seconds = HEADER_SECONDS
    most_open = MOST_OPEN

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock, and make room for the next."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        self._watch()
        if len(self.connections) > self.most_open:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a head is complete, start it when the next one begins."""
        self._heard = self.loop.time()
        super().data_received(data)
        self._watch()

    def _make_room(self) -> None:
        """Close the connection that has waited longest of the client who has most that wait."""
        others = [one for one in self.connections if isinstance(one, PatientProtocol) and one is not self]
        waiting = [one for one in others if one.waits]
        by_client = Counter(one.peer for one in waiting)
        if waiting:
            most = max(by_client.values())
            idle = (one for one in waiting if by_client[one.peer] == most)
            min(idle, key=lambda one: one._heard).transport.close()

    @property
    def waits(self) -> bool:
        """Whether the client has yet to send a head, or the rest of a body."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()

    @property
    def peer(self) -> str:
        """The client's address."""
        return self.client[0] if self.client else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at this address. Raises UsageError where it is taken or not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"Port {port} of {host} cannot be used: {reason}. Perhaps Treue is running there already; "
            "`--port` names another one."
        ) from error
    return listening


def server(app: ASGIApp, **settings: Any) -> uvicorn.Server:
    """Return a server with this project's limits; it takes the socket in `serve`."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MAX_HEAD,
        **{"lifespan": "on", **settings},
    )
    return uvicorn.Server(config)


def serve(running: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish what is under way and return. In the main thread only."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    with _quiet_signals():
        running.run(sockets=[listening])


@contextmanager
def serve_beside(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serve in a thread while the block lasts."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    running = server(app, lifespan="off")
    thread = threading.Thread(target=running.run, args=([listening],), name="treue-web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        running.should_exit = True
        thread.join(GRACE)


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let a signal end the server and nothing else: uvicorn raises it again once it has ended."""
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(_number: int, _frame: Any) -> None:
    """Do nothing; what follows the server says how to end."""
