"""An SMTP server that takes everything, keeps nothing and counts: the other end of the delivery benchmark.

python -m benchmarks.sink       prints its port; once its input is closed, messages, bytes and microseconds of CPU
"""

from __future__ import annotations

import asyncio
import sys
import time

_HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 33554432\r\n"
_ANSWERS = {b"EHLO": _HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
_END = b"\r\n.\r\n"


class Counted:
    messages = 0
    bytes = 0


class Session(asyncio.Protocol):
    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._heard = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._heard += data
        answers = []
        while (end := self._heard.find(_END if self._in_data else b"\r\n")) >= 0:
            answers.append(self._message(end) if self._in_data else self._command(end))
        if answers:
            self._transport.write(b"".join(answers))

    def _command(self, end: int) -> bytes:
        verb, self._heard = self._heard[:4].upper(), self._heard[end + 2 :]
        self._in_data = verb == b"DATA"
        return _ANSWERS.get(verb, b"250 ok\r\n")

    def _message(self, end: int) -> bytes:
        self._heard, self._in_data = self._heard[end + len(_END) :], False
        self._counted.messages += 1
        self._counted.bytes += end + 2
        return b"250 2.0.0 Ok: queued as %X\r\n" % self._counted.messages


async def serve() -> Counted:
    loop, counted = asyncio.get_running_loop(), Counted()
    server = await loop.create_server(lambda: Session(counted), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    return counted


if __name__ == "__main__":
    total = asyncio.run(serve())
    print(total.messages, total.bytes, round(time.process_time() * 1e6), flush=True)
