"""A provider's HTTP API on loopback, for tests of adapters: real connections, real HTTP/1.1, real mishaps.

Inherit and say `answer`: what the provider's documentation says of a request, wrong keys, wrong documents and too many
messages included. A test puts mishaps before it:

    with MyProvider() as provider:
        provider.next(Reply(429, {"Retry-After": "120"}), Mishap.silence)

Everything is answered one request at a time, so that what a provider remembers needs no locks.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came; `headers` have names in small letters."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the document in the body, or None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a body that is a form."""
        return parse_qs(self.body.decode(), keep_blank_values=True)

    def basic(self) -> tuple[str, str] | None:
        """Return user and password of HTTP Basic authentication, or None."""
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = b64decode(given).decode().partition(":")
        except ValueError:
            return None
        return user, password


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Return an answer with a JSON document."""
        return cls(
            status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(document).encode()
        )


class Mishap(StrEnum):
    """What can happen instead of an answer, once the request has been read."""

    silence = "says nothing until the provider is stopped"
    reset = "resets the connection"
    hang_up = "closes the connection"
    nonsense = "answers with what is not HTTP"


class ProviderServer:
    """Listens on loopback between `with` and its end; `asked` has every request that came."""

    most: int | None = None
    """How many requests are answered before the limit is reached; all further ones are told so."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._next: deque[Reply | Mishap] = deque()
        self._always: Reply | Mishap | None = None
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._listener: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where the API lives."""
        assert self._listener is not None, "The provider runs inside `with` only."
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def answer(self, asked: Asked) -> Reply:
        """Return what the provider answers."""
        raise NotImplementedError

    def too_fast(self) -> Reply:
        """Return what the provider answers beyond its limit."""
        return Reply(429, {"Retry-After": "2"})

    def next(self, *happening: Reply | Mishap) -> None:
        """Answer the next requests with these, in turn, and only then by `answer`."""
        self._next.extend(happening)

    def always(self, happening: Reply | Mishap | None) -> None:
        """Answer every request with this from now on; with None, by `answer` again."""
        self._always = happening

    def go_away(self) -> None:
        """Stop listening: connections are refused from now on."""
        listener, self._listener = self._listener, None
        self._stopped.set()
        if listener is not None:
            listener.shutdown()
            listener.server_close()

    def __enter__(self) -> Self:
        """Listen."""
        self._listener = _Listener(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and let go of whoever waits for an answer."""
        self.go_away()

    def happening(self, asked: Asked) -> Reply | Mishap:
        """Note a request and return what is to happen."""
        with self._turn:
            self.asked.append(asked)
            if self._next:
                return self._next.popleft()
            if self._always is not None:
                return self._always
            over = self.most is not None and len(self.asked) > self.most
            return self.too_fast() if over else self.answer(asked)

    def wait_for_the_end(self) -> None:
        """Return once the provider is stopped."""
        self._stopped.wait()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what is being tested."""


def _handler(provider: ProviderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def respond(self) -> None:
            happening = provider.happening(self._asked())
            if isinstance(happening, Reply):
                self._say(happening)
                return
            self.close_connection = True
            if happening is Mishap.silence:
                provider.wait_for_the_end()
            elif happening is Mishap.nonsense:
                self.wfile.write(b"\x15\x03\x01 nonsense\r\n\r\n")
            elif happening is Mishap.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

        def _asked(self) -> Asked:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            return Asked(self.command, parts.path, parse_qs(parts.query), headers, body)

        def _say(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
