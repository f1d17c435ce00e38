"""Many POST requests over one HTTP/2 connection, from one thread, and what became of each (RFC 9113).

A request has one of three fates: it was answered; it was certainly not processed (no connection, a stream refused, or
above the last one that a GOAWAY names, section 6.8); or nobody can tell.

h2 closes a connection at the first GOAWAY, also where the server goes on answering what it has taken. Servers say
goodbye like that every hour or so; so a GOAWAY is read here, and kept from h2.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes

SECONDS = 30.0
"""How long a connection with open requests may stand still."""

CONNECTIONS = 3
"""How often a batch begins anew where servers say goodbye."""

_GOAWAY = 7
_HEAD = 9
_READ = 65_536
_LARGEST = 100_000


@dataclass(frozen=True)
class Post:
    """A request to be made; `number` tells it from the others."""

    number: int
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What a server answered. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Untouched:
    """The request was certainly not processed, nor will be. `everyone`: nor would any other have been."""

    reason: str
    everyone: bool = True


@dataclass(frozen=True)
class Lost:
    """The request was made, and nobody knows what became of it."""

    reason: str


Fate = Answer | Untouched | Lost


class Http2:
    """A server that is spoken to by HTTP/2 over TLS. The connection is opened when needed and kept."""

    def __init__(self, host: str, port: int, trust: ssl.SSLContext, seconds: float = SECONDS) -> None:
        trust.set_alpn_protocols(["h2"])
        self.host, self.port = host, port
        self._trust, self._seconds = trust, seconds
        self._line: _Line | None = None

    def exchange(self, waiting: deque[Post], started: Callable[[int], bool]) -> Iterator[tuple[int, Fate]]:
        """Make the requests, in their order, and yield the fate of each as it becomes known.

        `started` is asked just before a request goes on the wire, again where the server sent it back; where it says
        no, and where a request is taken out of `waiting` meanwhile, it is not made, and nothing is yielded of it.
        """
        for _ in range(CONNECTIONS):
            if not waiting:
                return
            try:
                line = self._connect()
            except Exception as error:
                yield from _untouched(waiting, f"{self.host}:{self.port} cannot be reached: {_said(error)}")
                return
            yield from line.exchange(waiting, started)
            if not line.usable:
                self.close()
        yield from _untouched(waiting, f"{self.host} closes its connections")

    def close(self) -> None:
        """Hang up; the next exchange connects again."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _connect(self) -> _Line:
        if self._line is not None and self._line.answers():
            return self._line
        self.close()
        plain = socket.create_connection((self.host, self.port), self._seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = self._trust.wrap_socket(plain, server_hostname=self.host)
            if wire.selected_alpn_protocol() != "h2":
                raise ConnectionError("it speaks no HTTP/2")
            self._line = _Line(wire, self.host, self._seconds)
            self._line.greet()
        except BaseException:
            self._line = None
            plain.close()
            raise
        return self._line


@dataclass
class _Stream:
    post: Post
    unsent: memoryview
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    @property
    def answer(self) -> Answer:
        return Answer(self.status, self.headers, bytes(self.body))


class _Line:
    """One connection."""

    def __init__(self, wire: ssl.SSLSocket, host: str, seconds: float) -> None:
        self.usable = True
        self._wire, self._host, self._seconds = wire, host, seconds
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._unread = bytearray()
        self._goodbye = ""
        self._refused: list[Post] = []

    def greet(self) -> None:
        """Begin the connection; returns once the server has told how many streams it takes."""
        self._h2.initiate_connection()
        self._until(h2.events.RemoteSettingsChanged)

    def answers(self) -> bool:
        """Ping the server and return whether it answers; it may have hung up long ago."""
        try:
            self._h2.ping(b"treue???")
            self._until(h2.events.PingAckReceived)
        except Exception:
            self.usable = False
        return self.usable and not self._goodbye

    def exchange(self, waiting: deque[Post], started: Callable[[int], bool]) -> Iterator[tuple[int, Fate]]:
        """Make the requests on this connection; those it did not take are back in `waiting` at the end."""
        moved = time.monotonic()
        while self._streams or (waiting and not self._goodbye):
            fates: list[tuple[int, Fate]] = []
            try:
                opened = self._open_streams(waiting, started)
                self._flush()
                for event in self._read(moved + self._seconds):
                    fates += self._fate(event)
            except Exception as error:  # a server may say anything
                yield from [*fates, *self._break_off(error)]
                break
            moved = time.monotonic() if fates or opened else moved
            yield from fates
            self._give_back(waiting)
        self._give_back(waiting)
        self.usable = self.usable and not self._goodbye

    def close(self) -> None:
        """Say goodbye and hang up."""
        with contextlib.suppress(OSError, h2.exceptions.H2Error):
            self._h2.close_connection()
            self._wire.settimeout(1.0)
            self._flush()
        self._wire.close()

    def _open_streams(self, waiting: deque[Post], started: Callable[[int], bool]) -> bool:
        opened = False
        while waiting and not self._goodbye and self._room():
            post = waiting.popleft()
            if not started(post.number):
                continue
            stream_id = self._h2.get_next_available_stream_id()
            self._streams[stream_id] = _Stream(post, memoryview(post.body))
            self._h2.send_headers(stream_id, self._headers(post))
            opened = True
        for stream_id, stream in self._streams.items():
            self._send_body(stream_id, stream)
        return opened

    def _room(self) -> bool:
        """Return whether the server accepts another stream with its body."""
        most = self._h2.remote_settings.max_concurrent_streams
        return len(self._streams) < most and self._h2.outbound_flow_control_window > 0

    def _headers(self, post: Post) -> list[tuple[str, str]]:
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", self._host), (":path", post.path)]
        return [*pseudo, *post.headers]

    def _send_body(self, stream_id: int, stream: _Stream) -> None:
        """Send as much of a body as the server's windows allow."""
        while stream.unsent:
            size = min(
                self._h2.local_flow_control_window(stream_id),
                self._h2.max_outbound_frame_size,
                len(stream.unsent),
            )
            if size <= 0:
                return
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self._h2.send_data(stream_id, bytes(part), end_stream=not stream.unsent)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._wire.settimeout(self._seconds)
            self._wire.sendall(data)

    def _read(self, deadline: float) -> Iterator[h2.events.Event]:
        self._wire.settimeout(max(deadline - time.monotonic(), 0.001))
        data = self._wire.recv(_READ)
        if not data:
            raise ConnectionError("it hung up")
        self._unread += data
        for frame in self._frames():
            yield from self._receive(frame)

    def _frames(self) -> Iterator[bytes]:
        """Yield the whole frames among the bytes read (section 4.1)."""
        while len(self._unread) >= _HEAD:
            size = _HEAD + int.from_bytes(self._unread[:3])
            if len(self._unread) < size:
                return
            frame = bytes(self._unread[:size])
            del self._unread[:size]
            yield frame

    def _receive(self, frame: bytes) -> list[h2.events.Event]:
        if frame[3] == _GOAWAY and len(frame) >= _HEAD + 8:
            self._say_goodbye(frame[_HEAD:])
            return []
        return self._h2.receive_data(frame)

    def _say_goodbye(self, payload: bytes) -> None:
        """Take out the streams that the server says it will not process."""
        last, code = int.from_bytes(payload[:4]) & 0x7FFFFFFF, int.from_bytes(payload[4:8])
        more = "".join(c for c in payload[8:208].decode(errors="replace") if c.isprintable())
        self._goodbye = f"it said goodbye with code {code} {more}".rstrip()
        for stream_id in [one for one in self._streams if one > last]:
            self._refused.append(self._streams.pop(stream_id).post)

    def _give_back(self, waiting: deque[Post]) -> None:
        waiting.extendleft(reversed(self._refused))
        self._refused.clear()

    def _fate(self, event: h2.events.Event) -> list[tuple[int, Fate]]:
        """Take in an event; return a request's number and fate where it decides that."""
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return []
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = {str(name): str(value) for name, value in event.headers or ()}
            stream.status = int(stream.headers.pop(":status", "0"))
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            stream.body += (event.data or b"")[: _LARGEST - len(stream.body)]
        elif isinstance(event, h2.events.StreamEnded):
            return [self._finish(event.stream_id, stream.answer)]
        elif isinstance(event, h2.events.StreamReset):
            return [self._finish(event.stream_id, _reset(self._host, event))]
        return []

    def _finish(self, stream_id: int | None, fate: Fate) -> tuple[int, Fate]:
        return self._streams.pop(stream_id or 0).post.number, fate

    def _break_off(self, error: Exception) -> Iterator[tuple[int, Fate]]:
        self.usable = False
        reason = f"The connection to {self._host} broke off: {self._goodbye or _said(error)}"
        for stream in self._streams.values():
            yield stream.post.number, Lost(reason)
        self._streams.clear()

    def _until(self, wanted: type[h2.events.Event]) -> None:
        deadline = time.monotonic() + self._seconds
        self._flush()
        heard: list[bool] = []
        while not self._goodbye and not any(heard):
            heard = [isinstance(event, wanted) for event in self._read(deadline)]
            self._flush()


def _reset(host: str, event: h2.events.StreamReset) -> Fate:
    """Return what a reset means: only a refused stream was certainly not processed (section 8.7)."""
    if event.error_code == ErrorCodes.REFUSED_STREAM:
        return Untouched(f"{host} refused the stream", everyone=False)
    return Lost(f"{host} broke the request off with code {event.error_code}")


def _untouched(waiting: deque[Post], reason: str) -> Iterator[tuple[int, Fate]]:
    while waiting:
        yield waiting.popleft().number, Untouched(reason)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return " ".join(str(error).split())[:200] or type(error).__name__
