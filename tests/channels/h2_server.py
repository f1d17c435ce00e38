"""An HTTP/2 server over TLS on loopback that can also say goodbye, refuse streams, fall silent and hang up."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

LAST = 2**31 - 1


@dataclass
class Came:
    """One request as it came; `number` counts a connection's streams from 0."""

    headers: dict[str, str]
    body: bytes
    number: int
    connection: int

    @property
    def path(self) -> str:
        return self.headers[":path"]


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Reset:
    """The stream is broken off, by default as one that was refused."""

    code: int = ErrorCodes.REFUSED_STREAM


@dataclass
class GoAway:
    """Goodbye: the server names the last stream it has processed, then answers those of `answered`."""

    last: int
    then: Reply | None = None
    hang_up: bool = True


@dataclass
class Raw:
    """Bytes of any kind instead of an answer."""

    data: bytes


class Silence:
    """No answer."""


class HangUp:
    """The connection is closed."""


Happening = Reply | Reset | GoAway | Raw | type[Silence] | type[HangUp]


class H2Server:
    """Answers by `answer`; `streams` is how many it takes at once on a connection."""

    def __init__(self, files: tuple[Path, Path], streams: int = 100, protocol: str = "h2") -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*files)
        self._context.set_alpn_protocols([protocol])
        self.streams, self.window = streams, 65_535
        self.came: list[Came] = []
        self.most_at_once = self.connections = 0
        self.next: list[Happening] = []
        self._open: list[Any] = []
        self._turn = threading.Lock()

    def answer(self, came: Came) -> Happening:
        return Reply()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> H2Server:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close all connections, without a word."""
        for wire in self._open:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            wire = self._context.wrap_socket(plain, server_side=True)
            with self._turn:
                self._open.append(wire)
                self.connections += 1
                number = self.connections
            _Conversation(self, wire, number).hold()
        except (OSError, h2.exceptions.H2Error):
            plain.close()

    def happening(self, came: Came) -> Happening:
        with self._turn:
            self.came.append(came)
            return self.next.pop(0) if self.next else self.answer(came)


class _Conversation:
    def __init__(self, server: H2Server, wire: ssl.SSLSocket, number: int) -> None:
        self._server, self._wire, self._number = server, wire, number
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._asked: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._ended: list[int] = []
        self._taken = 0

    def hold(self) -> None:
        settings = {
            SettingCodes.MAX_CONCURRENT_STREAMS: self._server.streams,
            SettingCodes.INITIAL_WINDOW_SIZE: self._server.window,
        }
        self._h2.local_settings = Settings(client=False, initial_values=settings)
        self._announced = self._server.streams
        self._h2.initiate_connection()
        self._wire.sendall(self._h2.data_to_send())
        while data := self._wire.recv(65_536):
            for event in self._h2.receive_data(data):
                self._on(event)
            self._server.most_at_once = max(self._server.most_at_once, len(self._asked))
            ended, self._ended = self._ended, []
            for stream_id in ended:
                if not self._respond(stream_id):
                    return
            self._wire.sendall(self._h2.data_to_send())
        self._wire.close()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._asked[event.stream_id] = ({str(k): str(v) for k, v in event.headers}, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self._asked[event.stream_id][1].extend(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended.append(event.stream_id)

    def _respond(self, stream_id: int) -> bool:
        """Do what is to happen; say whether the connection goes on."""
        headers, body = self._asked.pop(stream_id)
        came = Came(headers, bytes(body), self._taken, self._number)
        self._taken += 1
        happening = self._server.happening(came)
        if self._server.streams != self._announced:
            self._announced = self._server.streams
            self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._announced})
        if isinstance(happening, Reply):
            self._say(stream_id, happening)
        elif isinstance(happening, Reset):
            self._h2.reset_stream(stream_id, happening.code)
        elif isinstance(happening, Raw):
            self._wire.sendall(self._h2.data_to_send() + happening.data)
        elif isinstance(happening, GoAway):
            return self._say_goodbye(stream_id, happening)
        elif happening is HangUp:
            self._wire.sendall(self._h2.data_to_send())
            self._wire.shutdown(socket.SHUT_RDWR)
            self._wire.close()
            return False
        return True

    def _say(self, stream_id: int, reply: Reply) -> None:
        headers = [(":status", str(reply.status)), *reply.headers.items()]
        self._h2.send_headers(stream_id, headers, end_stream=not reply.body)
        if reply.body:
            self._h2.send_data(stream_id, reply.body, end_stream=True)

    def _say_goodbye(self, stream_id: int, goodbye: GoAway) -> bool:
        frame = b"\0\0\x08\x07\0\0\0\0\0" + goodbye.last.to_bytes(4) + bytes(4)
        self._wire.sendall(self._h2.data_to_send() + frame)
        if goodbye.then is not None:
            self._say(stream_id, goodbye.then)
            self._wire.sendall(self._h2.data_to_send())
        if goodbye.hang_up:
            self._wire.shutdown(socket.SHUT_RDWR)
            self._wire.close()
        return not goodbye.hang_up
