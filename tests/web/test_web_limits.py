"""Clients that send too much, too slowly, or compressed, over real sockets."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.serving import KEY, Site, copy_workspace, served
from treue.model.tables import event
from treue.web import limits, server

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


def _memory() -> int:
    """Return this process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _status(sock: socket.socket) -> int:
    """Return the status of the answer on a socket."""
    return int(sock.recv(65536).split(b" ")[1])


def test_an_endless_chunked_body_is_refused_without_being_kept(world: Site) -> None:
    before = _memory()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        sock.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        sock.settimeout(5)
        try:
            while sent < 64 * 1024 * 1024:
                sock.sendall(chunk)
                sent += 65536
        except OSError:
            pass  # the server has answered and closed
    assert sent < 64 * 1024 * 1024
    assert _memory() - before < 20 * 1024 * 1024
    assert world.client.get("/healthz").status_code == 200


def test_a_chunked_body_just_over_the_limit_is_answered_413(world: Site) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        sock.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        size = limits.MAX_BODY + 1
        sock.sendall(f"{size:x}\r\n".encode() + b" " * size)
        assert _status(sock) == 413


@pytest.mark.parametrize("path", ["/v1/events", "/v1/hooks/shop"])
def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_sent(world: Site, path: str) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        length = limits.MAX_BODY + 1
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode())
        assert _status(sock) == 413


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x-unknown"])
def test_a_compressed_body_is_never_decompressed(world: Site, encoding: str) -> None:
    headers = {**AUTHORIZED, "Content-Encoding": encoding}
    answer = world.client.post("/v1/events", content=b"\x1f\x8b" + b"0" * 100, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


def test_a_head_beyond_the_limit_is_refused(world: Site) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * server.MAX_HEAD)
        assert _status(sock) == 400


@pytest.fixture
def impatient(tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that waits half a second for heads and bodies."""
    monkeypatch.setattr(server.PatientProtocol, "header_seconds", 0.5)
    defaults = (limits.MAX_BODY, 0.5)
    monkeypatch.setattr(limits.BodyLimits.__init__, "__defaults__", defaults)
    with served(copy_workspace(tmp_path)) as site:
        yield site


def test_a_head_that_never_ends_is_cut_off_and_others_are_served(impatient: Site) -> None:
    slow = [socket.create_connection(("127.0.0.1", impatient.port), timeout=20) for _ in range(100)]
    try:
        for sock in slow:
            sock.sendall(b"POST /v1/events HTTP/1.1\r\nHost: local")
        assert impatient.client.get("/healthz").status_code == 200
        assert [sock.recv(1) for sock in slow] == [b""] * 100
    finally:
        for sock in slow:
            sock.close()


def test_a_head_that_drips_is_cut_off(impatient: Site) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012 - which of the writes fails is the system's
            for n in range(100):
                sock.sendall(f"X-{n}: y\r\n".encode())
                time.sleep(0.1)


def test_a_body_that_never_comes_is_answered_408(impatient: Site) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as sock:
        sock.sendall(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
        assert _status(sock) == 408


def test_a_connection_used_again_is_not_cut_off_while_it_speaks(impatient: Site) -> None:
    with httpx.Client(base_url=str(impatient.client.base_url)) as client:
        for _ in range(5):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.2)
    assert impatient.count(event) == 0


def _idle(port: int, number: int, said: bytes = b"") -> list[socket.socket]:
    """Return connections that say this much and no more."""
    held = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(number)]
    for sock in held:
        sock.sendall(said)
    return held


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: local",
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_thousand_idle_connections_of_one_client_keep_nobody_else_out(world: Site, said: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))  # both ends are in this process
    try:
        held = _idle(world.port, 1100, said)
        try:
            for n in range(20):
                with httpx.Client(base_url=str(world.client.base_url), timeout=20) as other:
                    assert other.get("/healthz").status_code == 200
                    assert other.post("/v1/events", json=[_order(n)], headers=AUTHORIZED).status_code == 202
        finally:
            for sock in held:
                sock.close()
        assert world.count(event, event.c.name == "order.placed") == 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _order(n: int) -> dict[str, object]:
    return {"id": f"o{n}", "customer": "ada", "event": "order.placed", "properties": {"total": 5}}
